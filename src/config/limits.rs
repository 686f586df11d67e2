//! Reads `[limits]`: bounds on everything that peers control.

use super::reader::At;
use super::table::Table;
use crate::bounds::limits::{LEAST_SHARED, Limits, PART_SIZE};
use crate::net::guarded::show_size;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// The bounds of `request_timeout`, which covers a whole request. A week is enough for the largest object.
const REQUEST: RangeInclusive<Duration> = SECOND..=Duration::from_hours(168);
/// The maximum bound on connections, requests and their queues.
const MOST: u64 = 1_000_000;

/// Reads the limits, and the number of workers if it is set.
pub(super) fn read_limits(table: Table<'_>) -> (Limits, Option<NonZeroUsize>) {
    let default = Limits::default();
    let time = |key, default: Duration| table.duration(key, SECOND / 10..=HOUR).unwrap_or(default);
    let count = |key, range, default: usize| table.number(key, range).unwrap_or(default);
    let rate = |key, default| table.number(key, 1..=MOST).and_then(NonZeroU32::new).unwrap_or(default);
    let (memory, upload_buffer) = read_memory(&table, &default);
    let limits = Limits {
        connections: count("connections", 1..=MOST, default.connections),
        connections_per_client: count("connections_per_client", 1..=MOST, default.connections_per_client),
        handshakes: count("handshakes", 1..=MOST, default.handshakes),
        header_timeout: time("header_timeout", default.header_timeout),
        idle_timeout: time("idle_timeout", default.idle_timeout),
        request_timeout: table.duration("request_timeout", REQUEST).unwrap_or(default.request_timeout),
        header_bytes: count("header_bytes", 4096..=131_072, default.header_bytes),
        headers: count("headers", 16..=1000, default.headers),
        stall_timeout: time("stall_timeout", default.stall_timeout),
        minimum_rate: size(&table, "minimum_rate", 1..=1 << 30, "1KiB")
            .and_then(|rate| u32::try_from(rate.value).ok())
            .unwrap_or(default.minimum_rate),
        connect_timeout: time("connect_timeout", default.connect_timeout),
        response_timeout: time("response_timeout", default.response_timeout),
        session_wait: time("session_wait", default.session_wait),
        mint_timeout: time("mint_timeout", default.mint_timeout),
        mints_per_second: table.number("mints_per_second", 1..=1000).unwrap_or(default.mints_per_second),
        requests_per_mapping: count("requests_per_mapping", 1..=MOST, default.requests_per_mapping),
        queue_per_mapping: count("queue_per_mapping", 0..=MOST, default.queue_per_mapping),
        queue_timeout: time("queue_timeout", default.queue_timeout),
        requests_per_second: table.number("requests_per_second", 1..=MOST).and_then(NonZeroU32::new),
        failed_attempts: rate("failed_attempts", default.failed_attempts),
        failed_attempts_per_client: rate("failed_attempts_per_client", default.failed_attempts_per_client),
        memory,
        upload_buffer,
        upload_spool: read_upload_spool(&table).unwrap_or(default.upload_spool),
        drain_timeout: table
            .duration("drain_timeout", Duration::ZERO..=HOUR)
            .unwrap_or(default.drain_timeout),
    };
    let workers = table.number("workers", 1..=1024).and_then(NonZeroUsize::new);
    table.finish();
    (limits, workers)
}

/// Reads the memory and the share of it for uploads, which holds at least one part.
fn read_memory(table: &Table<'_>, default: &Limits) -> (u64, u64) {
    let least = PART_SIZE + LEAST_SHARED;
    let memory = size(table, "memory", least..=1 << 40, "128MiB");
    let uploads = size(table, "upload_buffer", PART_SIZE..=1 << 40, "64MiB");
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

fn size(table: &Table<'_>, key: &'static str, range: RangeInclusive<u64>, example: &str) -> Option<At<u64>> {
    let (from, to) = (show_size(*range.start()), show_size(*range.end()));
    table.size(key, range, &format!("write a size from {from} to {to}, such as \"{example}\""))
}

fn read_upload_spool(table: &Table<'_>) -> Option<u64> {
    let help = "write a size of at most 1024TiB, such as \"2GiB\"";
    table.size("upload_spool", 0..=1 << 50, help).map(|size| size.value)
}
