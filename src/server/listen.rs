//! Binds the sockets of one listener, or takes inherited ones.

use super::inherited::{Inherited, Socket};
use crate::config::{ListenAddress, Listener};
use crate::identify::client::ListenerName;
use socket2::{Domain, Protocol, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const BACKLOG: i32 = 1024;

/// A bound listener, with a socket for each worker.
#[derive(Debug)]
pub(crate) struct Bound {
    name: ListenerName,
    address: BoundAddress,
    sockets: Vec<Socket>,
    inherited: bool,
}

/// The address that a listener is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BoundAddress {
    /// An address, with the actual port if the configuration says port 0.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Bound {
    /// Binds a listener for `workers`, or takes the inherited socket of its name.
    ///
    /// # Errors
    /// When the address cannot be bound. The message names it.
    pub(super) fn bind(listener: &Listener, workers: usize, inherited: &mut Inherited) -> io::Result<Self> {
        let socket = inherited.claim(&listener.name, &listener.address)?;
        let is_inherited = socket.is_some();
        let (address, sockets) = match (socket, &listener.address) {
            (Some(socket), _) => share(socket, workers),
            (None, ListenAddress::Tcp(address)) => bind_tcp(*address, workers),
            (None, ListenAddress::Unix(path)) => bind_unix(path, workers),
        }
        .map_err(|error| {
            named(&error, &format!("listener {:?} cannot bind {}", listener.name, listener.address))
        })?;
        Ok(Self { name: listener.name.clone(), address, sockets, inherited: is_inherited })
    }

    /// Returns the name of the listener.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address that the listener is bound to.
    pub(crate) fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// Checks whether the socket was inherited: its owner keeps it open when this process ends.
    pub(super) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Returns the path of a unix socket that this process must remove.
    pub(super) fn own_path(&self) -> Option<PathBuf> {
        match &self.address {
            BoundAddress::Unix(path) if !self.inherited => Some(path.clone()),
            _ => None,
        }
    }

    /// Returns a socket for each worker.
    pub(super) fn into_sockets(self) -> Vec<Socket> {
        self.sockets
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Binds the admin listener, or takes the inherited socket for it.
pub(super) fn bind_admin(address: SocketAddr, inherited: &mut Inherited) -> io::Result<TcpListener> {
    if let Some(Socket::Tcp(socket)) = inherited.claim("admin", &ListenAddress::Tcp(address))? {
        socket.set_nonblocking(true)?;
        return Ok(socket);
    }
    tcp_socket(address, false)
        .and_then(listening)
        .map_err(|error| named(&error, &format!("the admin listener cannot bind {address}")))
}

fn named(error: &io::Error, what: &str) -> io::Error {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that uses it, or choose another address",
        io::ErrorKind::AddrNotAvailable => {
            "; choose an address of this machine, or 0.0.0.0 or [::] for all of them"
        }
        io::ErrorKind::PermissionDenied => {
            "; choose a port from 1024 on or a writable folder, or give this program the permission"
        }
        io::ErrorKind::NotFound => "; create its folder first",
        _ => "",
    };
    io::Error::new(error.kind(), format!("{what}: {error}{help}"))
}

/// Makes a handle to the same socket for each worker. The first free worker accepts the next connection, in this
/// process or in the one that takes over.
/// in the process that takes over.
fn share(socket: Socket, workers: usize) -> io::Result<(BoundAddress, Vec<Socket>)> {
    match socket {
        Socket::Tcp(socket) => {
            socket.set_nonblocking(true)?;
            let mut sockets = Vec::new();
            for _ in 1..workers {
                sockets.push(Socket::Tcp(socket.try_clone()?));
            }
            let address = BoundAddress::Tcp(socket.local_addr()?);
            sockets.push(Socket::Tcp(socket));
            Ok((address, sockets))
        }
        Socket::Unix(socket) => {
            let path = socket.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
            share_unix(path, socket, workers)
        }
    }
}

fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<(BoundAddress, Vec<Socket>)> {
    // SO_REUSEPORT would let a second server share the port silently. Binding without it first makes that an error.
    let probe = tcp_socket(address, false)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let socket = || tcp_socket(address, true).and_then(listening).map(Socket::Tcp);
    let sockets = (0..workers).map(|_| socket()).collect::<io::Result<_>>()?;
    Ok((BoundAddress::Tcp(address), sockets))
}

fn tcp_socket(address: SocketAddr, share_port: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listening(socket: socket2::Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, workers: usize) -> io::Result<(BoundAddress, Vec<Socket>)> {
    remove_stale(path)?;
    share_unix(path.to_owned(), UnixListener::bind(path)?, workers)
}

fn share_unix(
    path: PathBuf,
    socket: UnixListener,
    workers: usize,
) -> io::Result<(BoundAddress, Vec<Socket>)> {
    socket.set_nonblocking(true)?;
    let mut sockets = Vec::new();
    for _ in 1..workers {
        sockets.push(Socket::Unix(socket.try_clone()?));
    }
    sockets.push(Socket::Unix(socket));
    Ok((BoundAddress::Unix(path), sockets))
}

/// Removes a unix socket that refuses connections, such as one that a crashed process left behind. Keeps any other
/// file.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let refused = |result: io::Result<UnixStream>| {
        result.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if there.file_type().is_socket() && refused(UnixStream::connect(path)) {
        return std::fs::remove_file(path);
    }
    Ok(())
}
