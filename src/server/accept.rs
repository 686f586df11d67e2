//! Accepts connections on one worker thread.

use super::connection::Accepted;
use super::inherited::Socket;
use super::tls_connections::TlsConnections;
use crate::identify::client::ListenerRef;
use crate::net::congestion::skip_pacing;
use crate::proxy::Current;
use socket2::SockRef;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// The pause after an accept that failed because the process lacks a resource, such as file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// The interval between log lines while accepts fail.
const QUIET: Duration = Duration::from_secs(10);

/// The bytes of a response that the kernel accepts before it has sent them.
///
/// A reader's progress is visible each time half of them are sent. With the kernel's default of megabytes, a reader of
/// 20 KiB per second would seem stalled for a minute.
const UNSENT: u32 = 128 * 1024;

/// The part of a worker that its connections use.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) current: Rc<Current>,
    pub(super) tls_connections: TlsConnections,
    pub(super) stopping: watch::Receiver<bool>,
    /// Held by each connection, so that the worker notices when all connections are closed.
    pub(super) open: mpsc::Sender<()>,
}

impl Context {
    /// Accepts connections until the server stops or the other end of `closed` is dropped.
    pub(super) async fn accept_all(
        mut self,
        acceptor: Acceptor,
        listener: ListenerRef,
        mut closed: oneshot::Receiver<Infallible>,
    ) {
        let mut told: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                accepted = acceptor.accept() => accepted,
                _ = self.stopping.wait_for(|stop| *stop) => break,
                _ = &mut closed => break,
            };
            match accepted {
                Ok(socket) => self.open(socket, &listener),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.current.shared().metrics.connections.accept_failed();
                    if told.is_none_or(|told| told.elapsed() > QUIET) {
                        told = Some(Instant::now());
                        tracing::warn!(%error, "cannot accept connections at the moment");
                    }
                    // The connection remains in the queue. Without a pause this loop would spin.
                    sleep(PAUSE).await;
                }
            }
        }
        // Connections that wait on an inherited socket belong to the process that accepts on it next.
        if !acceptor.is_shared {
            self.accept_waiting(&acceptor, &listener).await;
        }
    }

    /// Accepts the queued connections, which closing the socket would reset.
    async fn accept_waiting(&self, acceptor: &Acceptor, listener: &ListenerRef) {
        // Lets the runtime poll its sockets once more.
        yield_now().await;
        loop {
            let waiting = tokio::select! {
                biased;
                accepted = acceptor.accept() => accepted,
                () = std::future::ready(()) => return,
            };
            match waiting {
                Ok(socket) => self.open(socket, listener),
                Err(_) => return,
            }
        }
    }
}

/// A worker's handle to a listening socket.
pub(super) struct Acceptor {
    socket: Accepting,
    is_shared: bool,
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    pub(super) fn new(socket: Socket, is_shared: bool) -> io::Result<Self> {
        let socket = match socket {
            Socket::Tcp(socket) => Accepting::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Accepting::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Self { socket, is_shared })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Accepting::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                stream.set_nodelay(true)?;
                skip_pacing(&stream, address.ip());
                // If it fails, a slow reader only takes more of the kernel's memory and shows progress less often.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
                Ok(Accepted::Tcp(stream, address.ip()))
            }
            Accepting::Unix(socket) => Ok(Accepted::Unix(socket.accept().await?.0)),
        }
    }
}

/// Returns whether an error concerns only one connection, which was gone before it was accepted. The next accept may
/// succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
    )
}
