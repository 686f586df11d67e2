//! Counts the allocations of a request between the sockets, so that none is added unnoticed.
//!
//! This is a test binary of its own because the counting allocator is global.

#[allow(dead_code, reason = "the benches measure more kinds of requests")]
#[path = "../benches/example/mod.rs"]
mod example;

use example::Example;
use example::login::{Kind, Login};
use scopegate::internals::LogFormat;
use std::hint::black_box;

/// The allocations of a plain GET from the lookup of its mapping to its signature.
const PLAIN_GET: u64 = 2;

#[test]
fn a_plain_get_allocates_exactly_twice() {
    let example = Example::plain_get();
    assert_allocations("a plain GET", PLAIN_GET, || {
        black_box(example.whole());
    });
}

/// A login that is remembered is found without any allocation, so such a GET allocates as often as a plain one.
#[test]
fn a_remembered_login_allocates_nothing() {
    let example = Example::plain_get();
    for kind in [Kind::Basic, Kind::Token, Kind::RememberedJwt] {
        let login = Login::new(kind);
        assert_allocations(&format!("a GET with {kind:?}"), PLAIN_GET, || {
            black_box(login.identify());
            black_box(example.whole());
        });
    }
}

/// A line in the access log adds the object to the record. The line is written into memory that the thread keeps.
#[test]
fn a_recorded_get_allocates_once_and_once_more_for_its_line() {
    for (format, expected) in [(None, 1), (Some(LogFormat::Text), 2), (Some(LogFormat::Json), 2)] {
        let recorded = Example::plain_get().recorded(format);
        // The queue of lines grows in some runs.
        let counts = (0..20).map(|_| allocation_counter::measure(|| recorded.record()).count_total);
        assert_eq!(counts.min(), Some(expected), "the record of a GET with lines in {format:?}");
    }
}

fn assert_allocations(what: &str, expected: u64, run: impl Fn()) {
    // The first request of a thread allocates its scratch space.
    run();
    let allocated = allocation_counter::measure(&run);
    let count = allocated.count_total;
    assert_eq!(
        count, expected,
        "{what} allocates {count} times ({} bytes), expected {expected}; avoid the added allocation, or lower the \
         constant if one was saved",
        allocated.bytes_total
    );
}
