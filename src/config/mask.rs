//! Hides secrets in the lines of a configuration that are shown.
//!
//! A secret in a configuration is a mistake, and the line with the mistake is shown on terminals and in the logs of
//! deployments. Lines are recognised by their text, because a file with mistakes may not parse.

use super::spelling::nearest;
use std::borrow::Cow;

/// The names of tables.
const TABLES: [&str; 10] =
    ["issuer", "listener", "admin", "upstream", "mapping", "limits", "log", "test", "jwt", "traces"];
/// The tables that declare credentials. Their values are hidden as those of `[issuer]` are.
const CREDENTIALS: [&str; 2] = ["user", "token"];
/// The keys that may hold a secret. These include all keys of `[issuer]`; a key's name is shown, its value is not.
const KEYS: [&str; 8] =
    ["access_key", "secret_key", "endpoint", "role_arn", "issuer", "name", "password", "sha256"];
/// Parts of keys whose values are hidden in every table.
const SECRET: [&str; 8] = ["authorization", "secret", "key", "pass", "pwd", "token", "credential", "sha256"];
/// The length from which a name with neither `_` nor `-` may be a secret.
const RANDOM: usize = 16;

/// The knowledge of which lines of a file may hold secrets.
pub(super) struct Masked {
    /// For each line, whether it belongs to `[issuer]`, to a table with another unknown name, or to a secret that
    /// an earlier line begins.
    hidden: Vec<bool>,
}

impl Masked {
    pub(super) fn new(text: &str) -> Self {
        let mut is_hidden = false;
        let hide = |line: &str| match header(line) {
            Some(Header { table: Table::Known, .. }) => {
                is_hidden = false;
                false
            }
            Some(Header { table: Table::Issuer, .. }) => {
                is_hidden = true;
                false
            }
            Some(Header { table: Table::Unknown, .. }) => std::mem::replace(&mut is_hidden, true),
            None if !is_hidden => {
                is_hidden = names_secret(line) && is_open(line);
                false
            }
            None => true,
        };
        Self { hidden: text.split('\n').map(hide).collect() }
    }

    /// Returns a line with its secrets replaced by stars, one for each byte: places in it stay the same.
    pub(super) fn line<'l>(&self, number: usize, line: &'l str) -> Cow<'l, str> {
        let is_hidden = number.checked_sub(1).and_then(|index| self.hidden.get(index)).copied();
        match header(line) {
            _ if is_hidden != Some(false) => without_values(line),
            Some(Header { table: Table::Issuer | Table::Unknown, end }) => {
                line.get(..end).unwrap_or_default().into()
            }
            _ if names_secret(line) => without_values(line),
            _ => without_userinfo(line),
        }
    }
}

/// A line that begins a table.
struct Header {
    table: Table,
    /// The end of its brackets.
    end: usize,
}

/// The table that a header begins.
enum Table {
    /// One that holds no secrets.
    Known,
    /// `[issuer]`, spelled correctly or nearly so, or one that declares credentials.
    Issuer,
    /// Any other. A line of a list looks the same.
    Unknown,
}

/// Returns the header that a line is, if it is one.
fn header(line: &str) -> Option<Header> {
    let name = unmarked(line).trim_start().strip_prefix('[')?.trim_start_matches('[');
    let (name, after) = name.split_once(']')?;
    let end = line.len() - after.trim_start_matches(']').len();
    let parts = || name.split('.').map(bare);
    let table = if parts().any(|part| is_issuer(&part)) || CREDENTIALS.contains(&name.trim()) {
        Table::Issuer
    } else if parts().any(|part| is_secret(&part)) {
        Table::Unknown
    } else if parts().next().is_some_and(|part| nearest(&part, &TABLES).is_some()) {
        Table::Known
    } else {
        Table::Unknown
    };
    Some(Header { table, end })
}

/// Returns the text without the mark that some editors write at the beginning of a file.
fn unmarked(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// Returns a part of a key without quotes, in lower case.
fn bare(part: &str) -> String {
    part.trim().trim_matches(['"', '\'']).trim().to_ascii_lowercase()
}

fn is_issuer(part: &str) -> bool {
    nearest(part, &["issuer"]).is_some()
}

/// Checks whether a part of a key tells of a secret.
fn is_secret(part: &str) -> bool {
    is_issuer(part) || SECRET.iter().any(|word| part.contains(word))
}

/// Checks whether any key in a line tells of a secret: that of the line, or one of an inline table.
fn names_secret(line: &str) -> bool {
    let mut pieces: Vec<&str> = line.split('=').collect();
    match *pieces.as_slice() {
        [line] => pieces = line.split(':').take(1).filter(|key| key.len() < line.len()).collect(),
        _ => drop(pieces.pop()),
    }
    let key = |piece: &&str| piece.rsplit(['{', ',']).next().is_some_and(names_secret_key);
    pieces.iter().any(key)
}

fn names_secret_key(key: &str) -> bool {
    unmarked(key).split('.').any(|part| is_secret(&bare(part)))
}

/// Checks whether the value that a line begins may go on in the next. The line may be wrong, so this errs on that side.
fn is_open(line: &str) -> bool {
    let value = line.split_once(['=', ':']).map_or("", |(_, value)| value).trim();
    let count = |brackets: [char; 2]| value.matches(brackets).count();
    value.is_empty()
        || value.contains("\"\"\"")
        || value.contains("'''")
        || count(['{', '[']) > count(['}', ']'])
}

/// Hides everything but a known key, and a value that only refers to a secret.
fn without_values(line: &str) -> Cow<'_, str> {
    let (key, value) = line.split_once('=').unwrap_or(("", line));
    let name = key.trim().trim_start_matches("issuer.");
    if !key.is_empty() && nearest(name, &KEYS).is_some() {
        if let Some(end) = harmless(value) {
            return line.get(..key.len() + 1 + end).unwrap_or_default().into();
        }
        return format!("{key}={}", stars(value)).into();
    }
    stars(line).into()
}

/// Returns the length of a value that is no secret: a reference to one, a URL without a user, or an ARN.
fn harmless(value: &str) -> Option<usize> {
    let code = value.split('#').next().unwrap_or(value).trim_end();
    let text = code.trim_start();
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let is_shown = if let Some(inner) = inner {
        inner.split(',').all(is_reference)
    } else {
        let text = string(text)?;
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        (is_url && !text.contains('@')) || text.starts_with("arn:")
    };
    is_shown.then_some(code.len())
}

/// Returns whether a part of an inline table refers to a secret.
fn is_reference(part: &str) -> bool {
    let Some((kind, name)) = part.split_once('=') else { return false };
    string(name.trim()).is_some_and(|name| is_place(kind.trim(), name))
}

/// Checks whether a name is one of a place of this kind. Otherwise it may be the secret itself, pasted there.
pub(super) fn is_place(kind: &str, name: &str) -> bool {
    let is_word = name.len() < RANDOM || name.contains(['_', '-']);
    match kind {
        "env" => is_word && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
        "file" => name.starts_with(['/', '.']),
        "credential" => is_word && name.len() <= 32,
        _ => false,
    }
}

/// Returns the content of a basic or literal string without escapes.
fn string(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains(['"', '\'', '\\'])).then_some(inner)
}

/// Hides the text before an `@`, which in a URL may contain a password.
fn without_userinfo(line: &str) -> Cow<'_, str> {
    let Some(end) = line.rfind('@') else { return line.into() };
    let (before, after) = line.split_at(end);
    let begin = before.rfind(['"', '\'']).map_or(0, |index| index + 1);
    let begin =
        before.get(begin..).and_then(|text| text.find("://")).map_or(begin, |index| begin + index + 3);
    let (shown, hidden) = before.split_at(begin);
    // An earlier URL may have its own `@`.
    format!("{}{}{after}", without_userinfo(shown), stars(hidden)).into()
}

/// Replaces each byte other than a space by a star.
fn stars(text: &str) -> String {
    text.bytes().map(|byte| if byte == b' ' { ' ' } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the last line of a text as it is shown.
    fn last(text: &str) -> String {
        let (number, line) = text.split('\n').enumerate().last().unwrap();
        Masked::new(text).line(number + 1, line).into_owned()
    }

    #[test]
    fn values_of_the_issuer_are_hidden_and_references_are_not() {
        for (line, shown) in [
            ("secret_key = \"hush\" # hush", "secret_key = ****** * ****"),
            ("secrt_key = 'hush", "secrt_key = *****"),
            ("hush", "****"),
            ("hush=", "*****"),
            ("user = \"hush\"", "**** * ******"),
            ("access_key = { env = \"SCOPEGATE_KEY\" } # hush", "access_key = { env = \"SCOPEGATE_KEY\" }"),
            ("access_key = { env = \"A\", file = \"/b\" }", "access_key = { env = \"A\", file = \"/b\" }"),
            ("access_key = { env = \"A\", value = \"hush\" }", "access_key = * *** * **** ***** * ****** *"),
            ("access_key = { env = \"hush\" }", "access_key = * *** * ****** *"),
            ("access_key = { file = \"/run/key\" }", "access_key = { file = \"/run/key\" }"),
            ("access_key = { value = \"hush\" }", "access_key = * ***** * ****** *"),
            ("endpoint = \"http://sts:9000\"", "endpoint = \"http://sts:9000\""),
            ("endpoint = \"http://me:hush@sts\"", "endpoint = ********************"),
        ] {
            assert_eq!(last(&format!("[issuer]\n{line}")), shown);
        }
        assert_eq!(last("[[token]] # hush"), "[[token]]");
        assert_eq!(last("[[user]]\nname = \"hush\"\n[[user]]"), "[[user]]");
        assert_eq!(last("[[user]]\npassword = [\"hush\","), "password = ********");
        assert_eq!(last("[[user]]\npassword = [\n\"hush\","), "*******");
        assert_eq!(last("[[token]]\nsha256 = \"hush\""), "sha256 = ******");
        assert_eq!(last("[ isuer ] # hush"), "[ isuer ]");
        assert_eq!(last("[ISSUER] hush = 1"), "[ISSUER]");
        assert_eq!(last("[issuer]\r\n[admin]\r\nname = \"shown\"\r"), "name = \"shown\"\r");
        assert_eq!(last("[issuer]\naccess_key = [\n[\"hush\"]"), "********", "it is no table");
    }

    #[test]
    fn secrets_elsewhere_are_hidden_and_other_lines_are_not() {
        for (line, shown) in [
            ("issuer = { secret_key = \"hush\" }", "issuer = * ********** * ****** *"),
            ("issuer.secret_key = \"hush\"", "issuer.secret_key = ******"),
            ("Secret-Key = \"hush\"", "********** * ******"),
            ("endpoints = [\"http://me:hush@a\", 'hush@b']", "endpoints = [\"http://*******@a\", '****@b']"),
            ("prefix = \"secret/\"", "prefix = \"secret/\""),
            ("client = { listener = \"secret\" }", "client = { listener = \"secret\" }"),
            ("client = { token = \"hush\" }", "****** * * ***** * ****** *"),
            ("token: hush", "****** ****"),
            ("credentials = true\nname = \"shown\"", "name = \"shown\""),
            ("credentials = [\n\"hush\"", "******"),
        ] {
            assert_eq!(last(&format!("[issuer]\n[upstream]\n{line}")), shown);
        }
    }

    proptest! {
        #[test]
        fn places_in_a_line_stay_the_same(line in "\\PC{0,60}", before in "(\\[issuer\\]\n)?") {
            let shown = last(&format!("{before}{line}"));
            prop_assert!(shown.len() <= line.len());
            let is_kept = |(one, other): (u8, u8)| one == other || other == b'*' || other == b' ';
            prop_assert!(line.bytes().zip(shown.bytes()).all(is_kept), "{shown}");
        }
    }
}
