//! Files of TLS: certificates, private keys and revocation lists.

use super::guarded::{ReadError, read_guarded_bytes, read_private_bytes};
use std::path::Path;
use tls::{FileKind, Problem, Read};

/// Maximum size of a file of certificates or revocation lists, in bytes.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// Maximum size of a private key, in bytes.
const MAX_KEY: u64 = 64 * 1024;

/// A function that reads a file of TLS. It returns `None` where such files are not read.
pub(crate) type ReadFile<'r> = dyn Fn(&Path, FileKind) -> Result<Option<Vec<u8>>, ReadError> + 'r;

/// Reads a file of TLS on this machine.
///
/// # Errors
/// Describes the problem and the remedy.
pub(crate) fn read_tls_file(path: &Path, kind: FileKind) -> Result<Option<Vec<u8>>, ReadError> {
    const HELP: &str = "write PEM to this file, readable for the user that runs scopegate";
    match kind {
        FileKind::Public => read_guarded_bytes(path, MAX_CERTIFICATES, HELP),
        FileKind::PrivateKey => read_private_bytes(path, MAX_KEY, HELP),
    }
    .map(Some)
}

/// Loads what is made of files of TLS. Returns `None` where files are not read.
///
/// # Errors
/// Lists everything that is wrong with the files.
pub(crate) fn load_from<T>(
    read: &ReadFile<'_>,
    load: impl FnOnce(&mut Read<'_>) -> Result<T, Vec<Problem>>,
) -> Result<Option<T>, Vec<Problem>> {
    let mut are_elsewhere = false;
    let loaded = load(&mut |path: &Path, kind| match read(path, kind) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => {
            are_elsewhere = true;
            Err(Problem::new(path, "is elsewhere", ""))
        }
        Err(error) => Err(unreadable(path, &error)),
    });
    if are_elsewhere { Ok(None) } else { loaded.map(Some) }
}

/// Returns the problem of a file that cannot be read, as the rest of a sentence that begins with the file.
fn unreadable(path: &Path, error: &ReadError) -> Problem {
    let shown = path.display().to_string();
    let what = match error.message.strip_prefix(&format!("cannot read {shown}")) {
        Some(why) => format!("cannot be read{why}"),
        None => error.message.strip_prefix(&format!("{shown} ")).unwrap_or(&error.message).to_owned(),
    };
    Problem::new(path, what, &*error.help)
}
