//! The resident memory of a process over time.

use crate::proc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);

/// Readings of `VmRSS`, ten per second until this is dropped.
pub(crate) struct Memory {
    readings: Arc<Mutex<Vec<Reading>>>,
    start: Instant,
    /// Closing it ends the thread.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
struct Reading {
    after: Duration,
    kib: u64,
}

impl Memory {
    /// Starts to watch a process.
    pub(crate) fn watch(process: u32) -> Self {
        let (running, end) = mpsc::channel();
        let readings: Arc<Mutex<Vec<Reading>>> = Arc::default();
        let start = Instant::now();
        let thread = thread::spawn({
            let readings = Arc::clone(&readings);
            move || {
                while matches!(end.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
                    let Ok(kib) = proc::resident_kib(process) else { return };
                    let reading = Reading { after: start.elapsed(), kib };
                    readings.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
                }
            }
        });
        Self { readings, start, running: Some(running), thread: Some(thread) }
    }

    /// Returns the time since the watch began, for [`Self::peak_since`].
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the peak since a time, in KiB.
    pub(crate) fn peak_since(&self, since: Duration) -> Option<u64> {
        self.readings().iter().filter(|reading| reading.after >= since).map(|reading| reading.kib).max()
    }

    /// Returns the peak of each minute since a time, in KiB.
    pub(crate) fn by_minute(&self, since: Duration) -> Vec<u64> {
        peaks_by_minute(&self.readings(), since)
    }

    fn readings(&self) -> Vec<Reading> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn peaks_by_minute(readings: &[Reading], since: Duration) -> Vec<u64> {
    let mut peaks: Vec<u64> = Vec::new();
    for reading in readings {
        let Some(after) = reading.after.checked_sub(since) else { continue };
        let minute = usize::try_from(after.as_secs() / 60).unwrap_or(usize::MAX);
        match peaks.get_mut(minute) {
            Some(peak) => *peak = (*peak).max(reading.kib),
            None => peaks.push(reading.kib),
        }
    }
    peaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_peaks_by_minute_of_the_load() {
        let reading = |after, kib| Reading { after: Duration::from_secs(after), kib };
        let readings = [reading(5, 99), reading(10, 1), reading(69, 3), reading(68, 2), reading(70, 4)];
        assert_eq!(peaks_by_minute(&readings, Duration::from_secs(10)), [3, 4]);
    }
}
