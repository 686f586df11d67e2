//! A strict HTTP/1.1 codec (RFC 9112) for both ends of a proxy.
//!
//! [`server::serve`] runs a client's connection and calls a [`Service`] with each [`Request`]. [`client::Connection`]
//! sends requests to a server and reads the [`ResponseHead`] and the body. The message types are independent of
//! HTTP/1.1: another version of HTTP can produce the same [`Request`] and take the same [`Response`]. Handwritten
//! because hyper costs twice the CPU per request and eight times the memory per idle connection, and accepts more
//! than a proxy should (docs/performance.md, "Tried and dropped").
//!
//! # Invariants
//!
//! - A message that two parsers could read in two ways is rejected as [`Malformed`], never repaired.
//! - CR and LF end lines and occur nowhere else in a head; a field is written as `Name: value` and CRLF.
//! - A body is framed by `Content-Length` or chunked, never by the end of the connection, except in responses to HTTP/1.0
//!   clients. A body that breaks off never looks complete.
//! - No byte of a request is acted on before the response to the one ahead of it has been written or deferred.
//! - An idle connection holds no buffer.
//! - `Debug` shows names of fields only, no values.
//!
//! # Bounds
//!
//! [`HeadLimits`] bounds heads, [`server::ConnectionLimits`] the times of a connection. Chunk extensions, trailers,
//! interim responses, draining and lingering have constant bounds beside their code. Memory for heads and for unread
//! responses is charged to a [`MemoryShare`] of the program's, buffers for large reads and the contents of
//! pipes to the [`read_budget`].
//!
//! # Threads
//!
//! A connection stays on its thread, which runs a current-thread runtime. Under [`clock::with_event_clock`] it shares
//! one timer per task. With [`outbox::run`] on the thread, small messages of one turn are sent together. Without
//! either, everything works with separate timers and writes.

pub mod body;
mod buffered;
pub mod client;
pub mod clock;
mod decode;
mod head;
mod low_water;
mod memory;
mod message;
pub mod outbox;
mod pace;
pub mod read_budget;
pub mod server;
mod service;
mod socket;
pub mod splice;
mod timer;
mod transport;

pub use head::{Framing, HeadLimits, RequestHead, ResponseHead, check_path, expects_continue};
pub use memory::{Charge, MemoryShare, MemoryUse, OutOfMemory};
pub use message::{Fields, Host, Malformed, Reason, Repeated, Request, Response, is_named, visible};
pub use service::Service;
pub use socket::Socket;
pub use timer::{LazyTimer, StallTimer};
pub use transport::{PeerState, Transport};
