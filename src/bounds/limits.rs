//! The configurable limits on what peers control, and constants beside them.

use std::num::NonZeroU32;
use std::time::Duration;

/// The size of the first parts of an upload, and of the buffer of a body of unknown length: 8 MiB.
pub(crate) const PART_SIZE: u64 = 8 * 1024 * 1024;

/// The minimum of `memory` that is not reserved for uploads without a length: 32 MiB.
pub(crate) const LEAST_SHARED: u64 = 32 * 1024 * 1024;

/// The memory for log lines that wait to be written, in bytes.
pub(crate) const LOG_MEMORY: usize = 4 << 20;

/// The maximum number of sessions of a process: nine kinds for each of 10,000 mappings, over four configurations. Long
/// requests keep the sessions of an earlier configuration.
pub(crate) const MAX_SESSIONS: usize = 360_000;

/// The default of `failed_attempts`: as many wrong passwords as two cores hash in a minute.
const FAILED_ATTEMPTS: NonZeroU32 = NonZeroU32::new(6000).unwrap();

/// The default of `failed_attempts_per_client`. People mistype, and programs retry a wrong password a few times.
const FAILED_ATTEMPTS_PER_CLIENT: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// The limits of a proxy, each with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, over all listeners.
    pub connections: usize,
    /// Client connections at once from one address, over all listeners.
    pub connections_per_client: usize,
    /// TLS handshakes in progress at once, over all listeners.
    pub handshakes: usize,
    /// The time a client has to send a request's head after its first byte.
    pub header_timeout: Duration,
    /// The time a connection may be idle before a request begins. A load balancer in front must have a shorter one.
    pub idle_timeout: Duration,
    /// The time a whole request may take, with both bodies.
    pub request_timeout: Duration,
    /// Longest head of a request, in bytes.
    pub header_bytes: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// The time a body may stand still, in either direction.
    pub stall_timeout: Duration,
    /// The lowest rate at which a client sends or reads a body, in bytes per second; slower ones have `stall_timeout`.
    pub minimum_rate: u32,
    /// The time an upstream has to accept a connection.
    pub connect_timeout: Duration,
    /// The time an upstream has to respond once it has everything that it waits for.
    pub response_timeout: Duration,
    /// The time a request waits for its session to be minted.
    pub session_wait: Duration,
    /// The time one `AssumeRole` may take.
    pub mint_timeout: Duration,
    /// Mints per second, over all mappings.
    pub mints_per_second: u32,
    /// Requests of one mapping that run at once.
    pub requests_per_mapping: usize,
    /// Requests of one mapping that wait for their turn.
    pub queue_per_mapping: usize,
    /// The time a request waits for its turn.
    pub queue_timeout: Duration,
    /// Requests of one mapping that begin in a second, with a burst of the same size. Unlimited if absent.
    pub requests_per_second: Option<NonZeroU32>,
    /// Failed attempts to prove an identity in a minute, over all clients.
    pub failed_attempts: NonZeroU32,
    /// Failed attempts of one client in a minute.
    pub failed_attempts_per_client: NonZeroU32,
    /// Memory for all data that clients control, in bytes.
    pub memory: u64,
    /// The part of it that is set aside for bodies of unknown length.
    pub upload_buffer: u64,
    /// Temporary files for bodies that are held and do not fit into memory, in bytes, over all requests.
    pub upload_spool: u64,
    /// The time that running requests have to finish after SIGTERM.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_client: 4096,
            handshakes: 512,
            header_timeout: Duration::from_secs(30),
            // Common load balancers close an idle connection after a minute. They must close it first: a request that
            // is sent while the proxy closes the connection gets no response.
            idle_timeout: Duration::from_secs(75),
            request_timeout: Duration::from_hours(6),
            header_bytes: 32 * 1024,
            headers: 100,
            stall_timeout: Duration::from_mins(1),
            minimum_rate: 1024,
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_mins(5),
            session_wait: Duration::from_secs(10),
            mint_timeout: Duration::from_secs(10),
            mints_per_second: 15,
            requests_per_mapping: 1024,
            queue_per_mapping: 1024,
            queue_timeout: Duration::from_secs(10),
            requests_per_second: None,
            failed_attempts: FAILED_ATTEMPTS,
            failed_attempts_per_client: FAILED_ATTEMPTS_PER_CLIENT,
            memory: 128 << 20,
            upload_buffer: 64 << 20,
            upload_spool: 2 << 30,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Returns the part of `memory` that is set aside for reading large bodies, in bytes.
    pub fn read_memory(&self) -> usize {
        size(self.memory / 8)
    }

    /// Returns what is left of `memory` for everything that is divided among clients, in bytes.
    pub fn shared_memory(&self) -> usize {
        size(self.memory.saturating_sub(self.upload_buffer)).saturating_sub(self.read_memory() + LOG_MEMORY)
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
