//! sessions

pub mod minting;
pub mod refresh;
pub mod session;
pub mod table;
pub mod token;
