//! Hides secrets in lines of a configuration that are shown.
//!
//! A secret never belongs into a configuration, and is a mistake there. The line with the mistake is shown on terminals
//! and in the logs of deployments. The lines are told apart by their text, because a file with mistakes need not parse.

use super::spelling::nearest;
use std::borrow::Cow;

/// The names of tables, which end the lines of `[issuer]`.
const TABLES: [&str; 8] = ["issuer", "listener", "admin", "upstream", "mapping", "limits", "log", "test"];
/// The keys that may hold a secret. All of `[issuer]` are here, and are shown in spite of that.
const KEYS: [&str; 5] = ["access_key", "secret_key", "endpoint", "role_arn", "issuer"];
/// Parts of keys whose values are hidden in every table.
const SECRET: [&str; 5] = ["secret", "access_key", "password", "passwd", "token"];

/// Knows which lines of a file may hold secrets.
pub(super) struct Masked {
    /// The lines of `[issuer]`, from 1: the first, and the one after the last.
    issuer: Vec<(usize, usize)>,
}

impl Masked {
    pub(super) fn new(text: &str) -> Self {
        let mut issuer = Vec::new();
        let mut begun = None;
        for (index, line) in text.split('\n').enumerate() {
            let Some(table) = header(line) else { continue };
            if let Some(first) = begun.take() {
                issuer.push((first, index + 1));
            }
            begun = (table == "issuer").then_some(index + 1);
        }
        issuer.extend(begun.map(|first| (first, usize::MAX)));
        Self { issuer }
    }

    /// Returns a line with its secrets replaced by stars, one for each byte: places in it stay the same.
    pub(super) fn line<'l>(&self, number: usize, line: &'l str) -> Cow<'l, str> {
        let of_issuer = self.issuer.iter().any(|(first, end)| (*first..*end).contains(&number));
        if of_issuer && header(line).is_some() {
            return without_comment(line);
        }
        if of_issuer || names_secret(line) {
            return without_values(line);
        }
        without_userinfo(line)
    }
}

/// Returns the table that a line begins, if it begins one, spelled correctly or nearly so.
fn header(line: &str) -> Option<&'static str> {
    let name = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
    let end = name.find(']')?;
    let name = name.get(..end)?.trim().trim_matches(['"', '\'']);
    let table = name.split('.').next().unwrap_or(name).trim();
    nearest(table, &TABLES)
}

/// Checks whether the key of a line tells of a secret.
fn names_secret(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or(line);
    let key: String = key.chars().take(200).collect::<String>().to_ascii_lowercase();
    line.contains('=') && (SECRET.iter().any(|word| key.contains(word)) || key.trim() == "issuer")
}

fn without_comment(line: &str) -> Cow<'_, str> {
    line.split('#').next().unwrap_or(line).trim_end().into()
}

/// Hides all but a known key, and a value that only says where the secret is.
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

/// Checks whether a part of an inline table says where a secret is.
fn is_reference(part: &str) -> bool {
    let Some((kind, name)) = part.split_once('=') else { return false };
    let Some(name) = string(name.trim()) else { return false };
    match kind.trim() {
        "env" => name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
        "file" => name.starts_with('/'),
        "credential" => name.len() <= 32,
        _ => false,
    }
}

/// Returns what a basic or literal string without escapes says.
fn string(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains(['"', '\'', '\\'])).then_some(inner)
}

/// Hides what is before an `@`: in a URL it may be a password.
fn without_userinfo(line: &str) -> Cow<'_, str> {
    let Some(end) = line.rfind('@') else { return line.into() };
    let (before, after) = line.split_at(end);
    let begin = before.rfind(['"', '\'']).map_or(0, |index| index + 1);
    let begin =
        before.get(begin..).and_then(|text| text.find("://")).map_or(begin, |index| begin + index + 3);
    let (shown, hidden) = before.split_at(begin);
    // An earlier one may have its own.
    format!("{}{}{after}", without_userinfo(shown), stars(hidden)).into()
}

/// Replaces each byte that is not a space.
fn stars(text: &str) -> String {
    text.bytes().map(|byte| if byte == b' ' { ' ' } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The last line of a text, as it is shown.
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
        assert_eq!(last("[ isuer ] # hush"), "[ isuer ]");
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
