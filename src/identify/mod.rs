//! Who sends a request: connections, clients, the conditions on them, and what browsers must not do.
//!
//! May use: `refusal`, `s3`.

pub(crate) mod browser;
pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod identity;
pub(crate) mod matcher;
pub(crate) mod peers;
pub(crate) mod virtual_host;
