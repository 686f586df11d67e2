//! The parts of the benchmark. Each fills its tables, round by round, every variant in each, in shuffled order.

pub(crate) mod idle;
pub(crate) mod large;
pub(crate) mod rate;
pub(crate) mod small;
pub(crate) mod start;
pub(crate) mod store;
pub(crate) mod transfers;

use super::proxies::{Ground, Running, Variant};
use super::table::Table;
use crate::console::announce;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How much is done.
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// Rounds of what takes a new process each, and hardly varies.
    pub(crate) few_rounds: u32,
    /// Runs of a second each in a round of small objects.
    pub(crate) small_runs: u32,
    /// Of a run over the store.
    pub(crate) seconds: u64,
    /// Of a run at a fixed rate.
    pub(crate) rate: Duration,
    /// Of an object.
    pub(crate) large: u64,
    /// How often each of 4, and each of 32 connections passes one.
    pub(crate) large_each: [(u32, u32); 2],
    /// Of the slow transfers.
    pub(crate) slow: Duration,
}

impl Plan {
    /// For figures that are to be published, in 35 minutes.
    pub(crate) const FULL: Self = Self {
        rounds: 7,
        few_rounds: 3,
        small_runs: 3,
        seconds: 4,
        rate: Duration::from_secs(4),
        large: 128 << 20,
        large_each: [(4, 4), (32, 1)],
        slow: Duration::from_secs(15),
    };

    /// For a look, in four minutes.
    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        few_rounds: 1,
        small_runs: 1,
        seconds: 1,
        rate: Duration::from_millis(500),
        large: 16 << 20,
        large_each: [(4, 4), (32, 1)],
        slow: Duration::from_secs(2),
    };
}

/// What all sections have.
pub(crate) struct Bench<'a> {
    pub(crate) plan: Plan,
    pub(crate) ground: Ground<'a>,
    pub(crate) wrk: &'a Path,
    /// Where origin and load are.
    pub(crate) load_core: usize,
    pub(crate) random: fastrand::Rng,
    /// Somebody wants the run to end.
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Bench<'_> {
    /// Stops the run between two measurements.
    ///
    /// # Errors
    /// Where it is to stop.
    pub(crate) fn go_on(&self) -> Result<(), String> {
        if self.stopped.load(Ordering::Relaxed) { Err("stopped by a signal".to_owned()) } else { Ok(()) }
    }

    /// Starts variants; those that do not start are noted in the tables.
    pub(crate) fn start(
        &self,
        variants: &[Variant],
        target: &str,
        tables: &mut [Table],
    ) -> Result<Vec<Running>, String> {
        let mut running = Vec::new();
        for variant in variants {
            self.go_on()?;
            match variant.start(&self.ground, target) {
                Ok(started) => running.push(started),
                Err(why) => {
                    for table in &mut *tables {
                        note(table, 0, &variant.name, Err(why.clone()));
                    }
                }
            }
        }
        Ok(running)
    }

    /// The same in another order.
    pub(crate) fn shuffled<'r, T>(&mut self, all: &'r [T]) -> Vec<&'r T> {
        let mut order: Vec<&T> = all.iter().collect();
        self.random.shuffle(&mut order);
        order
    }
}

/// [`Table::record`], with a word to whoever waits where it is a failure.
pub(crate) fn note(table: &mut Table, round: u32, row: &str, measured: Result<Vec<Option<f64>>, String>) {
    if let Err(why) = &measured {
        announce(&format!("{}: {row}: {why}", table.title));
    }
    table.record(round, row, measured);
}

/// The names of variants.
pub(crate) fn names(variants: &[Variant]) -> impl Iterator<Item = &str> {
    variants.iter().map(|variant| variant.name.as_str())
}

/// The object of so many bytes, as every proxy and the origin know it.
pub(crate) fn object(bytes: u64) -> String {
    format!("/tmp/media/{bytes}")
}

/// A time in microseconds.
pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
