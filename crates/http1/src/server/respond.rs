//! How an answer goes to its client, piece by piece.

use super::encode::{Coding, write_head};
use super::{Connection, Exchange};
use crate::Answer;
use crate::Transport;
use crate::body::BoxError;
use crate::buffered::MAX_JOINED;
use crate::memory::MemoryShare;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

/// The next frame of a body, as far as it is there.
async fn next_frame<B: Body + Unpin>(body: &mut B) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await
}

/// Room for a head, and for a body that is copied behind it, if the answer `may_wait`.
fn room(coding: &Coding, may_wait: bool) -> usize {
    const HEAD: usize = 640;
    match coding {
        Coding::Length(length) if may_wait => match usize::try_from(*length) {
            Ok(length) if length <= MAX_JOINED - HEAD => HEAD + length,
            _ => HEAD,
        },
        _ => HEAD,
    }
}

impl<S: Transport, M: MemoryShare> Connection<'_, S, M> {
    /// Writes an answer, and says whether the connection persists.
    pub(super) async fn respond<B>(&self, exchange: &Exchange, answer: &mut Answer<B>) -> io::Result<bool>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        let coding = Coding::of(exchange, answer);
        let persists = exchange.keep_alive && coding != Coding::UntilClose;
        let mut out = BytesMut::with_capacity(room(&coding, persists));
        write_head(&mut out, answer.status, &mut answer.fields, exchange, &coding, persists);
        if coding == Coding::Nothing {
            self.send_last(&mut out, Bytes::new(), persists).await?;
            return Ok(persists);
        }
        let sent = self.send_body(out, &mut answer.body, coding, persists).await;
        if sent.is_err() && coding == Coding::UntilClose {
            self.io.borrow().bytes.with_stream(S::reset_when_dropped);
        }
        sent.map(|()| persists)
    }

    async fn send_body<B>(
        &self,
        mut out: BytesMut,
        body: &mut B,
        mut coding: Coding,
        persists: bool,
    ) -> io::Result<()>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        // What is there already goes out together with the head; else the head goes first.
        let mut next = next_frame(body).await;
        // What comes last of a long answer may be a small part of a large buffer, and is not left lying.
        let mut is_whole = true;
        loop {
            let frame = match next {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    self.send(&mut out, Bytes::new()).await?;
                    is_whole = false;
                    poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
                        Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                        Poll::Pending => self.io.borrow_mut().poll_gone(cx).map(Err),
                    })
                    .await?
                }
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| io::Error::other(format!("the answer broke off: {error}")))?;
            let data = frame.into_data().unwrap_or_default();
            if !data.is_empty() {
                coding.begin(&mut out, data.len())?;
                if coding == Coding::Length(0) && body.is_end_stream() {
                    return self.send_last(&mut out, data, persists && is_whole).await;
                }
                self.send(&mut out, data).await?;
                is_whole = false;
                coding.end_chunk(&mut out);
            }
            next = next_frame(body).await;
        }
        coding.end(&mut out)?;
        self.send_last(&mut out, Bytes::new(), persists && is_whole).await
    }

    /// Writes all of `out` and `data`.
    pub(super) async fn send(&self, out: &mut BytesMut, mut data: Bytes) -> io::Result<()> {
        poll_fn(|cx| self.io.borrow_mut().poll_send(cx, out, &mut data)).await
    }

    /// Writes the end of an answer; or, if it `may_wait`, leaves it to be written while the connection goes on.
    async fn send_last(&self, out: &mut BytesMut, mut data: Bytes, may_wait: bool) -> io::Result<()> {
        poll_fn(|cx| {
            let io = &mut *self.io.borrow_mut();
            if may_wait && io.leave(cx, out, &mut data) {
                return Poll::Ready(Ok(()));
            }
            io.poll_send(cx, out, &mut data)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length is what a store says.
    #[test]
    fn room_is_bounded() {
        assert_eq!(room(&Coding::Length(1024), true), 1664);
        for coding in [Coding::Length(u64::MAX), Coding::Length(MAX_JOINED as u64), Coding::Chunked] {
            assert_eq!(room(&coding, true), 640, "{coding:?}");
        }
        assert_eq!(room(&Coding::Length(1024), false), 640);
    }
}
