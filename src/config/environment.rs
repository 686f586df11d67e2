//! Reads secrets from the environment and from files.

use super::account::{self, Account};
use crate::authenticate::jwt::MAX_SET;
use crate::net::guarded::{ReadError, read_guarded, read_private};
use crate::net::tls_files::read_tls_file;
use crate::sigv4::secret::Secret;
use nix::unistd::{Group, User};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use tls::FileKind;

/// Maximum size of a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Maximum size of a file of users or tokens, in bytes.
const MAX_DECLARATIONS: u64 = 4 << 20;

/// The source of the secrets and the accounts that a configuration refers to.
pub trait Environment {
    /// Returns an environment variable of the process.
    ///
    /// # Errors
    /// Fails if the variable is not set.
    fn variable(&self, name: &str) -> Result<Secret, ReadError>;

    /// Returns the secret in a file, without a trailing newline.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is too long, or is readable by others.
    fn file(&self, path: &Path) -> Result<Secret, ReadError>;

    /// Returns the text of a file with public keys, or `None` where files are not read.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is too long, or can be changed by everyone.
    fn public_keys(&self, path: &Path) -> Result<Option<String>, ReadError> {
        let _ = path;
        Ok(None)
    }

    /// Returns a file of TLS: a private key, or certificates and revocation lists. Returns `None` where such files are not
    /// read.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is too long, or can be changed by everyone, and for a private key like
    /// [`Environment::file`].
    fn tls_file(&self, path: &Path, kind: FileKind) -> Result<Option<Vec<u8>>, ReadError> {
        let _ = (path, kind);
        Ok(None)
    }

    /// Returns the text of a file that declares users or tokens, or `None` where such files are not read.
    ///
    /// # Errors
    /// Fails like [`Environment::file`].
    fn declarations(&self, path: &Path) -> Result<Option<Secret>, ReadError> {
        self.file(path).map(Some)
    }

    /// Returns the credential of this name that systemd loaded for the unit (`LoadCredential=`).
    /// <https://systemd.io/CREDENTIALS/>
    ///
    /// # Errors
    /// Fails if systemd loaded no such credential, or its file cannot be read.
    fn credential(&self, name: &str) -> Result<Secret, ReadError> {
        let folder = self.variable(CREDENTIALS_DIRECTORY).map_err(|_| ReadError {
            message: format!("there is no credential {name:?}: {CREDENTIALS_DIRECTORY} is not set"),
            help: format!(
                "systemd sets it for a unit with LoadCredential={name}:/etc/scopegate/{name}; check a configuration \
                 outside the unit with `scopegate check --without-secrets`"
            ),
        })?;
        self.file(&Path::new(folder.reveal()).join(name)).map_err(|failed| ReadError {
            help: format!("add LoadCredential={name}:/etc/scopegate/{name} to the unit"),
            ..failed
        })
    }

    /// Returns the id of a user of this machine.
    ///
    /// # Errors
    /// Fails if no user has this name, or the accounts cannot be read.
    fn user(&self, name: &str) -> Result<u32, ReadError> {
        Err(no_account(Account::User, name))
    }

    /// Returns the id of a group of this machine.
    ///
    /// # Errors
    /// Fails if no group has this name, or the accounts cannot be read.
    fn group(&self, name: &str) -> Result<u32, ReadError> {
        Err(no_account(Account::Group, name))
    }
}

/// The variable in which systemd names the folder with a unit's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// An environment in which every secret and every account exists. It serves to check configurations away from where these
/// are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithoutSecrets;

impl Environment for WithoutSecrets {
    fn variable(&self, _: &str) -> Result<Secret, ReadError> {
        Ok(unknown())
    }

    fn file(&self, _: &Path) -> Result<Secret, ReadError> {
        Ok(unknown())
    }

    fn declarations(&self, _: &Path) -> Result<Option<Secret>, ReadError> {
        Ok(None)
    }

    fn user(&self, name: &str) -> Result<u32, ReadError> {
        Ok(SystemEnvironment.user(name).unwrap_or_else(|_| made_up_id(name)))
    }

    fn group(&self, name: &str) -> Result<u32, ReadError> {
        Ok(SystemEnvironment.group(name).unwrap_or_else(|_| made_up_id(name)))
    }
}

/// Returns an id for an account of another machine: the same for the same name, and above those that machines assign.
fn made_up_id(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (1 << 31) | u32::try_from(hasher.finish() & 0x3FFF_FFFF).unwrap_or_default()
}

fn no_account(account: Account, name: &str) -> ReadError {
    ReadError {
        message: account::unknown(account, name),
        help: "check the spelling with `getent`, or create the account first".to_owned(),
    }
}

/// Finds an account by its name in everything that the system's libraries ask: files, LDAP, systemd. The `nix` crate calls
/// `getpwnam_r` and `getgrnam_r`, which reading /etc/passwd would not replace.
fn find_account(account: Account, name: &str, found: nix::Result<Option<u32>>) -> Result<u32, ReadError> {
    match found {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(no_account(account, name)),
        Err(error) => Err(ReadError {
            message: format!(
                "{}, as far as its accounts can be read: {error}",
                account::unknown(account, name)
            ),
            help: "see whether `getent` finds the account, or write its number".to_owned(),
        }),
    }
}

/// The environment of this process, in which a secret that cannot be read is replaced. It serves commands that need what a
/// configuration declares, but none of the secrets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsReadable;

impl Environment for AsReadable {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        SystemEnvironment.variable(name).or_else(|_| WithoutSecrets.variable(name))
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        SystemEnvironment.file(path).or_else(|_| WithoutSecrets.file(path))
    }

    fn declarations(&self, path: &Path) -> Result<Option<Secret>, ReadError> {
        SystemEnvironment.declarations(path)
    }

    fn user(&self, name: &str) -> Result<u32, ReadError> {
        WithoutSecrets.user(name)
    }

    fn group(&self, name: &str) -> Result<u32, ReadError> {
        WithoutSecrets.group(name)
    }
}

/// Returns a secret that is as long as any must be.
fn unknown() -> Secret {
    Secret::new("unknown".repeat(10))
}

/// This process's environment and this machine's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        std::env::var(name).map(Secret::new).map_err(|_| ReadError {
            message: format!("the environment variable {name} is not set"),
            help: format!("set {name}, or name a file: {{ file = \"/run/secrets/...\" }}"),
        })
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        let help = "write the secret to this file, readable for the user that runs scopegate";
        let text = read_private(path, MAX_SECRET_BYTES, help)?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn public_keys(&self, path: &Path) -> Result<Option<String>, ReadError> {
        read_guarded(path, MAX_SET as u64, "write the issuer's JWK Set to this file").map(Some)
    }

    fn tls_file(&self, path: &Path, kind: FileKind) -> Result<Option<Vec<u8>>, ReadError> {
        read_tls_file(path, kind)
    }

    fn declarations(&self, path: &Path) -> Result<Option<Secret>, ReadError> {
        read_declarations(path).map(Some)
    }

    fn user(&self, name: &str) -> Result<u32, ReadError> {
        let found = User::from_name(name).map(|found| found.map(|user| user.uid.as_raw()));
        find_account(Account::User, name, found)
    }

    fn group(&self, name: &str) -> Result<u32, ReadError> {
        let found = Group::from_name(name).map(|found| found.map(|group| group.gid.as_raw()));
        find_account(Account::Group, name, found)
    }
}

/// Reads a file that declares users or tokens. Others must not be able to read it, because they could try passwords
/// against its hashes.
///
/// # Errors
/// Describes the problem and the remedy.
pub(crate) fn read_declarations(path: &Path) -> Result<Secret, ReadError> {
    let help = "make this file readable for the user that runs scopegate";
    let mut text = read_private(path, MAX_DECLARATIONS, help)?;
    Ok(Secret::new(std::mem::take(&mut *text)))
}
