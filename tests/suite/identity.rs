//! Clients that prove who they are.

mod basic;
mod bearer;
mod certificates;
pub(crate) mod declare;
mod homes;
mod jwt;
mod jwt_bounds;
mod jwt_tls;
mod keys;
mod rules;
mod stay_here;
mod unix;
