//! Writes a response to its client, piece by piece.

use super::encode::{Coding, write_head};
use super::{Connection, ResponseContext};
use crate::body::BoxError;
use crate::buffered::MAX_JOINED;
use crate::splice::{MIN_SPLICED, Pipe, SpliceBody};
use crate::{MemoryShare, Response, Transport};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

/// Returns the next frame of a body if it is available at once.
async fn try_next_frame<B: Body + Unpin>(body: &mut B) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await
}

/// Returns the capacity for a head, with that for the body of a response that may be deferred and copied after it.
fn capacity(coding: &Coding, may_defer: bool) -> usize {
    const HEAD: usize = 640;
    match coding {
        Coding::Length(length) if may_defer => match usize::try_from(*length) {
            Ok(length) if length <= MAX_JOINED - HEAD => HEAD + length,
            _ => HEAD,
        },
        _ => HEAD,
    }
}

impl<S: Transport, M: MemoryShare> Connection<'_, S, M> {
    /// Writes a response, and returns whether the connection persists.
    pub(super) async fn respond<B>(
        &self,
        context: &ResponseContext,
        response: &mut Response<B>,
    ) -> io::Result<bool>
    where
        B: SpliceBody<Data = Bytes, Error = BoxError> + Unpin,
    {
        let coding = Coding::of(context, response);
        let persists = context.keep_alive && coding != Coding::UntilClose;
        let mut out = BytesMut::with_capacity(capacity(&coding, persists));
        write_head(&mut out, response.status, &mut response.fields, context, &coding, persists);
        if coding == Coding::Nothing {
            self.send_last(&mut out, Bytes::new(), persists).await?;
            return Ok(persists);
        }
        let sent = self.send_body(out, &mut response.body, coding, persists).await;
        if sent.is_err() && coding == Coding::UntilClose {
            self.state.borrow().bytes.with_stream(S::reset_when_dropped);
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
        B: SpliceBody<Data = Bytes, Error = BoxError> + Unpin,
    {
        // A first frame that is available is sent together with the head. Otherwise the head is sent first.
        let mut next = try_next_frame(body).await;
        // Only a response in one piece is deferred: the last frame of a long one may be a small slice of a large buffer,
        // which deferring it would keep.
        let mut is_one_piece = true;
        loop {
            let frame = match next {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    self.send(&mut out, Bytes::new()).await?;
                    is_one_piece = false;
                    poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
                        Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                        Poll::Pending => self.state.borrow_mut().poll_abandoned(cx).map(Err),
                    })
                    .await?
                }
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| broke_off(&error))?;
            let data = frame.into_data().unwrap_or_default();
            if !data.is_empty() {
                coding.begin_piece(&mut out, data.len())?;
                if coding == Coding::Length(0) && body.is_end_stream() {
                    return self.send_last(&mut out, data, persists && is_one_piece).await;
                }
                self.send(&mut out, data).await?;
                is_one_piece = false;
                coding.end_piece(&mut out);
            }
            if matches!(coding, Coding::Length(MIN_SPLICED..)) {
                self.splice_body(body, &mut coding).await?;
            }
            next = try_next_frame(body).await;
        }
        coding.end(&mut out)?;
        self.send_last(&mut out, Bytes::new(), persists && is_one_piece).await
    }

    /// Sends as much of a body as moves within the kernel.
    async fn splice_body<B>(&self, body: &mut B, coding: &mut Coding) -> io::Result<()>
    where
        B: SpliceBody<Data = Bytes, Error = BoxError> + Unpin,
    {
        if !self.state.borrow().bytes.takes_pipes() {
            return Ok(());
        }
        while let Some(pipe) = self.next_pipe(body).await? {
            coding.begin_piece(&mut BytesMut::new(), pipe.held())?;
            let (mut pipe, mut rest) = (Some(pipe), Bytes::new());
            poll_fn(|cx| self.state.borrow_mut().poll_send_pipe(cx, &mut pipe, &mut rest)).await?;
        }
        Ok(())
    }

    /// Waits for the next piece of a body in a pipe. Returns `None` if it must be read.
    async fn next_pipe<B>(&self, body: &mut B) -> io::Result<Option<Pipe>>
    where
        B: SpliceBody<Data = Bytes, Error = BoxError> + Unpin,
    {
        poll_fn(|cx| match body.poll_splice(cx) {
            Poll::Ready(piece) => Poll::Ready(piece.map_err(|error| broke_off(&error))),
            Poll::Pending => self.state.borrow_mut().poll_abandoned(cx).map(Err),
        })
        .await
    }

    /// Writes all of `out` and `data`.
    pub(super) async fn send(&self, out: &mut BytesMut, mut data: Bytes) -> io::Result<()> {
        poll_fn(|cx| self.state.borrow_mut().poll_send(cx, out, &mut data)).await
    }

    /// Writes the end of a response. If it `may_defer`, the outbox may write it while the connection goes on.
    async fn send_last(&self, out: &mut BytesMut, mut data: Bytes, may_defer: bool) -> io::Result<()> {
        poll_fn(|cx| {
            let state = &mut *self.state.borrow_mut();
            if may_defer && state.defer_write(cx, out, &mut data) {
                return Poll::Ready(Ok(()));
            }
            state.poll_send(cx, out, &mut data)
        })
        .await
    }
}

fn broke_off(error: &BoxError) -> io::Error {
    io::Error::other(format!("the response broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length comes from the other side of the proxy and may be anything.
    #[test]
    fn capacity_is_bounded() {
        assert_eq!(capacity(&Coding::Length(1024), true), 1664);
        for coding in [Coding::Length(u64::MAX), Coding::Length(MAX_JOINED as u64), Coding::Chunked] {
            assert_eq!(capacity(&coding, true), 640, "{coding:?}");
        }
        assert_eq!(capacity(&Coding::Length(1024), false), 640);
    }
}
