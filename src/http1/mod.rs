//! HTTP/1.1 (RFC 9112) as it is spoken to clients and to the store: one strict reading for both directions.
//!
//! Whatever two parsers may read in two ways is refused here and never repaired. What is left is handed on as
//! [`Request`]s and [`Answer`]s with an [`http_body::Body`], so that nothing else knows how bytes are read.

mod answer;
mod chunked;
pub mod client;
mod decode;
mod fields;
mod framing;
mod host;
mod io;
pub mod outbox;
mod request;
mod response;
mod scan;
pub mod server;
mod target;
mod timer;

pub use answer::Answer;
pub use fields::{Fields, is_named, visible};
pub use framing::Framing;
pub use host::Host;
pub use io::{PeerState, Transport};
pub use request::{Request, RequestHead};
pub use response::ResponseHead;
pub use scan::HeadLimits;
pub use timer::{LazyTimer, StallTimer};

use crate::refusal::{Refusal, Rule};
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

    fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

/// Why a message is not one that can be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The rule a client is told.
    pub rule: Rule,
    /// What was wrong, and how to mend it.
    pub why: &'static str,
}

impl Malformed {
    const fn new(rule: Rule, why: &'static str) -> Self {
        Self { rule, why }
    }

    const fn message(why: &'static str) -> Self {
        Self::new(Rule::MalformedRequest, why)
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(malformed.rule, malformed.why)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Malformed {}
