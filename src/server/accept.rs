//! Accepting connections.

use super::connection::{self, Memory, Peer};
use super::inherited::Socket;
use crate::client::{Client, ListenerId};
use crate::clock::by_events;
use crate::connections::Arrival;
use crate::generation::Shared;
use crate::http1::server::ConnectionLimits;
use crate::mapping;
use crate::memory::Payer;
use crate::proxy::Current;
use socket2::SockRef;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, sleep};

/// The pause after an accept that failed for want of something, such as file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// While accepts fail, one line says so in this time.
const QUIET: Duration = Duration::from_secs(10);

/// The longest head of a client that no mapping knows, in bytes: it is refused whatever it says.
const STRANGERS_HEAD: usize = 4096;

/// What the kernel takes of an answer before it has sent it, in bytes. A reader shows that it reads each time half of it
/// has gone: by default that is megabytes, and a reader of 20 KiB a second seems to stand still for a minute.
const UNSENT: u32 = 128 * 1024;

/// What a connection needs to know of its worker.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) current: Rc<Current>,
    pub(super) shared: Arc<Shared>,
    pub(super) stopping: watch::Receiver<bool>,
    /// Held by every connection.
    pub(super) open: mpsc::Sender<()>,
}

impl Context {
    /// Accepts until the server stops or `closed`'s other end is dropped.
    pub(super) async fn accept_all(
        mut self,
        acceptor: Acceptor,
        listener: ListenerId,
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
                Ok(peer) => self.serve(peer, listener),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.shared.metrics.connections.accept_failed();
                    if told.is_none_or(|told| told.elapsed() > QUIET) {
                        told = Some(Instant::now());
                        tracing::warn!(%error, "no connection can be accepted at the moment");
                    }
                    // The connection waits in the queue: without a pause this would spin.
                    sleep(PAUSE).await;
                }
            }
        }
        // What waits at another process's socket is served by that one.
        if !acceptor.is_shared {
            self.accept_waiting(&acceptor, listener).await;
        }
    }

    /// Closing a socket resets what waits in its queue.
    async fn accept_waiting(&self, acceptor: &Acceptor, listener: ListenerId) {
        // Lets the runtime look at its sockets once more.
        yield_now().await;
        loop {
            let waiting = tokio::select! {
                biased;
                accepted = acceptor.accept() => accepted,
                () = std::future::ready(()) => return,
            };
            match waiting {
                Ok(peer) => self.serve(peer, listener),
                Err(_) => return,
            }
        }
    }

    fn serve(&self, peer: Peer, listener: ListenerId) {
        let generation = self.shared.generation.load_full();
        let client = peer.client(listener);
        let known = mapping::find(&generation.mappings, &client).is_some();
        let arrival = Arrival { client, known, listeners: generation.listeners.iter().flatten().count() };
        let Ok(guard) = self.shared.metrics.connections.admit(&arrival, &generation.limits) else {
            return;
        };
        let mut limits = ConnectionLimits::of(&generation.limits);
        if !known {
            limits.head.bytes = limits.head.bytes.min(STRANGERS_HEAD);
        }
        let memory = Memory { budget: self.shared.memory.clone(), payer: payer(&client, known) };
        let (current, stopping, open) = (Rc::clone(&self.current), self.stopping.clone(), self.open.clone());
        spawn_local(by_events(async move {
            connection::run(peer, client, memory, current, &limits, stopping).await;
            drop((guard, open));
        }));
    }
}

fn payer(client: &Client, known: bool) -> Payer {
    if known { Payer::Client(client.key()) } else { Payer::Strangers }
}

/// A worker's handle of a listening socket.
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

    async fn accept(&self) -> io::Result<Peer> {
        match &self.socket {
            Accepting::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                stream.set_nodelay(true)?;
                // Without it a slow reader has more memory of the kernel's, and shows progress seldom.
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
                Ok(Peer::Tcp(stream, address.ip()))
            }
            Accepting::Unix(socket) => Ok(Peer::Unix(socket.accept().await?.0)),
        }
    }
}

/// The connection was gone before it was accepted: no reason to pause.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
    )
}
