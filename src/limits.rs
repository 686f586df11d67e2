//! Bounds on what peers control.

use std::time::Duration;

/// The limits of a proxy, each with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, over all listeners.
    pub connections: usize,
    /// The time a client has to send a request's head, and a connection may be idle between requests.
    pub header_timeout: Duration,
    /// The time a body may stand still, in either direction.
    pub stall_timeout: Duration,
    /// The time an upstream has to accept a connection.
    pub connect_timeout: Duration,
    /// The time an upstream has to answer once it has the whole request.
    pub response_timeout: Duration,
    /// The time a request waits for its session to be minted.
    pub session_wait: Duration,
    /// The time one `AssumeRole` may take.
    pub mint_timeout: Duration,
    /// Mints per second, over all mappings.
    pub mints_per_second: u32,
    /// The time that running requests have to finish after SIGTERM.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_timeout: Duration::from_mins(1),
            stall_timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_mins(5),
            session_wait: Duration::from_secs(10),
            mint_timeout: Duration::from_secs(10),
            mints_per_second: 10,
            drain_timeout: Duration::from_secs(30),
        }
    }
}
