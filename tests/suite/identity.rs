//! Clients that prove who they are.

mod unix;
