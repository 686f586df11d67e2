//! Clients that prove who they are.

mod basic;
mod bearer;
mod declare;
mod keys;
mod rules;
mod unix;
