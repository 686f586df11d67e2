//! TLS towards servers, made of files that take effect together when they change.

use super::settings::TlsSettings;
use super::trust::Trust;
use crate::net::tls_files::{ReadFile, load_from};
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tls::client::{Authorities, ClientCertificate, ClientTls};
use tls::{Problem, Read};

/// TLS towards servers. Clones share their state, and new connections use what the files held last.
#[derive(Clone)]
pub(crate) struct FollowedTls(Arc<Followed>);

type Hash = [u8; 32];

struct Followed {
    settings: TlsSettings,
    state: ArcSwap<State>,
}

/// What the files of TLS hold now, before it takes effect.
pub(crate) struct NextTls(Arc<State>);

/// What the files hold.
struct State {
    /// The client of TLS, or the reason why TLS cannot be used.
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
    /// Lists everything that is wrong with the files.
    pub(crate) fn load(settings: TlsSettings, read: &ReadFile<'_>) -> Result<Self, Vec<Problem>> {
        let state = State::load(&settings, read)?;
        Ok(Self::of(settings, state))
    }

    fn of(settings: TlsSettings, state: State) -> Self {
        Self(Arc::new(Followed { settings, state: ArcSwap::from_pointee(state) }))
    }

    /// Returns the client of TLS for connections that begin now.
    ///
    /// # Errors
    /// Says why TLS cannot be used.
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

    /// Reads the files again. What they held before stays in effect until [`FollowedTls::replace`].
    ///
    /// # Errors
    /// Lists everything that is wrong with the files.
    pub(crate) fn read_again(&self, read: &ReadFile<'_>) -> Result<NextTls, Vec<Problem>> {
        State::load(&self.0.settings, read).map(|state| NextTls(Arc::new(state)))
    }

    /// Puts what was read again into effect. Returns whether it differs from what is.
    pub(crate) fn replace(&self, next: NextTls) -> bool {
        self.0.replace(next.0)
    }

    /// Returns what an operator must know about the client's certificate: that it has expired or will soon.
    pub(crate) fn warning(&self, now: SystemTime) -> Option<Problem> {
        self.current().ok()?.warning(now)
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

    fn load(settings: &TlsSettings, read: &ReadFile<'_>) -> Result<Self, Vec<Problem>> {
        let mut hash = Sha256::new();
        let parts = load_from(read, |read| {
            let mut note = |content: &Vec<u8>| {
                hash.update(content.len().to_le_bytes());
                hash.update(content);
            };
            load_parts(settings, &mut |path: &Path, kind| read(path, kind).inspect(&mut note))
        })?;
        let files = hash.finalize().into();
        let Some((authorities, certificate)) = parts else {
            return Ok(Self::without(Missing::Unread, files));
        };
        let build = |roots| ClientTls::new(roots, certificate, settings.server_name.clone());
        if settings.ca.is_empty() {
            return Ok(Self::trusting_machine(files, build));
        }
        let tls = build(authorities.into_store()).map(Arc::new).map_err(Missing::Trust);
        Ok(Self { tls, files, machine: Hash::default(), notes: Vec::new() })
    }
}

fn load_parts(
    settings: &TlsSettings,
    read: &mut Read<'_>,
) -> Result<(Authorities, Option<ClientCertificate>), Vec<Problem>> {
    let (mut authorities, mut problems) = (Authorities::default(), Vec::new());
    for file in &settings.ca {
        problems.extend(authorities.add(file, read).err());
    }
    let certificate = settings.certificate.as_ref().map(|files| ClientCertificate::load(files, read));
    let certificate = certificate.transpose().unwrap_or_else(|more| {
        problems.extend(more);
        None
    });
    if problems.is_empty() { Ok((authorities, certificate)) } else { Err(problems) }
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
