//! HTTP messages, independent of the version of HTTP and of the transport that carries them.

mod byte_set;
mod fields;
mod host;
mod malformed;
mod request;
mod response;

pub(crate) use byte_set::ByteSet;
pub(crate) use fields::LineOffsets;
pub use fields::{Fields, Repeated, is_named, visible};
pub use host::Host;
pub use malformed::{Malformed, Reason};
pub(crate) use request::ONE_HOST;
pub use request::Request;
pub use response::Response;
