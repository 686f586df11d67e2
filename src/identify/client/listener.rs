//! Names and ids of listeners.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The name of a listener in the configuration.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ListenerName(Arc<str>);

impl From<&str> for ListenerName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl Deref for ListenerName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies a listener for as long as the process lives, across reloads. Only a [`ListenerRegistry`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(usize);

impl ListenerId {
    /// Returns the listener's position in the registry that made the id.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A listener that connections arrive at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerRef {
    id: ListenerId,
    name: ListenerName,
}

impl ListenerRef {
    /// Returns the listener's id.
    pub fn id(&self) -> ListenerId {
        self.id
    }

    /// Returns the listener's name.
    pub fn name(&self) -> &ListenerName {
        &self.name
    }
}

/// What conditions must know of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerFacts {
    /// Whether it is a unix socket.
    pub is_unix: bool,
    /// Whether load balancers say which addresses its clients have.
    pub is_balanced: bool,
    /// Whether its clients show certificates.
    pub certificates: ClientCertificates,
}

/// Whether the clients of a listener show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// The listener asks for none.
    #[default]
    Never,
    /// The listener asks for one, and serves clients without.
    Optional,
    /// The listener serves no client without one.
    Required,
}

/// The ids of all listeners that this process has bound, including removed ones.
///
/// A name keeps its id when its listener is removed and added again: a connection outlives the configuration that it
/// arrived under, and must never be taken for a connection of another listener.
#[derive(Clone, Debug, Default)]
pub struct ListenerRegistry {
    names: Vec<ListenerName>,
    ids: HashMap<ListenerName, ListenerId>,
}

impl ListenerRegistry {
    /// Returns the listener of this name, with a new id if the name is new.
    pub fn register(&mut self, name: &ListenerName) -> ListenerRef {
        let id = *self.ids.entry(name.clone()).or_insert_with(|| {
            self.names.push(name.clone());
            ListenerId(self.names.len() - 1)
        });
        ListenerRef { id, name: name.clone() }
    }

    /// Returns the id of a registered name.
    pub fn id(&self, name: &ListenerName) -> Option<ListenerId> {
        self.ids.get(name).copied()
    }

    /// Returns all names, in the order of their ids.
    pub fn names(&self) -> &[ListenerName] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id() {
        let mut registry = ListenerRegistry::default();
        let (a, b) = (registry.register(&"a".into()), registry.register(&"b".into()));
        assert_ne!(a.id(), b.id());
        assert_eq!(registry.register(&"a".into()), a);
        assert_eq!((registry.id(&"b".into()), registry.id(&"c".into())), (Some(b.id()), None));
        assert_eq!(registry.names(), [a.name().clone(), b.name().clone()]);
    }
}
