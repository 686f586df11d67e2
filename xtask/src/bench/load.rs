//! The load that wrk cannot make or does not measure as it is: single answers, a fixed rate, two servers in turns,
//! uploads, connections that do nothing, and readers that are slow.

pub(crate) mod closed;
mod exchange;
pub(crate) mod idle;
mod latencies;
pub(crate) mod rate;
pub(crate) mod transfers;
pub(crate) mod turns;

use tokio::runtime::Runtime;
use tokio::task::LocalSet;

pub(crate) use exchange::{Connection, Request};
pub(crate) use latencies::Latencies;

/// Runs a load on this thread, and with it on this program's core.
///
/// # Errors
/// Those of the load, and where there can be no runtime.
pub(crate) fn on_this_thread<T>(load: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    LocalSet::new().block_on(&runtime, load)
}
