//! Binds the sockets of one listener, or takes inherited ones.

use super::inherited::{Inherited, Socket};
use super::socket_file::SocketFile;
use crate::config::{ListenAddress, Listener, SocketAccess};
use crate::identify::client::ListenerName;
use socket2::{Domain, Protocol, SockAddr, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BACKLOG: i32 = 1024;

/// A bound listener, with a socket for each worker.
#[derive(Debug)]
pub(crate) struct Bound {
    name: ListenerName,
    address: BoundAddress,
    sockets: Vec<Socket>,
    inherited: bool,
    /// The file of a unix socket that this process made.
    file: Option<Arc<SocketFile>>,
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
        if let (Some(_), ListenAddress::Unix(path)) = (&socket, &listener.address) {
            check_access(listener, path)?;
        }
        let is_inherited = socket.is_some();
        let mut file = None;
        let (address, sockets) = match (socket, &listener.address) {
            (Some(socket), _) => share(socket, workers),
            (None, ListenAddress::Tcp(address)) => bind_tcp(*address, workers),
            (None, ListenAddress::Unix(path)) => {
                bind_unix(path, listener.access).and_then(|(socket, made)| {
                    file = Some(Arc::new(made));
                    share_unix(path.clone(), socket, workers)
                })
            }
        }
        .map_err(|error| {
            named(&error, &format!("listener {:?} cannot bind {}", listener.name, listener.address))
        })?;
        Ok(Self { name: listener.name.clone(), address, sockets, inherited: is_inherited, file })
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

    /// Returns the file of a unix socket that this process made.
    pub(super) fn file(&self) -> Option<Arc<SocketFile>> {
        self.file.clone()
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
        // The message says what is missing.
        _ if error.raw_os_error().is_none() => "",
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

fn bind_unix(path: &Path, access: SocketAccess) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let (socket, file) = closed_unix_socket(path, access)?;
    socket.listen(BACKLOG)?;
    Ok((socket.into(), file))
}

/// Makes a unix socket whose file has its access, and that does not listen yet. Until it does, the kernel refuses every
/// connection, so nobody connects before the file has its mode, owner and group.
fn closed_unix_socket(path: &Path, access: SocketAccess) -> io::Result<(socket2::Socket, SocketFile)> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let opened = SocketFile::open(path).and_then(|file| {
        file.set(SocketAccess::default(), access)?;
        Ok(file)
    });
    match opened {
        Ok(file) => Ok((socket, file)),
        Err(error) => {
            let _ = std::fs::remove_file(path);
            Err(error)
        }
    }
}

/// Checks that an inherited unix socket has the access that the configuration says. The program that made it sets that.
fn check_access(listener: &Listener, path: &Path) -> io::Result<()> {
    let wanted = listener.access;
    if wanted == SocketAccess::default() {
        return Ok(());
    }
    let name = &listener.name;
    let made = SocketFile::open(path)
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("the file of the inherited socket {name:?} cannot be inspected: {error}"),
            )
        })?
        .made();
    if wanted.or(made) == made {
        return Ok(());
    }
    let message = format!(
        "the inherited socket {name:?} has {made}, the configuration says {wanted}: set SocketMode=, SocketUser= and \
         SocketGroup= of its unit, or leave mode, owner and group out of the listener"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_connects_before_the_socket_has_its_access() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let access = SocketAccess { mode: Some(0o606), ..SocketAccess::default() };
        let (socket, _file) = closed_unix_socket(&path, access).unwrap();
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o606, "the umask of the process does not matter");
        socket.listen(BACKLOG).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn another_file_at_the_path_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "mine").unwrap();
        assert!(bind_unix(&path, SocketAccess::default()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
