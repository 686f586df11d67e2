//! Worker threads. Each has its own runtime, sockets and pool of connections to the store.

use super::accept::{Acceptor, Context};
use super::ended::Ended;
use super::inherited::Socket;
use super::listen::Bound;
use super::tls_connections::TlsConnections;
use crate::identify::client::ListenerRef;
use crate::proxy::Current;
use crate::proxy::generation::Shared;
use crate::telemetry::log::turn;
use http1::outbox;
use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// The time at the end for aborting abandoned multipart uploads.
const ABORT_TIME: Duration = Duration::from_secs(1);

/// The number of task polls after which the runtime polls for I/O events. With tokio's default of 61 the last of many
/// concurrent requests wait longer (docs/performance.md, "The runtime looks for events after 16 polls").
const EVENT_INTERVAL: u32 = 16;

/// The interval at which a worker makes the allocator return memory to the system.
const GIVE_BACK: Duration = Duration::from_secs(3);
/// An allocation too large for the allocator's cached pages, in bytes.
const LARGE: usize = 1 << 20;

/// Returns memory to the system that is free after a peak.
///
/// mimalloc does so a second after memory becomes free, but only when a page is allocated or freed. A proxy without
/// requests after a peak would keep all of it.
async fn give_memory_back() {
    loop {
        sleep(GIVE_BACK).await;
        drop(black_box(Vec::<u8>::with_capacity(LARGE)));
    }
}

/// The worker threads.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    orders: mpsc::UnboundedSender<Order>,
    done: oneshot::Receiver<Ended>,
}

/// A message to a running worker.
enum Order {
    /// Accept on a socket, which has this number from now on. The flag says that other processes accept on it too.
    Accept(u64, ListenerRef, Socket, bool),
    /// Stop accepting on the socket with this number.
    Close(u64),
    /// Drop the old generation, even without a request.
    Adopt,
}

/// Starts the threads. They accept nothing yet.
pub(super) fn start(
    count: usize,
    shared: &Arc<Shared>,
    stopping: &watch::Receiver<bool>,
) -> io::Result<Workers> {
    let start = |index| {
        let (shared, stopping) = (Arc::clone(shared), stopping.clone());
        let (orders, taken) = mpsc::unbounded_channel();
        let done = spawn(index, move || run(taken, shared, stopping))?;
        Ok(Worker { orders, done })
    };
    (0..count).map(start).collect::<io::Result<_>>().map(Workers)
}

impl Workers {
    /// Accepts connections of a listener on all workers.
    pub(super) fn accept(&self, number: u64, listener: &ListenerRef, bound: Bound) {
        let is_shared = bound.is_inherited();
        for (worker, socket) in self.0.iter().zip(bound.into_sockets()) {
            // A send fails only if the worker could not start, which is logged.
            let _ = worker.orders.send(Order::Accept(number, listener.clone(), socket, is_shared));
        }
    }

    /// Closes a listener's sockets.
    pub(super) fn close(&self, number: u64) {
        for worker in &self.0 {
            let _ = worker.orders.send(Order::Close(number));
        }
    }

    /// Makes all workers drop the old generation.
    pub(super) fn adopt(&self) {
        for worker in &self.0 {
            let _ = worker.orders.send(Order::Adopt);
        }
    }

    /// Waits until all workers have finished. They enforce the drain timeout themselves.
    pub(super) async fn join(self, drain: Duration) -> Ended {
        let mut ended = Ended::Drained;
        for worker in self.0 {
            // A worker that is stuck past the drain timeout is not waited for.
            match timeout(drain + Duration::from_secs(2), worker.done).await {
                Ok(Ok(Ended::Drained)) => {}
                _ => ended = Ended::CutShort,
            }
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
            turn::end();
            let _ = done.send(ended);
        }
        Err(error) => tracing::error!(%error, "a worker could not start"),
    })?;
    Ok(wait)
}

fn run(
    mut orders: mpsc::UnboundedReceiver<Order>,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<Ended> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.event_interval(EVENT_INTERVAL).enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        spawn_local(outbox::run());
        spawn_local(give_memory_back());
        let (open, mut all_closed) = mpsc::channel::<()>(1);
        let tls_connections = TlsConnections::default();
        spawn_local(tls_connections.clone().watch_over(Arc::clone(&shared), stopping.clone()));
        let current = Current::new(shared)?;
        let context = Context { current, tls_connections, stopping: stopping.clone(), open };
        let mut accepting = HashMap::new();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Accept(number, listener, socket, is_shared)) => {
                        let (close, closed) = oneshot::channel();
                        match Acceptor::new(socket, is_shared) {
                            Ok(acceptor) => {
                                spawn_local(context.clone().accept_all(acceptor, listener, closed));
                                accepting.insert(number, close);
                            }
                            Err(error) => tracing::error!(%error, "a listener cannot be used"),
                        }
                    }
                    // Dropping the sender closes the socket.
                    Some(Order::Close(number)) => drop(accepting.remove(&number)),
                    Some(Order::Adopt) => drop(context.current.proxy()),
                    None => break,
                },
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        let shared = Arc::clone(context.current.shared());
        let drain = shared.generation.load().limits.drain_timeout;
        drop((context, accepting));
        // Every connection holds a sender: the channel closes when the last connection ends.
        let drained = timeout(drain, all_closed.recv()).await.is_ok();
        if !drained {
            shared.metrics.cut_off();
            shared.buffers.give_up();
        }
        shared.buffers.settled(ABORT_TIME).await;
        Ok(if drained { Ended::Drained } else { Ended::CutShort })
    })
}
