//! The state that a stream shares with the body of its request.

use super::cut::Cut;
use crate::bounds::{DRAIN, MAX_DRAINED};
use crate::turn::{OpenBody, Turn};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Response, StatusCode};
use http1::body::Broken;
use http1::server::ConnectionLimits;
use http1::{LazyTimer, StallTimer, clock};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The state of a stream.
#[derive(Debug)]
pub(crate) struct Exchange {
    stream: RecvStream,
    respond: SendResponse<Bytes>,
    /// The bytes of the body that are still to come, if that is known.
    remaining: Option<u64>,
    /// The body, until its end has been read.
    body: Option<OpenBody>,
    /// Whether the client waits for a `100 Continue` that has not been sent.
    awaits_continue: bool,
    /// Whether the request ends with its connection even if all of it has arrived.
    ends_with_client: bool,
    /// Whether the connection is gone.
    is_gone: bool,
    read_stall: StallTimer,
    pub(super) write_stall: StallTimer,
    /// The end of the time for the request.
    deadline: LazyTimer,
    pub(super) turn: Rc<Turn>,
}

impl Exchange {
    pub(super) fn new(
        stream: RecvStream,
        respond: SendResponse<Bytes>,
        body: Option<OpenBody>,
        limits: &ConnectionLimits,
        turn: Rc<Turn>,
    ) -> Self {
        let stall = || StallTimer::with_min_rate(limits.stall, limits.rate);
        Self {
            stream,
            respond,
            remaining: None,
            body,
            awaits_continue: false,
            ends_with_client: true,
            is_gone: false,
            read_stall: stall(),
            write_stall: stall(),
            deadline: LazyTimer::new(clock::now() + limits.request),
            turn,
        }
    }

    pub(super) fn begin(&mut self, method: &Method, length: Option<u64>, awaits_continue: bool) {
        self.remaining = length;
        self.awaits_continue = awaits_continue;
        // A change that was asked for in full is carried out, as in HTTP/1.1.
        self.ends_with_client = matches!(*method, Method::GET | Method::HEAD);
    }

    /// Returns whether the request has no body, or its end has been read.
    pub(super) fn is_read(&self) -> bool {
        self.body.is_none()
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        if self.is_read() { Some(0) } else { self.remaining }
    }

    /// Returns whether the connection ended while the request went on.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Returns whether the time for the request is up.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.poll(cx).is_ready()
    }

    /// Returns `Ready` when the request must be abandoned before its response: its time is up, its client reset the
    /// stream, or the connection ended and took a part of the request or the reader of the response with it.
    pub(super) fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        if self.poll_deadline(cx) {
            return Poll::Ready(Cut::TimedOut);
        }
        if self.is_gone {
            return Poll::Pending;
        }
        match ready!(self.respond.poll_reset(cx)) {
            Err(_) if self.is_read() && !self.ends_with_client => {
                self.is_gone = true;
                Poll::Pending
            }
            Ok(_) | Err(_) => Poll::Ready(Cut::Gone),
        }
    }

    /// Begins the response.
    pub(super) fn send_head(
        &mut self,
        head: Response<()>,
        is_whole: bool,
    ) -> Result<h2::SendStream<Bytes>, Cut> {
        self.awaits_continue = false;
        self.respond.send_response(head, is_whole).map_err(|_| Cut::Gone)
    }

    /// Resets the stream, unless its client did.
    pub(super) fn reset(&mut self, cut: Cut) {
        match cut {
            Cut::Gone => {}
            Cut::TimedOut | Cut::Stalled => self.respond.send_reset(Reason::CANCEL),
            Cut::Broken => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }

    /// Reads the next piece of the request's body. Returns `None` at its end.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        while !self.is_read() {
            match self.stream.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    self.awaits_continue = false;
                    self.read_stall.progress(data.len());
                    // The client may send as much again. This fails only for a stream that is over.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.remaining = self.remaining.map(|left| left.saturating_sub(data.len() as u64));
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(Broken::Short))),
                Poll::Ready(None) => {
                    // Trailers are read and dropped, as in HTTP/1.1.
                    if ready!(self.poll_trailers(cx)).is_err() {
                        return Poll::Ready(Some(Err(Broken::Short)));
                    }
                    self.body = None;
                }
                Poll::Pending => {
                    self.send_continue();
                    if self.read_stall.poll_stalled(cx) || self.poll_deadline(cx) {
                        return Poll::Ready(Some(Err(Broken::Stalled)));
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(None)
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<HeaderMap>, h2::Error>> {
        self.stream.poll_trailers(cx)
    }

    /// Sends `100 Continue` to a client that waits for it (RFC 9110, section 10.1.1).
    fn send_continue(&mut self) {
        if std::mem::take(&mut self.awaits_continue) {
            let mut interim = Response::new(());
            *interim.status_mut() = StatusCode::CONTINUE;
            // An error shows when the body is read.
            let _ = self.respond.send_informational(interim);
        }
    }
}

/// Reads the rest of a request's body after its response. A stream that ends before its request is reset (RFC 9113,
/// section 8.1), which some clients show as an error in place of the response.
pub(super) async fn drain(exchange: &RefCell<Exchange>) {
    exchange.borrow_mut().deadline.set(clock::now() + DRAIN);
    let mut drained = 0;
    while drained <= MAX_DRAINED
        && let Some(Ok(data)) = poll_fn(|cx| exchange.borrow_mut().poll_body(cx)).await
    {
        drained += data.len();
    }
}
