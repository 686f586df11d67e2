//! Loads that wrk cannot generate or measures differently: single responses, a fixed rate, two servers in turns,
//! uploads, idle connections, slow readers and
//! handshakes.

pub(crate) mod closed;
pub(crate) mod delay;
mod endpoint;
mod exchange;
pub(crate) mod handshakes;
pub(crate) mod idle;
mod latencies;
pub(crate) mod rate;
pub(crate) mod transfers;
pub(crate) mod turns;

use tokio::runtime::Runtime;
use tokio::task::LocalSet;

pub(crate) use endpoint::{Endpoint, Exchange};
pub(crate) use exchange::{Connection, Request};
pub(crate) use latencies::Latencies;

/// Runs a load on this thread and thereby on this program's core.
///
/// # Errors
/// The load fails, or the runtime cannot be started.
pub(crate) fn on_this_thread<T>(load: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))?;
    LocalSet::new().block_on(&runtime, load)
}
