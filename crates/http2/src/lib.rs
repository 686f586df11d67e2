//! HTTP/2 (RFC 9113) for the clients of a proxy: the same requests, responses and service as in HTTP/1.1.
//!
//! [`serve`] runs a client's connection and calls a [`StreamService`] with each stream's request, all of them within one
//! task. The `h2` crate reads and writes frames; this crate reads heads, moves bodies, and bounds what a client costs.
//!
//! # Invariants
//!
//! - A request that HTTP/1.1 would refuse is refused. What `h2` itself finds wrong resets the stream or ends the
//!   connection, as RFC 9113 demands; everything else gets the service's refusal as its response.
//! - A body that breaks off never looks complete: its stream is reset.
//! - A stream that the client resets ends the work for its request.
//! - A client that goes on sending after its response gets no reset that could hide it: the rest of its body is read, up
//!   to a bound.
//! - `Debug` shows no values of fields.
//!
//! # Bounds
//!
//! `bounds` has the constants, [`http1::server::ConnectionLimits`] the times and the sizes of heads. Memory for bodies that
//! nothing has read, for long heads and for responses that are not read is charged to the program's memory. A turn of
//! the runtime reads and polls a bounded amount for one connection.

mod bounds;
mod events;
mod frames;
mod gathered;
mod head;
mod rate;
mod server;
mod stream;
mod turn;
mod wire;

pub use events::{ClosedBy, Event, ResetBy};
pub use server::{serve, serve_from};
pub use stream::body::RequestBody;

use http1::Service;

/// A service for the streams of one connection.
pub trait StreamService: Service<RequestBody> {
    /// A stream's place among those of its client, held until the stream is over.
    type Place;

    /// Returns the scheme of the connection: `https` over TLS, `http` otherwise.
    fn scheme(&self) -> &'static str;

    /// Takes a place for another stream. A stream without one is refused, which tells its client to try again.
    fn place(&self) -> Option<Self::Place>;

    /// Records an event.
    fn record(&self, event: Event);
}
