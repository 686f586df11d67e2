//! Clients that prove who they are.

mod basic;
mod bearer;
mod declare;
mod homes;
mod jwt;
mod keys;
mod rules;
mod stay_here;
mod unix;
