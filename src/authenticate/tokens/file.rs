//! Files of tokens: lines of a name, the SHA-256 of the token, and the time at which it ends, if it does.

use super::{MAX_TOKENS, PREFIX, Token, TokenDigest};
use crate::authenticate::passwords::lines;
use jiff::Timestamp;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// Maximum number of mistakes that are reported.
const MAX_MISTAKES: usize = 20;

/// Parses a file. Mistakes name the line and the token, and never quote a token or a digest.
///
/// # Errors
/// Lists the mistakes.
pub(crate) fn parse(text: &str) -> Result<Vec<Token>, Vec<String>> {
    let (mut tokens, mut names, mut digests) = (Vec::new(), HashSet::new(), HashSet::new());
    let mut mistakes = Vec::new();
    for (number, line) in lines(text) {
        match parse_line(line) {
            Ok(Token { name, .. }) if !names.insert(name.clone()) => {
                mistakes.push(format!("line {number}: the token {name:?} is listed twice"));
            }
            Ok(Token { name, digest, .. }) if !digests.insert(digest) => {
                mistakes.push(format!("line {number}: {name:?} is the same token as another line's"));
            }
            Ok(token) => tokens.push(token),
            Err(why) => mistakes.push(format!("line {number}: {why}")),
        }
        if tokens.len() > MAX_TOKENS {
            mistakes.push(format!("there are more than {MAX_TOKENS} tokens"));
        }
        if mistakes.len() >= MAX_MISTAKES || tokens.len() > MAX_TOKENS {
            break;
        }
    }
    if mistakes.is_empty() { Ok(tokens) } else { Err(mistakes) }
}

fn parse_line(line: &str) -> Result<Token, String> {
    let mut parts = line.trim().splitn(3, ':');
    let (name, digest, not_after) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let Some(digest) = digest else {
        return Err("there is no colon; write NAME:SHA256 or NAME:SHA256:NOT_AFTER".to_owned());
    };
    if !is_name(name) {
        return Err(
            "the name of the token does not have 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'"
                .to_owned(),
        );
    }
    let digest =
        TokenDigest::parse(digest).map_err(|why| format!("the SHA-256 of the token {name:?}: {why}"))?;
    let not_after = not_after.map(|text| {
        parse_time(text).ok_or_else(|| {
            format!("the end of the token {name:?} is not a time, such as 2027-01-01T00:00:00Z")
        })
    });
    Ok(Token { name: name.into(), digest, not_before: None, not_after: not_after.transpose()? })
}

/// Returns whether this is the name of a token. A token that is pasted as a name would be shown in the log.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(PREFIX)
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Parses a time with its zone (RFC 3339).
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(text.parse::<Timestamp>().ok()?.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn reads_names_digests_and_ends() {
        let two = ONE.replacen('0', "f", 1);
        let tokens =
            parse(&format!("# CI\nci:{ONE}\n\nbackup-2:{two}:2027-01-01T00:00:00+01:00\r\n")).unwrap();
        assert_eq!(tokens.len(), 2);
        assert_eq!((&*tokens[0].name, tokens[0].not_after), ("ci", None));
        assert_eq!(tokens[1].digest.to_string(), two);
        assert_eq!(tokens[1].not_after, parse_time("2026-12-31T23:00:00Z"));
    }

    #[test]
    fn mistakes_have_their_line_and_never_show_a_token() {
        let text = format!(
            "hush\nci:sgt_hush\nci:{ONE}\nci:{ONE}\nother:{ONE}\na b:{ONE}\nlate:{ONE}:2027-01-01\nlate:hush"
        );
        let mistakes = parse(&text).unwrap_err();
        let expected = [
            "line 1: there is no colon",
            "line 2: the SHA-256 of the token \"ci\": it is the token itself",
            "line 4: the token \"ci\" is listed twice",
            "line 5: \"other\" is the same token",
            "line 6: the name of the token",
            "line 7: the end of the token \"late\" is not a time",
            "line 8: the SHA-256 of the token \"late\": it does not have 64",
        ];
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
        for (mistake, expected) in mistakes.iter().zip(expected) {
            assert!(mistake.starts_with(expected) && !mistake.contains("hush"), "{mistake}");
        }
    }
}
