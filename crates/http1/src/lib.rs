//! HTTP/1.1 (RFC 9112) as it is spoken to clients and to the store: one strict reading for both directions.
//!
//! Whatever two parsers may read in two ways is refused here and never repaired. What is left is handed on as
//! [`Request`]s and [`Answer`]s with an [`http_body::Body`], so that nothing else knows how bytes are read.

pub mod body;
mod buffered;
pub mod client;
pub mod clock;
mod decode;
mod head;
mod memory;
mod message;
pub mod outbox;
pub mod read_budget;
pub mod server;
mod service;
mod socket;
mod timer;
mod transport;

pub use head::{Framing, HeadLimits, RequestHead, ResponseHead};
pub use memory::{MemoryShare, MemoryUse, OutOfMemory};
pub use message::{Answer, Fields, Host, Malformed, Reason, Request, is_named, visible};
pub use service::Service;
pub use socket::Socket;
pub use timer::{LazyTimer, StallTimer};
pub use transport::{PeerState, Transport};
