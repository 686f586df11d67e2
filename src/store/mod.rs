//! The store as a client sees it: nodes, balancing, the connection pool, retries.
//!
//! May use: `resign`, `sessions`, `outgoing`, `authorize`, `bounds`, `trace`, `refusal`, `s3`, `sigv4`, `net`.

mod answer;
pub mod answer_fields;
pub mod balance;
mod exchange;
mod handle;
pub mod judge;
pub mod nodes;
pub mod pool;
pub mod retry;
pub mod status;

pub use answer::StoreAnswer;
pub use exchange::{broke_off, is_short};
pub use handle::Store;
