//! The store as a client sees it: nodes, balancing, the connection pool, retries.
//!
//! May use: `resign`, `sessions`, `outgoing`, `authorize`, `bounds`, `trace`, `refusal`, `s3`, `sigv4`, `net`.

pub(crate) mod balance;
mod exchange;
mod handle;
pub(crate) mod judge;
pub(crate) mod nodes;
pub(crate) mod pool;
mod response;
pub(crate) mod response_fields;
pub(crate) mod retry;
pub(crate) mod status;

pub(crate) use exchange::{broke_off, is_short};
pub(crate) use handle::Store;
pub(crate) use response::StoreResponse;
