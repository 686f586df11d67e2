//! The keys of `[limits]` and `[log]`.

use super::{Key, Layout, Section};
use crate::bounds::limits::{LEAST_SHARED, PART_SIZE};
use std::ops::RangeInclusive;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// The bounds of most times.
const BRIEF: RangeInclusive<Duration> = Duration::from_millis(100)..=HOUR;
/// The maximum bound on connections, requests and their queues.
const MOST: u64 = 1_000_000;

/// `[limits]`.
pub(in crate::config) static LIMITS: Section = Section {
    name: "[limits]",
    layout: Layout::Ranges,
    keys: &[
        Key::defaulting("connections", "10000", "client connections").numbers(1..=MOST),
        Key::defaulting(
            "connections_per_client",
            "4096",
            "connections of one IPv4 address, IPv6 /64 or unix user; also its HTTP/2 streams, over all \
             connections",
        )
        .numbers(1..=MOST),
        Key::defaulting("handshakes", "512", "TLS handshakes in progress. Each takes up to 64 KiB of memory")
            .numbers(1..=MOST),
        Key::defaulting(
            "header_timeout",
            "\"30s\"",
            "time for a request's head, once it has begun, and for a TLS handshake",
        )
        .times(BRIEF),
        Key::defaulting(
            "idle_timeout",
            "\"75s\"",
            "time that a connection waits for a request ([behind a load \
             balancer](../load-balancers.md#idle-connections))",
        )
        .times(BRIEF),
        Key::defaulting(
            "stall_timeout",
            "\"1m\"",
            "time that a body may pause or be slower than `minimum_rate`",
        )
        .times(BRIEF),
        Key::defaulting(
            "minimum_rate",
            "\"1KiB\"",
            "bytes per second of a body, while Scopegate waits for its client",
        )
        .sizes(1..=1 << 30),
        Key::defaulting("request_timeout", "\"6h\"", "time for a whole request, including both bodies")
            .times(SECOND..=Duration::from_hours(168)),
        Key::defaulting("header_bytes", "32768", "bytes of a request's head").numbers(4096..=131_072),
        Key::defaulting("headers", "100", "number of headers of a request").numbers(16..=1000),
        Key::defaulting("connect_timeout", "\"3s\"", "time to connect to a node").times(BRIEF),
        Key::defaulting(
            "response_timeout",
            "\"5m\"",
            "time for the store's response, while the store has everything that it waits for",
        )
        .times(BRIEF),
        Key::defaulting("session_wait", "\"10s\"", "time that a request waits for its session").times(BRIEF),
        Key::defaulting("mint_timeout", "\"10s\"", "time for one AssumeRole").times(BRIEF),
        Key::defaulting(
            "mints_per_second",
            "15",
            "mints per second, over all mappings ([how many are needed](../sizing.md)); `check` warns if \
             they are too few",
        )
        .numbers(1..=1000),
        Key::defaulting("requests_per_mapping", "1024", "running requests of a mapping").numbers(1..=MOST),
        Key::defaulting("queue_per_mapping", "1024", "waiting requests of a mapping").numbers(0..=MOST),
        Key::defaulting("queue_timeout", "\"10s\"", "time that a request waits in the queue").times(BRIEF),
        Key::optional("requests_per_second", "none", "requests of a mapping that begin per second")
            .numbers(1..=MOST),
        Key::defaulting(
            "failed_attempts",
            "6000",
            "failed attempts in a minute to prove an identity, over all clients",
        )
        .numbers(1..=MOST),
        Key::defaulting(
            "failed_attempts_per_client",
            "60",
            "those of one IPv4 address, IPv6 /64 or unix user",
        )
        .numbers(1..=MOST),
        Key::defaulting(
            "memory",
            "\"128MiB\"",
            "memory for data that clients send and for data that they do not read, in all",
        )
        .sizes(PART_SIZE + LEAST_SHARED..=1 << 40),
        Key::defaulting(
            "upload_buffer",
            "\"64MiB\"",
            "the part of `memory` for buffered uploads ([uploads](../uploads.md#buffered-bodies)). It \
             leaves 32MiB of `memory` for other data",
        )
        .otherwise("half of `memory` if only that is set")
        .sizes(PART_SIZE..=1 << 40),
        Key::defaulting("upload_spool", "\"2GiB\"", "size of all temporary files in `TMPDIR`")
            .sizes(0..=1 << 50),
        Key::defaulting("drain_timeout", "\"30s\"", "time for running requests after SIGTERM")
            .times(Duration::ZERO..=HOUR),
        Key::optional("workers", "the number of cores", "threads that serve requests").numbers(1..=1024),
    ],
};

/// `[log]`.
pub(in crate::config) static LOG: Section = Section {
    name: "[log]",
    layout: Layout::Defaults,
    keys: &[
        Key::defaulting("format", "\"text\"", "`\"text\"` or `\"json\"`"),
        Key::defaulting(
            "level",
            "\"info\"",
            "`\"error\"`, `\"warn\"`, `\"info\"` or `\"debug\"`. `RUST_LOG` overrides it",
        ),
        Key::defaulting(
            "access",
            "true",
            "whether to log a line for each request; `\"audit\"` for those alone that change something or \
             are refused",
        ),
        Key::defaulting(
            "identity",
            "\"name\"",
            "how these lines show the identity of a client: `\"name\"`, `\"hash\"` or `\"off\"`",
        ),
    ],
};

/// `[traces]`.
pub(in crate::config) static TRACES: Section = Section {
    name: "[traces]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("endpoint", "the URL for traces, such as `\"http://127.0.0.1:4318/v1/traces\"`"),
        Key::defaulting(
            "sample",
            "0.01",
            "the fraction of the requests without a parent that is traced, from 0 to 1",
        ),
        Key::defaulting(
            "parent",
            "\"follow\"",
            "whether the `traceparent` of a client decides and is continued, or `\"ignore\"`",
        ),
        Key::defaulting(
            "parent_limit",
            "10",
            "how many traces of clients are continued in each second, by all clients together",
        )
        .numbers(1..=MOST),
        Key::defaulting("propagate", "false", "whether the store receives a `traceparent`"),
        Key::defaulting("service_name", "\"scopegate\"", "the name of this service, `service.name`"),
        Key::optional(
            "authorization",
            "none",
            "a [secret](#secrets): the value of a header for the collector, such as `Bearer TOKEN`",
        ),
        Key::defaulting(
            "authorization_header",
            "\"authorization\"",
            "the name of that header, such as `\"x-api-key\"`",
        ),
        Key::optional("tls", "the system's CAs", "[TLS towards the collector](#tls-towards-servers)"),
        Key::defaulting("timeout", "\"5s\"", "for one attempt to send, {range}")
            .times(Duration::from_millis(100)..=Duration::from_mins(1)),
        Key::defaulting(
            "queue",
            "2048",
            "how many requests may wait to be sent, 6 KiB each at most; the spans of more are dropped and counted",
        )
        .numbers(1..=65_536),
    ],
};
