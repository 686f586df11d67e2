//! Clients that prove who they are.

mod jwt;
mod unix;
