//! Encodes the memory use of clients, dropped log lines and spliced bytes for Prometheus.

use super::Memory;
use super::samples::{counter, gauge};
use crate::bounds::memory::Use;
use crate::telemetry::log;
use http1::{read_budget, splice};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;

pub(super) fn encode_memory(memory: Option<&Memory>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    encode_log(encoder)?;
    encode_spliced(encoder)?;
    let Some(Memory { limit, shared, uploads }) = memory else { return Ok(()) };
    gauge(encoder, "memory_limit_bytes", "Memory available to clients (limits.memory)", *limit)?;
    let of_clients = Use::ALL.map(|used_for| {
        let buffers = if used_for == Use::Uploads { uploads.taken() } else { 0 };
        (used_for.name(), (shared.taken(used_for) as u64).saturating_add(buffers))
    });
    let set_aside = [("reads", read_budget::taken() as u64), ("log", log::waiting() as u64)];
    let help = "Memory used by clients, by use";
    let mut family = encoder.encode_descriptor("memory_bytes", help, None, MetricType::Gauge)?;
    for (name, bytes) in of_clients.into_iter().chain(set_aside) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        family.encode_family(&[("use", name)])?.encode_gauge(&bytes)?;
    }
    let help = "Memory refused to clients, by use";
    let mut family = encoder.encode_descriptor("memory_refused", help, None, MetricType::Counter)?;
    for used_for in Use::ALL {
        counter(&mut family.encode_family(&[("use", used_for.name())])?, shared.refused(used_for))?;
    }
    Ok(())
}

fn encode_log(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Log lines dropped because stderr was not read fast enough";
    let mut metric = encoder.encode_descriptor("log_lines_dropped", help, None, MetricType::Counter)?;
    counter(&mut metric, log::dropped())
}

fn encode_spliced(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Bytes of bodies that moved within the kernel instead of being copied";
    let mut metric = encoder.encode_descriptor("spliced_bytes", help, None, MetricType::Counter)?;
    counter(&mut metric, splice::spliced())
}
