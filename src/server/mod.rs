//! The process that serves: sockets, worker threads, sessions, reload and shutdown.

mod accept;
mod admin;
mod connection;
pub mod descriptors;
mod health;
mod inherited;
mod issuer;
mod listen;
mod listening;
mod notify;
mod probe;
mod reload;
mod running;
mod sessions;
mod supervisor;
mod worker;

pub use inherited::Inherited;
pub use listen::{Bound, BoundAddress};
pub use supervisor::{Ended, Server};
