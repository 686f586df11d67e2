//! Programs that mount a folder, for which the kernel must offer FUSE.

use crate::programs::{self, Program};
use crate::world::World;

/// Tested apart from the other programs: this test is ignored by default, since many containers lack FUSE.
pub(crate) const HTTPDIRFS: Program = Program {
    name: "httpdirfs",
    does: "mounts a folder from its list, reads files and parts of them",
    setting: "the folder's trailing slash. Tested only on machines that can mount FUSE file systems; elsewhere the test is reported as ignored. httpdirfs hides empty files",
    needs: &["httpdirfs", "fusermount", "mountpoint", "rclone"],
    script: &["httpdirfs.sh"],
    reads: programs::BOTH,
};

#[test]
#[ignore = "needs FUSE: `cargo xtask test` runs it where a file system can be mounted"]
fn httpdirfs_reads_a_mounted_folder() {
    if HTTPDIRFS.is_installed() {
        programs::run(&World::start(), &HTTPDIRFS).unwrap();
    }
}
