//! The set of open listeners, and the changes to it that a new configuration makes.

use super::inherited::Inherited;
use super::listen::Bound;
use super::socket_file::SocketFile;
use crate::config::{ListenAddress, Listener, SocketAccess};
use crate::identify::client::{ListenerName, ListenerRef, ListenerRegistry};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The open listeners.
#[derive(Debug, Default)]
pub(super) struct Listening {
    registry: ListenerRegistry,
    open: Vec<Open>,
    /// The number of sockets opened so far, which is the number of the last one.
    opened: u64,
}

#[derive(Clone, Debug)]
struct Open {
    socket: u64,
    name: ListenerName,
    address: ListenAddress,
    access: SocketAccess,
    inherited: bool,
    own_path: Option<PathBuf>,
    file: Option<Arc<SocketFile>>,
}

/// A unix socket that stays open, with its access before and after the change.
#[derive(Debug)]
struct Regranted {
    name: ListenerName,
    file: Arc<SocketFile>,
    before: SocketAccess,
    after: SocketAccess,
}

/// The difference between the open listeners and those of a configuration. New sockets are bound already.
#[derive(Debug)]
pub(super) struct Change {
    /// The new listeners with the numbers of their sockets.
    pub(super) opened: Vec<(u64, ListenerRef, Bound)>,
    /// The numbers of the sockets to close.
    pub(super) closed: Vec<u64>,
    /// The ids of all listeners, including new ones.
    pub(super) registry: ListenerRegistry,
    open: Vec<Open>,
    regranted: Vec<Regranted>,
}

impl Listening {
    /// Binds the listeners of `listeners` that are not open yet.
    ///
    /// # Errors
    /// Lists all listeners that cannot be bound. Nothing is opened or closed then.
    pub(super) fn plan(
        &self,
        listeners: &[Listener],
        workers: usize,
        inherited: &mut Inherited,
    ) -> Result<Change, Vec<String>> {
        let (mut change, mut errors) = (Change::of(self), Vec::new());
        let mut socket = self.opened;
        for listener in listeners {
            let bound_as = change.registry.register(&listener.name);
            if let Some(open) = self.find(listener) {
                if let Err(error) = change.keep(open, listener) {
                    errors.push(error);
                }
                continue;
            }
            match Bound::bind(listener, workers, inherited) {
                Ok(bound) => {
                    socket += 1;
                    change.open.push(Open::of(socket, listener, &bound));
                    change.opened.push((socket, bound_as, bound));
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
                    "listener {:?} has an inherited socket: restart to change or remove it",
                    old.name
                ));
            }
            change.closed.push(old.socket);
        }
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }

    /// Applies a change. Returns the bound listeners, and the numbers of the sockets to close.
    pub(super) fn commit(&mut self, change: Change) -> (Vec<(u64, ListenerRef, Bound)>, Vec<u64>) {
        self.opened += change.opened.len() as u64;
        let old = std::mem::replace(&mut self.open, change.open);
        self.registry = change.registry;
        for path in
            old.into_iter().filter(|old| change.closed.contains(&old.socket)).filter_map(|old| old.own_path)
        {
            let _ = std::fs::remove_file(path);
        }
        (change.opened, change.closed)
    }

    /// Removes the files of unix sockets.
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
            access: listener.access,
            inherited: bound.is_inherited(),
            own_path: bound.own_path(),
            file: bound.file(),
        }
    }
}

impl Change {
    fn of(listening: &Listening) -> Self {
        let registry = listening.registry.clone();
        Self { opened: Vec::new(), closed: Vec::new(), registry, open: Vec::new(), regranted: Vec::new() }
    }

    /// Keeps a listener open, with the access that its configuration says now.
    fn keep(&mut self, open: &Open, listener: &Listener) -> Result<(), String> {
        let (before, after) = (open.access, listener.access);
        if before != after && open.inherited {
            return Err(format!(
                "listener {:?} has an inherited socket: restart to change its mode, owner or group",
                open.name
            ));
        }
        if let Some(file) = open.file.as_ref().filter(|_| before != after) {
            let (name, file) = (open.name.clone(), Arc::clone(file));
            self.regranted.push(Regranted { name, file, before, after });
        }
        self.open.push(Open { access: after, ..open.clone() });
        Ok(())
    }

    /// Gives the unix sockets that stay open their new access.
    ///
    /// # Errors
    /// Names the listener whose access cannot be changed. All have their access of before then.
    pub(super) fn regrant(&self) -> io::Result<()> {
        for (index, Regranted { name, file, before, after }) in self.regranted.iter().enumerate() {
            if let Err(error) = file.set(*before, *after) {
                for done in self.regranted.iter().take(index) {
                    let _ = done.file.set(done.after, done.before);
                }
                return Err(io::Error::new(error.kind(), format!("listener {name:?}: {error}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::browser::AllowedHosts;
    use crate::server::listen::BoundAddress;
    use std::os::unix::fs::PermissionsExt;

    fn listener(name: &str, address: &str) -> Listener {
        let address = ListenAddress::Tcp(address.parse().unwrap());
        let (hosts, access) = (AllowedHosts::none(), SocketAccess::default());
        Listener {
            name: name.into(),
            address,
            hosts,
            refuses_unknown_keys: false,
            proxy_protocol: None,
            access,
            tls: None,
        }
    }

    fn change(listening: &mut Listening, listeners: &[Listener]) -> (Vec<usize>, usize, usize) {
        let change = listening.plan(listeners, 1, &mut Inherited::default()).unwrap();
        let id = |listener: &Listener| change.registry.id(&listener.name).unwrap().index();
        let ids = listeners.iter().map(id).collect();
        let (opened, closed) = listening.commit(change);
        (ids, opened.len(), closed.len())
    }

    #[test]
    fn unchanged_listeners_stay_open_and_names_keep_their_ids() {
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
    fn a_reload_changes_the_access_of_a_socket_that_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let at = |mode| {
            let access = SocketAccess { mode, ..SocketAccess::default() };
            let address = ListenAddress::Unix(path.clone());
            [Listener { address, access, ..listener("a", "127.0.0.1:0") }]
        };
        let mode = || path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
        let mut listening = Listening::default();
        assert_eq!(change(&mut listening, &at(Some(0o600))), (vec![0], 1, 0));
        assert_eq!(mode(), 0o600);
        let planned = listening.plan(&at(Some(0o660)), 1, &mut Inherited::default()).unwrap();
        assert_eq!(mode(), 0o600, "a plan changes nothing");
        planned.regrant().unwrap();
        let (opened, closed) = listening.commit(planned);
        assert_eq!((opened.len(), closed.len(), mode()), (0, 0, 0o660));
        let planned = listening.plan(&at(None), 1, &mut Inherited::default()).unwrap();
        planned.regrant().unwrap();
        assert_eq!(Some(mode()), listening.open[0].file.as_ref().unwrap().made().mode);
    }

    #[test]
    fn a_failed_bind_changes_nothing_and_all_failures_are_listed() {
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
