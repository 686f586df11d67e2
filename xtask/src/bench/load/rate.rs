//! A fixed rate: requests are due at their own times, whatever the answers do.
//!
//! The times are those of a Poisson process, so that requests come as from many clients that know nothing of each
//! other. A request that finds no connection free waits, and its waiting counts.

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

/// How often due requests are looked for. Tokio's timers are ten times coarser.
const TICK: Duration = Duration::from_micros(100);
/// How long answers are awaited after the last request.
const GRACE: Duration = Duration::from_secs(2);

/// So much work that waits at the end means that it would only grow.
const BACKLOG: Duration = Duration::from_millis(50);

/// A load.
pub(crate) struct Rate {
    pub(crate) connections: usize,
    pub(crate) per_second: f64,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

/// Requests that are due, and those who may send them.
#[derive(Default)]
struct Due {
    queue: RefCell<VecDeque<Instant>>,
    some: Notify,
    over: Cell<bool>,
}

impl Rate {
    /// Loads a proxy.
    ///
    /// # Errors
    /// Where an exchange fails, or the proxy does not keep up.
    #[expect(clippy::cast_precision_loss, reason = "a backlog is compared roughly")]
    pub(crate) async fn run(&self, address: SocketAddr, request: Request) -> Result<Latencies, String> {
        let due = Rc::new(Due::default());
        let mut workers = JoinSet::new();
        for _ in 0..self.connections {
            let mut connection = Connection::small(address).await?;
            connection.exchange(&request).await?;
            workers.spawn_local(work(connection, request.clone(), Rc::clone(&due)));
        }
        let asked = self.ask(&due).await;
        let behind = || format!("it does not keep up with {:.0} requests/s", self.per_second);
        if Duration::from_secs_f64(due.queue.borrow().len() as f64 / self.per_second) > BACKLOG {
            return Err(behind());
        }
        due.over.set(true);
        due.some.notify_waiters();
        let mut took = Vec::with_capacity(asked);
        let all = async {
            while let Some(worker) = workers.join_next().await {
                took.extend(worker.map_err(|_panic| "a client panicked".to_owned())??);
            }
            Ok::<(), String>(())
        };
        timeout(GRACE, all).await.map_err(|_| behind())??;
        Ok(took.into())
    }

    /// Makes requests due until time is up, and returns how many there were.
    async fn ask(&self, due: &Due) -> usize {
        let clock = Clock::start();
        let mut random = fastrand::Rng::with_seed(self.seed);
        let start = Instant::now();
        let (mut next, mut asked) = (Duration::ZERO, 0);
        while next < self.length {
            clock.tick.notified().await;
            let now = Instant::now();
            while next < self.length && start + next <= now {
                due.queue.borrow_mut().push_back(now);
                due.some.notify_one();
                asked += 1;
                next += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / self.per_second);
            }
        }
        asked
    }
}

/// Sends what is due on one connection until nothing more will be.
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
            None => due.some.notified().await,
        }
    }
}

/// A thread that ticks until this is dropped.
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
