//! The tests against a real MinIO: `cargo xtask test`.
//!
//! One binary, a module for each subject. Every test starts its own servers (see [`support`]).

#![cfg(test)]

mod commands;
mod harness;
mod minio_facts;
mod proxied;
mod sessions;
mod streaming;
mod support;
mod tls;
mod walls;
