//! The heads of HTTP/1.1 messages: where they end, and what they say.
//!
//! [`HeadScan`] finds the end of a head and makes sure that every line ends in CRLF and that CR and LF stand nowhere else.
//! The other parsers rely on it. `RequestHead` and `ResponseHead` read a whole head; `FramingHeaders` holds
//! the headers that say how the body is framed and whether the connection persists.

mod field_lines;
mod framing;
mod request;
mod response;
mod scan;
mod target;

#[cfg(test)]
pub(crate) use field_lines::read_lines;
pub use framing::Framing;
pub use request::{RequestHead, expects_continue};
pub use response::ResponseHead;
pub(crate) use scan::HeadScan;
pub use target::check_path;

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The length in bytes.
    pub bytes: usize,
    /// The number of field lines.
    pub fields: usize,
}
