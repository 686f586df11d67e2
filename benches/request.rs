//! The time and allocations of a request between the sockets: `cargo bench --bench request`.

mod example;

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use example::Example;
use example::login::{self, Login};
use scopegate::internals::{Algorithm, AmzDate, Decoder, Envelope, LogFormat};
use std::time::SystemTime;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Finds the last of sixteen mappings.
#[divan::bench]
fn find_mapping(bencher: Bencher<'_, '_>) {
    let example = Example::plain_get();
    bencher.bench_local(|| black_box(example.mapping()));
}

/// Routes and authorizes: parses target and query, finds the operation, checks scope and right.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn decide(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    let mapping = example.mapping();
    bencher.bench_local(|| black_box(example.grant(mapping)));
}

/// Classifies the payload and writes headers and target from the allow-lists.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn rebuild(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    let mapping = example.mapping();
    bencher
        .with_inputs(|| example.grant(mapping))
        .bench_local_values(|grant| black_box(example.rebuild(grant)));
}

/// Computes the signature and writes the request.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn sign(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    let outgoing = example.rebuild(example.grant(example.mapping()));
    bencher.bench_local(|| black_box(example.sign(&outgoing)));
}

/// Formats the date as it is signed.
#[divan::bench]
fn date() -> AmzDate {
    AmzDate::new(black_box(SystemTime::UNIX_EPOCH))
}

/// Does all of the above, from the client to the signed request.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn decide_to_signed(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    bencher.bench_local(|| black_box(example.whole()));
}

/// Verifies credentials.
#[divan::bench(args = [
    login::Kind::Basic, login::Kind::Token, login::Kind::RememberedJwt, login::Kind::Es256, login::Kind::Rs256,
    login::Kind::SigV4,
])]
fn identify(bencher: Bencher<'_, '_>, kind: login::Kind) {
    let login = Login::new(kind);
    bencher.bench_local(|| {
        black_box(login.identify());
    });
}

/// Records a request: for the metrics alone, or with a line in the access log.
#[divan::bench(args = [Lines::Off, Lines::Text, Lines::Json])]
fn record(bencher: Bencher<'_, '_>, lines: Lines) {
    let recorded = Example::plain_get().recorded(lines.format());
    bencher.bench_local(|| recorded.record());
}

/// Removes an aws-chunked envelope with chunks of different sizes. SDKs send 64 KiB or more; S3 accepts 8 KiB.
#[divan::bench(args = [8 << 10, 64 << 10, 1 << 20])]
fn unwrap_chunks(bencher: Bencher<'_, '_>, chunk: usize) {
    let pieces = enveloped(chunk);
    let envelope = Envelope { decoded: Some(CONTENT as u64), trailer: Some(Algorithm::Crc32) };
    bencher.counter(BytesCount::new(CONTENT)).with_inputs(|| pieces.clone()).bench_local_values(|pieces| {
        let mut decoder = Decoder::new(envelope);
        for mut piece in pieces {
            while let Ok(Some(content)) = decoder.next(&mut piece) {
                black_box(content);
            }
        }
        // The loop stops at an error, which `finish` reports.
        assert!(decoder.finish().is_ok(), "the envelope is malformed");
    });
}

/// The length of the content in the envelopes.
const CONTENT: usize = 1 << 20;

/// Returns a body in signed chunks followed by a checksum, in pieces as a socket delivers them.
fn enveloped(chunk: usize) -> Vec<Bytes> {
    let signature = "a".repeat(64);
    let mut body = Vec::new();
    for content in vec![b'x'; CONTENT].chunks(chunk) {
        body.extend_from_slice(format!("{:x};chunk-signature={signature}\r\n", content.len()).as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0;chunk-signature={signature}\r\n").as_bytes());
    body.extend_from_slice(b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    let body = Bytes::from(body);
    (0..body.len()).step_by(16 << 10).map(|at| body.slice(at..body.len().min(at + (16 << 10)))).collect()
}

/// The measured requests.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Escaped,
    List,
}

impl Kind {
    fn example(self) -> Example {
        match self {
            Self::Get => Example::plain_get(),
            Self::Escaped => Example::escaped_get(),
            Self::List => Example::list(),
        }
    }
}

/// The lines of the access log.
#[derive(Clone, Copy, Debug)]
enum Lines {
    Off,
    Text,
    Json,
}

impl Lines {
    fn format(self) -> Option<LogFormat> {
        match self {
            Self::Off => None,
            Self::Text => Some(LogFormat::Text),
            Self::Json => Some(LogFormat::Json),
        }
    }
}
