//! Reads files that others must not have changed, or read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// An error from reading a secret or a file, with help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The problem.
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// Reads a text file of at most `limit` bytes that only its owner can change, and that others cannot read. `help` is the
/// advice for a file that cannot be read.
///
/// The group may read it, because Kubernetes mounts secrets as owned by root with the pod's group.
///
/// # Errors
/// Describes the problem and the remedy.
pub(crate) fn read_private(path: &Path, limit: u64, help: &str) -> Result<Zeroizing<String>, ReadError> {
    check_permissions(path)?;
    let read = File::open(path).map_err(|error| error.to_string()).and_then(|file| read_all(file, limit));
    read.map(Zeroizing::new).map_err(|error| unreadable(path, &error, help))
}

/// Reads a file like [`read_private`], which need not be text.
pub(crate) fn read_private_bytes(path: &Path, limit: u64, help: &str) -> Result<Vec<u8>, ReadError> {
    check_permissions(path)?;
    read_guarded_bytes(path, limit, help)
}

fn check_permissions(path: &Path) -> Result<(), ReadError> {
    let mode = match std::fs::metadata(path) {
        Ok(file) if file.is_dir() => {
            return Err(ReadError {
                message: format!("{} is a directory, not a file", path.display()),
                help: "name the file in it that holds the secret".to_owned(),
            });
        }
        Ok(file) => file.permissions().mode() & 0o7777,
        Err(error) => {
            return Err(ReadError {
                message: format!("cannot read {}: {error}", path.display()),
                help: "create this file, readable for the user that runs scopegate".to_owned(),
            });
        }
    };
    if mode & 0o027 == 0 {
        return Ok(());
    }
    Err(ReadError {
        message: format!(
            "{} has mode {mode:04o}: users other than its owner may read or change the secret",
            path.display()
        ),
        help: format!("chmod 640 {} (in Kubernetes: defaultMode: 0440)", path.display()),
    })
}

/// Reads a text file of at most `limit` bytes. Refuses a file that every user can write to. `help` is the advice for
/// a file that cannot be read.
///
/// # Errors
/// Describes the problem and the remedy.
pub(crate) fn read_guarded(path: &Path, limit: u64, help: &str) -> Result<String, ReadError> {
    read_all(open_guarded(path, limit, help)?, limit).map_err(|error| unreadable(path, &error, help))
}

/// Reads a file like [`read_guarded`], which need not be text.
pub(crate) fn read_guarded_bytes(path: &Path, limit: u64, help: &str) -> Result<Vec<u8>, ReadError> {
    let mut content = Vec::new();
    let read = open_guarded(path, limit, help)?.take(limit).read_to_end(&mut content);
    read.map(|_| content).map_err(|error| unreadable(path, &error.to_string(), help))
}

fn unreadable(path: &Path, error: &str, help: &str) -> ReadError {
    ReadError { message: format!("cannot read {}: {error}", path.display()), help: help.to_owned() }
}

fn open_guarded(path: &Path, limit: u64, help: &str) -> Result<File, ReadError> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| unreadable(path, &error.to_string(), help))?;
    let about = file.metadata().map_err(|error| unreadable(path, &error.to_string(), help))?;
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(ReadError {
            message: format!("{shown} has mode {mode:04o}: every user of this machine may change it"),
            help: format!("see what is in it, then chmod o-w {shown}"),
        });
    }
    if about.len() > limit {
        return Err(ReadError {
            message: format!(
                "{shown} has {} bytes; at most {limit} ({}) are read",
                about.len(),
                show_size(limit)
            ),
            help: "check that it is the right file".to_owned(),
        });
    }
    Ok(file)
}

fn read_all(file: File, limit: u64) -> Result<String, String> {
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > limit {
        text.zeroize();
        return Err(format!("it has more than {limit} bytes ({})", show_size(limit)));
    }
    Ok(text)
}

/// Returns a number of bytes in the largest unit that it is a multiple of.
pub(crate) fn show_size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| bytes >> shift << shift == bytes && bytes > 0);
    unit.map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}
