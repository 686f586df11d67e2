//! The trace of a request: what its stages note for the access log and for traces, and its place in a trace.
//!
//! May use: `s3`.

pub(crate) mod parent;
mod request;
#[cfg(feature = "otlp")]
pub(crate) mod state;
#[cfg(feature = "otlp")]
pub(crate) mod timeline;
#[cfg(not(feature = "otlp"))]
pub(crate) mod untraced;
mod wait;

#[cfg(feature = "otlp")]
pub(crate) use request::LoggedTarget;
pub(crate) use request::{RequestId, Texts, Trace, shortened};
#[cfg(not(feature = "otlp"))]
pub(crate) use untraced as timeline;
pub(crate) use wait::Wait;
