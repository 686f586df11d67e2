//! Heads of HTTP/1.1 messages.

mod field_lines;
mod framing;
mod request;
mod response;
mod scan;
mod target;

#[cfg(test)]
pub(crate) use field_lines::read_lines;
pub use framing::Framing;
pub use request::RequestHead;
pub use response::ResponseHead;
pub(crate) use scan::HeadScan;

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Its length in bytes.
    pub bytes: usize,
    /// The number of its field lines.
    pub fields: usize,
}
