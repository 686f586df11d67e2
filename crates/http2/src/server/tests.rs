//! Tests of the server over an in-memory stream, with a client of the `h2` crate and with raw frames.

mod bodies;
mod floods;
mod heads;
mod raw;
mod times;

use super::*;
use crate::RequestBody;
use crate::ResetBy;
use http::{HeaderName, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use http1::body::BoxError;
use http1::{
    Fields, HeadLimits, Malformed, MemoryShare, MemoryUse, OutOfMemory, PeerState, Request, Response, Service,
};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::io::{DuplexStream, duplex};

pub(super) const LIMITS: ConnectionLimits = ConnectionLimits {
    head: HeadLimits { bytes: 4096, fields: 20 },
    header: Duration::from_secs(5),
    idle: Duration::from_secs(20),
    stall: Duration::from_secs(10),
    rate: 1024,
    request: Duration::from_secs(100),
};

type TestBody = Pin<Box<dyn Body<Data = Bytes, Error = BoxError>>>;

/// A service that responds by the path of a request.
#[derive(Default)]
struct Paths {
    seen: RefCell<Vec<String>>,
    events: RefCell<Vec<Event>>,
    /// The number of requests that are being served.
    running: Rc<Cell<usize>>,
    /// The most requests that were served at once.
    peak: Cell<usize>,
    /// The streams that a client may have.
    places: Option<usize>,
    held: Rc<Cell<usize>>,
    /// The bytes of memory, of all kinds, that there are.
    memory: Option<usize>,
    taken: Rc<Cell<usize>>,
    is_secure: bool,
    gone: Cell<usize>,
}

/// Counts something until it is dropped.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

struct TestShare {
    limit: usize,
    taken: Rc<Cell<usize>>,
    bytes: usize,
}

impl MemoryShare for TestShare {
    fn grow_to(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let all = self.taken.get() - self.bytes + bytes;
        if all > self.limit {
            return Err(OutOfMemory);
        }
        self.taken.set(all);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for TestShare {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - self.bytes);
    }
}

fn whole(bytes: impl Into<Bytes>) -> TestBody {
    Box::pin(Full::new(bytes.into()).map_err(|never| match never {}))
}

/// A body of zeros without a length that ends, or breaks off.
struct Zeros {
    left: usize,
    breaks: bool,
    _counted: Counted,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let length = this.left.min(100_000);
        this.left -= length;
        match length {
            0 if this.breaks => Poll::Ready(Some(Err("broke".into()))),
            0 => Poll::Ready(None),
            _ => Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; length]))))),
        }
    }
}

/// A body whose first byte never comes.
struct Stuck;

impl Body for Stuck {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Pending
    }
}

/// Fields by which HTTP/1.1 manages a connection, which HTTP/2 forbids (RFC 9113, section 8.2.2).
const MANAGING: &[(&str, &str)] = &[
    ("connection", "keep-alive"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
];

fn with_fields(status: StatusCode, fields: &[(&'static str, &str)], body: TestBody) -> Response<TestBody> {
    let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    Response { status, fields: fields.collect(), body }
}

impl Paths {
    fn events_of(&self, event: Event) -> usize {
        self.events.borrow().iter().filter(|it| **it == event).count()
    }
}

impl Service<RequestBody> for Paths {
    type Body = TestBody;
    type Share = TestShare;

    async fn call(&self, request: &Request, body: RequestBody) -> Response<TestBody> {
        let counted = Counted::new(&self.running);
        self.peak.set(self.peak.get().max(self.running.get()));
        let path = request.target.path().to_owned();
        if path == "/never" {
            std::future::pending::<()>().await;
        }
        if path == "/held" {
            drop(body);
            tokio::time::sleep(Duration::from_secs(3)).await;
            self.seen.borrow_mut().push("held".to_owned());
            return Response { status: StatusCode::OK, fields: Fields::default(), body: whole("held") };
        }
        if let Some(length) = path.strip_prefix("/zeros/").or(path.strip_prefix("/breaks/")) {
            let zeros = Zeros {
                left: length.parse().unwrap(),
                breaks: path.starts_with("/breaks"),
                _counted: counted,
            };
            return Response { status: StatusCode::OK, fields: Fields::default(), body: Box::pin(zeros) };
        }
        if path == "/stuck" {
            return Response { status: StatusCode::OK, fields: Fields::default(), body: Box::pin(Stuck) };
        }
        if path == "/fields" {
            return with_fields(StatusCode::OK, MANAGING, whole("body"));
        }
        if path == "/empty" {
            return with_fields(StatusCode::NO_CONTENT, &[("content-length", "3")], whole(""));
        }
        if let Some(announced) = path.strip_prefix("/announces/") {
            let zeros = Zeros { left: 10, breaks: false, _counted: counted };
            return with_fields(StatusCode::OK, &[("content-length", announced)], Box::pin(zeros));
        }
        let read = match path.as_str() {
            "/unread" => String::new(),
            _ => match body.collect().await {
                Ok(body) => format!("{}", body.to_bytes().len()),
                Err(error) => error.to_string(),
            },
        };
        if path == "/then" {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let host = String::from_utf8_lossy(request.fields().get("host").unwrap_or_default()).into_owned();
        let seen = format!("{} {host} {} [{read}]", request.method, request.target);
        self.seen.borrow_mut().push(seen.clone());
        Response { status: StatusCode::OK, fields: Fields::default(), body: whole(seen) }
    }

    fn share(&self, _: MemoryUse) -> TestShare {
        TestShare { limit: self.memory.unwrap_or(usize::MAX / 2), taken: Rc::clone(&self.taken), bytes: 0 }
    }

    fn refuse(&self, malformed: &Malformed) -> Response<TestBody> {
        let status = match malformed.reason {
            http1::Reason::OutOfMemory => StatusCode::SERVICE_UNAVAILABLE,
            http1::Reason::UnsupportedMethod => StatusCode::NOT_IMPLEMENTED,
            http1::Reason::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            http1::Reason::UnsupportedExpectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        };
        Response { status, fields: Fields::default(), body: whole(malformed.why) }
    }

    fn note_peer(&self, _: &mut Response<TestBody>, peer: PeerState) {
        assert_eq!(peer, PeerState::Gone);
        self.gone.set(self.gone.get() + 1);
    }
}

impl StreamService for Paths {
    type Place = Counted;

    fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    fn place(&self) -> Option<Counted> {
        (self.places.is_none_or(|places| self.held.get() < places)).then(|| Counted::new(&self.held))
    }

    fn record(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

/// Runs a client against a server of `paths`, and returns what both return.
async fn run<T, C: Future<Output = T>>(
    paths: &Paths,
    client: impl FnOnce(DuplexStream) -> C,
) -> (io::Result<()>, T) {
    let running = watch::Sender::new(false);
    run_until(paths, &running, client).await
}

async fn run_until<T, C: Future<Output = T>>(
    paths: &Paths,
    running: &watch::Sender<bool>,
    client: impl FnOnce(DuplexStream) -> C,
) -> (io::Result<()>, T) {
    let (near, far) = duplex(64 * 1024);
    let served = with_event_clock(serve(far, paths, &LIMITS, running.subscribe()));
    tokio::join!(served, client(near))
}
