//! The file of a unix socket, and who may connect to it.

use crate::config::SocketAccess;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use std::fs::{Permissions, set_permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The permission bits of a file's mode.
const PERMISSIONS: u32 = 0o7777;

/// The file of a unix socket. It is held by a descriptor, so that another file which takes its path is never changed.
#[derive(Debug)]
pub(super) struct SocketFile {
    file: OwnedFd,
    /// The access that the system gave the file when it was made.
    made: SocketAccess,
}

impl SocketFile {
    /// Opens the socket at `path`, and follows no link.
    ///
    /// # Errors
    /// Fails if there is no socket.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty())?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(io::Error::other("another file has taken the place of the socket"));
        }
        let made = SocketAccess {
            mode: Some(stat.st_mode & PERMISSIONS),
            owner: Some(stat.st_uid),
            group: Some(stat.st_gid),
        };
        Ok(Self { file, made })
    }

    /// Returns the access that the system gave the file when it was made.
    pub(super) fn made(&self) -> SocketAccess {
        self.made
    }

    /// Sets the access. What `access` leaves open becomes as the system made it.
    ///
    /// Only those may connect meanwhile who may connect before or after.
    ///
    /// # Errors
    /// Fails if this process may not give the file to the owner or the group. The file has its access of before then.
    pub(super) fn set(&self, before: SocketAccess, access: SocketAccess) -> io::Result<()> {
        let (before, after) = (before.or(self.made), access.or(self.made));
        if before == after {
            return Ok(());
        }
        let (old, new) = (before.mode.unwrap_or_default(), after.mode.unwrap_or_default());
        if (before.owner, before.group) != (after.owner, after.group) {
            self.set_mode(old & new & 0o700)?;
            let (owner, group) = (after.owner.map(Uid::from_raw), after.group.map(Gid::from_raw));
            if let Err(error) = chownat(&self.file, c"", owner, group, AtFlags::EMPTY_PATH) {
                // The mode of before belongs to the owner of before.
                self.set_mode(old)?;
                return Err(cannot_give(after, &error.into()));
            }
        }
        self.set_mode(new)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        // A descriptor that cannot be read, as a socket's file has it, changes no mode. Its entry in /proc is a link to
        // the file itself.
        let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        set_permissions(link, Permissions::from_mode(mode))
    }
}

fn cannot_give(access: SocketAccess, error: &io::Error) -> io::Error {
    let wanted = SocketAccess { mode: None, ..access };
    let help = "only root may change the owner, and others only the group, to one that they are a member of \
                (SupplementaryGroups= of a unit)";
    io::Error::new(error.kind(), format!("cannot give the socket to {wanted}: {error}; {help}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixListener;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().permissions().mode() & PERMISSIONS
    }

    #[test]
    fn sets_the_mode_and_returns_to_what_the_system_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _socket = UnixListener::bind(&path).unwrap();
        let made = mode(&path);
        let file = SocketFile::open(&path).unwrap();
        let (none, own) = (SocketAccess::default(), path.symlink_metadata().unwrap());
        let access = SocketAccess { mode: Some(0o660), owner: Some(own.uid()), group: Some(own.gid()) };
        file.set(none, access).unwrap();
        assert_eq!(mode(&path), 0o660);
        file.set(access, none).unwrap();
        assert_eq!((mode(&path), file.made().mode), (made, Some(made)));
    }

    #[test]
    fn a_file_that_takes_the_path_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved, other) =
            (folder.path().join("s"), folder.path().join("moved"), folder.path().join("other"));
        let _socket = UnixListener::bind(&path).unwrap();
        let file = SocketFile::open(&path).unwrap();
        std::fs::write(&other, "mine").unwrap();
        set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        symlink(&other, &path).unwrap();
        let access = SocketAccess { mode: Some(0o666), ..SocketAccess::default() };
        file.set(SocketAccess::default(), access).unwrap();
        assert_eq!((mode(&other), mode(&moved)), (0o600, 0o666));
        std::fs::remove_file(&path).unwrap();
        symlink(&moved, &path).unwrap();
        assert!(SocketFile::open(&path).is_err(), "a link is not followed, even to a socket");
        let told = SocketFile::open(&other).unwrap_err().to_string();
        assert!(told.contains("taken the place"), "{told}");
    }
}
