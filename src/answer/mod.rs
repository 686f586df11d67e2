//! Responses to clients: the store's, stripped and rewritten, and Scopegate's own lists, pages and errors.
//!
//! May use: `telemetry`, `store`, `authorize`, `bounds`, `identify`, `refusal`, `s3`, `net`.

pub mod listing;
pub mod representation;
pub mod response;
pub mod rewrite;
