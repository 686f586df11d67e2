//! The standard metrics that every Prometheus client reports about its process.
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use procfs::process::{LimitValue, Process};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;

/// A collector that reads this process's metrics from `/proc` on each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// The values at one moment.
struct Facts {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Facts {
    /// Reads the values. Returns `None` if `/proc` is not mounted.
    fn read() -> Option<Self> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let limits = process.limits().ok();
        let seconds = |ticks: u64| precise(ticks) / precise(procfs::ticks_per_second());
        Some(Self {
            cpu_seconds: seconds(stat.utime + stat.stime),
            start_seconds: precise(procfs::boot_time_secs().ok()?) + seconds(stat.starttime),
            resident_bytes: stat.rss.saturating_mul(procfs::page_size()),
            virtual_bytes: stat.vsize,
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            open_fds: process.fd_count().ok().map(|count| count as u64),
            max_fds: limits.and_then(|limits| match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            }),
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(facts) = Facts::read() else { return Ok(()) };
        let help = "Total user and system CPU time spent in seconds";
        encoder
            .encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&facts.cpu_seconds, None)?;
        let help = "Start time of the process since unix epoch in seconds";
        encoder
            .encode_descriptor("process_start_time_seconds", help, None, MetricType::Gauge)?
            .encode_gauge(&facts.start_seconds)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory size in bytes", Some(facts.resident_bytes)),
            ("process_virtual_memory_bytes", "Virtual memory size in bytes", Some(facts.virtual_bytes)),
            ("process_threads", "Number of OS threads in the process", Some(facts.threads)),
            ("process_open_fds", "Number of open file descriptors", facts.open_fds),
            ("process_max_fds", "Maximum number of open file descriptors", facts.max_fds),
        ] {
            if let Some(value) = value {
                super::samples::gauge(&mut encoder, name, help, value)?;
            }
        }
        Ok(())
    }
}

/// Converts a count to a float. Counts here are far below 2^53, up to which floats are exact.
#[expect(clippy::cast_precision_loss, reason = "clock ticks and seconds stay below 2^53")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn reads_plausible_process_metrics() {
        let facts = Facts::read().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(
            facts.start_seconds < now + 1.0 && facts.start_seconds > now - 3600.0,
            "{}",
            facts.start_seconds
        );
        assert!(facts.resident_bytes > 1 << 20 && facts.virtual_bytes >= facts.resident_bytes);
        assert!(facts.threads >= 1 && facts.open_fds > Some(2) && facts.max_fds >= facts.open_fds);
    }
}
