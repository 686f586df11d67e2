//! Encodes the counts of spans for Prometheus.

use super::samples::counter;
use crate::telemetry::traces::TraceCounts;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;

pub(super) fn encode_traces(counts: &TraceCounts, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, count) in [
        ("trace_spans_exported", "Spans that the collector of traces accepted", counts.exported()),
        (
            "trace_export_failures",
            "Failed attempts to send spans to the collector of traces",
            counts.failures(),
        ),
        (
            "trace_parents_over_limit",
            "Requests not traced although their client records the trace, because of traces.parent_limit",
            counts.over_limit(),
        ),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter(&mut metric, count)?;
    }
    let help = "Spans that did not reach the collector of traces, by reason";
    let mut family = encoder.encode_descriptor("trace_spans_dropped", help, None, MetricType::Counter)?;
    for (reason, count) in counts.dropped() {
        counter(&mut family.encode_family(&[("reason", reason)])?, count)?;
    }
    Ok(())
}
