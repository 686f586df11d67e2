//! Bodies on their way: streamed, counted, never collected, and given up when they stand still.

use crate::s3_error::MAX_ERROR_BODY;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Whatever went wrong while a body was read.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A body that stood still for longer than it may, or was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nothing came for too long.
    Stalled,
    /// The exchange it belongs to is over.
    GivenUp,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stalled => "the body stood still for too long",
            Self::GivenUp => "the exchange is over",
        })
    }
}

impl Error for Broken {}

/// Finds out that a stream stands still. Costs nothing while it flows.
#[derive(Debug)]
pub struct StallTimer {
    limit: Duration,
    armed: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl StallTimer {
    /// A timer that allows `limit` without progress.
    pub fn new(limit: Duration) -> Self {
        Self { limit, armed: false, sleep: None }
    }

    /// Something moved.
    pub fn progress(&mut self) {
        self.armed = false;
    }

    /// Nothing moves; whether that has gone on for too long.
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = Instant::now() + self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.armed {
            sleep.as_mut().reset(deadline);
            self.armed = true;
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// Holds an upload back until the store has said that it wants it (`100 Continue`), and ends it when the exchange is
/// over. So a request that the store refuses early costs no transfer, and can be sent again.
#[derive(Debug)]
pub struct Gate {
    state: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const OVER: u8 = 2;

impl Gate {
    /// A closed gate.
    pub fn closed() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(CLOSED), waker: Mutex::new(None) })
    }

    /// Lets the body through.
    pub fn open(&self) {
        let _ = self.state.compare_exchange(CLOSED, OPEN, Ordering::AcqRel, Ordering::Acquire);
        self.wake();
    }

    /// Ends the body, however far it came.
    pub fn end(&self) {
        self.state.store(OVER, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> u8 {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.state.load(Ordering::Acquire)
    }
}

/// A client's body, which more than one attempt may want to send as long as none has begun.
#[derive(Debug)]
pub struct Upload<B> {
    body: RefCell<B>,
    length: Cell<u64>,
    over: Cell<bool>,
    stall: RefCell<StallTimer>,
    begun: Cell<bool>,
    broken: Cell<bool>,
    moved: Cell<Instant>,
    sent: Cell<u64>,
}

impl<B> Upload<B> {
    /// A request's body that may stand still for `stall`.
    pub fn new(body: B, stall: Duration) -> Rc<Self> {
        Rc::new(Self {
            body: RefCell::new(body),
            length: Cell::new(0),
            over: Cell::new(false),
            stall: RefCell::new(StallTimer::new(stall)),
            begun: Cell::new(false),
            broken: Cell::new(false),
            moved: Cell::new(Instant::now()),
            sent: Cell::new(0),
        })
    }

    /// Notes its length in bytes, once that is known.
    pub fn set_length(&self, length: u64) {
        self.length.set(length);
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length.get()
    }

    /// Whether any of it was read from the client, so that it cannot be sent again.
    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Whether the client broke off, stood still or was not heard.
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// When a part of it last moved.
    pub fn last_moved(&self) -> Instant {
        self.moved.get()
    }

    /// The bytes passed on so far.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// The body for one attempt. Without a gate it is not held back.
    pub fn attempt(self: &Rc<Self>, gate: Option<Arc<Gate>>) -> UploadBody<B> {
        UploadBody { upload: Rc::clone(self), gate }
    }
}

/// The most that is read of a body whose request has been answered already, in bytes.
const MAX_DRAINED: u64 = 64 * 1024 * 1024;
/// And the longest.
const DRAIN_TIME: Duration = Duration::from_secs(30);

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Whether the client has sent all of it.
    pub fn is_complete(&self) -> bool {
        self.body.borrow().is_end_stream()
    }

    /// Reads and forgets what is left of it. A client that sends on without looking would otherwise meet a closed
    /// connection before it reads why (RFC 9112, section 9.6).
    pub async fn drain(self: Rc<Self>) {
        self.over.set(true);
        let mut drained = 0;
        let reading = async {
            while drained < MAX_DRAINED {
                let frame = poll_fn(|cx| Pin::new(&mut *self.body.borrow_mut()).poll_frame(cx)).await;
                let Some(Ok(frame)) = frame else { return };
                drained += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
    }
}

/// An [`Upload`] as the body of a request to the store.
#[derive(Debug)]
pub struct UploadBody<B> {
    upload: Rc<Upload<B>>,
    gate: Option<Arc<Gate>>,
}

impl<B> UploadBody<B> {
    /// The upload it is an attempt at.
    pub fn upload(&self) -> Rc<Upload<B>> {
        Rc::clone(&self.upload)
    }

    /// What holds it back.
    pub fn gate(&self) -> Option<Arc<Gate>> {
        self.gate.clone()
    }
}

impl<B> Body for UploadBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(gate) = &this.gate {
            match gate.poll(cx) {
                CLOSED => return Poll::Pending,
                OVER => return Poll::Ready(Some(Err(Broken::GivenUp.into()))),
                _ => {}
            }
        }
        let upload = &*this.upload;
        if upload.over.get() {
            return Poll::Ready(Some(Err(Broken::GivenUp.into())));
        }
        upload.begun.set(true);
        let mut stall = upload.stall.borrow_mut();
        match Pin::new(&mut *upload.body.borrow_mut()).poll_frame(cx) {
            Poll::Pending if stall.poll_stalled(cx) => {
                upload.broken.set(true);
                Poll::Ready(Some(Err(Broken::Stalled.into())))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                stall.progress();
                upload.moved.set(Instant::now());
                // A client's trailers are no part of the object and are not passed on.
                let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
                upload.sent.set(upload.sent.get() + data.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(error))) => {
                upload.broken.set(true);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upload.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.upload.length().saturating_sub(self.upload.sent()))
    }
}

/// Reads the body of a store's error, which is small, within `patience`.
///
/// # Errors
/// When it breaks off, takes too long or is larger than 64 KiB.
pub async fn read_error_body<B>(body: B, patience: Duration) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    read_whole(body, MAX_ERROR_BODY, patience).await
}

/// Reads a body of at most `limit` bytes, within `patience`.
///
/// # Errors
/// When it breaks off, takes too long or is larger.
pub async fn read_whole<B>(body: B, limit: usize, patience: Duration) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let mut body = body;
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(Into::into)?.into_data() {
                read.extend_from_slice(&data);
            }
            if read.len() > limit {
                return Err(format!("the answer is larger than {limit} bytes").into());
            }
        }
        Ok::<(), BoxError>(())
    };
    tokio::time::timeout(patience, reading).await.map_err(|_| Broken::Stalled)??;
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const STALL: Duration = Duration::from_secs(5);

    fn upload_of_three<B>(body: B) -> Rc<Upload<B>> {
        let upload = Upload::new(body, STALL);
        upload.set_length(3);
        upload
    }

    #[tokio::test]
    async fn a_closed_gate_holds_an_upload_back() {
        let upload = upload_of_three(Full::new(Bytes::from_static(b"abc")));
        let gate = Gate::closed();
        let mut body = upload.attempt(Some(Arc::clone(&gate)));
        assert!(tokio::time::timeout(Duration::from_millis(1), body.frame()).await.is_err());
        assert!(!upload.has_begun());
        gate.open();
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&*data, upload.has_begun(), upload.sent()), (&b"abc"[..], true, 3));
    }

    #[tokio::test]
    async fn an_ended_gate_breaks_an_upload_and_stays_ended() {
        let upload = upload_of_three(Full::new(Bytes::from_static(b"abc")));
        let gate = Gate::closed();
        gate.end();
        gate.open();
        assert!(upload.attempt(Some(gate)).frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_is_given_up() {
        let upload = upload_of_three(Never);
        let before = Instant::now();
        assert!(upload.attempt(None).frame().await.unwrap().is_err());
        assert!(upload.is_broken() && before.elapsed() >= STALL);
    }

    #[tokio::test]
    async fn error_bodies_are_bounded() {
        let small = read_error_body(Full::new(Bytes::from_static(b"x")), Duration::from_secs(1)).await;
        assert_eq!(small.unwrap(), "x");
        let large = Full::new(Bytes::from(vec![0; MAX_ERROR_BODY + 1]));
        assert!(read_error_body(large, Duration::from_secs(1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_drained_is_not_sent_and_has_an_end() {
        let upload = upload_of_three(Full::new(Bytes::from_static(b"abc")));
        let mut attempt = upload.attempt(None);
        Rc::clone(&upload).drain().await;
        assert!(upload.is_complete() && attempt.frame().await.unwrap().is_err() && upload.sent() == 0);
        let before = Instant::now();
        upload_of_three(Never).drain().await;
        assert_eq!(before.elapsed().as_secs(), DRAIN_TIME.as_secs());
    }

    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Pending
        }
    }
}
