//! The body of a response, which is continued by another request if it breaks off.

use super::Lease;
use crate::store::balance::Choice;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http1::body::BoxError;
use http1::splice::{Pipe, SpliceBody};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A way to request the rest of a response that breaks off.
pub(crate) trait Continue: fmt::Debug {
    /// Counts bytes of the response that were passed on.
    fn advance(&mut self, bytes: usize);

    /// Requests the rest, which may break off as well.
    fn ask(self: Box<Self>, broken: BrokenOff) -> Asking;
}

/// A response that broke off.
#[derive(Debug)]
pub(crate) struct BrokenOff {
    /// The cause.
    pub error: BoxError,
    /// The node that sent it.
    pub choice: Choice,
}

/// The rest of a response, and the way to continue it.
pub(crate) type Continued = (Box<dyn Continue>, Download);

/// A pending request for the rest of a response.
pub(crate) type Asking = Pin<Box<dyn Future<Output = Result<Continued, BoxError>>>>;

/// The state of a continuation.
enum Rest {
    Known(Box<dyn Continue>),
    Asked(Asking),
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(rest) => rest.fmt(f),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}

/// The body of a response. Reading it to its end returns the connection to the pool. Dropping it earlier closes the
/// connection.
#[derive(Debug)]
pub(crate) struct Download {
    lease: Option<Lease>,
    /// Boxed because only long responses have one.
    rest: Option<Box<Rest>>,
}

impl Download {
    /// Makes the body of the response whose head `lease` has received.
    pub(super) fn new(lease: Lease) -> Self {
        Self { lease: Some(lease), rest: None }
    }

    /// Continues the response with `rest` if it breaks off.
    pub(crate) fn continue_with(&mut self, rest: Box<dyn Continue>) {
        self.rest = Some(Box::new(Rest::Known(rest)));
    }

    fn is_over(&self) -> bool {
        match (&self.lease, self.rest.as_deref()) {
            (Some(lease), _) => lease.0.connection.is_body_done(),
            (None, rest) => !matches!(rest, Some(Rest::Asked(_))),
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// Requests the rest, or returns the error if the response cannot be continued.
    fn break_off(&mut self, error: BoxError) -> Result<(), BoxError> {
        let choice = self.lease.as_ref().map(Lease::choice);
        match (self.rest.take().map(|rest| *rest), choice) {
            (Some(Rest::Known(rest)), Some(choice)) => {
                // The broken connection is closed and not returned to the pool.
                self.give_back();
                self.rest = Some(Box::new(Rest::Asked(rest.ask(BrokenOff { error, choice }))));
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Waits for the requested rest and continues with it.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Some(Rest::Asked(asking)) = self.rest.as_deref_mut() else { return Poll::Ready(Ok(())) };
        let continued = ready!(asking.as_mut().poll(cx));
        self.rest = None;
        let (rest, mut download) = continued?;
        self.lease = download.lease.take();
        self.continue_with(rest);
        Poll::Ready(Ok(()))
    }

    /// Returns the connection to the pool at the end, so that another request can use it while the end of this response
    /// is written.
    fn finish_if_over(&mut self) {
        if self.is_over() {
            self.give_back();
            self.rest = None;
        }
    }

    fn advance(&mut self, bytes: usize) {
        if let Some(Rest::Known(rest)) = self.rest.as_deref_mut() {
            rest.advance(bytes);
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_rest(cx))?;
            let Some(lease) = &mut this.lease else { return Poll::Ready(None) };
            let next = match ready!(lease.0.connection.poll_body(cx)) {
                Some(Err(error)) => match this.break_off(error) {
                    Ok(()) => continue,
                    Err(error) => Some(Err(error)),
                },
                Some(Ok(data)) => {
                    this.advance(data.len());
                    Some(Ok(Frame::data(data)))
                }
                None => None,
            };
            this.finish_if_over();
            return Poll::Ready(next);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.lease {
            Some(lease) => {
                lease.0.connection.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            None if self.is_over() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}

impl SpliceBody for Download {
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, BoxError>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(Ok(None)) };
        match ready!(lease.0.connection.poll_splice(cx)) {
            Ok(Some(pipe)) => {
                self.advance(pipe.held());
                self.finish_if_over();
                Poll::Ready(Ok(Some(pipe)))
            }
            Ok(None) => Poll::Ready(Ok(None)),
            // The rest is awaited by `poll_frame`.
            Err(error) => Poll::Ready(self.break_off(error).map(|()| None)),
        }
    }
}
