//! Counts the allocations of a request between the sockets, so that none is added unnoticed.
//!
//! This is a test binary of its own because the counting allocator is global.

#[allow(dead_code, reason = "the benches measure more kinds of requests")]
#[path = "../benches/example/mod.rs"]
mod example;

use example::Example;
use std::hint::black_box;

/// The allocations of a plain GET from the lookup of its mapping to its signature.
const PLAIN_GET: u64 = 2;

#[test]
fn a_plain_get_allocates_exactly_twice() {
    let example = Example::plain_get();
    // The first request of a thread allocates its scratch space.
    black_box(example.whole());
    let allocated = allocation_counter::measure(|| {
        black_box(example.whole());
    });
    let count = allocated.count_total;
    assert_eq!(
        count, PLAIN_GET,
        "a plain GET allocates {count} times ({} bytes), expected {PLAIN_GET}; avoid the added allocation, \
         or lower the constant if one was saved",
        allocated.bytes_total
    );
}
