//! The table of the configuration's keys: names, defaults, ranges and meanings. The reader, its messages and
//! docs/reference/configuration.md all use it.

mod identities;
mod limits;
mod listeners;
mod manual;
mod mappings;
#[cfg(test)]
mod page;
mod policy_tests;
mod root;
mod store;
#[cfg(test)]
mod tests;

pub(super) use identities::{DECLARATIONS, JWKS, JWT, KEY, TOKEN, USER};
pub(super) use limits::{LIMITS, LOG, TRACES};
pub(super) use listeners::{ADMIN, FORWARDED, LISTENER, LISTENER_TLS, PROXY_PROTOCOL};
pub(super) use mappings::{CLAIM, CLIENT, CLIENT_CERTIFICATE, CLIENT_JWT, CORS, MAPPING, SCOPE};
pub(super) use policy_tests::{TEST, TESTS};
pub(super) use root::ROOT;
pub(super) use store::{CERTIFICATE, CLIENT_TLS, ISSUER, SECRET, UPSTREAM};

pub(crate) use manual::manual;

use super::value::show_duration;
use crate::net::guarded::show_size;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A table of the configuration.
pub(super) struct Section {
    /// The name for messages, such as `[upstream]`.
    pub(super) name: &'static str,
    layout: Layout,
    /// The keys in the order of the reference.
    keys: &'static [Key],
}

/// The columns of a section in the reference.
#[derive(Clone, Copy)]
enum Layout {
    /// The default and the meaning.
    Defaults,
    /// The default, the range, and what the key bounds.
    Ranges,
    /// What is true of a client if the condition holds.
    Conditions,
    /// What is true of a certificate if the condition holds.
    Certificates,
    /// The meaning.
    Meanings,
}

/// A key of a section.
pub(super) struct Key {
    name: &'static str,
    default: Default,
    values: Values,
    /// In Markdown, as seen from docs/reference. `{range}` is the range of the values.
    meaning: &'static str,
}

/// What counts without the key.
#[derive(Clone, Copy)]
enum Default {
    Required,
    /// Something that no value says.
    Else(&'static str),
    /// A value in TOML, and another default under a condition.
    Value(&'static str, Option<&'static str>),
}

/// The values of a key that are bounded.
#[derive(Clone)]
enum Values {
    /// No numbers, times or sizes.
    Other,
    Numbers(RangeInclusive<u64>),
    Times(RangeInclusive<Duration>),
    Sizes(RangeInclusive<u64>),
}

/// The sections of a configuration, each with its name in the reference.
static SECTIONS: [(&str, &Section); 27] = [
    ("the file", &ROOT),
    ("a secret", &SECRET),
    ("a certificate", &CERTIFICATE),
    ("[[listener]]", &LISTENER),
    ("tls of [[listener]]", &LISTENER_TLS),
    ("proxy_protocol of [[listener]]", &PROXY_PROTOCOL),
    ("forwarded of [[listener]]", &FORWARDED),
    ("[admin]", &ADMIN),
    ("[upstream]", &UPSTREAM),
    ("tls towards servers", &CLIENT_TLS),
    ("[issuer]", &ISSUER),
    ("[[user]]", &USER),
    ("users and tokens", &DECLARATIONS),
    ("[[token]]", &TOKEN),
    ("[[key]]", &KEY),
    ("[[jwt]]", &JWT),
    ("jwks", &JWKS),
    ("[[mapping]]", &MAPPING),
    ("client", &CLIENT),
    ("certificate of client", &CLIENT_CERTIFICATE),
    ("jwt of client", &CLIENT_JWT),
    ("claims", &CLAIM),
    ("[[mapping.scope]]", &SCOPE),
    ("[mapping.cors]", &CORS),
    ("[limits]", &LIMITS),
    ("[log]", &LOG),
    ("[traces]", &TRACES),
];

impl Section {
    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns whether the section has a key.
    pub(super) fn has(&self, name: &str) -> bool {
        self.key(name).is_some()
    }

    /// Returns the names of the keys.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// Returns the range of a number. Another key has none, and then no number is in the range.
    pub(super) fn numbers(&self, name: &str) -> RangeInclusive<u64> {
        match self.key(name).map(|key| &key.values) {
            Some(Values::Numbers(range)) => range.clone(),
            _ => RangeInclusive::new(1, 0),
        }
    }

    /// Returns the range of a duration. Another key has none, and then no duration is in the range.
    pub(super) fn times(&self, name: &str) -> RangeInclusive<Duration> {
        match self.key(name).map(|key| &key.values) {
            Some(Values::Times(range)) => range.clone(),
            _ => RangeInclusive::new(Duration::MAX, Duration::ZERO),
        }
    }

    /// Returns the range of a size. Another key has none, and then no size is in the range.
    pub(super) fn sizes(&self, name: &str) -> RangeInclusive<u64> {
        match self.key(name).map(|key| &key.values) {
            Some(Values::Sizes(range)) => range.clone(),
            _ => RangeInclusive::new(1, 0),
        }
    }

    /// Returns a value of a key in TOML for messages: its default.
    pub(super) fn example(&self, name: &str) -> Option<&'static str> {
        match self.key(name)?.default {
            Default::Value(value, _) => Some(value),
            Default::Required | Default::Else(_) => None,
        }
    }
}

impl Values {
    /// Returns the range as people write it, or nothing.
    fn shown(&self) -> String {
        match self {
            Self::Other => String::new(),
            Self::Numbers(range) => format!("{} to {}", grouped(*range.start()), grouped(*range.end())),
            Self::Times(range) => {
                format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()))
            }
            Self::Sizes(range) => format!("{} to {}", show_size(*range.start()), show_size(*range.end())),
        }
    }
}

/// Returns a number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let comma = |index: usize| index > 0 && index % 3 == first;
    digits.chars().enumerate().fold(String::new(), |mut text, (index, digit)| {
        if comma(index) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

impl Key {
    /// Returns the meaning in Markdown.
    fn explained(&self) -> String {
        self.meaning.replace("{range}", &self.values.shown())
    }

    /// Returns the default in Markdown.
    fn default(&self) -> String {
        match self.default {
            Default::Required => "required".to_owned(),
            Default::Else(text) => text.to_owned(),
            Default::Value(value, None) => format!("`{value}`"),
            Default::Value(value, Some(note)) => format!("`{value}`; {note}"),
        }
    }

    const fn new(name: &'static str, default: Default, meaning: &'static str) -> Self {
        Self { name, default, values: Values::Other, meaning }
    }

    /// Returns a key that a section must have.
    const fn required(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Default::Required, meaning)
    }

    /// Returns a key without which something counts that no value says.
    const fn optional(name: &'static str, without: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Default::Else(without), meaning)
    }

    /// Returns a condition, which does not count without the key.
    const fn condition(name: &'static str, meaning: &'static str) -> Self {
        Self::optional(name, "none", meaning)
    }

    /// Returns a key with a default in TOML.
    const fn defaulting(name: &'static str, value: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Default::Value(value, None), meaning)
    }

    /// Adds another default, and the condition for it.
    const fn otherwise(self, note: &'static str) -> Self {
        match self.default {
            Default::Value(value, _) => Self { default: Default::Value(value, Some(note)), ..self },
            _ => self,
        }
    }

    const fn numbers(self, range: RangeInclusive<u64>) -> Self {
        Self { values: Values::Numbers(range), ..self }
    }

    const fn times(self, range: RangeInclusive<Duration>) -> Self {
        Self { values: Values::Times(range), ..self }
    }

    const fn sizes(self, range: RangeInclusive<u64>) -> Self {
        Self { values: Values::Sizes(range), ..self }
    }
}
