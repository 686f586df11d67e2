//! Reads TOML tables key by key and remembers every mistake.

use super::Diagnostic;
use super::value::{parse_duration, parse_size, show_duration};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;
use strsim::levenshtein;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Collects mistakes.
pub(super) struct Reader<'s> {
    source: &'s str,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

/// A value and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) offset: usize,
}

/// A table of which the keys read are remembered, so that the others are mistakes.
pub(super) struct Table<'t> {
    entries: Option<&'t DeTable<'t>>,
    /// What it is called in messages, as in `[upstream]`.
    name: &'static str,
    offset: usize,
    known: RefCell<Vec<&'static str>>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, diagnostics: RefCell::default() }
    }

    pub(super) fn error(&self, offset: usize, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.borrow_mut().push(Diagnostic::at(self.source, offset, message, help));
    }

    /// Notes a value that is wrong. The message begins with the value: no secret is ever read as one.
    pub(super) fn wrong(&self, text: At<&str>, what: &str, help: impl Into<String>) {
        self.error(text.offset, format!("{} {what}", shown(text.value)), help);
    }

    /// Returns the line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        Diagnostic::at(self.source, offset, "", "").line
    }

    /// Every mistake, in the order of their places, each once.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort();
        diagnostics.dedup();
        diagnostics
    }
}

impl<'t> Table<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, name: &'static str, offset: usize) -> Self {
        Self { entries: Some(table), name, offset, known: RefCell::default() }
    }

    fn absent(name: &'static str) -> Self {
        Self { entries: None, name, offset: 0, known: RefCell::default() }
    }

    pub(super) fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.borrow_mut().push(key);
        self.entries?.get(key)
    }

    /// Notes every key that was not asked for. Keys are shown, values never.
    pub(super) fn finish(self, reader: &Reader<'_>) {
        let mut known: Vec<&str> = Vec::new();
        for key in self.known.into_inner() {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        for key in self.entries.into_iter().flat_map(|table| table.keys()) {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let help = match nearest(name, &known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("{} knows: {}", self.name, known.join(", ")),
                };
                reader.error(key.span().start, format!("unknown key {} in {}", shown(name), self.name), help);
            }
        }
    }

    pub(super) fn string(&self, reader: &Reader<'_>, key: &'static str) -> Option<At<&'t str>> {
        let value = self.get(key)?;
        let offset = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text, offset }),
            other => wrong_type(reader, offset, key, "a string", other),
        }
    }

    pub(super) fn required(
        &self,
        reader: &Reader<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<At<&'t str>> {
        if self.is_present() && self.get(key).is_none() {
            reader.error(
                self.offset,
                format!("{} has no {key:?}", self.name),
                format!("add {key} = {example}"),
            );
        }
        self.string(reader, key)
    }

    pub(super) fn boolean(&self, reader: &Reader<'_>, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            other => wrong_type(reader, value.span().start, key, "true or false", other),
        }
    }

    pub(super) fn number(
        &self,
        reader: &Reader<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.get(key)?;
        let offset = value.span().start;
        let DeValue::Integer(integer) = value.get_ref() else {
            return wrong_type(reader, offset, key, "a number", value.get_ref());
        };
        let written = integer.as_str();
        let digits = written.replace('_', "");
        let number =
            u64::from_str_radix(&digits, integer.radix()).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let help = format!("write a number from {} to {}", range.start(), range.end());
            reader.error(offset, format!("{key} = {written} is out of range"), help);
        }
        number
    }

    pub(super) fn duration(
        &self,
        reader: &Reader<'_>,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let value = self.get(key)?;
        let offset = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            return wrong_type(reader, offset, key, "a duration in quotes, as in \"15m\"", value.get_ref());
        };
        let duration = parse_duration(text);
        let in_range = duration.filter(|duration| range.contains(duration));
        if in_range.is_none() {
            let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
            let help = format!("write a duration from {from} to {to}, as in \"30s\", \"15m\" or \"1h30m\"");
            let what = if duration.is_some() { "out of range" } else { "not a duration" };
            reader.error(offset, format!("{key} = {} is {what}", shown(text)), help);
        }
        in_range
    }

    /// Reads a size in `range`; `help` says what is expected.
    pub(super) fn size(
        &self,
        reader: &Reader<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
        help: &str,
    ) -> Option<At<u64>> {
        let value = self.get(key)?;
        let offset = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            return wrong_type(reader, offset, key, "a size in quotes, as in \"100MiB\"", value.get_ref());
        };
        let size = parse_size(text);
        let in_range = size.filter(|size| range.contains(size));
        if in_range.is_none() {
            let what = if size.is_some() { "out of range" } else { "not a size" };
            reader.error(offset, format!("{key} = {} is {what}", shown(text)), help);
        }
        in_range.map(|value| At { value, offset })
    }

    /// A list of strings; a single one may stand for a list of one.
    pub(super) fn strings(&self, reader: &Reader<'_>, key: &'static str) -> Option<At<Vec<At<&'t str>>>> {
        let value = self.get(key)?;
        let offset = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: vec![At { value: text, offset }], offset }),
            DeValue::Array(items) => {
                let item = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
                    DeValue::String(text) => Some(At { value: &**text, offset: item.span().start }),
                    other => wrong_type(reader, item.span().start, key, "a list of strings", other),
                };
                Some(At { value: items.iter().filter_map(item).collect(), offset })
            }
            other => wrong_type(reader, offset, key, "a list of strings", other),
        }
    }

    pub(super) fn table(&self, reader: &Reader<'_>, key: &'static str, name: &'static str) -> Table<'t> {
        let Some(value) = self.get(key) else { return Table::absent(name) };
        let offset = value.span().start;
        match value.get_ref() {
            DeValue::Table(table) => Table::new(table, name, offset),
            other => {
                let _: Option<()> = wrong_type(reader, offset, key, &format!("a table, {name}"), other);
                Table::absent(name)
            }
        }
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(
        &self,
        reader: &Reader<'_>,
        key: &'static str,
        name: &'static str,
    ) -> Vec<Table<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let _: Option<()> =
                wrong_type(reader, value.span().start, key, &format!("written as {name}"), value.get_ref());
            return Vec::new();
        };
        let table = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
            DeValue::Table(table) => Some(Table::new(table, name, item.span().start)),
            other => wrong_type(reader, item.span().start, key, &format!("written as {name}"), other),
        };
        items.iter().filter_map(table).collect()
    }
}

/// Quotes a value for a message: escaped, and at most 60 characters of it.
fn shown(text: &str) -> String {
    let beginning: String = text.chars().take(60).collect();
    let more = if beginning.len() < text.len() { "..." } else { "" };
    format!("{beginning:?}{more}")
}

fn wrong_type<T>(
    reader: &Reader<'_>,
    offset: usize,
    key: &str,
    wanted: &str,
    found: &DeValue<'_>,
) -> Option<T> {
    reader.error(offset, format!("{key} is of type {}", found.type_str()), format!("{key} is {wanted}"));
    None
}

/// Returns the known word that a mistyped one resembles most, if it resembles one at all.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // A long word resembles nothing, and its distances cost time.
    let word = &word[..word.floor_char_boundary(64)];
    let near = known.iter().map(|candidate| (levenshtein(word, candidate), *candidate)).min()?;
    (near.0 <= 2 && near.0 < near.1.len()).then_some(near.1)
}
