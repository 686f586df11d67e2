//! net

pub mod connect;
pub mod endpoint;
pub mod terminal;
pub mod wall_clock;
