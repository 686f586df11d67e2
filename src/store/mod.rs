//! The store as a client sees it: nodes, balancing, the connection pool, retries.
//!
//! May use: `resign`, `sessions`, `outgoing`, `authorize`, `bounds`, `trace`, `refusal`, `s3`, `sigv4`, `net`.

mod answer;
pub(crate) mod answer_fields;
pub(crate) mod balance;
mod exchange;
mod handle;
pub(crate) mod judge;
pub(crate) mod nodes;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod status;

pub(crate) use answer::StoreAnswer;
pub(crate) use exchange::{broke_off, is_short};
pub(crate) use handle::Store;
