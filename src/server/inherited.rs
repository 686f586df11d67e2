//! Socket activation: takes over sockets that systemd opened before this process started.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>

use crate::config::{ListenAddress, Listener};
use listenfd::ListenFd;
use socket2::SockRef;
use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

/// Sockets by name. A listener uses the socket of its name instead of binding one.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(String, Socket)>);

/// A listening socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// Takes the sockets that were passed to this process, if any. Must be called before other threads start, because it
    /// removes variables from the environment.
    ///
    /// # Errors
    /// Fails if a socket is not a listening stream socket or has no name.
    pub(crate) fn take() -> io::Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        let names: Vec<&str> = names.split(':').collect();
        if handed.len() > 0 && names.len() != handed.len() {
            return Err(bad(
                "LISTEN_FDNAMES does not name every socket: set FileDescriptorName= in each socket unit",
            ));
        }
        let mut sockets = Vec::new();
        for (index, name) in names.into_iter().enumerate().take(handed.len()) {
            let tcp = handed.take_tcp_listener(index).ok().flatten().map(Socket::Tcp);
            let socket = tcp.or_else(|| handed.take_unix_listener(index).ok().flatten().map(Socket::Unix));
            match socket {
                Some(socket) if socket.listens()? => sockets.push((name.to_owned(), socket)),
                _ => {
                    return Err(bad(&format!(
                        "the socket {name:?} does not accept streams: its unit needs ListenStream= and Accept=no"
                    )));
                }
            }
        }
        Ok(Self(sockets))
    }

    /// Takes the socket of this name and checks that it listens at the configured address.
    pub(super) fn claim(&mut self, name: &str, address: &ListenAddress) -> io::Result<Option<Socket>> {
        let Some(index) = self.0.iter().position(|(other, _)| other == name) else { return Ok(None) };
        let (_, socket) = self.0.swap_remove(index);
        let at = socket.address()?;
        if !is_at(address, &at) {
            return Err(bad(&format!(
                "the socket {name:?} was opened at {at}, the configuration says {address}: make them equal"
            )));
        }
        Ok(Some(socket))
    }

    /// Checks that each socket has the name of a listener. Clients of any other socket would wait for ever.
    ///
    /// # Errors
    /// Names the socket and the possible names.
    pub(super) fn check_names(&self, listeners: &[Listener], has_admin: bool) -> io::Result<()> {
        let mut known: Vec<&str> = listeners.iter().map(|listener| &*listener.name).collect();
        known.extend(has_admin.then_some("admin"));
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, socket)) => {
                let at = socket.address().map_or_else(|_| "?".to_owned(), |at| at.to_string());
                let known = known.join(", ");
                Err(bad(&format!(
                    "the socket {name:?} at {at} was handed over, but there is no listener of this name: set \
                     FileDescriptorName= of its socket unit to one of: {known}"
                )))
            }
        }
    }

    /// Checks that every socket was claimed: a listener uses one socket, so two of the same name are an error.
    ///
    /// # Errors
    /// Names the socket that is left.
    pub(super) fn all_claimed(&self) -> io::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(bad(&format!(
                "several sockets are named {name:?}, and a listener has one: use a socket unit with a \
                 FileDescriptorName= of its own for each ListenStream="
            ))),
        }
    }
}

impl Socket {
    fn listens(&self) -> io::Result<bool> {
        let socket = match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        };
        SockRef::from(&socket).is_listener()
    }

    fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(ListenAddress::Tcp),
            Self::Unix(socket) => {
                let path = socket.local_addr()?.as_pathname().map(ToOwned::to_owned);
                path.map(ListenAddress::Unix).ok_or_else(|| bad("a unix socket without a path"))
            }
        }
    }
}

fn is_at(wanted: &ListenAddress, at: &ListenAddress) -> bool {
    match (wanted, at) {
        (ListenAddress::Tcp(wanted), ListenAddress::Tcp(at)) => {
            wanted.ip() == at.ip() && (wanted.port() == 0 || wanted.port() == at.port())
        }
        _ => wanted == at,
    }
}

fn bad(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
