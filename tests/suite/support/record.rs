//! An upstream that records everything it receives, to show that nothing reaches it.
//!
//! It does not imitate MinIO. Its responses prove nothing about S3.

use socket2::SockRef;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// The beginning of a request by which the proxy checks a node, as it does from time to time.
const HEALTH_CHECK: &[u8] = b"GET /minio/health/";

/// The length of a long response, and of the send buffer for it.
const LARGE: usize = 64 * 1024;

/// A listener that records each connection and gives every request the same response. Health checks succeed and are not
/// recorded.
pub(crate) struct Recorder {
    address: SocketAddr,
    /// The received bytes of each connection.
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Listens on a free loopback port and responds with these bytes.
    pub(crate) fn start(answer: &[u8]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::default();
        let stopped = Arc::new(AtomicBool::new(false));
        let acceptor = thread::spawn({
            let (received, stopped, answer) =
                (Arc::clone(&received), Arc::clone(&stopped), Arc::from(answer));
            move || accept(&listener, &received, &stopped, &answer)
        });
        Self { address, received, stopped, acceptor: Some(acceptor) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.received().len()
    }

    /// Returns the number of sessions of 15 minutes requested from this STS. Checks of the issuer's key do not count.
    pub(crate) fn mints(&self) -> usize {
        let asked = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).matches("DurationSeconds=900").count();
        self.received().iter().map(asked).sum()
    }

    /// Returns the bytes received on each connection so far.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        let all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(|bytes| without_health_check(bytes)).map(<[u8]>::to_vec).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _wakes_the_acceptor = TcpStream::connect(self.address);
        if let Some(Err(panic)) = self.acceptor.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn accept(
    listener: &TcpListener,
    received: &Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: &AtomicBool,
    answer: &Arc<[u8]>,
) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let number = {
            let mut all = received.lock().unwrap();
            all.push(Vec::new());
            all.len() - 1
        };
        let (received, answer) = (Arc::clone(received), Arc::clone(answer));
        let stream = stream.unwrap();
        if answer.len() > LARGE {
            // A thousand unread responses would take all the memory that the kernel has for TCP.
            SockRef::from(&stream).set_send_buffer_size(LARGE).unwrap();
        }
        // Ends with the connection. The peer's side closes at the end of the test.
        thread::spawn(move || {
            converse(stream, &answer, |bytes| received.lock().unwrap()[number].extend(bytes));
        });
    }
}

/// Records bytes until the peer closes, and responds to each complete request.
fn converse(mut stream: TcpStream, answer: &[u8], mut record: impl FnMut(&[u8])) {
    let mut pending = Vec::new();
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        record(&buffer[..length]);
        pending.extend_from_slice(&buffer[..length]);
        while let Some(length) = whole_request(&pending) {
            let is_check = pending.starts_with(HEALTH_CHECK);
            pending.drain(..length);
            let answer = if is_check { b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" } else { answer };
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

/// Returns what follows a health check at the beginning of a connection, or `None` if nothing does.
fn without_health_check(bytes: &[u8]) -> Option<&[u8]> {
    if !bytes.starts_with(HEALTH_CHECK) {
        return Some(bytes);
    }
    let rest = bytes.get(whole_request(bytes)?..)?;
    (!rest.is_empty()).then_some(rest)
}

/// Returns the length of the first request in these bytes, if it is complete.
fn whole_request(bytes: &[u8]) -> Option<usize> {
    let end = |of: &[u8], mark: &[u8]| {
        of.windows(mark.len()).position(|window| window == mark).map(|at| at + mark.len())
    };
    let head = end(bytes, b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let body = match header("transfer-encoding") {
        Some(_) => end(&bytes[head..], b"0\r\n\r\n")?,
        None => header("content-length").map_or(0, |length| length.trim().parse().unwrap()),
    };
    (bytes.len() >= head + body).then_some(head + body)
}
