//! The certificate authorities that this machine trusts.

use rustls::RootCertStore;
use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The variables that name other authorities than the system's own.
/// <https://docs.openssl.org/3.5/man7/openssl-env/>
const FILE: &str = "SSL_CERT_FILE";
const DIR: &str = "SSL_CERT_DIR";

/// The trusted authorities, one or more.
#[derive(Debug)]
pub(crate) struct Trust {
    /// The authorities.
    pub roots: RootCertStore,
    /// The mistake in each place that a variable names and that has no certificate, and how to fix it.
    pub notes: Vec<String>,
}

impl Trust {
    /// Loads the authorities that the environment names, or the system's own if it names none.
    ///
    /// # Errors
    /// When there is no authority. The message names the searched places, and what to do.
    pub(crate) fn load() -> Result<Self, String> {
        Self::from(env::var_os(FILE).as_deref(), env::var_os(DIR).as_deref())
    }

    fn from(file: Option<&OsStr>, dirs: Option<&OsStr>) -> Result<Self, String> {
        let mut trust = Self { roots: RootCertStore::empty(), notes: Vec::new() };
        let dirs: Vec<PathBuf> = dirs.into_iter().flat_map(env::split_paths).collect();
        let dirs: Vec<_> = dirs.iter().filter(|dir| !dir.as_os_str().is_empty()).collect();
        if file.is_none() && dirs.is_empty() {
            trust.roots.add_parsable_certificates(load_native_certs().certs);
            if trust.roots.is_empty() {
                return Err(format!(
                    "this machine has no trusted certificates: install the package ca-certificates, or name a PEM \
                     file in {FILE}"
                ));
            }
            return Ok(trust);
        }
        if let Some(file) = file {
            trust.add(FILE, Path::new(file), false);
        }
        for dir in dirs {
            trust.add(DIR, dir, true);
        }
        if trust.roots.is_empty() {
            return Err(format!("there are no trusted certificates: {}", trust.notes.join("; ")));
        }
        Ok(trust)
    }

    /// Adds the certificates at `path`, or a note if there are none.
    fn add(&mut self, variable: &str, path: &Path, is_dir: bool) {
        let (file, dir) = if is_dir { (None, Some(path)) } else { (Some(path), None) };
        let loaded = load_certs_from_paths(file, dir);
        let (added, _) = self.roots.add_parsable_certificates(loaded.certs);
        if added > 0 {
            return;
        }
        let shown = path.display();
        let note = match std::fs::metadata(path) {
            _ if path.as_os_str().is_empty() => {
                format!("{variable} is set and empty: unset it, or name a PEM file")
            }
            Err(error) => format!(
                "{variable} names {shown}, which cannot be read ({error}): correct it, or unset it to trust the \
                 system's authorities"
            ),
            Ok(about) if about.is_dir() && !is_dir => {
                format!("{variable} names {shown}, which is a directory: name a PEM file, or set {DIR}")
            }
            Ok(about) if !about.is_dir() && is_dir => {
                format!("{variable} names {shown}, which is not a directory: set {FILE} for a file")
            }
            Ok(_) => match loaded.errors.first() {
                Some(error) if !is_dir => format!("{variable} names {shown}, which cannot be used ({error})"),
                _ => format!(
                    "{variable} names {shown}, which holds no certificate in PEM (-----BEGIN CERTIFICATE-----): \
                     convert one in DER with `openssl x509 -inform der -in FILE -out ca.pem`"
                ),
            },
        };
        self.notes.push(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use std::ffi::OsString;

    #[test]
    fn each_place_without_a_certificate_is_named_with_what_is_wrong() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let CertifiedKey { cert, .. } = generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        std::fs::write(path("good.pem"), cert.pem()).unwrap();
        std::fs::write(path("empty.pem"), "").unwrap();
        std::fs::write(path("der.pem"), cert.der()).unwrap();
        std::fs::write(path("cut.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
        std::fs::create_dir(path("none")).unwrap();
        let os = |name: &str| Some(path(name).into_os_string());
        for (file, dirs, word) in [
            (os("absent.pem"), None, "absent.pem, which cannot be read (No such file"),
            (os("empty.pem"), None, "holds no certificate in PEM"),
            (os("der.pem"), None, "openssl x509 -inform der"),
            (os("cut.pem"), None, "cut.pem"),
            (os("none"), None, "is a directory"),
            (Some(OsString::new()), None, "SSL_CERT_FILE is set and empty"),
            (None, os("none"), "SSL_CERT_DIR names"),
            (None, os("good.pem"), "is not a directory"),
        ] {
            let told = Trust::from(file.as_deref(), dirs.as_deref()).unwrap_err();
            assert!(told.contains("no trusted certificates") && told.contains(word), "no {word:?} in {told}");
        }
        let trust = Trust::from(os("good.pem").as_deref(), None).unwrap();
        assert_eq!((trust.roots.len(), trust.notes.len()), (1, 0));
        let trust = Trust::from(os("good.pem").as_deref(), os("absent").as_deref()).unwrap();
        assert_eq!((trust.roots.len(), trust.notes.len()), (1, 1), "one place serves, the other is told");
    }
}
