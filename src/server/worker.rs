//! Worker threads: each has a runtime, a socket of every listener and an upstream pool of its own.

use super::Ended;
use super::connection::{self, Peer};
use super::listen::{Bound, BoundAddress, Sockets};
use crate::client::{Client, ListenerId};
use crate::config::Upstream;
use crate::proxy::{Proxy, Shared};
use crate::upstream::Pool;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The running workers.
pub(super) struct Workers {
    done: Vec<oneshot::Receiver<Ended>>,
    unix_paths: Vec<PathBuf>,
}

enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// Starts a thread per socket of a listener.
pub(super) fn start(
    listeners: Vec<Bound>,
    shared: &Arc<Shared>,
    upstream: &Upstream,
    stopping: &watch::Receiver<bool>,
) -> io::Result<Workers> {
    let mut unix_paths = Vec::new();
    let mut per_worker: Vec<Vec<(ListenerId, Socket)>> = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        let (address, sockets) = listener.into_parts();
        if let BoundAddress::Unix(path) = address {
            unix_paths.push(path);
        }
        let sockets: Vec<Socket> = match sockets {
            Sockets::Tcp(sockets) => sockets.into_iter().map(Socket::Tcp).collect(),
            Sockets::Unix(sockets) => sockets.into_iter().map(Socket::Unix).collect(),
        };
        per_worker.resize_with(sockets.len().max(per_worker.len()), Vec::new);
        for (worker, socket) in per_worker.iter_mut().zip(sockets) {
            worker.push((ListenerId(index), socket));
        }
    }
    let done = per_worker
        .into_iter()
        .enumerate()
        .map(|(index, sockets)| {
            let (shared, upstream, stopping) = (Arc::clone(shared), upstream.clone(), stopping.clone());
            spawn(index, move || run(sockets, shared, &upstream, stopping))
        })
        .collect::<io::Result<_>>()?;
    Ok(Workers { done, unix_paths })
}

impl Workers {
    /// Waits until every worker has finished; they watch the drain's time themselves.
    pub(super) async fn join(self, drain: Duration) -> Ended {
        let mut ended = Ended::Drained;
        for done in self.done {
            // A worker that does not even notice that its time is over is not waited for.
            match timeout(drain + Duration::from_secs(2), done).await {
                Ok(Ok(Ended::Drained)) => {}
                _ => ended = Ended::CutShort,
            }
        }
        for path in self.unix_paths {
            let _ = std::fs::remove_file(path);
        }
        ended
    }
}

fn spawn(
    index: usize,
    work: impl FnOnce() -> io::Result<Ended> + Send + 'static,
) -> io::Result<oneshot::Receiver<Ended>> {
    let (done, wait) = oneshot::channel();
    thread::Builder::new().name(format!("worker-{index}")).spawn(move || match work() {
        Ok(ended) => {
            let _ = done.send(ended);
        }
        Err(error) => tracing::error!(%error, "a worker could not start"),
    })?;
    Ok(wait)
}

fn run(
    sockets: Vec<(ListenerId, Socket)>,
    shared: Arc<Shared>,
    upstream: &Upstream,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<Ended> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let pool = Pool::new(&upstream.endpoints, &shared.limits)?;
        let drain = shared.limits.drain_timeout;
        let proxy = Rc::new(Proxy::new(Arc::clone(&shared), pool));
        let (open, mut all_closed) = mpsc::channel::<()>(1);
        for (listener, socket) in sockets {
            let context = Context {
                listener,
                proxy: Rc::clone(&proxy),
                shared: Arc::clone(&shared),
                stopping: stopping.clone(),
                open: open.clone(),
            };
            spawn_local(context.accept_all(socket));
        }
        drop(open);
        let _ = stopping.wait_for(|stop| *stop).await;
        // Every connection holds a sender; the channel closes with the last.
        let drained = timeout(drain, all_closed.recv()).await.is_ok();
        Ok(if drained { Ended::Drained } else { Ended::CutShort })
    })
}

/// What a connection needs to know of where it came in.
#[derive(Clone)]
struct Context {
    listener: ListenerId,
    proxy: Rc<Proxy>,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    open: mpsc::Sender<()>,
}

impl Context {
    async fn accept_all(mut self, socket: Socket) {
        let acceptor = match Acceptor::new(socket) {
            Ok(acceptor) => acceptor,
            Err(error) => return tracing::error!(%error, "a listener cannot be used"),
        };
        loop {
            let accepted = tokio::select! {
                accepted = acceptor.accept() => accepted,
                _ = self.stopping.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok(peer) => self.serve(peer),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, peer: Peer) {
        let metrics = &self.shared.metrics;
        if metrics.connections() >= self.shared.limits.connections as u64 {
            metrics.connection_refused();
            return;
        }
        let guard = metrics.connection();
        let client = Client::identify(peer.address(), self.listener);
        let (proxy, stopping, open) = (Rc::clone(&self.proxy), self.stopping.clone(), self.open.clone());
        let shared = Arc::clone(&self.shared);
        spawn_local(async move {
            connection::run(peer, client, proxy, &shared.limits, stopping).await;
            drop((guard, open));
        });
    }
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }

    async fn accept(&self) -> io::Result<Peer> {
        match self {
            Self::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Peer::Tcp(stream, address.ip()))
            }
            Self::Unix(socket) => Ok(Peer::Unix(socket.accept().await?.0)),
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
