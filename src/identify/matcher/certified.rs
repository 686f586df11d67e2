//! Mappings for client certificates, arranged by the names in them.

use super::list::{List, first};
use super::{CertificateCondition, Matcher};
use crate::identify::certificate::Certificate;
use crate::identify::certificate::spiffe::{SpiffeId, SpiffePattern};
use crate::identify::client::Client;
use crate::identify::identity::Names;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Mappings that are tried one by one, but only those of which a certificate has a listed name. A mapping is listed under
/// each of its names of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct CertifiedMappings {
    by_digest: HashMap<[u8; 32], List>,
    by_spiffe: HashMap<Box<str>, List>,
    /// By the beginning of SPIFFE ids, which ends in `/`.
    below: HashMap<Box<str>, List>,
    /// The length of the longest of these beginnings.
    longest: usize,
    by_uri: HashMap<Box<str>, List>,
    by_dns: HashMap<Box<str>, List>,
    by_cn: HashMap<Box<str>, List>,
    /// Mappings that list no name.
    any: List,
}

impl CertifiedMappings {
    /// Adds a mapping with this condition. Mappings are added in order.
    pub(super) fn add(&mut self, entry: &(u32, Arc<Matcher>), condition: &CertificateCondition) {
        let CertificateCondition { spiffe, dns, uri, cn, sha256 } = condition;
        if !sha256.is_empty() {
            for digest in sha256 {
                push(&mut self.by_digest, digest, entry);
            }
        } else if !spiffe.is_empty() {
            for pattern in spiffe {
                self.add_spiffe(pattern, entry);
            }
        } else if !uri.is_empty() {
            for uri in uri {
                push(&mut self.by_uri, uri, entry);
            }
        } else if !dns.is_empty() {
            for name in dns {
                push(&mut self.by_dns, name, entry);
            }
        } else if let Some(Names::Of(names)) = cn {
            for name in names {
                push(&mut self.by_cn, name, entry);
            }
        } else {
            self.any.push(entry.clone());
        }
    }

    fn add_spiffe(&mut self, pattern: &SpiffePattern, entry: &(u32, Arc<Matcher>)) {
        match pattern {
            SpiffePattern::Is(id) => push(&mut self.by_spiffe, &Box::from(id.as_str()), entry),
            SpiffePattern::Below(beginning) => {
                self.longest = self.longest.max(beginning.len());
                push(&mut self.below, beginning, entry);
            }
        }
    }

    /// Returns the first mapping that admits `client`, which has this certificate, if it comes before `limit`.
    pub(super) fn find(
        &self,
        certificate: &Certificate,
        client: &Client<'_>,
        limit: Option<u32>,
    ) -> Option<u32> {
        let mut nearest = None;
        let mut look = |list: Option<&List>| {
            let found = list.and_then(|list| first(list, client, nearest.or(limit)));
            nearest = found.or(nearest);
        };
        look(Some(&self.any));
        for digest in certificate.digests() {
            look(self.by_digest.get(digest));
        }
        if let Ok(id) = certificate.spiffe() {
            look(self.by_spiffe.get(id.as_str()));
            for beginning in self.beginnings(id) {
                look(self.below.get(beginning));
            }
        }
        for uri in certificate.uris().unwrap_or_default().iter().filter(|_| !self.by_uri.is_empty()) {
            look(self.by_uri.get(uri));
        }
        for name in certificate.dns().unwrap_or_default().iter().filter(|_| !self.by_dns.is_empty()) {
            look(self.by_dns.get(name));
        }
        if let Ok(name) = certificate.common_name() {
            look(self.by_cn.get(name));
        }
        nearest
    }

    /// Returns the beginnings of an id that end in `/`, up to the length of the longest that a mapping lists.
    fn beginnings<'i>(&self, id: &'i SpiffeId) -> impl Iterator<Item = &'i str> {
        let (text, longest) = (id.as_str(), self.longest);
        let ends = text.match_indices('/').map(|(at, _)| at + 1).take_while(move |end| *end <= longest);
        ends.filter_map(|end| text.get(..end))
    }
}

fn push<K: Clone + Eq + Hash>(lists: &mut HashMap<K, List>, key: &K, entry: &(u32, Arc<Matcher>)) {
    let list = lists.entry(key.clone()).or_default();
    if list.last().is_none_or(|(last, _)| *last != entry.0) {
        list.push(entry.clone());
    }
}
