//! Tests against a real MinIO: `cargo xtask test`.
//!
//! One binary with one module per subject. Every test starts its own servers (see [`support`]).

#![cfg(test)]

mod balanced;
mod browser;
mod browsing;
mod charts;
mod cluster;
mod commands;
mod compose;
mod continued;
mod dashboards;
mod faults;
mod framing;
mod guards;
mod half_closed;
mod harness;
mod http2;
mod identity;
mod life;
mod limits;
mod links;
mod messages;
mod minio_facts;
mod observability;
mod operators;
mod pasted;
mod payloads;
mod progress;
mod proxied;
mod reload;
mod sessions;
mod status;
mod streaming;
mod support;
mod surface;
mod tls;
mod tls_in;
mod tls_out;
#[cfg(feature = "otlp")]
mod traces;
mod units;
mod walkthroughs;
mod walls;
