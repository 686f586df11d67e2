//! Reads `[limits]`: bounds on everything that peers control.

use super::table::Table;
use crate::bounds::limits::{LEAST_SHARED, Limits, PART_SIZE};
use crate::net::guarded::show_size;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// Reads the limits, and the number of workers if it is set.
pub(super) fn read_limits(table: Table<'_>) -> (Limits, Option<NonZeroUsize>) {
    let default = Limits::default();
    let time = |key, default: Duration| table.duration(key).unwrap_or(default);
    let count = |key, default: usize| table.number(key).unwrap_or(default);
    let rate = |key, default| table.number(key).and_then(NonZeroU32::new).unwrap_or(default);
    let (memory, upload_buffer) = read_memory(&table, &default);
    let limits = Limits {
        connections: count("connections", default.connections),
        connections_per_client: count("connections_per_client", default.connections_per_client),
        handshakes: count("handshakes", default.handshakes),
        header_timeout: time("header_timeout", default.header_timeout),
        idle_timeout: time("idle_timeout", default.idle_timeout),
        request_timeout: time("request_timeout", default.request_timeout),
        header_bytes: count("header_bytes", default.header_bytes),
        headers: count("headers", default.headers),
        stall_timeout: time("stall_timeout", default.stall_timeout),
        minimum_rate: table
            .size("minimum_rate")
            .and_then(|rate| u32::try_from(rate.value).ok())
            .unwrap_or(default.minimum_rate),
        connect_timeout: time("connect_timeout", default.connect_timeout),
        response_timeout: time("response_timeout", default.response_timeout),
        session_wait: time("session_wait", default.session_wait),
        mint_timeout: time("mint_timeout", default.mint_timeout),
        mints_per_second: table.number("mints_per_second").unwrap_or(default.mints_per_second),
        requests_per_mapping: count("requests_per_mapping", default.requests_per_mapping),
        queue_per_mapping: count("queue_per_mapping", default.queue_per_mapping),
        queue_timeout: time("queue_timeout", default.queue_timeout),
        requests_per_second: table.number("requests_per_second").and_then(NonZeroU32::new),
        failed_attempts: rate("failed_attempts", default.failed_attempts),
        failed_attempts_per_client: rate("failed_attempts_per_client", default.failed_attempts_per_client),
        memory,
        upload_buffer,
        upload_spool: table.size("upload_spool").map_or(default.upload_spool, |size| size.value),
        drain_timeout: time("drain_timeout", default.drain_timeout),
    };
    let workers = table.number("workers").and_then(NonZeroUsize::new);
    table.finish();
    (limits, workers)
}

/// Reads the memory and the share of it for uploads, which holds at least one part.
fn read_memory(table: &Table<'_>, default: &Limits) -> (u64, u64) {
    let (memory, uploads) = (table.size("memory"), table.size("upload_buffer"));
    let bytes = memory.as_ref().map_or(default.memory, |memory| memory.value);
    let of_uploads = uploads.as_ref().map_or(default.upload_buffer, |uploads| uploads.value);
    let most = bytes.saturating_sub(LEAST_SHARED);
    if uploads.is_none() && memory.is_some() {
        return (bytes, (bytes / 2).clamp(PART_SIZE, most));
    }
    if let Some(uploads) = uploads.filter(|uploads| uploads.value > most) {
        let message = format!(
            "upload_buffer is {} and does not fit into memory, which is {}",
            show_size(uploads.value),
            show_size(bytes)
        );
        let help = format!(
            "memory holds upload_buffer and {} besides: write memory = \"{}\" or more",
            show_size(LEAST_SHARED),
            show_size(uploads.value.saturating_add(LEAST_SHARED))
        );
        table.reader().error(uploads.span, message, help);
    }
    (bytes, of_uploads)
}
