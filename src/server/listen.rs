//! Sockets that clients connect to.

use crate::config::{ListenAddress, Listener};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const BACKLOG: i32 = 1024;

/// A listener with a socket for every worker.
#[derive(Debug)]
pub struct Bound {
    name: Box<str>,
    address: BoundAddress,
    sockets: Sockets,
}

/// The address a listener got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// An address with the port that was free, if port 0 was asked for.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

/// A listener's sockets, one for each worker.
#[derive(Debug)]
pub(super) enum Sockets {
    /// Sockets of one port, between which the kernel distributes.
    Tcp(Vec<TcpListener>),
    /// Handles of one socket.
    Unix(Vec<UnixListener>),
}

impl Bound {
    /// Binds a listener for so many workers.
    ///
    /// # Errors
    /// When its address is taken or not to be had; the message names it.
    pub fn bind(listener: &Listener, workers: usize) -> io::Result<Self> {
        let (address, sockets) = match &listener.address {
            ListenAddress::Tcp(address) => bind_tcp(*address, workers),
            ListenAddress::Unix(path) => bind_unix(path, workers),
        }
        .map_err(|error| {
            named(&error, &format!("listener {:?} cannot bind {}", listener.name, listener.address))
        })?;
        Ok(Self { name: listener.name.clone(), address, sockets })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address it got.
    pub fn address(&self) -> &BoundAddress {
        &self.address
    }

    pub(super) fn into_parts(self) -> (BoundAddress, Sockets) {
        (self.address, self.sockets)
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

/// Binds the admin listener.
pub(super) fn bind_admin(address: SocketAddr) -> io::Result<TcpListener> {
    tcp_socket(address, false)
        .and_then(listening)
        .map_err(|error| named(&error, &format!("the admin listener cannot bind {address}")))
}

fn named(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<(BoundAddress, Sockets)> {
    // With SO_REUSEPORT a second server on the same port would be no error: the first socket asks without it.
    let probe = tcp_socket(address, false)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let sockets =
        (0..workers).map(|_| tcp_socket(address, true).and_then(listening)).collect::<io::Result<_>>()?;
    Ok((BoundAddress::Tcp(address), Sockets::Tcp(sockets)))
}

fn tcp_socket(address: SocketAddr, share_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, workers: usize) -> io::Result<(BoundAddress, Sockets)> {
    remove_stale(path)?;
    let socket = UnixListener::bind(path)?;
    socket.set_nonblocking(true)?;
    let mut sockets = (1..workers).map(|_| socket.try_clone()).collect::<io::Result<Vec<_>>>()?;
    sockets.push(socket);
    Ok((BoundAddress::Unix(path.to_owned()), Sockets::Unix(sockets)))
}

/// A socket that nobody listens on was left behind by a crash. Anything else in its place stays.
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
