//! Every form in which clients send bodies, on a real MinIO: the stored object is the sent object, with its checksum.

mod copies;
mod documents;
mod envelopes;
mod failures;
mod locks;
mod trailers;
mod unknown_length;

use crate::support::http::Response;
use crate::support::minio::Minio;
use crate::support::sigv4;
use crate::support::world::World;
use scopegate::internals::{Algorithm, Hasher};

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];

/// Returns content without repetition.
fn content(length: usize) -> Vec<u8> {
    let at = |n: usize| u64::try_from(n).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    (0..length).map(|n| u8::try_from(at(n)).unwrap()).collect()
}

/// Returns a checksum for MinIO to verify, which compares Scopegate's computation with MinIO's.
fn sum(algorithm: Algorithm, content: &[u8]) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(content);
    hasher.finish().base64()
}

/// Returns an aws-chunked body, with chunks signed by meaningless keys.
fn envelope(content: &[u8], signed: bool, trailer: Option<(Algorithm, &str)>) -> Vec<u8> {
    let signature = if signed { format!(";chunk-signature={}", "d".repeat(64)) } else { String::new() };
    let mut body = Vec::new();
    for chunk in content.chunks(70_000) {
        body.extend_from_slice(format!("{:x}{signature}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0{signature}\r\n").as_bytes());
    if let Some((algorithm, sum)) = trailer {
        body.extend_from_slice(format!("{}:{sum}\r\n", algorithm.header()).as_bytes());
        if signed {
            body.extend_from_slice(format!("x-amz-trailer-signature:{}\r\n", "d".repeat(64)).as_bytes());
        }
    }
    body.extend_from_slice(b"\r\n");
    body
}

/// Encodes a body in HTTP chunks.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(body.len() + 1024);
    for chunk in body.chunks(100_000) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// Returns the store's own attributes of an object.
fn attributes(minio: &Minio, key: &str) -> Response {
    let asked = [("x-amz-object-attributes", "ETag,Checksum,ObjectSize,ObjectParts,StorageClass")];
    sigv4::direct(minio, &minio.root, "GET", &format!("/tmp/{key}?attributes="), &asked, b"")
}

/// Returns the number of unfinished multipart uploads.
fn unfinished(minio: &Minio) -> usize {
    let listed = sigv4::direct(minio, &minio.root, "GET", "/tmp?uploads=", &[], b"");
    assert_eq!(listed.status(), 200, "{}", listed.text());
    listed.text().matches("<Upload>").count()
}

fn exists(world: &World, key: &str) -> bool {
    match world.ask("all", "HEAD", &format!("/tmp/{key}"), &[], b"").status() {
        200 => true,
        404 => false,
        other => panic!("HEAD {key}: {other}"),
    }
}
