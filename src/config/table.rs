//! Reads TOML tables key by key. Notes keys that the section does not have as mistakes.

use super::reader::{At, Reader, quoted};
use super::schema::Section;
use super::source::Span;
use super::spelling::nearest;
use super::value::{parse_duration, parse_size, show_duration};
use crate::net::guarded::show_size;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A TOML table, which may be absent, and the section that it is.
pub(super) struct Table<'t> {
    reader: &'t Reader<'t>,
    entries: Option<&'t DeTable<'t>>,
    section: &'static Section,
    /// The name for messages, such as `[upstream]`.
    name: &'static str,
    /// The location of the table: its header, or the braces of an inline table. `None` for the file's root.
    span: Option<Span>,
}

impl<'t> Table<'t> {
    /// Returns the root table of a file.
    pub(super) fn root(entries: &'t DeTable<'t>, section: &'static Section, reader: &'t Reader<'t>) -> Self {
        Self { reader, entries: Some(entries), section, name: section.name, span: None }
    }

    fn beside(&self, section: &'static Section, name: &'static str) -> Self {
        Self { reader: self.reader, entries: None, section, name, span: None }
    }

    /// Returns a table that is the value of a key. Messages call it `name`.
    pub(super) fn inner(
        &self,
        entries: &'t DeTable<'t>,
        section: &'static Section,
        name: &'static str,
        span: Span,
    ) -> Self {
        Self { entries: Some(entries), span: Some(span), ..self.beside(section, name) }
    }

    pub(super) fn reader(&self) -> &'t Reader<'t> {
        self.reader
    }

    pub(super) fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    pub(super) fn span(&self) -> Option<Span> {
        self.span
    }

    /// Returns the location of a key's value, if the key is present.
    pub(super) fn span_of(&self, key: &'static str) -> Option<Span> {
        self.get(key).map(|value| value.span().into())
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        debug_assert!(self.section.has(key), "{} has no {key} in its table", self.name);
        self.entries?.get(key)
    }

    /// Notes a mistake at the start of the table.
    pub(super) fn error(&self, message: impl Into<String>, help: impl Into<String>) {
        self.reader.error(self.span, message, help);
    }

    /// Notes a missing section, unless the file is not valid TOML: a broken line can hide every section after it.
    pub(super) fn error_missing(&self, message: impl Into<String>, help: impl Into<String>) {
        if self.reader.is_valid_toml() {
            self.error(message, help);
        }
    }

    /// Notes every key that the section does not have. Messages quote keys, never values.
    pub(super) fn finish(self) {
        let known = self.section.names();
        for key in self.entries.into_iter().flat_map(|table| table.keys()) {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let help = match nearest(name, &known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("{} has the keys: {}", self.name, known.join(", ")),
                };
                let message = format!("unknown key {} in {}", quoted(name), self.name);
                self.reader.error(Span::from(key.span()), message, help);
            }
        }
    }

    pub(super) fn string(&self, key: &'static str) -> Option<At<&'t str>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text, span: value.span().into() }),
            _ => self.wrong_type(value, key, "a string"),
        }
    }

    /// Reads and parses a string; see [`At::parse_with`].
    pub(super) fn parsed<T, H: Into<String>>(
        &self,
        key: &'static str,
        what: &str,
        parse: impl FnOnce(&'t str) -> Result<T, H>,
    ) -> Option<T> {
        self.string(key)?.parse_with(self.reader, what, parse)
    }

    /// Notes a missing key. If the whole table is absent, that is a separate mistake.
    pub(super) fn require(&self, key: &'static str, help: impl Into<String>) {
        if self.is_present() && self.get(key).is_none() {
            self.error(format!("{} has no {key:?}", self.name), help);
        }
    }

    /// Reads a required string. `example` is a valid value in TOML.
    pub(super) fn required(&self, key: &'static str, example: &str) -> Option<At<&'t str>> {
        self.require(key, format!("add {key} = {example}"));
        self.string(key)
    }

    /// Reads the name of a listener or a mapping.
    pub(super) fn name(&self) -> Option<At<&'t str>> {
        let name = self.required("name", "\"...\"")?;
        let is_name = (1..=64).contains(&name.value.len())
            && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_name {
            let help = "write 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'";
            self.reader.wrong(name, "is not a valid name", help);
        }
        is_name.then_some(name)
    }

    /// Reads one of the given words, and returns its meaning.
    pub(super) fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let word = self.string(key)?;
        let found = words.iter().find(|(name, _)| *name == word.value).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            let help = format!("write one of: {}", names.join(", "));
            self.reader.wrong(word, &format!("is not a value of {key}"), help);
        }
        found
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type(value, key, "true or false"),
        }
    }

    /// Reads true, false, or one word, as what each means.
    pub(super) fn switch<T>(
        &self,
        key: &'static str,
        (off, on): (T, T),
        (word, special): (&str, T),
    ) -> Option<T> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(true) => Some(on),
            DeValue::Boolean(false) => Some(off),
            DeValue::String(_) => {
                let text = self.string(key)?;
                if text.value == word {
                    return Some(special);
                }
                let help = format!("write true, false or \"{word}\"");
                self.reader.wrong(text, &format!("is not a value of {key}"), help);
                None
            }
            _ => self.wrong_type(value, key, &format!("true, false or \"{word}\"")),
        }
    }

    pub(super) fn number<N: TryFrom<u64>>(&self, key: &'static str) -> Option<N> {
        let (value, range) = (self.get(key)?, self.section.numbers(key));
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.wrong_type(value, key, "a number");
        };
        let written = integer.as_str();
        let digits = written.replace('_', "");
        let number = u64::from_str_radix(&digits, integer.radix()).ok();
        let number = number.filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        if number.is_none() {
            let help = format!("write a number from {} to {}", range.start(), range.end());
            self.reader.error(Span::from(value.span()), format!("{key} = {written} is out of range"), help);
        }
        number
    }

    /// Reads a fraction from 0 to 1.
    pub(super) fn fraction(&self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        let written = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) => integer.as_str(),
            _ => return self.wrong_type(value, key, "a number from 0 to 1"),
        };
        let fraction = written.replace('_', "").parse().ok().filter(|number| (0.0..=1.0).contains(number));
        if fraction.is_none() {
            let help = "write a number from 0 to 1, such as 0.01";
            self.reader.error(Span::from(value.span()), format!("{key} = {written} is out of range"), help);
        }
        fraction
    }

    pub(super) fn duration(&self, key: &'static str) -> Option<Duration> {
        let (value, range) = (self.get(key)?, self.section.times(key));
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong_type(value, key, "a duration in quotes, such as \"15m\"");
        };
        let duration = parse_duration(text);
        let in_range = duration.filter(|duration| range.contains(duration));
        if in_range.is_none() {
            let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
            let (what, units) = match duration {
                Some(_) => ("out of range", ""),
                None => ("not a duration", ", in h, m, s and ms"),
            };
            let help = format!("write a duration from {from} to {to}{units}");
            let message = format!("{key} = {} is {what}", quoted(text));
            self.reader.error(Span::from(value.span()), message, help);
        }
        in_range
    }

    pub(super) fn size(&self, key: &'static str) -> Option<At<u64>> {
        let (value, range) = (self.get(key)?, self.section.sizes(key));
        let span = value.span().into();
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong_type(value, key, "a size in quotes, such as \"100MiB\"");
        };
        let size = parse_size(text);
        let in_range = size.filter(|size| range.contains(size));
        if in_range.is_none() {
            let what = if size.is_some() { "out of range" } else { "not a size" };
            let (from, to) = (show_size(*range.start()), show_size(*range.end()));
            let example = self.section.example(key).unwrap_or("\"100MiB\"");
            let help = format!("write a size from {from} to {to}, such as {example}");
            self.reader.error(span, format!("{key} = {} is {what}", quoted(text)), help);
        }
        in_range.map(|value| At { value, span })
    }

    /// Reads a list of strings. A single string is a list of one.
    pub(super) fn strings(&self, key: &'static str) -> Option<At<Vec<At<&'t str>>>> {
        let value = self.get(key)?;
        let span = value.span().into();
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: vec![At { value: text, span }], span }),
            DeValue::Array(items) => {
                let item = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
                    DeValue::String(text) => Some(At { value: &**text, span: item.span().into() }),
                    _ => self.wrong_type(item, key, "a list of strings"),
                };
                Some(At { value: items.iter().filter_map(item).collect(), span })
            }
            _ => self.wrong_type(value, key, "a list of strings"),
        }
    }

    /// Reads the table of `[key]`, which may be absent.
    pub(super) fn table(&self, key: &'static str, section: &'static Section) -> Self {
        self.table_named(key, section, section.name)
    }

    /// Like [`Self::table`], for a section that messages call `name`.
    pub(super) fn table_named(
        &self,
        key: &'static str,
        section: &'static Section,
        name: &'static str,
    ) -> Self {
        let Some(value) = self.get(key) else { return self.beside(section, name) };
        if let DeValue::Table(table) = value.get_ref() {
            return self.inner(table, section, name, value.span().into());
        }
        let _: Option<()> = self.wrong_type(value, key, &table_form(key, name));
        self.beside(section, name)
    }

    /// Reads the tables of `[[key]]`.
    pub(super) fn tables(&self, key: &'static str, section: &'static Section) -> Vec<Self> {
        self.tables_named(key, section, section.name)
    }

    /// Like [`Self::tables`], for a section that messages call `name`.
    pub(super) fn tables_named(
        &self,
        key: &'static str,
        section: &'static Section,
        name: &'static str,
    ) -> Vec<Self> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let wanted = format!("written as {name}");
        let DeValue::Array(items) = value.get_ref() else {
            // The parser makes a table of what follows a broken line.
            if self.reader.is_valid_toml() {
                let _: Option<()> = self.wrong_type(value, key, &wanted);
            }
            return Vec::new();
        };
        let table = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
            DeValue::Table(table) => Some(self.inner(table, section, name, item.span().into())),
            _ => self.wrong_type(item, key, &wanted),
        };
        items.iter().filter_map(table).collect()
    }

    fn wrong_type<T>(&self, found: &Spanned<DeValue<'_>>, key: &str, wanted: &str) -> Option<T> {
        let message = format!("{key} is of type {}", found.get_ref().type_str());
        self.reader.error(Span::from(found.span()), message, format!("{key} is {wanted}"));
        None
    }
}

/// Describes how a table is written: as a section, or between braces.
fn table_form(key: &str, name: &str) -> String {
    if name.starts_with('[') {
        return format!("a table, {name}");
    }
    let example = match key {
        "jwt" => "issuer = \"NAME\"",
        "jwks" => "url = \"https://...\"",
        "certificate" => "dns = [\"client.example.test\"]",
        "client" => "user = \"NAME\"",
        "tls" => "certificates = [{ chain = \"tls.crt\", key = \"tls.key\" }]",
        "proxy_protocol" => "from = [\"10.0.0.0/8\"], versions = [\"v2\"]",
        "forwarded" => "header = \"X-Forwarded-For\", from = [\"10.0.0.0/8\"]",
        _ => "file = \"...\"",
    };
    format!("a table, such as {key} = {{ {example} }}")
}
