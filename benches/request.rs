//! What one request costs between the sockets, with its allocations: `cargo bench --bench request`.

mod example;

use divan::{AllocProfiler, Bencher, black_box};
use example::Example;
use scopegate::amz_date::AmzDate;
use std::time::SystemTime;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The last of sixteen mappings is found.
#[divan::bench]
fn find_mapping(bencher: Bencher<'_, '_>) {
    let example = Example::plain_get();
    bencher.bench_local(|| black_box(example.mapping()));
}

/// Router and policy: target and query read, operation found, scope and right held against it.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn decide(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    let mapping = example.mapping();
    bencher.bench_local(|| black_box(example.grant(mapping)));
}

/// The payload classified, headers and target written anew from the allow-lists.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn rebuild(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    let mapping = example.mapping();
    bencher
        .with_inputs(|| example.grant(mapping))
        .bench_local_values(|grant| black_box(example.rebuild(grant)));
}

/// The canonical request, its signature, and the request to send.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn sign(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    let outgoing = example.rebuild(example.grant(example.mapping()));
    bencher.bench_local(|| black_box(example.sign(&outgoing)));
}

/// The date as it is signed.
#[divan::bench]
fn date() -> AmzDate {
    AmzDate::new(black_box(SystemTime::UNIX_EPOCH))
}

/// From the client to the signed request: all of the above.
#[divan::bench(args = [Kind::Get, Kind::Escaped, Kind::List])]
fn decide_to_signed(bencher: Bencher<'_, '_>, kind: Kind) {
    let example = kind.example();
    bencher.bench_local(|| black_box(example.whole()));
}

/// The requests that are measured. Another payload form gets its decoder's bench beside `rebuild`.
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
