//! Reads secrets from the environment and from files.

use super::value::show_size;
use crate::sigv4::secret::Secret;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroize;

/// Longest secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The reason why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// The secrets that a configuration may refer to.
pub trait Environment {
    /// Returns a variable of the process's environment.
    ///
    /// # Errors
    /// When it is not set.
    fn variable(&self, name: &str) -> Result<Secret, Failed>;

    /// Returns the secret in a file, without the newline at its end.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or may be read by others.
    fn file(&self, path: &Path) -> Result<Secret, Failed>;

    /// Returns the credential of this name that systemd loaded for the unit (`LoadCredential=`).
    /// <https://systemd.io/CREDENTIALS/>
    ///
    /// # Errors
    /// When systemd loaded none, or when its file cannot be read.
    fn credential(&self, name: &str) -> Result<Secret, Failed> {
        let folder = self.variable(CREDENTIALS_DIRECTORY).map_err(|_| Failed {
            message: format!("there is no credential {name:?}: {CREDENTIALS_DIRECTORY} is not set"),
            help: format!(
                "systemd sets it for a unit with LoadCredential={name}:/etc/scopegate/{name}; check a configuration \
                 outside the unit with `scopegate check --without-secrets`"
            ),
        })?;
        self.file(&Path::new(folder.reveal()).join(name)).map_err(|failed| Failed {
            help: format!("add LoadCredential={name}:/etc/scopegate/{name} to the unit"),
            ..failed
        })
    }
}

/// Where systemd puts the credentials of a unit.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// An environment in which every secret exists. It checks configurations whose secrets exist only where they run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithoutSecrets;

impl Environment for WithoutSecrets {
    fn variable(&self, _: &str) -> Result<Secret, Failed> {
        Ok(Secret::new("unknown".to_owned()))
    }

    fn file(&self, _: &Path) -> Result<Secret, Failed> {
        Ok(Secret::new("unknown".to_owned()))
    }
}

/// This process's environment and this machine's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variable(&self, name: &str) -> Result<Secret, Failed> {
        std::env::var(name).map(Secret::new).map_err(|_| Failed {
            message: format!("the environment variable {name} is not set"),
            help: format!("set {name}, or name a file: {{ file = \"/run/secrets/...\" }}"),
        })
    }

    fn file(&self, path: &Path) -> Result<Secret, Failed> {
        check_permissions(path)?;
        let mut text = read_bounded(path, MAX_SECRET_BYTES).map_err(|error| Failed {
            message: format!("cannot read {}: {error}", path.display()),
            help: "write the secret to this file, readable for the user that runs scopegate".to_owned(),
        })?;
        let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
        text.zeroize();
        Ok(secret)
    }
}

/// Checks that only the owner of a secret can change it, and others cannot read it.
///
/// A group may read it: Kubernetes mounts secrets as root's, with the pod's group.
fn check_permissions(path: &Path) -> Result<(), Failed> {
    let mode = match std::fs::metadata(path) {
        Ok(file) if file.is_dir() => {
            return Err(Failed {
                message: format!("{} is a directory, not a file", path.display()),
                help: "name the file in it that holds the secret".to_owned(),
            });
        }
        Ok(file) => file.permissions().mode() & 0o7777,
        Err(error) => {
            return Err(Failed {
                message: format!("cannot read {}: {error}", path.display()),
                help: "create this file, readable for the user that runs scopegate".to_owned(),
            });
        }
    };
    if mode & 0o027 == 0 {
        return Ok(());
    }
    Err(Failed {
        message: format!(
            "{} has mode {mode:04o}: users other than its owner may read or change the secret",
            path.display()
        ),
        help: format!("chmod 640 {} (in Kubernetes: defaultMode: 0440)", path.display()),
    })
}

/// Returns the text of a file that not every user may write to and that has at most `limit` bytes. `help` is for one that
/// cannot be read.
///
/// # Errors
/// Says what is wrong, and how to mend it.
pub(crate) fn read_guarded(path: &Path, limit: u64, help: &str) -> Result<String, Failed> {
    let shown = path.display();
    let unreadable =
        |error: String| Failed { message: format!("cannot read {shown}: {error}"), help: help.to_owned() };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let about = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(Failed {
            message: format!("{shown} has mode {mode:04o}: every user of this machine may change it"),
            help: format!("see what is in it, then chmod o-w {shown}"),
        });
    }
    if about.len() > limit {
        return Err(Failed {
            message: format!(
                "{shown} has {} bytes; at most {limit} ({}) are read",
                about.len(),
                show_size(limit)
            ),
            help: "check that it is the right file".to_owned(),
        });
    }
    read_all(file, limit).map_err(unreadable)
}

/// Returns the text of a file that has at most `limit` bytes.
fn read_bounded(path: &Path, limit: u64) -> Result<String, String> {
    read_all(File::open(path).map_err(|error| error.to_string())?, limit)
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
