//! Counts of HTTP/2: connections, streams, and why they end early.

use super::Metrics;
use super::samples::{counter, gauge};
use http2::{ClosedBy, Event, ResetBy};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Http2Counts {
    connections: AtomicU64,
    streams: AtomicU64,
    resets: [AtomicU64; ResetBy::ALL.len()],
    closed: [AtomicU64; ClosedBy::ALL.len()],
}

impl Http2Counts {
    /// Counts an event.
    pub(crate) fn record(&self, event: Event) {
        let count = match event {
            Event::Connection => Some(&self.connections),
            Event::Stream => Some(&self.streams),
            Event::Reset(by) => self.resets.get(by as usize),
            Event::Closed(by) => self.closed.get(by as usize),
        };
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Encodes the counts.
pub(super) fn encode(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Http2Counts { connections, streams, resets, closed } = &metrics.http2;
    gauge(encoder, "http2_streams_open", "Open HTTP/2 streams", metrics.streams.open() as u64)?;
    for (name, help, count) in [
        ("http2_connections", "Client connections that spoke HTTP/2", connections),
        ("http2_streams", "HTTP/2 streams with a request", streams),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter(&mut metric, count.load(Ordering::Relaxed))?;
    }
    let help = "HTTP/2 streams that were reset before their response was complete, by reason";
    let mut family = encoder.encode_descriptor("http2_resets", help, None, MetricType::Counter)?;
    for (by, count) in ResetBy::ALL.iter().zip(resets) {
        counter(&mut family.encode_family(&[("reason", by.name())])?, count.load(Ordering::Relaxed))?;
    }
    let help = "HTTP/2 connections that were ended with GOAWAY, by reason";
    let mut family = encoder.encode_descriptor("http2_goaways", help, None, MetricType::Counter)?;
    for (by, count) in ClosedBy::ALL.iter().zip(closed) {
        counter(&mut family.encode_family(&[("reason", by.name())])?, count.load(Ordering::Relaxed))?;
    }
    Ok(())
}
