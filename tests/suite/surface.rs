//! The whole object API on a real MinIO: every operation, mounts, virtual hosts, and the differences from MinIO.

mod compared;
mod conditions;
mod methods;
mod mounts;
mod multi_delete;
mod operations;
mod protocols;
mod uploads;
mod values;
mod virtual_host;

use crate::support::http::Response;
use scopegate::internals::{Algorithm, Checksum, Hasher};

/// Returns the raw texts of all elements with this name.
fn elements(answer: &Response, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let text = answer.text();
    text.split(&start).skip(1).map(|rest| rest.split(&end).next().unwrap().to_owned()).collect()
}

fn checksum(algorithm: Algorithm, content: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(content);
    hasher.finish()
}
