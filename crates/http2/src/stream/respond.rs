//! Sends a response, piece by piece, as its client makes room.

use super::cut::Cut;
use super::exchange::Exchange;
use crate::StreamService;
use crate::bounds::PIECE;
use bytes::Bytes;
use h2::SendStream;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode};
use http_body::Body;
use http1::{PeerState, Response};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::SystemTime;

/// Sends a response.
///
/// # Errors
/// When the stream ended before the response did.
pub(super) async fn respond<H: StreamService>(
    exchange: &RefCell<Exchange>,
    method: &Method,
    response: &mut Response<H::Body>,
    service: &H,
) -> Result<(), Cut> {
    let sent = send(exchange, method, response).await;
    if sent.is_err() {
        service.note_peer(response, PeerState::Gone);
    }
    sent
}

async fn send<B>(exchange: &RefCell<Exchange>, method: &Method, response: &mut Response<B>) -> Result<(), Cut>
where
    B: Body<Data = Bytes, Error = http1::body::BoxError> + Unpin,
{
    let has_body = *method != Method::HEAD
        && !matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let fields = std::mem::take(&mut response.fields);
    let (mut parts, ()) = Response { status: response.status, fields, body: () }.into_parts();
    complete(&mut parts.headers, response.status);
    let mut left = None;
    if has_body {
        left = response.body.size_hint().exact().or_else(|| announced(&parts.headers));
        if let Some(length) = left {
            parts.headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
        }
    }
    let is_whole = !has_body || (left == Some(0) && response.body.is_end_stream());
    let head = http::Response::from_parts(parts, ());
    let stream = exchange.borrow_mut().send_head(head, is_whole)?;
    if is_whole {
        return Ok(());
    }
    Sending { exchange, stream, left }.send_body(&mut response.body).await
}

/// Removes the fields that HTTP/2 does not have, and adds the date.
fn complete(map: &mut HeaderMap, status: StatusCode) {
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        map.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        map.remove(name);
    }
    if status == StatusCode::NO_CONTENT {
        // A 204 must not have a length (RFC 9110, section 8.6).
        map.remove(CONTENT_LENGTH);
    }
    if !map.contains_key(DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
    {
        map.insert(HeaderName::from_static("date"), date);
    }
}

fn announced(map: &HeaderMap) -> Option<u64> {
    map.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A response whose body is being sent.
struct Sending<'e> {
    exchange: &'e RefCell<Exchange>,
    stream: SendStream<Bytes>,
    /// The bytes to come, if that is known.
    left: Option<u64>,
}

impl Sending<'_> {
    async fn send_body<B>(&mut self, body: &mut B) -> Result<(), Cut>
    where
        B: Body<Data = Bytes, Error = http1::body::BoxError> + Unpin,
    {
        loop {
            let frame = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending if self.exchange.borrow_mut().poll_deadline(cx) => {
                    Poll::Ready(Err(Cut::TimedOut))
                }
                Poll::Pending => self.stream.poll_reset(cx).map(|_| Err(Cut::Gone)),
            })
            .await?;
            let Some(frame) = frame else { break };
            let data = frame.map_err(|_| Cut::Broken)?.into_data().unwrap_or_default();
            if data.is_empty() {
                continue;
            }
            if let Some(left) = &mut self.left {
                *left = left.checked_sub(data.len() as u64).ok_or(Cut::Broken)?;
            }
            let is_last = self.left == Some(0) && body.is_end_stream();
            self.send(data, is_last).await?;
            if is_last {
                return Ok(());
            }
        }
        if self.left.is_some_and(|left| left > 0) {
            return Err(Cut::Broken);
        }
        self.stream.send_data(Bytes::new(), true).map_err(|_| Cut::Gone)
    }

    /// Sends all of `data`, as the client and the connection make room.
    async fn send(&mut self, mut data: Bytes, is_last: bool) -> Result<(), Cut> {
        self.stream.reserve_capacity(data.len());
        while !data.is_empty() {
            let room = self.room().await?;
            let piece = data.split_to(room.min(data.len()).min(PIECE));
            let exchange = self.exchange.borrow();
            exchange.turn.hand(&piece);
            drop(exchange);
            self.stream.send_data(piece, is_last && data.is_empty()).map_err(|_| Cut::Gone)?;
        }
        Ok(())
    }

    /// Waits until some bytes may be sent, and returns how many.
    async fn room(&mut self) -> Result<usize, Cut> {
        poll_fn(|cx| {
            let mut exchange = self.exchange.borrow_mut();
            let room = match self.stream.capacity() {
                0 => self.stream.poll_capacity(cx),
                room => Poll::Ready(Some(Ok(room))),
            };
            match room {
                Poll::Ready(Some(Ok(room))) => {
                    exchange.write_stall.progress(room);
                    Poll::Ready(Ok(room))
                }
                Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Err(Cut::Gone)),
                Poll::Pending if exchange.poll_deadline(cx) => Poll::Ready(Err(Cut::TimedOut)),
                Poll::Pending if exchange.write_stall.poll_stalled(cx) => Poll::Ready(Err(Cut::Stalled)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
