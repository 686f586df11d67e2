//! File systems in user space, which need FUSE from the kernel.

use crate::programs::{self, Program};
use crate::world::World;

/// A row of its own: its test is ignored by default, since few containers have FUSE.
pub(crate) const HTTPDIRFS: Program = Program {
    name: "httpdirfs",
    does: "mounts a folder by its list, reads files and parts of them",
    setting: "the folder's slash. Its test runs only where FUSE can be used (`/dev/fuse`); elsewhere it is reported as ignored",
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
