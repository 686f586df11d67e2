//! Reads one line of the access log, in either format, as the fields of a request.

use serde_json::{Map, Value};

/// The longest text before the time of a line, as collectors put it there, in bytes.
const MAX_PREFIX: usize = 200;

/// The target of the lines of requests.
const TARGET: &str = "access";

/// The fields of a request's line, as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogLine {
    time: String,
    fields: Vec<(String, String)>,
    /// Whether the line breaks off.
    is_cut: bool,
}

impl LogLine {
    /// Reads a line. Returns `None` if it is not the line of a request.
    ///
    /// Only the first time and target of a line count. What clients send comes after them and is escaped, so no client
    /// can write a line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end_matches(['\n', '\r']);
        match line.find('{') {
            Some(start) if is_prefix(line.get(..start)?) => Self::of_json(line.get(start..)?),
            _ => Self::of_text(line),
        }
    }

    fn of_json(text: &str) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_str(text).ok()?;
        let told = |name: &str| members.get(name).and_then(Value::as_str);
        if told("target") != Some(TARGET) {
            return None;
        }
        let time = told("timestamp")?.to_owned();
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fields: Vec<_> = members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "timestamp" | "level" | "target"))
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect();
        Some(Self::of(time, fields, false))
    }

    fn of_text(line: &str) -> Option<Self> {
        let plain = without_colors(line);
        let (time, rest) = at_time(&plain)?;
        let (_level, rest) = rest.trim_start().split_once(' ')?;
        let mut rest = rest.strip_prefix(TARGET)?.strip_prefix(':')?;
        let mut fields = Vec::new();
        while let Some(more) = rest.strip_prefix(' ') {
            let Some((name, value, after)) = next_field(more) else { break };
            fields.push((name.to_owned(), value));
            rest = after;
        }
        Some(Self::of(time.to_owned(), fields, !rest.trim_end().is_empty()))
    }

    fn of(time: String, fields: Vec<(String, String)>, is_cut: bool) -> Self {
        // Every line has its duration, after all that a collector may cut off first.
        let is_cut = is_cut || !fields.iter().any(|(name, _)| name == "total_us");
        Self { time, fields, is_cut }
    }

    /// Returns the time at which the request was over.
    pub(super) fn time(&self) -> &str {
        &self.time
    }

    /// Returns whether the line breaks off, so that fields may be missing.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns a field that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Returns all fields, in their order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Returns whether a text before a line can be that of a collector. Text from clients is quoted or has a name.
fn is_prefix(text: &str) -> bool {
    text.len() <= MAX_PREFIX && !text.contains(['"', '='])
}

/// Finds the time of a line. Returns it with the text after it.
fn at_time(line: &str) -> Option<(&str, &str)> {
    let (starts, mut at) = (line.split(' '), 0);
    for word in starts {
        let time = word.rsplit_once('>').map_or(word, |(_, time)| time);
        if !is_prefix(line.get(..at)?) {
            return None;
        }
        at += word.len();
        // Collectors add times of their own, with more digits or without.
        let after = line.get(at..)?;
        if is_time(time) && begins_line(after) {
            return Some((time, after));
        }
        at += 1;
    }
    None
}

/// Returns whether a level and a target follow.
fn begins_line(after: &str) -> bool {
    let mut words = after.split_ascii_whitespace();
    let is_level =
        words.next().is_some_and(|level| matches!(level, "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE"));
    is_level && words.next().is_some_and(|target| target.ends_with(':'))
}

/// Returns whether a word has the form of the log's times, such as `2026-01-31T23:59:59.000001Z`.
fn is_time(word: &str) -> bool {
    const FORM: &[u8; 27] = b"dddd-dd-ddTdd:dd:dd.ddddddZ";
    word.len() == FORM.len()
        && word.bytes().zip(FORM).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            form => byte == *form,
        })
}

/// Removes the colours of a level, which a terminal that records its output keeps.
fn without_colors(line: &str) -> String {
    let mut plain = line.to_owned();
    for color in ["\u{1b}[31m", "\u{1b}[33m", "\u{1b}[32m", "\u{1b}[34m", "\u{1b}[35m", "\u{1b}[0m"] {
        plain = plain.replacen(color, "", 1);
    }
    plain
}

/// Takes the first `name=value` of a text. Returns `None` if it breaks off.
fn next_field(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return None;
    }
    if !rest.starts_with('"') {
        let end = rest.find(' ').unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        return Some((name, value.to_owned(), after));
    }
    let mut is_escaped = false;
    let ends = |(_, byte): &(usize, u8)| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    };
    let (end, _) = rest.bytes().enumerate().skip(1).find(ends)?;
    let (quoted, after) = rest.split_at(end + 1);
    // The escapes are those of JSON.
    Some((name, serde_json::from_str(quoted).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;
    use crate::telemetry::log::Output;
    use proptest::prelude::*;
    use std::net::IpAddr;
    use tracing::Level;

    const TEXT: &str = r#"2026-11-30T00:53:20.000042Z  INFO access: id="0123456789ABCDEF" client=10.0.0.1 path="/tmp/\"a b\"\n=" status=403 total_us=9"#;

    /// Writes a line as the access log does.
    fn written(format: LogFormat, value: &str) -> String {
        let output = Output::plain(format, 1 << 20);
        output.write(Level::INFO, "access", |line| {
            line.text("id", "0123456789ABCDEF");
            line.address("client", IpAddr::from([10, 0, 0, 1]));
            line.text("path", value);
            line.word("method", value);
            line.number("total_us", 9);
        });
        output.close(std::time::Duration::ZERO);
        let mut to = Vec::new();
        output.write_all(&mut to);
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn reads_lines_behind_the_prefixes_of_collectors() {
        let json = r#"{"timestamp":"2026-11-30T00:53:20.000042Z","level":"INFO","target":"access","id":"0123456789ABCDEF","client":"10.0.0.1","path":"/tmp/\"a b\"\n=","status":403,"total_us":9}"#;
        let colored = TEXT.replace(" INFO", "\u{1b}[32m INFO\u{1b}[0m");
        let prefixes = [
            "",
            "<6>",
            "Nov 30 00:53:20 host scopegate[77]: ",
            "scopegate-1  | ",
            "2026-11-30T00:53:20.000042123Z ",
            "2026-11-30T00:53:20.123456Z ",
            "2026-11-30T00:53:20.123456Z stderr F ",
        ];
        for line in [TEXT, json, &colored] {
            for prefix in prefixes {
                let read = LogLine::parse(&format!("{prefix}{line}\r\n"));
                let read = read.unwrap_or_else(|| panic!("{prefix}{line}"));
                assert_eq!((read.time(), read.is_cut()), ("2026-11-30T00:53:20.000042Z", false), "{prefix}");
                assert_eq!(read.get("path"), Some("/tmp/\"a b\"\n="), "{prefix}");
                assert_eq!((read.number("status"), read.number("total_us")), (Some(403), Some(9)));
                assert_eq!((read.get("client"), read.get("rule")), (Some("10.0.0.1"), None));
            }
        }
    }

    #[test]
    fn a_line_that_breaks_off_says_so() {
        for (end, fields) in [
            (" total_us=9", 4),
            (" status=403 total_us=9", 3),
            ("\" status=403 total_us=9", 2),
            ("\"a b\\\"\\n=\" status=403 total_us=9", 2),
            (" client=10.0.0.1 path=\"/tmp/\\\"a b\\\"\\n=\" status=403 total_us=9", 1),
        ] {
            let cut = TEXT.strip_suffix(end).unwrap();
            let read = LogLine::parse(cut).unwrap();
            assert!(read.is_cut() && read.fields().count() == fields, "{cut}: {read:?}");
        }
    }

    #[test]
    fn other_lines_are_not_those_of_a_request() {
        let quoted = TEXT.replace('"', "\\\"");
        for line in [
            String::new(),
            "access: id=\"0123456789ABCDEF\"".to_owned(),
            TEXT.replace("access", "scopegate::mint"),
            // A client's text within another line.
            format!("2026-11-30T00:53:20.000042Z  WARN scopegate::mint: no session error=\"{quoted}\""),
            format!("2026-11-30T00:53:20.000042Z  WARN scopegate::mint: {TEXT}"),
            format!("error=\"x {TEXT}"),
            format!("path={{ {TEXT}"),
            r#"{"timestamp":"2026-11-30T00:53:20.000042Z","target":"scopegate","id":"0123456789ABCDEF"}"#
                .to_owned(),
            r#"{"target":"access","id":"0123456789ABCDEF""#.to_owned(),
            "{\"a\": ".repeat(10_000),
        ] {
            assert_eq!(LogLine::parse(&line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_the_log_writes_is_read_back(text in "\\PC{0,12}|[\u{0}-\u{ff}\u{202a}-\u{202e}\"\\\\=]{0,20}") {
            for format in [LogFormat::Text, LogFormat::Json] {
                let line = written(format, &text);
                let read = LogLine::parse(&line);
                let read = read.unwrap_or_else(|| panic!("{line}"));
                prop_assert_eq!(read.get("id"), Some("0123456789ABCDEF"));
                prop_assert_eq!((read.get("path"), read.get("method")), (Some(&*text), Some(&*text)));
                prop_assert_eq!((read.get("client"), read.is_cut()), (Some("10.0.0.1"), false));
                prop_assert_eq!(read.fields().count(), 5);
            }
        }
    }
}
