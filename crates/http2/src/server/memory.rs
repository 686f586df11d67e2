//! The memory that a connection is charged for: bodies that nothing has read, a long head, and responses that the client
//! does not take.

use crate::StreamService;
use crate::bounds::{CONNECTION_WINDOW, FIRST_WINDOW, UNCHARGED_HEAD};
use crate::turn::Turn;
use crate::wire::Wire;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::Connection;
use http::Request;
use http::header::CONTENT_LENGTH;
use http1::{Charge, Malformed, MemoryShare, MemoryUse, OutOfMemory, Reason};
use tokio::io::{AsyncRead, AsyncWrite};

/// The charges of a connection.
#[derive(Debug)]
pub(super) struct Memory<M> {
    bodies: Charge<M>,
    head: Charge<M>,
    responses: Charge<M>,
    /// The bytes of bodies that the client may send before anything reads them.
    window: u32,
}

impl<M: MemoryShare> Memory<M> {
    pub(super) const NONE: Self =
        Self { bodies: Charge::NONE, head: Charge::NONE, responses: Charge::NONE, window: FIRST_WINDOW };

    /// Charges the connection for the body of a request. A long body makes the window larger, as far as there is memory.
    /// Returns a refusal if there is not enough memory for the window that the client has.
    pub(super) fn admit_body<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        request: &Request<RecvStream>,
        h2: &mut Connection<Wire<S>, Bytes>,
        service: &impl StreamService<Share = M>,
    ) -> Option<Malformed> {
        if request.body().is_end_stream() {
            return None;
        }
        if self.bodies.grow_to(MemoryUse::Body, self.window as usize, |used| service.share(used)).is_err() {
            return Some(BODIES_FULL);
        }
        let wanted = wanted_window(request);
        for window in [wanted, wanted / 4] {
            if window <= self.window {
                break;
            }
            if self.bodies.grow_to(MemoryUse::Body, window as usize, |used| service.share(used)).is_ok() {
                self.window = window;
                h2.set_target_window_size(window);
                break;
            }
        }
        None
    }

    /// Charges the connection for what it holds otherwise.
    pub(super) fn charge(
        &mut self,
        unfinished_head: usize,
        turn: &Turn,
        service: &impl StreamService<Share = M>,
    ) -> Result<(), OutOfMemory> {
        if !turn.has_bodies() {
            self.bodies.release();
        }
        hold(&mut self.head, MemoryUse::Head, unfinished_head, UNCHARGED_HEAD, service)?;
        hold(&mut self.responses, MemoryUse::Response, turn.unsent(), 0, service)
    }
}

/// Charges `bytes` if they are more than what is not charged.
fn hold<M: MemoryShare>(
    charge: &mut Charge<M>,
    used_for: MemoryUse,
    bytes: usize,
    uncharged: usize,
    service: &impl StreamService<Share = M>,
) -> Result<(), OutOfMemory> {
    if bytes <= uncharged {
        charge.release();
        return Ok(());
    }
    charge.grow_to(used_for, bytes, |used| service.share(used))
}

/// Returns the window in which the body of a request can be sent without a pause.
fn wanted_window(request: &Request<RecvStream>) -> u32 {
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let length = length.and_then(|length| u32::try_from(length).ok()).unwrap_or(u32::MAX);
    length.clamp(FIRST_WINDOW, CONNECTION_WINDOW)
}

const BODIES_FULL: Malformed =
    Malformed::new(Reason::OutOfMemory, "too much memory is in use for requests' bodies: try again later");
