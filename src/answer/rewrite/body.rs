//! Rewrites the body of a store's response as it streams through.

use super::Rewriter;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http1::body::BoxError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body that is rewritten as it arrives. Its length is unknown until it ends.
#[derive(Debug)]
pub(crate) struct Rewritten<D> {
    body: D,
    rewriter: Box<Rewriter>,
    over: bool,
}

impl<D> Rewritten<D> {
    /// Returns `body`, rewritten.
    pub(crate) fn new(body: D, rewriter: Box<Rewriter>) -> Self {
        Self { body, rewriter, over: false }
    }

    /// Returns whether the body was read to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}

impl<D> Body for Rewritten<D>
where
    D: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        while !this.over {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                this.over = true;
                return Poll::Ready(this.rewriter.finish().err().map(|error| Err(error.into())));
            };
            let Ok(data) = frame?.into_data() else { continue };
            let mut out = Vec::with_capacity(data.len());
            if let Err(error) = this.rewriter.feed(&data, &mut out) {
                this.over = true;
                return Poll::Ready(Some(Err(error.into())));
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
