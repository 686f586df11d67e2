//! Upstreams that fail: one that plays a script of bytes, and one that stands before a real server and cuts.
//!
//! Neither stands in for MinIO; what they answer proves nothing about S3.

use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What a scripted upstream does next on a connection. After the last step it closes.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads a head.
    Head,
    /// Reads a head, also of one that asks for the store's health.
    Any,
    /// If this is in the head, does these and nothing after them.
    When(&'static str, Vec<Step>),
    /// Asks for the body if the client of the connection waits for that, and reads it.
    Body,
    /// Asks for the body and reads so much of it.
    Begin(usize),
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again, until nobody takes them.
    Flood(Vec<u8>),
    /// Sends these bytes one at a time.
    Trickle(Vec<u8>),
    /// Says that it will send no more, and reads to the end.
    HalfClose,
    /// Neither sends nor closes until the other side does.
    Stall,
    /// Ends the connection with a reset.
    Reset,
}

/// An upstream that plays the current script on each connection.
pub(crate) struct Scripted {
    listener: Acceptor,
    script: Arc<Mutex<Vec<Step>>>,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    /// Listens on a free port of the loopback.
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

    /// How many heads were read, those that ask for the store's health left out.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Plays another script from the next connection on.
    pub(crate) fn play(&self, script: Vec<Step>) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }
}

/// Plays a script; an error of the connection ends it as the peer wanted.
fn play(mut stream: TcpStream, steps: &[Step], requests: &AtomicUsize) {
    let mut length = 0;
    let mut waits = false;
    let mut read = String::new();
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        let done = match step {
            Step::Head => match read_head(&mut stream) {
                Some(head) => {
                    // Who asks for its health hears that it is well: it is requests that fail.
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

/// A head in lower case, byte by byte so that nothing of the body is taken.
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

/// How a relay ends what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both connections are reset.
    Reset,
    /// Nothing more is passed on, and nothing is closed.
    Stall,
    /// The side that was sent to is told that this was all.
    HalfClose,
}

/// Where a relay cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// On the way to the server.
    Up,
    /// On the way back.
    Down,
}

type Plan = Option<(Way, u64, Cut)>;

/// Stands between a proxy and a real server, and cuts each connection after so many bytes one way.
pub(crate) struct Relay {
    listener: Acceptor,
    plan: Arc<Mutex<Plan>>,
    connections: Arc<AtomicUsize>,
    up: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to `server` that cuts nothing yet.
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

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many bytes have been passed on to the server.
    pub(crate) fn up(&self) -> u64 {
        self.up.load(Ordering::SeqCst)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Cuts like this from now on, on connections that are open too; their bytes count from now on.
    pub(crate) fn cut(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

fn relay(near: &TcpStream, far: &TcpStream, plan: &Arc<Mutex<Plan>>, up: &AtomicU64) {
    thread::scope(|scope| {
        scope.spawn(|| pump(near, far, Way::Up, plan, up));
        pump(far, near, Way::Down, plan, &AtomicU64::default());
    });
}

/// Passes bytes on until an end or a cut.
fn pump(mut from: &TcpStream, mut to: &TcpStream, way: Way, plan: &Mutex<Plan>, count: &AtomicU64) {
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    let mut known = None;
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let plan = *plan.lock().unwrap_or_else(PoisonError::into_inner);
        if known != plan {
            (known, passed) = (plan, 0);
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
                    // Wakes the pump of the other way, which lets the connection go.
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

/// Accepts connections, each on a thread of its own.
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
