//! A fixed rate: requests are due at times that do not depend on the responses.
//!
//! The times are a Poisson process, like the requests of many independent clients. A request for which no connection is
//! free waits, and its wait counts.

use super::{Connection, Latencies, Request};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How often to look for due requests. Tokio's timers are ten times coarser.
const TICK: Duration = Duration::from_micros(100);
/// How long to wait for responses after the last request.
const GRACE: Duration = Duration::from_secs(2);

/// A longer queue at the end means that the proxy is overloaded and the queue would only grow.
const MAX_BACKLOG: Duration = Duration::from_millis(50);

/// A load at a fixed rate.
pub(crate) struct Rate {
    pub(crate) connections: usize,
    pub(crate) per_second: f64,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

/// The queue of due requests.
#[derive(Default)]
struct Due {
    queue: RefCell<VecDeque<Instant>>,
    changed: Notify,
    over: Cell<bool>,
}

impl Rate {
    /// Loads a proxy and returns the latencies.
    ///
    /// # Errors
    /// An exchange fails, or the proxy does not keep up.
    #[expect(clippy::cast_precision_loss, reason = "the backlog is compared roughly")]
    pub(crate) async fn run(&self, address: SocketAddr, request: Request) -> Result<Latencies, String> {
        let due = Rc::new(Due::default());
        let mut workers = JoinSet::new();
        for _ in 0..self.connections {
            let mut connection = Connection::small(address).await?;
            connection.exchange(&request).await?;
            workers.spawn_local(work(connection, request.clone(), Rc::clone(&due)));
        }
        let count = self.schedule(&due).await;
        let behind = || format!("the proxy does not keep up with {:.0} requests/s", self.per_second);
        if Duration::from_secs_f64(due.queue.borrow().len() as f64 / self.per_second) > MAX_BACKLOG {
            return Err(behind());
        }
        due.over.set(true);
        due.changed.notify_waiters();
        let mut took = Vec::with_capacity(count);
        let all = async {
            while let Some(worker) = workers.join_next().await {
                took.extend(worker.map_err(|_panic| "a client panicked".to_owned())??);
            }
            Ok::<(), String>(())
        };
        timeout(GRACE, all).await.map_err(|_| behind())??;
        Ok(took.into())
    }

    /// Queues requests until the time is up and returns their number.
    async fn schedule(&self, due: &Due) -> usize {
        let clock = Clock::start();
        let mut random = fastrand::Rng::with_seed(self.seed);
        let start = Instant::now();
        let (mut next, mut count) = (Duration::ZERO, 0);
        while next < self.length {
            clock.tick.notified().await;
            let now = Instant::now();
            while next < self.length && start + next <= now {
                due.queue.borrow_mut().push_back(now);
                due.changed.notify_one();
                count += 1;
                next += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / self.per_second);
            }
        }
        count
    }
}

/// Sends due requests on one connection until the load is over.
async fn work(mut connection: Connection, request: Request, due: Rc<Due>) -> Result<Vec<Duration>, String> {
    let mut took = Vec::new();
    loop {
        let next = due.queue.borrow_mut().pop_front();
        match next {
            Some(since) => {
                connection.exchange(&request).await?;
                took.push(since.elapsed());
            }
            None if due.over.get() => return Ok(took),
            None => due.changed.notified().await,
        }
    }
}

/// A thread that notifies at every [`TICK`] until this is dropped.
struct Clock {
    tick: Arc<Notify>,
    stopped: Arc<AtomicBool>,
}

impl Clock {
    fn start() -> Self {
        let (tick, stopped) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        thread::spawn({
            let (tick, stopped) = (Arc::clone(&tick), Arc::clone(&stopped));
            move || {
                while !stopped.load(Ordering::Relaxed) {
                    thread::sleep(TICK);
                    tick.notify_one();
                }
            }
        });
        Self { tick, stopped }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
