//! What is fuzzed. `WORDS` are put into inputs, `check` holds the properties.

pub(crate) mod aws_chunked;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod documents;
pub(crate) mod headers;
pub(crate) mod request_head;
pub(crate) mod response;
pub(crate) mod signer;
pub(crate) mod target;

mod decode;
mod mappings;
mod reference;
mod request;
mod script;
