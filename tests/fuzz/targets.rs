//! The targets. Mutations insert `WORDS` into inputs; `check` panics if a property is broken.

pub(crate) mod aws_chunked;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod documents;
pub(crate) mod headers;
pub(crate) mod http2;
pub(crate) mod request_head;
pub(crate) mod response;
pub(crate) mod signer;
pub(crate) mod target;

mod decode;
mod mappings;
mod reference;
mod request;
mod script;
