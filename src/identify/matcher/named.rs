//! Mappings with conditions that address ranges cannot express, arranged by what a client must have to match them.

use super::certified::CertifiedMappings;
use super::list::{List, first};
use super::{Condition, Matcher};
use crate::identify::client::Client;
use crate::identify::identity::{Identity, Names, Scheme};
use std::collections::HashMap;
use std::sync::Arc;

/// Mappings that are tried one by one, but only those that a client's identity can match.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedMappings {
    /// Mappings without conditions on an identity or a certificate, such as those for user ids.
    plain: List,
    /// Mappings with a condition on the certificate, and none on an identity.
    certified: CertifiedMappings,
    /// Mappings that name users, tokens or keys, by scheme and name. A mapping is listed under each of its names.
    by_name: [HashMap<Box<str>, List>; Scheme::ALL.len()],
    /// Mappings for any name, or for the claims of a JWT.
    by_identity: List,
}

impl NamedMappings {
    /// Adds a mapping. Mappings are added in order.
    pub(super) fn add(&mut self, mapping: u32, matcher: &Matcher) {
        let entry = (mapping, Arc::new(matcher.clone()));
        let mut with_identity = matcher.conditions().iter().filter(|condition| condition.scheme().is_some());
        let Some(condition) = with_identity.next() else {
            match matcher.on_certificate() {
                Some(condition) => self.certified.add(&entry, condition),
                None => self.plain.push(entry),
            }
            return;
        };
        let (Condition::User(Names::Of(names))
        | Condition::Token(Names::Of(names))
        | Condition::Key(Names::Of(names))) = condition
        else {
            self.by_identity.push(entry);
            return;
        };
        let Some(by_name) = condition.scheme().and_then(|scheme| self.by_name.get_mut(scheme as usize))
        else {
            return;
        };
        for name in names {
            let list = by_name.entry(name.clone()).or_default();
            if list.last().is_none_or(|(last, _)| *last != mapping) {
                list.push(entry.clone());
            }
        }
    }

    /// Returns the first mapping that admits `client`, if it comes before `limit`.
    pub(super) fn find(&self, client: &Client<'_>, limit: Option<u32>) -> Option<u32> {
        let plain = first(&self.plain, client, limit);
        let certificate = client.connection().certificate();
        let certified =
            certificate.and_then(|certificate| self.certified.find(certificate, client, plain.or(limit)));
        let of_connection = certified.or(plain);
        let Some(identity) = client.identity() else { return of_connection };
        let by_identity = first(&self.by_identity, client, of_connection.or(limit));
        let nearest = by_identity.or(of_connection);
        first(self.by_name(identity), client, nearest.or(limit)).or(nearest)
    }

    fn by_name(&self, identity: &Identity) -> &[(u32, Arc<Matcher>)] {
        let (Identity::User(name) | Identity::Token(name) | Identity::Key(name)) = identity else {
            return &[];
        };
        let by_name = self.by_name.get(identity.scheme() as usize);
        by_name.and_then(|names| names.get(name)).map_or(&[], Vec::as_slice)
    }
}
