//! The keys of a file of tests, for `scopegate check --tests`.

use super::{Key, Layout, Section};

const ID: std::ops::RangeInclusive<u64> = 0..=0xffff_ffff;

/// The file as a whole.
pub(in crate::config) static TESTS: Section =
    Section { name: "the file", layout: Layout::Meanings, keys: &[Key::required("test", "the tests")] };

/// `[[test]]`. The meanings are as seen from docs/commands.md.
pub(in crate::config) static TEST: Section = Section {
    name: "[[test]]",
    layout: Layout::Meanings,
    keys: &[
        Key::condition(
            "from",
            "the client's address; beside `unix`, a load balancer at a unix socket names it",
        ),
        Key::condition("unix", "`true`: the client connects to a unix socket"),
        Key::condition("uid", "the user of a process that connects to a unix socket").numbers(ID),
        Key::condition("gid", "the primary group of this process").numbers(ID),
        Key::condition(
            "user",
            "the user that the client proves to be; it connects from this machine unless `from`, `unix` or `uid` \
             says otherwise",
        ),
        Key::condition("token", "the token that the client proves to have, by name"),
        Key::condition("key", "the local access key that the client signs with"),
        Key::condition(
            "mapping",
            "with one of these: the mapping that the client must get. Alone: a client that gets this mapping",
        ),
        Key::condition("listener", "the listener that it connects to; the first by default"),
        Key::required("request", "method, path and query"),
        Key::condition(
            "headers",
            "a list of `\"name: value\"`. Without a `host`, the request is for the listener's own address",
        ),
        Key::required("expect", "`\"allowed\"` or `\"refused\"`"),
        Key::condition("rule", "the rule that must refuse"),
        Key::condition("name", "shown instead of the request"),
    ],
};
