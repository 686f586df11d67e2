//! Probes whether this machine can mount FUSE file systems. Many containers cannot.

use std::process::{Command, Stdio};

/// Mounts as `httpdirfs` does, without a program behind the mount. Users other than root mount through `fusermount`, which
/// cannot be tried alone.
const PROBE: &str = r#"
set -e
if [ "$(id -u)" -ne 0 ]; then exec test -w /dev/fuse; fi
folder=$(mktemp -d)
trap 'rmdir "$folder"' EXIT
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 probe "$folder" 3<>/dev/fuse
umount "$folder"
"#;

/// Checks whether a file system can be mounted.
pub(crate) fn is_usable() -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", PROBE]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}
