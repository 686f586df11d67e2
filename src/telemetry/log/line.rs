//! One log line, written field by field as text or as JSON.

use crate::config::LogFormat;
use crate::net::terminal::is_unseen;
use jiff::Timestamp;
use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::net::IpAddr;
use std::time::SystemTime;
use tracing::Level;

/// The style of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) format: LogFormat,
    /// Whether the level is coloured, for a terminal.
    pub(super) colors: bool,
    /// Whether a line begins with its syslog priority, for the journal (sd-daemon(3), "Log levels").
    pub(super) priorities: bool,
}

/// A line under construction.
#[derive(Debug)]
pub(crate) struct Line<'b> {
    to: &'b mut Vec<u8>,
    format: LogFormat,
}

impl<'b> Line<'b> {
    /// Begins a line with time, level and target.
    pub(super) fn begin(
        to: &'b mut Vec<u8>,
        style: Style,
        now: SystemTime,
        (level, target): (Level, &str),
    ) -> Self {
        let Style { format, colors, priorities } = style;
        if priorities {
            to.extend_from_slice(priority(level));
        }
        let mut line = Self { to, format };
        match format {
            LogFormat::Text => {
                line.timestamp(now);
                line.to.push(b' ');
                line.level(level, colors);
                line.raw(target);
                line.to.push(b':');
            }
            LogFormat::Json => {
                line.raw("{\"timestamp\":\"");
                line.timestamp(now);
                line.raw("\",\"level\":\"");
                line.raw(level.as_str());
                line.to.push(b'"');
                line.text("target", target);
            }
        }
        line
    }

    /// Ends the line.
    pub(super) fn end(self) {
        let end: &[u8] = match self.format {
            LogFormat::Text => b"\n",
            LogFormat::Json => b"}\n",
        };
        self.to.extend_from_slice(end);
    }

    /// Adds the message.
    pub(super) fn message(&mut self, message: &dyn fmt::Display) {
        match self.format {
            LogFormat::Text => {
                self.to.push(b' ');
                // Writing to memory cannot fail.
                let _ = write!(OneLine(self.to), "{message}");
            }
            LogFormat::Json => self.quoted("message", message),
        }
    }

    /// Adds a quoted text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_quoted(self.to, value);
    }

    /// Adds a quoted text in which nothing needs an escape, such as a name of Scopegate's own.
    pub(crate) fn plain(&mut self, name: &str, value: &str) {
        debug_assert!(find_escape(value).is_none(), "{value:?} needs escapes");
        self.name(name);
        self.to.push(b'"');
        self.raw(value);
        self.to.push(b'"');
    }

    /// Adds a quoted text in which nothing needs an escape, if there is one.
    pub(crate) fn plain_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.plain(name, value);
        }
    }

    /// Adds a quoted text, if there is one.
    pub(crate) fn text_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Adds a single word, such as a method. The text format quotes it only if it needs quotes.
    pub(crate) fn word(&mut self, name: &str, value: &str) {
        self.name(name);
        if self.format == LogFormat::Text && is_word(value.as_bytes()) {
            self.raw(value);
        } else {
            write_quoted(self.to, value);
        }
    }

    /// Adds an address, which is a single word.
    pub(crate) fn address(&mut self, name: &str, value: IpAddr) {
        self.name(name);
        let quote: &[u8] = if self.format == LogFormat::Json { b"\"" } else { b"" };
        self.to.extend_from_slice(quote);
        write_address(self.to, value);
        self.to.extend_from_slice(quote);
    }

    /// Adds any other value as a single word.
    pub(crate) fn value(&mut self, name: &str, value: &dyn fmt::Display) {
        match self.format {
            LogFormat::Json => self.quoted(name, value),
            LogFormat::Text => {
                self.name(name);
                let from = self.to.len();
                let _ = write!(self.to, "{value}");
                if !self.to.get(from..).is_some_and(is_word) {
                    let written =
                        String::from_utf8_lossy(self.to.get(from..).unwrap_or_default()).into_owned();
                    self.to.truncate(from);
                    write_quoted(self.to, &written);
                }
            }
        }
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        write_number(self.to, value);
    }

    /// Adds a number if there is one.
    pub(crate) fn number_if(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }

    /// Adds a number or a boolean, which JSON does not quote either.
    pub(super) fn bare(&mut self, name: &str, value: &dyn fmt::Display) {
        self.name(name);
        let _ = write!(self.to, "{value}");
    }

    fn quoted(&mut self, name: &str, value: &dyn fmt::Display) {
        self.name(name);
        self.to.push(b'"');
        let _ = write!(Escaped(self.to), "{value}");
        self.to.push(b'"');
    }

    fn name(&mut self, name: &str) {
        match self.format {
            LogFormat::Text => {
                self.to.push(b' ');
                self.raw(name);
                self.to.push(b'=');
            }
            LogFormat::Json => {
                self.raw(",\"");
                self.raw(name);
                self.raw("\":");
            }
        }
    }

    /// Writes the level, aligned to the right, for people.
    fn level(&mut self, level: Level, colors: bool) {
        let (color, name) = match level {
            Level::ERROR => ("\x1b[31m", "ERROR"),
            Level::WARN => ("\x1b[33m", " WARN"),
            Level::INFO => ("\x1b[32m", " INFO"),
            Level::DEBUG => ("\x1b[34m", "DEBUG"),
            Level::TRACE => ("\x1b[35m", "TRACE"),
        };
        let (color, end) = if colors { (color, "\x1b[0m ") } else { ("", " ") };
        self.raw(color);
        self.raw(name);
        self.raw(end);
    }

    fn raw(&mut self, text: &str) {
        self.to.extend_from_slice(text.as_bytes());
    }

    /// Writes a time as in RFC 3339, in UTC with microseconds.
    fn timestamp(&mut self, now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.to.extend_from_slice(&second(since.as_secs()));
        self.to.push(b'.');
        self.to.extend_from_slice(&six_digits(since.subsec_micros()));
        self.to.push(b'Z');
    }
}

thread_local! {
    /// The last second that was formatted. Thousands of lines share it.
    static SECOND: Cell<(u64, [u8; 19])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

/// Formats a second since 1970 as `2026-01-31T23:59:59`.
fn second(since: u64) -> [u8; 19] {
    let (last, text) = SECOND.get();
    if last == since {
        return text;
    }
    let mut text = text;
    let time = i64::try_from(since).ok().and_then(|since| Timestamp::from_second(since).ok());
    if let Some(written) = time.map(|time| format!("{time:.0}"))
        && let Some(written) = written.as_bytes().first_chunk()
    {
        text = *written;
    }
    SECOND.set((since, text));
    text
}

/// Formats the last six decimal digits of a number, with leading zeros.
fn six_digits(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

/// Writes a number without the formatting machinery, which takes several times as long.
fn write_number(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_address(to: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    to.push(b'.');
                }
                write_number(to, octet.into());
            }
        }
        IpAddr::V6(address) => {
            // Writing to memory cannot fail.
            let _ = write!(to, "{address}");
        }
    }
}

/// Returns the journal's prefix for a level, such as `<3>` for errors (syslog(3)).
const fn priority(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}

/// Returns whether a text needs no quotation marks.
fn is_word(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

fn write_quoted(to: &mut Vec<u8>, text: &str) {
    to.push(b'"');
    // Writing to memory cannot fail.
    let _ = Escaped(to).write_str(text);
    to.push(b'"');
}

/// Writes the content of a JSON string (RFC 8259, section 7). The text format uses the same escapes.
struct Escaped<'b>(&'b mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = find_escape(rest) {
            let (plain, from) = rest.split_at(at);
            self.0.extend_from_slice(plain.as_bytes());
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                escape(self.0, character);
            }
            rest = characters.as_str();
        }
        self.0.extend_from_slice(rest.as_bytes());
        Ok(())
    }
}

/// Writes text with every character escaped that ends the line, moves the cursor, or reorders or hides other text.
struct OneLine<'b>(&'b mut Vec<u8>);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_unsafe_to_show(character) {
                escape(self.0, character);
            } else {
                self.0.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Ok(())
    }
}

/// Returns the position of the first character that is escaped within quotation marks.
fn find_escape(text: &str) -> Option<usize> {
    // Most texts are ASCII, which needs no decoding.
    let at = text.bytes().position(|byte| !is_plain(byte))?;
    text.get(at..)?.find(needs_escape).map(|after| at + after)
}

/// Returns whether a byte is an ASCII character that is never escaped.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// Returns whether a character is escaped within quotation marks: JSON requires it, or it is not visible as itself.
fn needs_escape(character: char) -> bool {
    matches!(character, '"' | '\\') || is_unsafe_to_show(character)
}

/// Returns whether a character moves a terminal's cursor, or reorders or hides text.
fn is_unsafe_to_show(character: char) -> bool {
    character.is_control() || (!character.is_ascii() && is_unseen(character))
}

fn escape(to: &mut Vec<u8>, character: char) {
    let short: Option<&[u8]> = match character {
        '"' => Some(b"\\\""),
        '\\' => Some(b"\\\\"),
        '\n' => Some(b"\\n"),
        '\r' => Some(b"\\r"),
        '\t' => Some(b"\\t"),
        _ => None,
    };
    match short {
        Some(short) => to.extend_from_slice(short),
        None => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(to, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn written(style: Style, fill: impl FnOnce(&mut Line<'_>)) -> String {
        let mut to = Vec::new();
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_796_000_000, 42_000);
        let mut line = Line::begin(&mut to, style, now, (Level::WARN, "scopegate::mint"));
        fill(&mut line);
        line.end();
        String::from_utf8(to).unwrap()
    }

    fn style(format: LogFormat) -> Style {
        Style { format, colors: false, priorities: false }
    }

    fn all_kinds(line: &mut Line<'_>) {
        line.message(&"no session\nto be had");
        line.text("path", "/tmp/\"a b\"\n");
        line.address("client", IpAddr::from([10, 0, 0, 1]));
        line.value("error", &"connection refused: \"x\"");
        line.word("empty", "");
        line.number("status", 403);
        line.bare("again", &true);
        line.text_if("rule", None);
    }

    #[test]
    fn text_lines_quote_values_unless_they_are_words() {
        assert_eq!(
            written(style(LogFormat::Text), all_kinds),
            "2026-11-30T00:53:20.000042Z  WARN scopegate::mint: no session\\nto be had path=\"/tmp/\\\"a b\\\"\\n\" \
             client=10.0.0.1 error=\"connection refused: \\\"x\\\"\" empty=\"\" status=403 again=true\n"
        );
    }

    #[test]
    fn json_lines_preserve_values() {
        let line = written(style(LogFormat::Json), all_kinds);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "timestamp": "2026-11-30T00:53:20.000042Z", "level": "WARN", "target": "scopegate::mint",
                "message": "no session\nto be had", "path": "/tmp/\"a b\"\n", "client": "10.0.0.1",
                "error": "connection refused: \"x\"", "empty": "", "status": 403, "again": true,
            })
        );
    }

    #[test]
    fn the_journal_gets_priorities_and_a_terminal_colours() {
        let for_journal = Style { priorities: true, ..style(LogFormat::Json) };
        assert!(written(for_journal, |_| {}).starts_with("<4>{\"timestamp\":"));
        let for_terminal = Style { colors: true, ..style(LogFormat::Text) };
        assert!(written(for_terminal, |_| {}).contains("Z \u{1b}[33m WARN\u{1b}[0m scopegate::mint:\n"));
    }

    #[test]
    fn formats_each_second() {
        for (since, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_796_000_000, "2026-11-30T00:53:20"),
            (1_796_000_000, "2026-11-30T00:53:20"),
            (4_102_444_799, "2099-12-31T23:59:59"),
        ] {
            assert_eq!(str::from_utf8(&second(since)), Ok(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_line(text in "\\PC{0,8}|[\u{0}-\u{ff}\u{61c}\u{200b}-\u{206f}\u{feff}\u{e0001}\"\\\\]{0,20}") {
            for format in [LogFormat::Text, LogFormat::Json] {
                let line = written(style(format), |line| {
                    line.message(&text);
                    line.text("path", &text);
                    line.word("client", &text);
                    line.value("value", &text);
                });
                let reordering = |c: char| c.is_control() || is_unseen(c);
                prop_assert!(!line.trim_end_matches('\n').contains(reordering), "{line:?}");
                if format == LogFormat::Json {
                    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                    for name in ["message", "path", "client", "value"] {
                        prop_assert_eq!(value[name].as_str(), Some(&*text));
                    }
                }
            }
        }
    }
}
