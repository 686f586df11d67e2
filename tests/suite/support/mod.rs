//! The test environment: a real MinIO, the real `scopegate`, and a client that sends exact bytes.
//!
//! If the set-up fails, everything here panics and says what it saw. Nothing is skipped.

pub(crate) mod authority;
pub(crate) mod browser;
pub(crate) mod cluster;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod keys;
pub(crate) mod minio;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod proxy;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod scopegate;
pub(crate) mod seeded;
pub(crate) mod sigv4;
pub(crate) mod sts;
pub(crate) mod tls;
pub(crate) mod world;
