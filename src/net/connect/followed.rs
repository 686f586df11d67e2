//! TLS towards servers, made of files that take effect together when they change.

use super::settings::{FileKind, Part, TlsMistake, TlsSettings};
use super::trust::Trust;
use crate::net::guarded::{ReadError, read_guarded, read_private};
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tls::client::{Authorities, ClientCertificate, ClientTls};
use zeroize::Zeroizing;

/// Maximum size of a file of TLS, in bytes. The authorities that a system trusts take 250 KiB.
const MAX_FILE: u64 = 1 << 20;

/// Reads a file of TLS. Returns `None` where files are not read.
pub(crate) type Read<'r> = dyn Fn(&Path, FileKind) -> Result<Option<Text>, ReadError> + 'r;

/// Reads a file of TLS on this machine.
///
/// # Errors
/// Describes the problem and the remedy.
pub(crate) fn read_tls_file(path: &Path, kind: FileKind) -> Result<Text, ReadError> {
    match kind {
        FileKind::Public => {
            read_guarded(path, MAX_FILE, "write certificates in PEM to this file").map(Zeroizing::new)
        }
        FileKind::Private => {
            let help = "write the private key to this file, readable for the user that runs scopegate";
            read_private(path, MAX_FILE, help)
        }
    }
}

/// TLS towards servers. Clones share their state, and new connections use what the files held last.
#[derive(Clone)]
pub(crate) struct FollowedTls(Arc<Followed>);

type Hash = [u8; 32];

struct Followed {
    settings: TlsSettings,
    state: ArcSwap<State>,
}

/// What the files hold.
struct State {
    /// The client of TLS, or why there is none.
    tls: Result<Arc<ClientTls>, Missing>,
    /// What tells one content of the files from another.
    files: Hash,
    /// What tells one set of the machine's authorities from another.
    machine: Hash,
    /// The mistake in each place of trusted authorities that has none.
    notes: Vec<String>,
}

/// Why there is no client of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    /// No endpoint uses TLS.
    Unused,
    /// The files are elsewhere.
    Unread,
    /// There is no authority to trust, with the reason.
    Trust(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused => f.write_str("no endpoint uses TLS"),
            Self::Unread => f.write_str("the files of TLS were not read"),
            Self::Trust(why) => f.write_str(why),
        }
    }
}

impl FollowedTls {
    /// Makes the state of endpoints without TLS.
    pub(crate) fn none() -> Self {
        Self::of(TlsSettings::default(), State::without(Missing::Unused, Hash::default()))
    }

    /// Makes the state of endpoints that trust the machine's authorities.
    pub(crate) fn of_machine() -> Self {
        let build = |roots| ClientTls::new(roots, None, None);
        Self::of(TlsSettings::default(), State::trusting_machine(Hash::default(), build))
    }

    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Lists the mistake in each file.
    pub(crate) fn load(settings: TlsSettings, read: &Read<'_>) -> Result<Self, Vec<TlsMistake>> {
        let state = State::build(&settings, Texts::read(&settings, read)?)?;
        Ok(Self::of(settings, state))
    }

    fn of(settings: TlsSettings, state: State) -> Self {
        Self(Arc::new(Followed { settings, state: ArcSwap::from_pointee(state) }))
    }

    /// Returns the client of TLS for connections that begin now.
    ///
    /// # Errors
    /// Says why there is none.
    pub(crate) fn current(&self) -> Result<Arc<ClientTls>, String> {
        self.0.state.load().tls.clone().map_err(|missing| missing.to_string())
    }

    /// Returns whether no endpoint uses TLS.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.0.state.load().tls, Err(Missing::Unused))
    }

    /// Returns why no authority is trusted, if none is.
    pub(crate) fn missing_trust(&self) -> Option<String> {
        match &self.0.state.load().tls {
            Err(Missing::Trust(why)) => Some(why.clone()),
            _ => None,
        }
    }

    /// Returns whether connections that begin now would use this client of TLS.
    pub(crate) fn uses(&self, tls: &Arc<ClientTls>) -> bool {
        self.0.state.load().tls.as_ref().is_ok_and(|current| Arc::ptr_eq(current, tls))
    }

    /// Returns the mistake in each place of trusted authorities that has none.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.0.state.load().notes.clone()
    }

    /// Returns the files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.settings.files()
    }

    /// Reads the files again. Returns whether their content changed.
    ///
    /// # Errors
    /// Lists the mistake in each file. What they held before stays in effect.
    pub(crate) fn read_again(&self, read: &Read<'_>) -> Result<bool, Vec<TlsMistake>> {
        let texts = Texts::read(&self.0.settings, read)?;
        if texts.hash == self.0.state.load().files {
            return Ok(false);
        }
        State::build(&self.0.settings, texts).map(|state| self.0.replace(Arc::new(state)))
    }

    /// Returns the state for the configuration after `old`: that of `old` with this content, if the settings are the same.
    /// Otherwise, no connection and no session outlives the change.
    pub(crate) fn succeeding(self, old: &Self) -> Self {
        if self.0.settings != old.0.settings || self.is(old) {
            return self;
        }
        old.0.replace(self.0.state.load_full());
        old.clone()
    }

    /// Returns whether both share one state.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Followed {
    /// Puts a state into effect. An equal one is dropped, so that connections and sessions live on.
    fn replace(&self, next: Arc<State>) -> bool {
        let current = self.state.load();
        let is_new = (current.files, current.machine) != (next.files, next.machine);
        if is_new {
            self.state.store(next);
        }
        is_new
    }
}

impl State {
    fn without(missing: Missing, files: Hash) -> Self {
        Self { tls: Err(missing), files, machine: Hash::default(), notes: Vec::new() }
    }

    fn trusting_machine(files: Hash, build: impl FnOnce(RootCertStore) -> Result<ClientTls, String>) -> Self {
        let Trust { roots, notes } = match Trust::load() {
            Ok(trust) => trust,
            Err(why) => return Self::without(Missing::Trust(why), files),
        };
        let mut hash = Sha256::new();
        for root in &roots.roots {
            hash.update(&root.subject);
            hash.update(&root.subject_public_key_info);
        }
        let tls = build(roots).map(Arc::new).map_err(Missing::Trust);
        Self { tls, files, machine: hash.finalize().into(), notes }
    }

    fn build(settings: &TlsSettings, texts: Texts) -> Result<Self, Vec<TlsMistake>> {
        let Texts { authorities, certificate, hash, is_whole } = texts;
        if !is_whole {
            return Ok(Self::without(Missing::Unread, hash));
        }
        let mut mistakes = Vec::new();
        let mut trusted = Authorities::default();
        for (number, text) in authorities.iter().enumerate() {
            let added = trusted.add_pem(text.as_bytes());
            mistakes.extend(added.err().map(|unusable| settings.mistake(number, unusable)));
        }
        let read = |(chain, key): (Text, Text)| ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes());
        let certificate = certificate.map(read).transpose();
        let certificate = certificate.map_err(|unusable| mistakes.push(settings.mistake(0, unusable)));
        let (Ok(certificate), true) = (certificate, mistakes.is_empty()) else { return Err(mistakes) };
        let build = |roots| ClientTls::new(roots, certificate, settings.server_name.clone());
        if settings.ca.is_empty() {
            return Ok(Self::trusting_machine(hash, build));
        }
        let tls = build(trusted.into_store()).map(Arc::new).map_err(Missing::Trust);
        Ok(Self { tls, files: hash, machine: Hash::default(), notes: Vec::new() })
    }
}

type Text = Zeroizing<String>;

/// The texts of the files that settings name.
struct Texts {
    authorities: Vec<Text>,
    certificate: Option<(Text, Text)>,
    hash: Hash,
    /// Whether every file was read.
    is_whole: bool,
}

impl Texts {
    fn read(settings: &TlsSettings, read: &Read<'_>) -> Result<Self, Vec<TlsMistake>> {
        let (mut hash, mut is_whole, mut mistakes) = (Sha256::new(), true, Vec::new());
        let mut text = |part, path: &Path, kind| match read(path, kind) {
            Ok(Some(text)) => {
                hash.update(text.len().to_le_bytes());
                hash.update(text.as_bytes());
                Some(text)
            }
            Ok(None) => {
                is_whole = false;
                None
            }
            Err(ReadError { message, help }) => {
                mistakes.push(TlsMistake { part, message, help });
                None
            }
        };
        let files = settings.ca.iter().enumerate();
        let authorities =
            files.filter_map(|(number, path)| text(Part::Authorities(number), path, FileKind::Public));
        let authorities = authorities.collect();
        let certificate = settings.certificate.as_ref().and_then(|pair| {
            let chain = text(Part::Chain, &pair.chain, FileKind::Public);
            chain.zip(text(Part::Key, &pair.key, FileKind::Private))
        });
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self { authorities, certificate, hash: hash.finalize().into(), is_whole })
    }
}

impl PartialEq for FollowedTls {
    fn eq(&self, other: &Self) -> bool {
        self.0.settings == other.0.settings
    }
}

impl Eq for FollowedTls {}

impl fmt::Debug for FollowedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.settings.fmt(f)
    }
}

#[cfg(test)]
mod tests;
