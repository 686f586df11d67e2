//! Upstreams that fail: one plays a script of bytes, one relays to a real server and breaks connections.
//!
//! Neither imitates MinIO. Their responses prove nothing about S3.

use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A step of a scripted upstream. After the last step it closes the connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads a head.
    Head,
    /// Reads a head, including that of a health check.
    Any,
    /// If the head contains this, plays these steps instead of the rest.
    When(&'static str, Vec<Step>),
    /// Sends 100 if the peer expects it, and reads the body.
    Body,
    /// Sends 100 if the peer expects it, and reads this much of the body.
    Begin(usize),
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes repeatedly until the peer stops accepting them.
    Flood(Vec<u8>),
    /// Sends these bytes one at a time.
    Trickle(Vec<u8>),
    /// Closes the sending side, and reads to the end.
    HalfClose,
    /// Does nothing until the peer closes.
    Stall,
    /// Resets the connection.
    Reset,
}

/// An upstream that plays the current script on each connection.
pub(crate) struct Scripted {
    listener: Acceptor,
    script: Arc<Mutex<Vec<Step>>>,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    /// Starts listening on a free loopback port.
    pub(crate) fn start(script: Vec<Step>) -> Self {
        let script = Arc::new(Mutex::new(script));
        let requests = Arc::new(AtomicUsize::new(0));
        let listener = Acceptor::start({
            let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
            move |stream| {
                let steps = script.lock().unwrap_or_else(PoisonError::into_inner).clone();
                play(stream, &steps, &requests);
            }
        });
        Self { listener, script, requests }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Returns the number of heads read, without health checks.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Plays another script from the next connection on.
    pub(crate) fn play(&self, script: Vec<Step>) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }
}

/// Plays a script. An error on the connection ends it, as the peer intended.
fn play(mut stream: TcpStream, steps: &[Step], requests: &AtomicUsize) {
    let mut length = 0;
    let mut waits = false;
    let mut read = String::new();
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        let done = match step {
            Step::Head => match read_head(&mut stream) {
                Some(head) => {
                    // Health checks always succeed. Only requests fail.
                    if head.starts_with("get /minio/health/") {
                        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                        return;
                    }
                    requests.fetch_add(1, Ordering::SeqCst);
                    waits = head.contains("\r\nexpect: 100-continue\r\n");
                    length = content_length(&head);
                    read = head;
                    true
                }
                None => false,
            },
            Step::Any => read_head(&mut stream).is_some(),
            Step::When(text, others) => {
                if read.contains(text) {
                    steps = others.iter();
                }
                true
            }
            Step::Body => proceed(&mut stream, waits) && skip(&mut stream, length),
            Step::Begin(bytes) => proceed(&mut stream, waits) && skip(&mut stream, *bytes),
            Step::Send(bytes) => stream.write_all(bytes).is_ok(),
            Step::Flood(bytes) => {
                while stream.write_all(bytes).is_ok() {}
                false
            }
            Step::Trickle(bytes) => bytes.chunks(8).all(|few| {
                thread::sleep(Duration::from_millis(1));
                stream.write_all(few).is_ok()
            }),
            Step::HalfClose => {
                let _gone = stream.shutdown(Shutdown::Write);
                read_to_end(&mut stream)
            }
            Step::Stall => read_to_end(&mut stream),
            Step::Reset => {
                reset(&stream);
                false
            }
        };
        if !done {
            return;
        }
    }
}

fn reset(stream: &TcpStream) {
    let _gone_already = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

fn proceed(stream: &mut TcpStream, waits: bool) -> bool {
    !waits || stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok()
}

fn skip(stream: &mut TcpStream, bytes: usize) -> bool {
    stream.read_exact(&mut vec![0; bytes]).is_ok()
}

fn read_to_end(stream: &mut TcpStream) -> bool {
    std::io::copy(stream, &mut std::io::sink()).is_ok()
}

/// Reads a head and returns it in lower case. Reads byte by byte, so that nothing of the body is consumed.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).to_lowercase())
}

fn content_length(head: &str) -> usize {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.trim().parse().unwrap())
}

/// How a relay breaks a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Resets both connections.
    Reset,
    /// Forwards nothing more and closes nothing.
    Stall,
    /// Closes the sending side towards the receiver.
    HalfClose,
}

/// The direction that a relay breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Towards the server.
    Up,
    /// Towards the proxy.
    Down,
}

/// A break, or none, and the number of the order to break. Bytes count from the order on, also from one that repeats
/// the one before.
type Plan = (usize, Option<(Way, u64, Cut)>);

/// A relay between a proxy and a real server, which breaks each connection after a number of bytes in one direction.
pub(crate) struct Relay {
    listener: Acceptor,
    plan: Arc<Mutex<Plan>>,
    connections: Arc<AtomicUsize>,
    up: Arc<AtomicU64>,
}

impl Relay {
    /// Starts a relay to `server` that breaks nothing yet.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let plan: Arc<Mutex<Plan>> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let up: Arc<AtomicU64> = Arc::default();
        let listener = Acceptor::start({
            let (plan, connections, up) = (Arc::clone(&plan), Arc::clone(&connections), Arc::clone(&up));
            move |near| {
                connections.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(server) else { return };
                let _gone = far.set_nodelay(true);
                relay(&near, &far, &plan, &up);
            }
        });
        Self { listener, plan, connections, up }
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes forwarded to the server.
    pub(crate) fn up(&self) -> u64 {
        self.up.load(Ordering::SeqCst)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Breaks connections like this from now on, including open ones. Their bytes count from now on.
    pub(crate) fn cut(&self, cut: Option<(Way, u64, Cut)>) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan = (plan.0 + 1, cut);
    }
}

fn relay(near: &TcpStream, far: &TcpStream, plan: &Arc<Mutex<Plan>>, up: &AtomicU64) {
    thread::scope(|scope| {
        scope.spawn(|| pump(near, far, Way::Up, plan, up));
        pump(far, near, Way::Down, plan, &AtomicU64::default());
    });
}

/// Forwards bytes until the end or a break.
fn pump(mut from: &TcpStream, mut to: &TcpStream, way: Way, plan: &Mutex<Plan>, count: &AtomicU64) {
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    let mut known = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let (number, plan) = *plan.lock().unwrap_or_else(PoisonError::into_inner);
        if known != number {
            (known, passed) = (number, 0);
        }
        let cut = plan.filter(|(of, at, _)| *of == way && passed + length as u64 > *at);
        let Some((_, at, how)) = cut else {
            passed += length as u64;
            count.fetch_add(length as u64, Ordering::SeqCst);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
            continue;
        };
        let _gone = to.write_all(&buffer[..usize::try_from(at - passed).unwrap()]);
        match how {
            Cut::Reset => {
                for stream in [from, to] {
                    reset(stream);
                    // Wakes the pump of the other direction, which then drops the connection.
                    let _gone = stream.shutdown(Shutdown::Both);
                }
                return;
            }
            Cut::HalfClose => break,
            Cut::Stall => {
                let _swallowed = std::io::copy(&mut from, &mut std::io::sink());
                break;
            }
        }
    }
    let _gone = to.shutdown(Shutdown::Write);
    let _rest = std::io::copy(&mut from, &mut std::io::sink());
}

/// Accepts connections, each on its own thread.
struct Acceptor {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Acceptor {
    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let serve = Arc::new(serve);
        let thread = thread::spawn({
            let stopped = Arc::clone(&stopped);
            move || {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
                    let _gone = stream.set_nodelay(true);
                    thread::spawn(move || serve(stream));
                }
            }
        });
        Self { address, stopped, thread: Some(thread) }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _wakes_it = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
