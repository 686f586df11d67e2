//! The error of a message that is not valid HTTP, or asks for something the codec does not support.

use std::fmt;

/// The kind of mistake in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer begins a TLS handshake, and no HTTP message.
    UnexpectedTls,
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

/// A message that is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The kind of mistake.
    pub reason: Reason,
    /// A description for the peer: what is wrong and what is expected.
    pub why: &'static str,
}

impl Malformed {
    /// Describes a mistake.
    pub const fn new(reason: Reason, why: &'static str) -> Self {
        Self { reason, why }
    }

    /// Describes a mistake of syntax.
    pub const fn syntax(why: &'static str) -> Self {
        Self::new(Reason::InvalidSyntax, why)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Malformed {}
