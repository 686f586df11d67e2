//! Bounds on what tokens cost: memory, and the length of log lines.

use super::jwt::{Key, claims, config, get, minio, set};
use crate::support::proxy::Proxy;
use crate::support::world::{outcome, start};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const ISSUER: &str = "https://id.test/";

/// Returns the most memory that a process had resident, in bytes.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Returns claims that take about half a MiB of memory as JSON values, and 10 KiB as text.
fn heavy() -> Value {
    json!({ "x": vec![json!({ "": 0 }); 1200] })
}

fn section(jwks: &str) -> String {
    format!(
        "[log]\naccess = true\n[[jwt]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudience = \"scopegate\"\njwks = {jwks}\n"
    )
}

fn file(folder: &Path, key: &Key) -> String {
    let file = folder.join("jwks.json");
    std::fs::write(&file, set(&[key])).unwrap();
    section(&format!("{{ file = {file:?} }}"))
}

fn grown(proxy: &Proxy, before: u64) -> u64 {
    peak(proxy.id()).saturating_sub(before) / MIB
}

/// Anyone can send such tokens, and nobody has verified them while they wait.
#[test]
fn tokens_that_wait_for_keys_take_little_memory() {
    let (minio, keys) = minio();
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let jwks = format!("{{ url = \"http://{}/keys\" }}", silent.local_addr().unwrap());
    let proxy = start(&config(minio.address, &section(&jwks), "{ issuer = \"corp\" }"), &keys);
    let token = Key::new("one").token(&claims(ISSUER, &heavy()));
    let head = format!(
        "GET /tmp/media/hello.txt HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let before = peak(proxy.id());
    let mut waiting: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(proxy.address("main")).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        waiting.push(stream);
    }
    for mut stream in waiting {
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    }
    let grown = grown(&proxy, before);
    assert!(grown < 50, "300 tokens of {} bytes took {grown} MiB", token.len());
}

#[test]
fn tokens_with_heavy_claims_are_not_remembered() {
    let (minio, keys) = minio();
    let (folder, key) = (TempDir::new().unwrap(), Key::new("one"));
    let proxy = start(&config(minio.address, &file(folder.path(), &key), "{ issuer = \"corp\" }"), &keys);
    let mut claims = claims(ISSUER, &heavy());
    let before = peak(proxy.id());
    for number in 0..300 {
        claims["jti"] = number.to_string().into();
        let read = get(&proxy, &key.token(&claims));
        assert_eq!(read.status(), 200, "{}", proxy.stderr());
    }
    let grown = grown(&proxy, before);
    assert!(grown < 50, "300 tokens took {grown} MiB");
}

#[test]
fn a_long_subject_is_shortened_in_the_log() {
    let (minio, keys) = minio();
    let (folder, key) = (TempDir::new().unwrap(), Key::new("one"));
    let proxy = start(&config(minio.address, &file(folder.path(), &key), "{ issuer = \"corp\" }"), &keys);
    let read = get(&proxy, &key.token(&claims(ISSUER, &json!({ "sub": "s".repeat(10_000) }))));
    assert_eq!(read.status(), 200, "{}", proxy.stderr());
    let (_, log) = proxy.terminate();
    let line = log.lines().find(|line| line.contains("identity=\"ssss")).unwrap();
    assert!(line.len() < 2000, "{} bytes", line.len());
}

/// A remembered token always passes. One that must be verified waits until the address may try again, also if it is valid:
/// otherwise each of the wrong ones would cost a signature.
#[test]
fn too_many_wrong_tokens_are_refused_and_remembered_ones_pass() {
    let (minio, keys) = minio();
    let (folder, key) = (TempDir::new().unwrap(), Key::new("one"));
    let sections = format!("[limits]\nfailed_attempts_per_client = 3\n{}", file(folder.path(), &key));
    let proxy = start(&config(minio.address, &sections, "{ issuer = \"corp\" }"), &keys);
    let (good, fresh) = (claims(ISSUER, &json!({})), claims(ISSUER, &json!({ "n": 1 })));
    let (good, fresh) = (key.token(&good), key.token(&fresh));
    assert_eq!(outcome(&get(&proxy, &good)), "200");
    let forged = Key::new("one").token(&claims(ISSUER, &json!({})));
    for _ in 0..3 {
        assert_eq!(outcome(&get(&proxy, &forged)), "401 AccessDenied bad-credentials");
    }
    for token in [&forged, &fresh] {
        assert_eq!(outcome(&get(&proxy, token)), "429 TooManyRequests too-many-failures");
    }
    assert_eq!(outcome(&get(&proxy, &good)), "200");
}
