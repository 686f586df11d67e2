//! The listeners that are open, and what a changed configuration opens and closes.

use super::inherited::Inherited;
use super::listen::Bound;
use crate::client::ListenerId;
use crate::config::{ListenAddress, Listener};
use std::path::PathBuf;
use std::sync::Arc;

/// The open listeners.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// Every name there ever was. A name keeps its place, which is its id, as long as the process lives: a connection
    /// outlasts the configuration that it came in under.
    names: Vec<Box<str>>,
    open: Vec<Open>,
    /// Sockets opened so far; the last one's number.
    opened: u64,
}

#[derive(Clone, Debug)]
struct Open {
    socket: u64,
    name: Arc<str>,
    address: ListenAddress,
    inherited: bool,
    own_path: Option<PathBuf>,
}

/// What is opened and closed to get from one configuration to the next. What it opens is bound already.
#[derive(Debug)]
pub(super) struct Change {
    /// With the number of each socket.
    pub(super) opened: Vec<(u64, ListenerId, Bound)>,
    /// The numbers of sockets.
    pub(super) closed: Vec<u64>,
    /// The ids of the new configuration's listeners, in their order.
    pub(super) ids: Vec<ListenerId>,
    names: Vec<Box<str>>,
    open: Vec<Open>,
}

impl Listening {
    /// Binds what `listeners` have that is not open.
    ///
    /// # Errors
    /// All that cannot be: nothing is opened or closed then.
    pub(super) fn plan(
        &self,
        listeners: &[Listener],
        workers: usize,
        inherited: &mut Inherited,
    ) -> Result<Change, Vec<String>> {
        let (mut change, mut errors) = (Change::of(self), Vec::new());
        let mut socket = self.opened;
        for listener in listeners {
            let id = change.id(&listener.name);
            if let Some(open) = self.find(listener) {
                change.open.push(open.clone());
                continue;
            }
            match Bound::bind(listener, workers, inherited) {
                Ok(bound) => {
                    socket += 1;
                    change.open.push(Open::of(socket, listener, &bound));
                    change.opened.push((socket, id, bound));
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        for old in &self.open {
            if change.open.iter().any(|open| open.socket == old.socket) {
                continue;
            }
            if old.inherited {
                errors.push(format!(
                    "listener {:?} has an inherited socket, which only a restart changes or removes",
                    old.name
                ));
            }
            change.closed.push(old.socket);
        }
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }

    /// Notes that `change` has taken place. Returns the bound listeners and the numbers of those to be closed.
    pub(super) fn commit(&mut self, change: Change) -> (Vec<(u64, ListenerId, Bound)>, Vec<u64>) {
        self.opened += change.opened.len() as u64;
        let old = std::mem::replace(&mut self.open, change.open);
        self.names = change.names;
        for path in
            old.into_iter().filter(|old| change.closed.contains(&old.socket)).filter_map(|old| old.own_path)
        {
            let _ = std::fs::remove_file(path);
        }
        (change.opened, change.closed)
    }

    /// Removes what listeners leave in the file system.
    pub(super) fn clean_up(&self) {
        for path in self.open.iter().filter_map(|open| open.own_path.as_ref()) {
            let _ = std::fs::remove_file(path);
        }
    }

    fn find(&self, listener: &Listener) -> Option<&Open> {
        self.open.iter().find(|open| open.name == listener.name && open.address == listener.address)
    }
}

impl Open {
    fn of(socket: u64, listener: &Listener, bound: &Bound) -> Self {
        Self {
            socket,
            name: listener.name.clone(),
            address: listener.address.clone(),
            inherited: bound.is_inherited(),
            own_path: bound.own_path(),
        }
    }
}

impl Change {
    fn of(listening: &Listening) -> Self {
        let names = listening.names.clone();
        Self { opened: Vec::new(), closed: Vec::new(), ids: Vec::new(), names, open: Vec::new() }
    }

    fn id(&mut self, name: &str) -> ListenerId {
        let known = self.names.iter().position(|known| **known == *name);
        let id = ListenerId(known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        }));
        self.ids.push(id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::listen::BoundAddress;

    fn listener(name: &str, address: &str) -> Listener {
        let address = ListenAddress::Tcp(address.parse().unwrap());
        Listener { name: name.into(), address, hosts: Vec::new(), domain: None }
    }

    fn change(listening: &mut Listening, listeners: &[Listener]) -> (Vec<usize>, usize, usize) {
        let change = listening.plan(listeners, 1, &mut Inherited::default()).unwrap();
        let ids = change.ids.iter().map(|id| id.0).collect();
        let (opened, closed) = listening.commit(change);
        (ids, opened.len(), closed.len())
    }

    #[test]
    fn what_is_unchanged_stays_open_and_names_keep_their_ids() {
        let (a, b, c) =
            (listener("a", "127.0.0.1:0"), listener("b", "127.0.0.1:0"), listener("c", "127.0.0.1:0"));
        let mut listening = Listening::default();
        assert_eq!(change(&mut listening, &[a.clone(), b.clone()]), (vec![0, 1], 2, 0));
        assert_eq!(change(&mut listening, &[b.clone(), a.clone()]), (vec![1, 0], 0, 0));
        assert_eq!(change(&mut listening, &[c.clone(), b.clone()]), (vec![2, 1], 1, 1));
        assert_eq!(change(&mut listening, &[a, b, c]), (vec![0, 1, 2], 1, 0), "not the id of another");
        assert_eq!(change(&mut listening, &[listener("b", "127.0.0.2:0")]), (vec![1], 1, 3));
    }

    #[test]
    fn what_cannot_be_bound_changes_nothing_and_is_all_told() {
        let mut listening = Listening::default();
        let first = listening.plan(&[listener("a", "127.0.0.1:0")], 1, &mut Inherited::default()).unwrap();
        let BoundAddress::Tcp(taken) = *first.opened[0].2.address() else { unreachable!() };
        let kept = listening.commit(first);
        let taken = taken.to_string();
        let wanted = [listener("b", &taken), listener("c", &taken), listener("d", "127.0.0.1:0")];
        let errors = listening.plan(&wanted, 1, &mut Inherited::default()).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].contains("listener \"b\" cannot bind 127.0.0.1:"), "{errors:?}");
        assert_eq!(change(&mut listening, &[listener("a", "127.0.0.1:0")]), (vec![0], 0, 0));
        drop(kept);
    }
}
