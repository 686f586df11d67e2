//! HTTP/1.1 (RFC 9112) as it is spoken to clients and to the store: one strict reading for both directions.
//!
//! Whatever two parsers may read in two ways is refused here and never repaired. What is left is handed on as
//! [`Request`]s and [`Answer`]s with an [`http_body::Body`], so that nothing else knows how bytes are read.

mod answer;
pub mod body;
mod chunked;
pub mod client;
pub mod clock;
mod decode;
mod fields;
mod framing;
mod host;
mod io;
mod memory;
pub mod outbox;
pub mod read_budget;
mod request;
mod response;
mod scan;
pub mod server;
mod socket;
mod target;
mod timer;

pub use answer::Answer;
pub use fields::{Fields, is_named, visible};
pub use framing::Framing;
pub use host::Host;
pub use io::{PeerState, Transport};
pub use memory::{MemoryShare, MemoryUse, OutOfMemory};
pub use request::{Request, RequestHead};
pub use response::ResponseHead;
pub use scan::HeadLimits;
pub use socket::Socket;
pub use timer::{LazyTimer, StallTimer};

use std::fmt;

/// A set of bytes, which says of one in a single step whether it has it.
struct ByteSet([bool; 256]);

impl ByteSet {
    /// ASCII's letters and digits, and `others`.
    #[expect(clippy::indexing_slicing, reason = "of a constant: what is out of bounds does not compile")]
    const fn alphanumeric_and(mut others: &[u8]) -> Self {
        let mut has = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            has[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        while let [byte, rest @ ..] = others {
            has[*byte as usize] = true;
            others = rest;
        }
        Self(has)
    }

    /// With every byte that is not ASCII.
    const fn with_all_beyond_ascii(mut self) -> Self {
        let (_, beyond) = self.0.split_at_mut(128);
        let mut rest = beyond;
        while let [has, more @ ..] = rest {
            *has = true;
            rest = more;
        }
        self
    }

    #[inline]
    fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

/// The kind of mistake that makes a message unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The head or its framing breaks RFC 9112.
    InvalidSyntax,
    /// The request target breaks RFC 9112 or RFC 3986.
    InvalidTarget,
    /// The first line is longer than a head may be.
    TargetTooLong,
    /// The head, or the trailers of a body, are too long or have too many lines.
    HeadTooLarge,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The `Host` header is missing, repeated, or not a host.
    InvalidHost,
    /// The method cannot be served.
    UnsupportedMethod,
    /// The version of HTTP is neither 1.1 nor 1.0.
    UnsupportedVersion,
    /// `Expect` asks for something other than `100-continue`.
    UnsupportedExpectation,
    /// `Transfer-Encoding` names a coding other than `chunked`.
    UnsupportedCoding,
    /// The chunked coding of the body is invalid.
    InvalidBody,
    /// The connection's memory budget is used up.
    OutOfMemory,
}

/// A message that cannot be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The kind of mistake.
    pub reason: Reason,
    /// A description for the peer: what is wrong and what is expected.
    pub why: &'static str,
}

impl Malformed {
    const fn new(reason: Reason, why: &'static str) -> Self {
        Self { reason, why }
    }

    const fn syntax(why: &'static str) -> Self {
        Self::new(Reason::InvalidSyntax, why)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Malformed {}
