//! Bodies on their way: streamed, counted, never collected, and given up when they stand still.

use crate::aws_chunked::Envelope;
use crate::checksum::Checksum;
use crate::content::{Content, UploadError};
use crate::http1::Malformed;
use crate::payload::check_unused;
use crate::refusal::{Refusal, Rule};
use crate::s3_error::MAX_ERROR_BODY;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Whatever went wrong while a body was read.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nothing came for too long.
    Stalled,
    /// The connection ended first.
    Short,
    /// It is not framed as HTTP has it.
    Malformed(Malformed),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled => f.write_str("the body stood still for too long"),
            Self::Short => f.write_str("the connection ended before the body did"),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl Error for Broken {}

/// A client's body, which more than one attempt may want to send as long as none has begun.
#[derive(Debug)]
pub struct Upload<B> {
    body: RefCell<Content<B>>,
    length: Cell<u64>,
    begun: Cell<bool>,
    sent: Cell<u64>,
    /// Why it could not be read: an attempt's body has no typed error.
    failure: RefCell<Option<UploadError>>,
}

impl Upload<Empty<Bytes>> {
    /// Makes the body of a request that has none.
    pub fn nothing() -> Rc<Self> {
        Self::of(Content::Held(Bytes::new()), 0)
    }
}

impl<B> Upload<B> {
    /// A request's body.
    pub fn new(body: B) -> Rc<Self> {
        Self::of(Content::Plain(body), 0)
    }

    /// A part of `length` bytes that is held here.
    pub fn of(content: Content<B>, length: u64) -> Rc<Self> {
        Rc::new(Self {
            body: RefCell::new(content),
            length: Cell::new(length),
            begun: Cell::new(false),
            sent: Cell::new(0),
            failure: RefCell::new(None),
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

    /// Whether any of it was asked of the client, so that it cannot be sent again.
    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// The bytes passed on so far.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Takes the content out of the envelope that the client has put around it. To be said before anything is read.
    pub fn unwrap_envelope(&self, envelope: Option<Envelope>) {
        if let Some(envelope) = envelope {
            self.body.replace_with(|body| {
                let body = std::mem::replace(body, Content::Held(Bytes::new()));
                body.unwrap_envelope(envelope)
            });
        }
    }

    /// The checksum that followed the content, once it has ended.
    pub fn trailing_checksum(&self) -> Option<Checksum> {
        self.body.borrow().trailing_checksum().cloned()
    }

    /// Whether nothing of it is to come.
    pub fn is_over(&self) -> bool
    where
        B: Body,
    {
        match &*self.body.borrow() {
            Content::Plain(body) => body.is_end_stream(),
            _ => false,
        }
    }

    /// Reads a body that means nothing, so that what breaks off or is malformed is refused before anything is done.
    ///
    /// # Errors
    /// When it breaks off, or has more than `most` bytes.
    pub async fn pass_over(&self, most: u64) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let mut length = 0;
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut *self.body.borrow_mut()).poll_frame(cx)).await;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(Refusal::from)?;
            length += frame.data_ref().map_or(0, |data| data.len() as u64);
            check_unused(length, most)?;
        }
    }

    /// Returns the refusal of an upload whose attempt failed with `error`.
    pub fn refuse(&self, error: &BoxError) -> Refusal {
        self.failure.take().map_or_else(|| Refusal::new(Rule::BadBody, error.to_string()), Refusal::from)
    }

    /// Returns the body for one attempt.
    pub fn attempt(self: &Rc<Self>) -> UploadBody<B> {
        UploadBody(Rc::clone(self))
    }
}

/// An [`Upload`] as the body of a request to the store.
#[derive(Debug)]
pub struct UploadBody<B>(Rc<Upload<B>>);

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
        let upload = &*self.0;
        if upload.sent() >= upload.length() {
            return Poll::Ready(None);
        }
        upload.begun.set(true);
        Poll::Ready(match ready!(Pin::new(&mut *upload.body.borrow_mut()).poll_frame(cx)) {
            // A client's trailers are no part of the object and are not passed on.
            Some(Ok(frame)) => frame.into_data().ok().map(|data| {
                upload.sent.set(upload.sent.get() + data.len() as u64);
                Ok(Frame::data(data))
            }),
            Some(Err(error)) => {
                let told = error.to_string().into();
                upload.failure.replace(Some(error));
                Some(Err(told))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.length().saturating_sub(self.0.sent()))
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
    read_within(body, limit, patience, |_| Ok(())).await.map_err(|unread| match unread {
        Unread::Broken(error) => error,
        Unread::Refused(refusal) => refusal.to_string().into(),
    })
}

/// Why a body was not read whole.
#[derive(Debug)]
pub enum Unread {
    /// It broke off, took too long or was too large.
    Broken(BoxError),
    /// There is no memory for it.
    Refused(Refusal),
}

/// Reads a body as [`read_whole`] does. Before it holds more memory it asks `hold` for the bytes that it then holds in all.
///
/// # Errors
/// When it breaks off, takes too long or is larger, or when there is no memory for it.
pub async fn read_within<B>(
    body: B,
    limit: usize,
    patience: Duration,
    mut hold: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let mut body = body;
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unread::Broken(error.into()))?;
            let data = frame.into_data().unwrap_or_default();
            let length = read.len() + data.len();
            if length > limit {
                return Err(Unread::Broken(format!("the body is larger than {limit} bytes").into()));
            }
            if length > read.capacity() {
                let capacity = length.next_power_of_two().min(limit);
                hold(capacity).map_err(Unread::Refused)?;
                read.reserve(capacity - read.len());
            }
            read.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(patience, reading).await.map_err(|_| Unread::Broken(Broken::Stalled.into()))??;
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn an_upload_knows_whether_it_has_begun_and_what_was_sent() {
        let upload = Upload::new(Full::new(Bytes::from_static(b"abc")));
        upload.set_length(3);
        let mut body = upload.attempt();
        assert!(!upload.has_begun() && !body.is_end_stream());
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&*data, upload.has_begun(), upload.sent()), (&b"abc"[..], true, 3));
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_empty_upload_is_never_begun() {
        let upload = Upload::new(Full::new(Bytes::new()));
        assert!(upload.attempt().frame().await.is_none() && !upload.has_begun());
    }

    #[tokio::test]
    async fn error_bodies_are_bounded() {
        let small = read_error_body(Full::new(Bytes::from_static(b"x")), Duration::from_secs(1)).await;
        assert_eq!(small.unwrap(), "x");
        let large = Full::new(Bytes::from(vec![0; MAX_ERROR_BODY + 1]));
        assert!(read_error_body(large, Duration::from_secs(1)).await.is_err());
    }
}
