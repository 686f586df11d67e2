//! Counts what a request allocates between the sockets, so that none is added unseen.
//!
//! A test binary of its own, as the allocator that counts is one for the whole program.

#[allow(dead_code, reason = "the benches measure more kinds of requests")]
#[path = "../benches/example/mod.rs"]
mod example;

use example::Example;
use std::hint::black_box;

/// What a plain GET allocates from the look-up of its mapping to its signature.
const OF_A_PLAIN_GET: u64 = 2;

#[test]
fn a_plain_get_allocates_no_more_than_it_did() {
    let example = Example::plain_get();
    // The first request of a thread makes its scratch space.
    black_box(example.whole());
    let allocated = allocation_counter::measure(|| {
        black_box(example.whole());
    });
    let count = allocated.count_total;
    assert_eq!(
        count, OF_A_PLAIN_GET,
        "a lookup, decision, rebuild and signature allocate {count} times ({} bytes) and not {OF_A_PLAIN_GET}: \
         avoid what was added, or lower the figure to keep what was gained",
        allocated.bytes_total
    );
}
