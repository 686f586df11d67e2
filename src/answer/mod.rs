//! Responses to clients: the store's, stripped and rewritten, and Scopegate's own lists, pages and errors.
//!
//! May use: `telemetry`, `store`, `authorize`, `bounds`, `identify`, `refusal`, `s3`, `net`.

pub(crate) mod caching;
pub(crate) mod listing;
pub(crate) mod representation;
pub(crate) mod response;
pub(crate) mod rewrite;
