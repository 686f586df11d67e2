//! One stream: its request, the call of the service, and the response.

pub(crate) mod body;
mod cut;
mod exchange;
mod respond;

use self::body::RequestBody;
use self::cut::Cut;
use self::exchange::Exchange;
use crate::head::Head;
use crate::turn::{OpenBody, Turn};
use crate::{Event, ResetBy, StreamService};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;
use http1::outbox::RunningGuard;
use http1::server::ConnectionLimits;
use http1::{Malformed, PeerState, Response};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// A stream that a client opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
    /// The body of its request, if it has one.
    pub(crate) body: Option<OpenBody>,
    /// The reason its request is refused without being looked at.
    pub(crate) refused: Option<Malformed>,
}

/// Serves a stream to its end.
pub(crate) async fn serve<H: StreamService>(
    opened: Opened,
    service: &H,
    limits: &ConnectionLimits,
    turn: Rc<Turn>,
) {
    let Opened { request, mut respond, body, refused } = opened;
    let Some(_place) = service.place() else {
        respond.send_reset(Reason::REFUSED_STREAM);
        return service.record(Event::Reset(ResetBy::Refused));
    };
    service.record(Event::Stream);
    let running = RunningGuard::new();
    let (parts, stream) = request.into_parts();
    let has_body = body.is_some();
    let method = parts.method.clone();
    let head = match refused {
        Some(malformed) => Err(malformed),
        None => Head::read(parts, has_body, limits.head, service.scheme()),
    };
    let exchange = Exchange::new(stream, respond, body, limits, turn);
    let exchange = Rc::new(RefCell::new(exchange));
    let ended = match head {
        Ok(head) => call(&exchange, head, service).await,
        Err(malformed) => {
            let mut response = service.refuse(&malformed);
            respond::respond(&exchange, &method, &mut response, service).await
        }
    };
    // For the service the request is over, whatever its client still has to send.
    drop(running);
    match ended {
        Ok(()) => exchange::drain(&exchange).await,
        Err(cut) => {
            exchange.borrow_mut().reset(cut);
            service.record(Event::Reset(cut.into()));
        }
    }
}

/// Calls the service with a request and sends its response.
async fn call<H: StreamService>(
    exchange: &Rc<RefCell<Exchange>>,
    head: Head,
    service: &H,
) -> Result<(), Cut> {
    let Head { request, length, expects_continue } = head;
    exchange.borrow_mut().begin(&request.method, length, expects_continue);
    let body = RequestBody::new(exchange);
    let mut response: Response<H::Body> = {
        let mut call = pin!(service.call(&request, body));
        poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => exchange.borrow_mut().poll_abandoned(cx).map(Err),
        })
        .await?
    };
    if exchange.borrow().is_gone() {
        service.note_peer(&mut response, PeerState::Gone);
    }
    respond::respond(exchange, &request.method, &mut response, service).await
}
