//! What the tests stand on: a real MinIO, the real `scopegate`, and a client that sends exact bytes.
//!
//! Everything here panics where a set-up fails and says what was seen; nothing skips.

pub(crate) mod browser;
pub(crate) mod cluster;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod keys;
pub(crate) mod minio;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod scopegate;
pub(crate) mod sigv4;
pub(crate) mod sts;
pub(crate) mod tls;
pub(crate) mod world;
