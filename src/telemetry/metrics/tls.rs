//! The metrics of TLS: handshakes, and the files of listeners.

use super::samples::{counter, gauge};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What the metrics show of TLS.
#[derive(Debug, Default)]
pub(crate) struct TlsFacts {
    running: AtomicU64,
    /// A handshake costs far more than this lock.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Handshakes that succeeded.
    succeeded: u64,
    /// Handshakes that failed, by reason.
    failed: BTreeMap<&'static str, Failed>,
    /// Connections by version, and whether their session was resumed.
    established: BTreeMap<(&'static str, bool), u64>,
    /// The files of each listener.
    listeners: BTreeMap<Box<str>, ListenerFiles>,
    /// The certificates that servers are shown, by the section that configures each.
    clients: BTreeMap<&'static str, (String, SystemTime)>,
}

/// The handshakes that failed for one reason.
#[derive(Debug, Default)]
struct Failed {
    count: u64,
    /// The time of the first of the last log lines, and their number.
    told: Option<(Instant, u32)>,
}

/// The interval in which the log has at most [`LINES`] about handshakes that failed for one reason. Anyone who reaches the
/// listener can cause them.
const QUIET: Duration = Duration::from_secs(10);
const LINES: u32 = 10;

impl Failed {
    /// Counts a failure, and returns whether the log should tell of it.
    fn count(&mut self, now: Instant) -> bool {
        self.count += 1;
        let is_recent = |(since, _): &(Instant, u32)| now.saturating_duration_since(*since) < QUIET;
        let (since, lines) = self.told.filter(is_recent).unwrap_or((now, 0));
        self.told = Some((since, lines + 1));
        lines < LINES
    }
}

/// What the metrics show of the files of a listener's TLS.
#[derive(Debug, Default)]
pub(crate) struct ListenerFiles {
    /// The files of certificates, with their ends.
    pub certificates: Vec<(String, SystemTime)>,
    /// The files of revocation lists, with the times by which the next ones are due.
    pub revocations: Vec<(String, SystemTime)>,
    /// What is wrong with what was read last; if nothing, it is in effect.
    pub mistakes: Vec<String>,
}

/// A handshake in progress.
#[derive(Debug)]
pub(crate) struct RunningHandshake<'f>(&'f TlsFacts);

impl Drop for RunningHandshake<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TlsFacts {
    /// Counts a handshake as running until the guard is dropped.
    pub(crate) fn begin(&self) -> RunningHandshake<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        RunningHandshake(self)
    }

    /// Counts a handshake that failed for this reason, and returns whether the log should tell of it.
    pub(crate) fn failed(&self, reason: &'static str, now: Instant) -> bool {
        self.lock().failed.entry(reason).or_default().count(now)
    }

    /// Counts a connection of this version.
    pub(crate) fn established(&self, version: &'static str, is_resumed: bool) {
        let mut state = self.lock();
        state.succeeded += 1;
        *state.established.entry((version, is_resumed)).or_default() += 1;
    }

    /// Sets the files to show, those of the configuration that takes effect.
    pub(crate) fn show(
        &self,
        listeners: impl Iterator<Item = (Box<str>, ListenerFiles)>,
        clients: impl Iterator<Item = (&'static str, (String, SystemTime))>,
    ) {
        let (listeners, clients) = (listeners.collect(), clients.collect());
        let mut state = self.lock();
        (state.listeners, state.clients) = (listeners, clients);
    }

    /// Records what is wrong with the version of a listener's files that was read last. With mistakes it is not in effect.
    pub(crate) fn read(&self, listener: &str, mistakes: Vec<String>) {
        if let Some(files) = self.lock().listeners.get_mut(listener) {
            files.mistakes = mistakes;
        }
    }

    /// Returns the listeners whose files were not put into effect when they were read last, with what is wrong.
    pub(crate) fn mistakes(&self) -> Vec<(Box<str>, Vec<String>)> {
        let state = self.lock();
        let wrong = state.listeners.iter().filter(|(_, files)| !files.mistakes.is_empty());
        wrong.map(|(listener, files)| (listener.clone(), files.mistakes.clone())).collect()
    }

    /// Returns the certificates that servers are shown, with their ends, by the section that configures each.
    pub(crate) fn client_certificates(&self) -> Vec<(&'static str, (String, SystemTime))> {
        self.lock().clients.iter().map(|(section, certificate)| (*section, certificate.clone())).collect()
    }

    /// Passes the files of a listener to `show`, if it has TLS.
    pub(crate) fn files_of<T>(&self, listener: &str, show: impl FnOnce(&ListenerFiles) -> T) -> Option<T> {
        self.lock().listeners.get(listener).map(show)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes the metrics.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let running = self.running.load(Ordering::Relaxed);
        gauge(encoder, "tls_handshakes_running", "TLS handshakes in progress", running)?;
        let state = self.lock();
        let help = "TLS handshakes by result";
        let mut family = encoder.encode_descriptor("tls_handshakes", help, None, MetricType::Counter)?;
        let failed = state.failed.iter().map(|(reason, failed)| (*reason, failed.count));
        for (result, count) in std::iter::once(("ok", state.succeeded)).chain(failed) {
            counter(&mut family.encode_family(&[("result", result)])?, count)?;
        }
        let help = "TLS connections by version, and whether their session was resumed";
        let mut family = encoder.encode_descriptor("tls_connections", help, None, MetricType::Counter)?;
        for ((version, is_resumed), count) in &state.established {
            let resumed = if *is_resumed { "true" } else { "false" };
            counter(&mut family.encode_family(&[("version", *version), ("resumed", resumed)])?, *count)?;
        }
        encode_files(&state.listeners, encoder)?;
        let help = "Expiration of the certificate for the store or STS, in seconds since 1970";
        let name = "client_certificate_expiry_timestamp_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (section, (file, end)) in &state.clients {
            family
                .encode_family(&[("section", *section), ("file", &**file)])?
                .encode_gauge(&seconds(*end))?;
        }
        Ok(())
    }
}

/// The files of a listener that a family shows.
type FilesOf = fn(&ListenerFiles) -> &[(String, SystemTime)];

fn encode_files(
    listeners: &BTreeMap<Box<str>, ListenerFiles>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let families: [(&str, &str, FilesOf); 2] = [
        (
            "certificate_expiry_timestamp_seconds",
            "Expiration of each certificate of a listener, in seconds since 1970",
            |files| &files.certificates,
        ),
        (
            "crl_next_update_timestamp_seconds",
            "Time by which the next version of a revocation list is due, in seconds since 1970",
            |files| &files.revocations,
        ),
    ];
    for (name, help, of) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (listener, files) in listeners {
            for (file, end) in of(files) {
                let labels = [("listener", &**listener), ("file", &**file)];
                family.encode_family(&labels)?.encode_gauge(&seconds(*end))?;
            }
        }
    }
    let help = "Whether the version of a listener's TLS files that was read last is in effect";
    let mut family = encoder.encode_descriptor("tls_last_read_successful", help, None, MetricType::Gauge)?;
    for (listener, files) in listeners {
        family
            .encode_family(&[("listener", &**listener)])?
            .encode_gauge(&i64::from(files.mistakes.is_empty()))?;
    }
    Ok(())
}

/// Returns a time in seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_of_ten_failures_in_ten_seconds() {
        let facts = TlsFacts::default();
        let start = Instant::now();
        let told = |reason, seconds| facts.failed(reason, start + Duration::from_secs(seconds));
        assert_eq!((0..25).filter(|_| told("closed", 0)).count(), 10);
        assert!(told("timeout", 0), "each reason has its own lines");
        assert!(!told("closed", 9) && told("closed", 10));
        assert_eq!(facts.lock().failed["closed"].count, 27);
    }

    #[test]
    fn a_running_handshake_is_counted_until_it_ends() {
        let facts = TlsFacts::default();
        let running = (facts.begin(), facts.begin());
        assert_eq!(facts.running.load(Ordering::Relaxed), 2);
        drop(running);
        assert_eq!(facts.running.load(Ordering::Relaxed), 0);
    }
}
