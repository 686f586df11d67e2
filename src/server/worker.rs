//! Worker threads: each has a runtime, a socket of every listener and an upstream pool of its own.

use super::Ended;
use super::accept::{Acceptor, Context};
use super::inherited::Socket;
use super::listen::Bound;
use crate::client::ListenerId;
use crate::generation::Shared;
use crate::http1::outbox;
use crate::proxy::Current;
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

/// The time in which multipart uploads that were given up are aborted before the end.
const ABORT_TIME: Duration = Duration::from_secs(1);

/// The number of polls after which the runtime looks for events, whatever else is ready. With tokio's own 61 the last of many
/// requests wait longer (docs/performance.md).
const EVENT_INTERVAL: u32 = 16;

/// How often a worker has the allocator look for memory to give back.
const GIVE_BACK: Duration = Duration::from_secs(3);
/// Room that the allocator has no page of at hand, in bytes.
const LARGE: usize = 1 << 20;

/// Gives memory back to the system that is free since a peak.
///
/// mimalloc does that by itself a second after the memory became free, but only while it is asked for a page or given
/// one back. A proxy that has nothing to do after a peak would keep all of it.
async fn give_memory_back() {
    loop {
        sleep(GIVE_BACK).await;
        drop(black_box(Vec::<u8>::with_capacity(LARGE)));
    }
}

/// The running workers.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    orders: mpsc::UnboundedSender<Order>,
    done: oneshot::Receiver<Ended>,
}

/// What a worker is told while it runs.
enum Order {
    /// Accept on a socket, known by its number from now on; whether another process accepts on it too.
    Accept(u64, ListenerId, Socket, bool),
    /// Accept no more on it.
    Close(u64),
    /// There is another generation: let go of the old one, also without a request.
    Adopt,
}

/// Starts the threads, which accept nothing yet.
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
    /// Accepts on each worker's socket of a listener.
    pub(super) fn accept(&self, number: u64, id: ListenerId, listener: Bound) {
        let is_shared = listener.is_inherited();
        for (worker, socket) in self.0.iter().zip(listener.into_sockets()) {
            // A worker that has ended serves nobody, which its log line says.
            let _ = worker.orders.send(Order::Accept(number, id, socket, is_shared));
        }
    }

    /// Closes a listener's sockets.
    pub(super) fn close(&self, number: u64) {
        for worker in &self.0 {
            let _ = worker.orders.send(Order::Close(number));
        }
    }

    /// Tells of another generation.
    pub(super) fn adopt(&self) {
        for worker in &self.0 {
            let _ = worker.orders.send(Order::Adopt);
        }
    }

    /// Waits until every worker has finished; they watch the drain's time themselves.
    pub(super) async fn join(self, drain: Duration) -> Ended {
        let mut ended = Ended::Drained;
        for worker in self.0 {
            // A worker that does not even notice that its time is over is not waited for.
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
        let current = Current::new(Arc::clone(&shared))?;
        let context = Context { current, shared, stopping: stopping.clone(), open };
        let mut accepting = HashMap::new();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Accept(number, id, socket, is_shared)) => {
                        let (close, closed) = oneshot::channel();
                        match Acceptor::new(socket, is_shared) {
                            Ok(acceptor) => {
                                spawn_local(context.clone().accept_all(acceptor, id, closed));
                                accepting.insert(number, close);
                            }
                            Err(error) => tracing::error!(%error, "a listener cannot be used"),
                        }
                    }
                    // Dropping its end closes it.
                    Some(Order::Close(number)) => drop(accepting.remove(&number)),
                    Some(Order::Adopt) => drop(context.current.proxy()),
                    None => break,
                },
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        let shared = Arc::clone(&context.shared);
        let drain = shared.generation.load().limits.drain_timeout;
        drop((context, accepting));
        // Every connection holds a sender; the channel closes with the last.
        let drained = timeout(drain, all_closed.recv()).await.is_ok();
        if !drained {
            shared.metrics.cut_off();
            shared.buffers.give_up();
        }
        shared.buffers.settled(ABORT_TIME).await;
        Ok(if drained { Ended::Drained } else { Ended::CutShort })
    })
}
