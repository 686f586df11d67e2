//! Chooses the certificate of a handshake by the host that the client names.

use crate::key_pair::KeyPair;
use crate::notes;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The certificates of a listener by name.
#[derive(Debug)]
pub(crate) struct Resolver {
    certificates: Vec<Arc<CertifiedKey>>,
    /// Those of each name, as positions in the order of the settings.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Those of each wildcard, without its first label.
    wildcards: HashMap<Box<str>, Vec<usize>>,
    /// The first certificate, and those that share a name with it: the same one with another kind of key.
    default: Vec<usize>,
}

impl Resolver {
    pub(crate) fn new(pairs: &[KeyPair]) -> Self {
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for (position, pair) in pairs.iter().enumerate() {
            for name in &pair.info.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcards, rest),
                    None => (&mut exact, &**name),
                };
                let positions: &mut Vec<usize> = names.entry(name.into()).or_default();
                if !positions.contains(&position) {
                    positions.push(position);
                }
            }
        }
        let shares_name = |pair: &KeyPair, other: &KeyPair| {
            pair.info.names.iter().any(|name| other.info.names.contains(name))
        };
        let default = pairs.first().map_or_else(Vec::new, |first| {
            let twins = (1..).zip(pairs.iter().skip(1)).filter(|(_, pair)| shares_name(first, pair));
            std::iter::once(0).chain(twins.map(|(position, _)| position)).collect()
        });
        let certificates = pairs.iter().map(|pair| Arc::clone(&pair.certified)).collect();
        Self { certificates, exact, wildcards, default }
    }

    /// Returns the certificates for `name`: those that list it, else those with a wildcard for it, else the default. It may be
    /// in any case and end with a dot.
    fn candidates(&self, name: Option<&str>) -> &[usize] {
        let Some(name) = name else { return &self.default };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let of_wildcard = || name.split_once('.').and_then(|(_, rest)| self.wildcards.get(rest));
        self.exact.get(&*name).or_else(of_wildcard).unwrap_or(&self.default)
    }

    /// Returns whether a client that names either host gets the same certificate.
    pub(crate) fn serves_together(&self, one: &str, other: &str) -> bool {
        self.candidates(Some(one)) == self.candidates(Some(other))
    }

    /// Returns the first certificate for `name` whose key signs with one of `schemes`.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let mut candidates =
            self.candidates(name).iter().filter_map(|position| self.certificates.get(*position));
        candidates.find(|certified| certified.key.choose_scheme(schemes).is_some())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.choose(hello.server_name(), hello.signature_schemes());
        notes::note(|notes| {
            notes.server_name = hello.server_name().map(Into::into);
            notes.lacks_signature = chosen.is_none();
        });
        // Without any, rustls would say that access is denied. With one that does not fit, it says what is wrong.
        chosen.or(self.certificates.first()).cloned()
    }
}
