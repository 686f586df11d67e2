//! answer

pub mod listing;
pub mod representation;
pub mod response;
pub mod rewrite;
