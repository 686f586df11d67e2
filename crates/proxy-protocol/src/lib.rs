//! The PROXY protocol, versions 1 and 2: the header by which a load balancer says which client's connection it passes on
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
//!
//! [`parse`] reads a header from bytes, [`read`] from a stream. Handwritten because the crates for it take a header that
//! is spelled in several ways, try the other version when one fails, and do not verify checksums.
//!
//! # Invariants
//!
//! - A header that two receivers could read in two ways is [`Invalid`], never repaired.
//! - No byte after the header is read from a stream.
//! - A header is never guessed: bytes that do not begin with one are invalid.
//! - An address is in its canonical form: an IPv4 address is never shown as an IPv6 address.
//!
//! # Bounds
//!
//! A header of version 1 has at most 107 bytes, one of version 2 at most 16 + 4096. The caller bounds the time.

mod binary;
mod header;
mod parse;
mod read;
mod text;

pub use header::{Header, Invalid, Parsed, Reason, Source, Version, Versions};
pub use parse::parse;
pub use read::{ReadError, read};
