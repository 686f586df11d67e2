//! The sections of the benchmark. Each fills its tables round by round; a round measures all variants in random order.

pub(crate) mod http2;
pub(crate) mod idle;
pub(crate) mod large;
pub(crate) mod rate;
pub(crate) mod small;
pub(crate) mod start;
pub(crate) mod store;
pub(crate) mod tls;
pub(crate) mod transfers;

use super::proxies::{Running, Setup, Variant};
use super::table::Table;
use crate::console::announce;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The extent of a run.
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// Rounds of measurements that need a new process and hardly vary.
    pub(crate) few_rounds: u32,
    /// Runs of one second in a round of small objects.
    pub(crate) small_runs: u32,
    /// The length of a run with the real store.
    pub(crate) store_seconds: u64,
    /// The length of a run at a fixed rate.
    pub(crate) rate_length: Duration,
    /// The length of a large object.
    pub(crate) large_bytes: u64,
    /// The lengths of large objects from origins of different kinds, which are never more than `large_bytes`.
    pub(crate) body_bytes: &'static [u64],
    /// Numbers of connections that transfer large objects.
    pub(crate) large_connections: [u32; 2],
    /// The number of bytes that they transfer together, if each connection transfers at least one object.
    pub(crate) transferred: u64,
    /// The same with the real store, which is slower.
    pub(crate) store_transferred: u64,
    /// The length of the slow transfers.
    pub(crate) slow_length: Duration,
}

impl Plan {
    /// A run of an hour for published figures.
    pub(crate) const FULL: Self = Self {
        rounds: 7,
        few_rounds: 3,
        small_runs: 3,
        store_seconds: 4,
        rate_length: Duration::from_secs(4),
        large_bytes: 128 << 20,
        body_bytes: &[128 << 20, 16 << 20],
        large_connections: [4, 32],
        transferred: 2 << 30,
        store_transferred: 512 << 20,
        slow_length: Duration::from_secs(15),
    };

    /// A run of ten minutes for a first impression.
    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        few_rounds: 1,
        small_runs: 1,
        store_seconds: 1,
        rate_length: Duration::from_millis(500),
        large_bytes: 16 << 20,
        body_bytes: &[16 << 20],
        large_connections: [4, 32],
        transferred: 256 << 20,
        store_transferred: 256 << 20,
        slow_length: Duration::from_secs(2),
    };
}

/// The state that all sections share.
pub(crate) struct Bench<'a> {
    pub(crate) plan: Plan,
    pub(crate) setup: Setup<'a>,
    pub(crate) nginx: &'a Path,
    pub(crate) wrk: &'a Path,
    pub(crate) h2load: &'a Path,
    /// The core of the origin and the load.
    pub(crate) load_core: usize,
    pub(crate) random: fastrand::Rng,
    /// Whether a signal has stopped the run.
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Bench<'_> {
    /// Returns an error if the run is stopped. Called between measurements.
    ///
    /// # Errors
    /// A signal has stopped the run.
    pub(crate) fn check_stopped(&self) -> Result<(), String> {
        if self.stopped.load(Ordering::Relaxed) { Err("stopped by a signal".to_owned()) } else { Ok(()) }
    }

    /// Starts variants. Those that do not start are recorded in the tables.
    pub(crate) fn start(
        &self,
        variants: &[Variant],
        target: &str,
        tables: &mut [Table],
    ) -> Result<Vec<Running>, String> {
        let mut running = Vec::new();
        for variant in variants {
            self.check_stopped()?;
            match variant.start(&self.setup, target) {
                Ok(started) => running.push(started),
                Err(why) => {
                    for table in &mut *tables {
                        record(table, 0, &variant.name, Err(why.clone()));
                    }
                }
            }
        }
        Ok(running)
    }

    /// Returns the items in random order.
    pub(crate) fn shuffled<'r, T>(&mut self, all: &'r [T]) -> Vec<&'r T> {
        let mut order: Vec<&T> = all.iter().collect();
        self.random.shuffle(&mut order);
        order
    }
}

/// Records a measurement and announces a failure.
pub(crate) fn record(table: &mut Table, round: u32, row: &str, measured: Result<Vec<Option<f64>>, String>) {
    if let Err(why) = &measured {
        announce(&format!("{}: {row}: {why}", table.title));
    }
    table.record(round, row, measured);
}

/// Returns the names of variants.
pub(crate) fn names(variants: &[Variant]) -> impl Iterator<Item = &str> {
    variants.iter().map(|variant| variant.name.as_str())
}

/// Returns the target of the object of a length.
pub(crate) fn object(bytes: u64) -> String {
    format!("/tmp/media/{bytes}")
}

/// Returns a time in microseconds.
pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
