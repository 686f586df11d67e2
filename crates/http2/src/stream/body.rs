//! The body of a request.

use super::exchange::Exchange;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http1::body::BoxError;
use http1::splice::SpliceBody;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The body of a client's request.
#[derive(Debug)]
pub struct RequestBody {
    /// `None` for a request without a body.
    exchange: Option<Rc<RefCell<Exchange>>>,
}

impl RequestBody {
    pub(super) fn new(exchange: &Rc<RefCell<Exchange>>) -> Self {
        Self { exchange: (!exchange.borrow().is_read()).then(|| Rc::clone(exchange)) }
    }
}

impl SpliceBody for RequestBody {}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(exchange) = &self.exchange else { return Poll::Ready(None) };
        let next = ready!(exchange.borrow_mut().poll_body(cx));
        Poll::Ready(next.map(|next| next.map(Frame::data).map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.as_ref().is_none_or(|exchange| exchange.borrow().is_read())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.exchange {
            None => SizeHint::with_exact(0),
            Some(exchange) => {
                exchange.borrow().remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}
