//! The requests of the load: what a reader and a writer do all day. Every response is checked.

use super::client::{Client, Exchange};
use super::content::Noise;
use super::tally::{Failure, Tally};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The sizes of the objects in bytes. The object `media/SIZE` contains the noise from offset SIZE on.
pub(crate) const SIZES: [u64; 5] = [0, 1 << 10, (64 << 10) + 1, 1 << 20, (8 << 20) + 3];

const THREADS: usize = 8;

/// The load ends after this many failures: the proxy is broken, and more of them add nothing.
const MAX_FAILURES: u64 = 1000;

/// The listeners of the two clients.
#[derive(Clone, Copy)]
pub(crate) struct Listeners {
    /// Reads and lists `tmp/media/`.
    pub(crate) reader: SocketAddr,
    /// May do everything in `tmp/inbox/`.
    pub(crate) writer: SocketAddr,
}

/// Loads the proxy from eight threads for this long.
///
/// # Errors
/// A thread panicked.
pub(crate) fn run(listeners: Listeners, noise: &Noise, length: Duration) -> Result<Tally, String> {
    let start = Instant::now();
    let broken = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let broken = &broken;
                scope.spawn(move || {
                    let mut worker = Worker::new(number, listeners, noise, start);
                    // Each thread starts at another place, so that they do not all read the same object.
                    let mut round = number as u64 * 7;
                    while start.elapsed() < length && !broken.load(Ordering::Relaxed) {
                        worker.round(round);
                        round += 1;
                        if worker.tally.failed >= MAX_FAILURES {
                            broken.store(true, Ordering::Relaxed);
                        }
                    }
                    worker.tally
                })
            })
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            all.add(thread.join().map_err(|_panic| "a thread of the load panicked".to_owned())?);
        }
        Ok(all)
    })
}

struct Worker<'a> {
    number: usize,
    noise: &'a Noise,
    reader: Client,
    writer: Client,
    tally: Tally,
    start: Instant,
}

impl<'a> Worker<'a> {
    fn new(number: usize, listeners: Listeners, noise: &'a Noise, start: Instant) -> Self {
        let (reader, writer) = (Client::new(listeners.reader), Client::new(listeners.writer));
        Self { number, noise, reader, writer, tally: Tally::default(), start }
    }

    fn round(&mut self, round: u64) {
        let size = pick(&SIZES, round / 3);
        match round % 16 {
            0..=5 => self.timed("GET", |worker| worker.get(size)),
            6 | 7 => self.timed("GET range", |worker| worker.get_range(round)),
            8 | 9 => self.timed("HEAD", |worker| worker.head(size)),
            10 => self.timed("list", Self::list_media),
            11..=14 => self.write_and_remove(round, size),
            _ => self.timed("refused", |worker| worker.refused(round)),
        }
    }

    fn timed(&mut self, kind: &'static str, exchange: impl FnOnce(&mut Self) -> Result<u64, String>) {
        let sent = Instant::now();
        let result = exchange(self).map_err(|what| Failure { after: self.start.elapsed(), what });
        self.tally.count(kind, sent.elapsed(), result);
    }

    fn get(&mut self, size: u64) -> Result<u64, String> {
        let request = Exchange {
            method: "GET",
            target: &format!("/tmp/media/{size}"),
            headers: &[],
            body: b"",
            expected: 200,
        };
        let (_, length) = self.reader.exchange(&request, &mut self.noise.compare(size))?;
        same("length of the body", &length, &size)?;
        Ok(length)
    }

    fn get_range(&mut self, round: u64) -> Result<u64, String> {
        let size = pick(&SIZES, 4);
        let first = round * 7919 % size;
        let last = (first + round * 104_729 % (256 << 10)).min(size - 1);
        let range = format!("bytes={first}-{last}");
        let request = Exchange {
            method: "GET",
            target: &format!("/tmp/media/{size}"),
            headers: &[("Range", &range)],
            body: b"",
            expected: 206,
        };
        let (head, length) = self.reader.exchange(&request, &mut self.noise.compare(size + first))?;
        let said = head.header("content-range").unwrap_or_default();
        same("Content-Range", said, &format!("bytes {first}-{last}/{size}"))?;
        same("length of the range", &length, &(last - first + 1))?;
        Ok(length)
    }

    fn head(&mut self, size: u64) -> Result<u64, String> {
        let request = Exchange {
            method: "HEAD",
            target: &format!("/tmp/media/{size}"),
            headers: &[],
            body: b"",
            expected: 200,
        };
        let (head, _) = self.reader.exchange(&request, &mut Vec::new())?;
        same("Content-Length", head.header("content-length").unwrap_or_default(), &size.to_string())?;
        Ok(0)
    }

    fn list_media(&mut self) -> Result<u64, String> {
        let keys: Vec<String> = SIZES.iter().map(|size| format!("media/{size}")).collect();
        list(&mut self.reader, "media/", &keys)
    }

    /// Writes a new object, lists it, reads it and removes it.
    fn write_and_remove(&mut self, round: u64, size: u64) {
        let folder = format!("inbox/{}/", self.number);
        let key = format!("{folder}{round}");
        let target = format!("/tmp/{key}");
        let content = self.noise.bytes(round, size);
        self.timed("PUT", |worker| {
            let request =
                Exchange { method: "PUT", target: &target, headers: &[], body: &content, expected: 200 };
            worker.writer.exchange(&request, &mut Vec::new()).map(|_| size)
        });
        self.timed("list own", |worker| list(&mut worker.writer, &folder, std::slice::from_ref(&key)));
        self.timed("GET own", |worker| {
            let request = Exchange { method: "GET", target: &target, headers: &[], body: b"", expected: 200 };
            let (_, length) = worker.writer.exchange(&request, &mut worker.noise.compare(round))?;
            same("length of the body", &length, &size)?;
            Ok(length)
        });
        self.timed("DELETE", |worker| {
            let request =
                Exchange { method: "DELETE", target: &target, headers: &[], body: b"", expected: 204 };
            worker.writer.exchange(&request, &mut Vec::new()).map(|_| 0)
        });
    }

    /// Sends one of several requests that the client is not allowed.
    fn refused(&mut self, round: u64) -> Result<u64, String> {
        let refused = |method, target| Exchange { method, target, headers: &[], body: b"", expected: 403 };
        let (client, request) = match round / 16 % 4 {
            0 => (&mut self.reader, refused("GET", "/tmp/other/secret.txt")),
            1 => (&mut self.reader, refused("PUT", "/tmp/media/new")),
            2 => (&mut self.reader, refused("GET", "/tmp?list-type=2&prefix=other/")),
            _ => (&mut self.writer, refused("DELETE", "/tmp/media/1024")),
        };
        let mut body = Vec::new();
        client.exchange(&request, &mut body)?;
        let text = String::from_utf8_lossy(&body);
        if text.contains("<Code>AccessDenied</Code>") {
            return Ok(body.len() as u64);
        }
        Err(format!("{} {}: a 403 without AccessDenied: {text}", request.method, request.target))
    }
}

fn list(client: &mut Client, prefix: &str, keys: &[String]) -> Result<u64, String> {
    let target = format!("/tmp?list-type=2&prefix={prefix}");
    let request = Exchange { method: "GET", target: &target, headers: &[], body: b"", expected: 200 };
    let mut body = Vec::new();
    client.exchange(&request, &mut body)?;
    let text = String::from_utf8_lossy(&body);
    match keys.iter().find(|key| !text.contains(&format!("<Key>{key}</Key>"))) {
        Some(missing) => Err(format!("GET {target}: {missing} is not listed")),
        None => Ok(body.len() as u64),
    }
}

fn pick(sizes: &[u64], number: u64) -> u64 {
    let index = usize::try_from(number).unwrap_or_default() % sizes.len();
    sizes.get(index).copied().unwrap_or_default()
}

fn same<T: PartialEq + std::fmt::Display + ?Sized>(what: &str, got: &T, expected: &T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what} is {got}, expected {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_sizes_in_turn() {
        let picked: Vec<u64> = (3..7).map(|number| pick(&SIZES, number)).collect();
        assert_eq!(picked, [SIZES[3], SIZES[4], SIZES[0], SIZES[1]]);
    }

    #[test]
    fn describes_a_difference() {
        assert_eq!(same("length", &1, &1), Ok(()));
        assert_eq!(same("length", &1, &2), Err("length is 1, expected 2".to_owned()));
    }
}
