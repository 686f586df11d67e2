//! HTTP messages, whatever version of HTTP and whatever transport carries them.

mod byte_set;
mod fields;
mod host;
mod malformed;
mod request;
mod response;

pub(crate) use byte_set::ByteSet;
pub(crate) use fields::LineOffsets;
pub use fields::{Fields, is_named, visible};
pub use host::Host;
pub use malformed::{Malformed, Reason};
pub(crate) use request::ONE_HOST;
pub use request::Request;
pub use response::Answer;
