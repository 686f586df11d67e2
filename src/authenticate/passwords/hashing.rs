//! Runs the hashing of passwords on threads of its own, a bounded number at once.
//!
//! A hash takes tens of milliseconds and up to 64 MiB. A worker thread would serve nobody meanwhile. The threads have
//! a lower priority than the workers, so that requests of clients without passwords do not wait for a processor.

use crate::authenticate::failure::{Cause, Failure};
use crate::bounds::places::{Holder, Place, Places, Size};
use crate::identify::client::ClientKey;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The number of requests that may wait for a place.
const QUEUE: usize = 256;
/// The time that a request may wait.
const WAIT: Duration = Duration::from_secs(10);
/// The number by which the threads are nicer than the workers.
const NICE: i32 = 10;

/// The places for hashing passwords. They are divided among clients.
#[derive(Debug)]
pub(crate) struct Hashing(Arc<Places>);

impl Hashing {
    /// Makes places for this number of passwords at once.
    pub(crate) fn new(places: usize) -> Self {
        Self(Places::new(Size { places, grouped: false, queue: QUEUE }))
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// When too many requests wait.
    pub(super) async fn place(&self, client: ClientKey) -> Result<Place, Failure> {
        self.0.take(Holder { group: 0, client }).await.ok_or_else(too_many)
    }

    /// Runs `work` on a thread. Returns the place with the result, so that the result takes effect before another attempt
    /// begins. The thread has the place until the work is done, also if the client does not wait for the result:
    /// clients that hang up could otherwise start any number of threads.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) async fn run<T: Send + 'static>(
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Place), Failure> {
        let (done, result) = oneshot::channel();
        let hash = move || {
            // Without permission for it the thread competes with the workers, which is correct and slower.
            let _ = rustix::process::nice(NICE);
            let finished = work();
            // The receiver is gone if the client hung up. That frees the place.
            let _ = done.send((finished, place));
        };
        let started = thread::Builder::new().name("password".to_owned()).spawn(hash);
        started.map_err(|error| busy(format!("cannot start a thread: {error}")))?;
        result.await.map_err(|_| busy("the verification panicked"))
    }

    /// Returns the number of passwords that are being hashed.
    #[cfg(test)]
    pub(super) fn running(&self) -> usize {
        self.0.taken()
    }
}

/// Limits the time for which a login waits for its turn.
///
/// # Errors
/// When `turn` fails, or does not come in time.
pub(super) async fn in_time<T>(turn: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(WAIT, turn).await.unwrap_or_else(|_| Err(too_many()))
}

/// Returns the failure of a login whose turn does not come.
pub(super) fn too_many() -> Failure {
    busy("too many passwords are being verified")
}

fn busy(detail: impl Into<String>) -> Failure {
    Failure::unavailable(Cause::Busy, detail).retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc;

    const ONE: ClientKey = ClientKey::User(Some(1));
    const OTHER: ClientKey = ClientKey::User(Some(2));

    #[tokio::test]
    async fn work_runs_on_a_thread_that_is_nicer_than_this_one() {
        let nice = || -> i32 {
            let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The fields after the name in parentheses begin with the third; niceness is the 19th.
            stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse().unwrap()
        };
        let here = nice();
        let place = Hashing::new(1).place(ONE).await.unwrap();
        let (there, _) = Hashing::run(place, nice).await.unwrap();
        assert_eq!(there, (here + NICE).min(19));
    }

    #[tokio::test]
    async fn the_place_is_free_after_the_result_took_effect() {
        let hashing = Hashing::new(1);
        let place = hashing.place(ONE).await.unwrap();
        let (_, place) = Hashing::run(place, || ()).await.unwrap();
        assert_eq!(hashing.running(), 1);
        drop(place);
        assert_eq!(hashing.running(), 0);
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_does_not_free_its_place() {
        let hashing = Arc::new(Hashing::new(2));
        let (finish, finished) = mpsc::channel::<()>();
        let place = hashing.place(ONE).await.unwrap();
        let (start, has_begun) = oneshot::channel();
        let work = move || {
            start.send(()).unwrap();
            finished.recv()
        };
        let running = tokio::spawn(Hashing::run(place, work));
        has_begun.await.unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(hashing.running(), 1);
        finish.send(()).unwrap();
        while hashing.running() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_length_and_time_and_divided_among_clients() {
        let hashing = Arc::new(Hashing::new(2));
        let (_first, _second) = (hashing.place(ONE).await.unwrap(), hashing.place(OTHER).await.unwrap());
        let wait = |client| {
            let hashing = Arc::clone(&hashing);
            tokio::spawn(async move { in_time(hashing.place(client)).await.map(drop) })
        };
        let waiting: Vec<_> = (0..QUEUE * 2).map(|_| wait(ONE)).collect();
        for _ in 0..QUEUE * 2 {
            tokio::task::yield_now().await;
        }
        let refused = waiting.iter().filter(|one| one.is_finished()).count();
        assert!((QUEUE..QUEUE * 3 / 2).contains(&refused), "{refused}");
        let other = wait(OTHER);
        tokio::task::yield_now().await;
        assert!(!other.is_finished(), "there is room for another client");
        let started = tokio::time::Instant::now();
        let failure = other.await.unwrap().unwrap_err();
        assert_eq!((failure.cause, failure.retry_after), (Cause::Busy, Some(1)));
        assert_eq!(started.elapsed(), WAIT);
    }

    #[tokio::test]
    async fn a_panic_frees_the_place() {
        let hashing = Hashing::new(1);
        let place = hashing.place(ONE).await.unwrap();
        let failure = Hashing::run::<()>(place, || panic!("in a test")).await.unwrap_err();
        assert!(failure.detail.contains("panicked"));
        assert!(hashing.place(ONE).await.is_ok());
    }
}
