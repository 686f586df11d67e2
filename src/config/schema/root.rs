//! The sections of a configuration, and the keys before them.

use super::{Key, Layout, Section};

/// The file as a whole.
pub(in crate::config) static ROOT: Section = Section {
    name: "the file",
    layout: Layout::Defaults,
    keys: &[
        Key::required("listener", "[`[[listener]]`](#listener): addresses where clients connect"),
        Key::optional("admin", "none", "[`[admin]`](#admin): health, metrics and the status page"),
        Key::required("upstream", "[`[upstream]`](#upstream): the store"),
        Key::required("issuer", "[`[issuer]`](#issuer): the user that creates the sessions"),
        Key::optional("user", "none", "[`[[user]]`](#user-and-users): people with passwords"),
        Key::optional("users", "none", "a [file](#user-and-users) with further users"),
        Key::optional("token", "none", "[`[[token]]`](#token-and-tokens): bearer tokens"),
        Key::optional("tokens", "none", "a [file](#token-and-tokens) with further tokens"),
        Key::optional("key", "none", "[`[[key]]`](#key): access keys that only Scopegate knows"),
        Key::optional("jwt", "none", "[`[[jwt]]`](#jwt): issuers of signed tokens"),
        Key::required("mapping", "[`[[mapping]]`](#mapping): clients and what they may do"),
        Key::optional("limits", "the defaults", "[`[limits]`](#limits): bounds on what clients can use"),
        Key::optional("log", "the defaults", "[`[log]`](#log): what is logged, and how"),
        Key::optional(
            "traces",
            "none",
            "[`[traces]`](#traces): the collector that receives traces of requests",
        ),
    ],
};
