//! Finds the line of a request in a log of any size. Memory has a bound, whatever the log contains.

use super::line::LogLine;
use crate::cli::CommandError;
use crate::net::terminal::plain;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

/// The longest line that is read, in bytes. Scopegate's own are shorter.
const MAX_LINE: usize = 64 * 1024;

/// The largest number of lines with the same id that are kept.
const MAX_FOUND: usize = 8;

/// The longest id, in bytes.
const MAX_ID: usize = 128;

/// The first bytes of compressed files, with the program that reads them.
const COMPRESSED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b", "zcat"), (b"\x28\xb5\x2f\xfd", "zstdcat"), (b"\xfd7zXZ\0", "xzcat"), (b"BZh", "bzcat")];

/// The id of a request, as a response shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Box<str>);

impl std::str::FromStr for RequestId {
    type Err = String;

    /// Parses an id of Scopegate's or of the store's.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_of_id =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'=');
        if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(is_of_id) {
            return Ok(Self(text.into()));
        }
        let expected =
            "it is the x-amz-request-id of the response, such as 185D0B4F3A2C1E07, or the id of its log line";
        Err(format!("not a request id: {expected}"))
    }
}

impl RequestId {
    /// Returns the id as it was given.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id as the log has Scopegate's own.
    fn own(&self) -> String {
        self.0.to_ascii_uppercase()
    }

    fn is_in(&self, line: &[u8]) -> bool {
        let has = |id: &str| line.windows(id.len()).any(|part| part == id.as_bytes());
        has(&self.0) || has(&self.own())
    }
}

/// What to do about a log without lines of requests.
const WHICH_LOG: &str = "Give it what `scopegate serve` writes to stderr; with access = false in [log] that has no lines of \
                         requests";

/// What a log holds of a request.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The lines that have the id as `id`.
    own: Vec<LogLine>,
    /// The lines that have it as `upstream_id`.
    of_store: Vec<LogLine>,
    lines: u64,
    /// Whether any line is one of a request.
    has_requests: bool,
    /// The number of the last line that contains the id and cannot be read.
    unreadable: Option<u64>,
    skipped: u64,
}

/// Opens the log that `--log` names, or stdin.
///
/// # Errors
/// When the file cannot be opened, and when nothing is connected to stdin.
pub(super) fn open(log: Option<&Path>) -> Result<Box<dyn BufRead>, CommandError> {
    match log {
        Some(path) if path.as_os_str() != "-" => {
            let opened = File::open(path).and_then(|file| {
                if file.metadata()?.is_dir() {
                    Err(io::Error::from(io::ErrorKind::IsADirectory))
                } else {
                    Ok(file)
                }
            });
            let file = opened.map_err(|error| {
                let help = "name the file that has Scopegate's stderr, or - for stdin";
                CommandError::usage(format!("cannot read the log {}: {error}; {help}", path.display()))
            })?;
            Ok(Box::new(BufReader::with_capacity(MAX_LINE, file)))
        }
        None if io::stdin().is_terminal() => Err(CommandError::usage(
            "--request-id needs a log: name a file with --log FILE, or pipe the log in, as in `journalctl -u scopegate -o cat \
             | scopegate explain --request-id ID`",
        )),
        _ => Ok(Box::new(BufReader::with_capacity(MAX_LINE, io::stdin()))),
    }
}

impl Search {
    /// Reads a log to its end.
    ///
    /// # Errors
    /// When it cannot be read, or is compressed.
    pub(super) fn read(log: &mut dyn BufRead, id: &RequestId) -> Result<Self, CommandError> {
        let failed = |error: io::Error| CommandError::failed(format!("cannot read the log: {error}"));
        let start = log.fill_buf().map_err(failed)?;
        if let Some((_, program)) = COMPRESSED.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Err(CommandError::usage(format!(
                "the log is compressed: unpack it, as in `{program} FILE | scopegate explain --request-id {}`",
                id.as_str()
            )));
        }
        let (mut search, mut line) = (Self::default(), Vec::new());
        while next_line(log, &mut line).map_err(failed)? {
            search.lines += 1;
            if line.len() > MAX_LINE {
                search.skipped += 1;
            }
            note_request(&line, &mut search.has_requests);
            if id.is_in(&line) {
                search.take(&line, id);
            }
        }
        Ok(search)
    }

    /// Keeps a line that contains the id, if it is the line of the request.
    fn take(&mut self, line: &[u8], id: &RequestId) {
        let text = String::from_utf8_lossy(line);
        let Some(read) = LogLine::parse(&text) else {
            let is_cut_json = text.contains("{\"timestamp\"") && !text.trim_end().ends_with('}');
            if line.len() > MAX_LINE || is_cut_json {
                self.unreadable = Some(self.lines);
            }
            return;
        };
        let found = if read.get("id") == Some(&id.own()) {
            &mut self.own
        } else if read.get("upstream_id") == Some(id.as_str()) {
            &mut self.of_store
        } else {
            return;
        };
        // Logs that were copied have a line twice.
        if found.len() < MAX_FOUND && !found.contains(&read) {
            found.push(read);
        }
    }

    /// Returns the line of the request.
    ///
    /// # Errors
    /// When the log has none, or several.
    pub(super) fn only(self, id: &RequestId) -> Result<LogLine, CommandError> {
        if self.own.is_empty() && self.of_store.is_empty() {
            return Err(CommandError::failed(self.none(id)));
        }
        let mut found = if self.own.is_empty() { self.of_store } else { self.own };
        match found.len() {
            1 => found.pop().ok_or_else(|| CommandError::failed("the line is lost")),
            count => {
                let at: Vec<String> = found
                    .iter()
                    .map(|line| {
                        let told = |name| plain(line.get(name).unwrap_or("-")).into_owned();
                        format!("\n  {} {} {}", plain(line.time()), told("method"), told("path"))
                    })
                    .collect();
                Err(CommandError::failed(format!(
                    "{count} different requests have the id {}: give a log of only one of these times{}",
                    id.as_str(),
                    at.concat()
                )))
            }
        }
    }

    /// Says why a log does not show a request.
    fn none(&self, id: &RequestId) -> String {
        let id = id.as_str();
        if let Some(number) = self.unreadable {
            return format!(
                "line {number} of the log has the id {id} but is cut off: it cannot be explained"
            );
        }
        let lines = match self.lines {
            0 => return format!("the log is empty: it has no request with the id {id}. {WHICH_LOG}"),
            1 => "1 line".to_owned(),
            lines => format!("{lines} lines"),
        };
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!("; {skipped} are longer than {} KiB and were skipped", MAX_LINE / 1024),
        };
        if !self.has_requests {
            return format!("the log has no line of any request ({lines}{skipped}). {WHICH_LOG}");
        }
        format!(
            "no request in the log has the id {id} ({lines}{skipped}). The log may have been rotated, its lines dropped \
             (scopegate_log_lines_dropped_total), or turned off for such requests ([log] access)"
        )
    }
}

/// Notes whether a line is one of a request, in text or JSON. Once one was seen, no further line is looked at.
fn note_request(line: &[u8], has_requests: &mut bool) {
    let holds = |words: &[u8]| line.windows(words.len()).any(|part| part == words);
    *has_requests = *has_requests || holds(b" access: id=") || holds(b"\"target\":\"access\"");
}

/// Reads the next line, and skips what is longer than the bound. Returns false at the end.
fn next_line(log: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut bounded = log.take(MAX_LINE as u64 + 1);
    if bounded.read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(true);
    }
    while line.len() > MAX_LINE {
        let rest = log.fill_buf()?;
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            let length = rest.len();
            log.consume(length);
            if length == 0 {
                return Ok(true);
            }
            continue;
        };
        log.consume(end + 1);
        return Ok(true);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789ABCDEF";

    fn line(id: &str, upstream: &str, path: &str) -> String {
        format!(
            "2026-11-30T00:53:20.000042Z  INFO access: id=\"{id}\" method=GET path=\"{path}\" upstream_id=\"{upstream}\" total_us=9\n"
        )
    }

    fn found(log: &[u8], id: &str) -> Result<String, String> {
        let id: RequestId = id.parse()?;
        // A small buffer, so that lines span several reads.
        let mut log = BufReader::with_capacity(7, log);
        let search = Search::read(&mut log, &id).map_err(|error| error.to_string())?;
        let line = search.only(&id).map_err(|error| error.to_string())?;
        Ok(line.get("path").unwrap_or_default().to_owned())
    }

    #[test]
    fn finds_the_line_of_a_request() {
        let one = line(ID, "FF", "/a");
        let other = line("AAAAAAAAAAAAAAAA", ID, "/b");
        let long = format!("{}\n", "x".repeat(3 * MAX_LINE));
        let json = format!("{{\"timestamp\":\"t\",\"target\":\"access\",\"id\":\"{ID}\",\"path\":\"/a\"");
        let cut = format!("{json}\n");
        let cases = [
            (one.clone(), ID, Ok("/a")),
            (one.trim_end().to_owned(), ID, Ok("/a")),
            (one.clone(), "0123456789abcdef", Ok("/a")),
            (format!("{long}{one}"), ID, Ok("/a")),
            (format!("{one}{one}"), ID, Ok("/a")),
            // The store's id, which forwarded responses have.
            (one.clone(), "FF", Ok("/a")),
            (format!("{other}{one}"), ID, Ok("/a")),
            (other.clone(), ID, Ok("/b")),
            (format!("{one}{}", line(ID, "EE", "/c")), ID, Err("2 different requests have the id")),
            (line("BB", "CC", &format!("/{ID}")), ID, Err("no request in the log has the id")),
            (
                format!("{}{}", line("BB", "CC", "/"), line("DD", "CC", "/")),
                ID,
                Err("(2 lines). The log may have been rotated"),
            ),
            (String::new(), ID, Err("the log is empty")),
            (
                "a line of another program\n".to_owned(),
                ID,
                Err("no line of any request (1 line). Give it what `scopegate serve`"),
            ),
            (long.clone(), ID, Err("1 are longer than 64 KiB and were skipped")),
            (cut, ID, Err("line 1 of the log has the id 0123456789ABCDEF but is cut off")),
            // It is told as far as it was read.
            (format!("{one}{long}").replace("/a", &"a".repeat(MAX_LINE)), ID, Ok("")),
            (format!("{json}}}\n"), ID, Ok("/a")),
        ];
        for (log, id, expected) in cases {
            let shown = &log[..log.len().min(200)];
            match (found(log.as_bytes(), id), expected) {
                (Ok(path), Ok(expected)) => assert_eq!(path, expected, "{shown}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{shown}: {error}"),
                (found, _) => panic!("{shown}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn compressed_logs_are_named() {
        for (magic, program) in COMPRESSED {
            let error = found(&[magic, b"rest"].concat(), ID).unwrap_err();
            assert!(error.contains(program), "{error}");
        }
    }

    #[test]
    fn ids_have_a_form() {
        for id in ["", "a b", "\u{1b}[2J", "a\"", &"a".repeat(129), "é"] {
            assert!(id.parse::<RequestId>().is_err(), "{id}");
        }
        assert!("tx000-1+/=_".parse::<RequestId>().is_ok());
    }

    /// The bound of a line holds for a log without any line feed.
    #[test]
    fn memory_has_a_bound() {
        let mut log = BufReader::new(io::repeat(b'x').take(64 << 20));
        let mut line = Vec::new();
        assert!(next_line(&mut log, &mut line).unwrap());
        assert!(line.len() == MAX_LINE + 1 && line.capacity() <= 4 * MAX_LINE, "{}", line.capacity());
        assert!(!next_line(&mut log, &mut line).unwrap());
    }
}
