//! Clients that prove who they are.

mod homes;
mod unix;
