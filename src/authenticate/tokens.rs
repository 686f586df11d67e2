//! Bearer tokens of the configuration: verifies them by their digests, and notes when each was last used.
//!
//! A token has 256 random bits. Looking up its digest takes a time that says nothing about other tokens.

mod file;
mod token;

pub(crate) use file::{is_name, parse as parse_tokens, parse_time};
pub(crate) use token::{PREFIX, TokenDigest, new as new_token};

use super::failure::{Cause, Failure};
use crate::identify::identity::Identity;
use crate::sigv4::amz_date::rfc3339;
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Maximum number of tokens.
pub(crate) const MAX_TOKENS: usize = 10_000;

/// A token of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The name, which the log and the metrics show.
    pub name: Box<str>,
    /// The digest of its text.
    pub digest: TokenDigest,
    /// The time from which it is valid.
    pub not_before: Option<SystemTime>,
    /// The time from which it is no longer valid.
    pub not_after: Option<SystemTime>,
}

/// The tokens that a configuration declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenList {
    /// The tokens of the sections `[[token]]`.
    pub configured: Arc<[Token]>,
    /// The file of other tokens, with those that were in it when the configuration was read.
    pub file: Option<(Box<Path>, Arc<[Token]>)>,
}

/// The tokens of a configuration: those in it, and those of the file that it names.
#[derive(Debug)]
pub(crate) struct Tokens {
    configured: Arc<[Token]>,
    file: Option<Box<Path>>,
    table: ArcSwap<TokenTable>,
}

#[derive(Debug, Default)]
struct TokenTable {
    by_digest: HashMap<TokenDigest, Arc<Record>>,
}

#[derive(Debug)]
struct Record {
    token: Token,
    identity: Arc<Identity>,
    last_used: LastUse,
}

/// The time of a token's last use, in seconds since 1970. It is 0 before the first use.
#[derive(Clone, Debug, Default)]
struct LastUse(Arc<AtomicU64>);

impl LastUse {
    fn note(&self, now: SystemTime) {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // Most requests are in the second of the one before, and need not take the value from other processors.
        if self.0.load(Ordering::Relaxed) != seconds {
            self.0.store(seconds, Ordering::Relaxed);
        }
    }
}

impl Tokens {
    /// Makes the tokens of a configuration. A token keeps the time of its last use in `previous`.
    ///
    /// # Errors
    /// When the tokens in the configuration and those of the file do not go together.
    pub(crate) fn new(list: &TokenList, previous: Option<&Self>) -> Result<Self, String> {
        let of_file = list.file.as_ref().map_or(&[][..], |(_, tokens)| tokens);
        let previous = previous.map(|tokens| tokens.table.load_full());
        let table = TokenTable::new(&list.configured, of_file, previous.as_deref())?;
        let file = list.file.as_ref().map(|(path, _)| path.clone());
        Ok(Self { configured: Arc::clone(&list.configured), file, table: ArcSwap::from_pointee(table) })
    }

    /// Returns the path of the file of tokens.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Replaces the tokens of the file by those in its new text. Returns the number of all tokens, unless nothing changed.
    ///
    /// # Errors
    /// Lists the mistakes. The tokens before stay.
    pub(crate) fn follow_file(&self, text: &str) -> Result<Option<usize>, Vec<String>> {
        let before = self.table.load_full();
        let next = TokenTable::new(&self.configured, &parse_tokens(text)?, Some(&before));
        let next = next.map_err(|why| vec![why])?;
        let is_same = |(digest, record): (&TokenDigest, &Arc<Record>)| {
            before.by_digest.get(digest).is_some_and(|same| same.token == record.token)
        };
        let count = next.by_digest.len();
        if count == before.by_digest.len() && next.by_digest.iter().all(is_same) {
            return Ok(None);
        }
        self.table.store(Arc::new(next));
        Ok(Some(count))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// When it is not a token of the configuration, or not one that is valid now.
    pub(crate) fn verify(&self, token: &str, now: SystemTime) -> Result<Arc<Identity>, Failure> {
        let digest = token::parse(token)
            .map_err(|why| Failure::wrong(Cause::Malformed, format!("the token is malformed: {why}")))?;
        let table = self.table.load();
        let Some(record) = table.by_digest.get(&digest) else {
            let detail = "the token is spelled correctly, and is not one of the configuration";
            return Err(Failure::wrong(Cause::UnknownToken, detail));
        };
        let Token { name, not_before, not_after, .. } = &record.token;
        let outside = |cause, what: &str, time: SystemTime| {
            let detail = format!("the token {name:?} {what} {}; it is {}", rfc3339(time), rfc3339(now));
            Failure::wrong(cause, detail)
        };
        if let Some(begin) = not_before.filter(|begin| now < *begin) {
            return Err(outside(Cause::NotYetValid, "is valid from", begin));
        }
        if let Some(end) = not_after.filter(|end| *end <= now) {
            return Err(outside(Cause::Expired, "was valid until", end));
        }
        record.last_used.note(now);
        Ok(Arc::clone(&record.identity))
    }

    /// Returns the name of each token that was used, with the time in seconds since 1970. Sorted by name.
    pub(crate) fn last_used(&self) -> Vec<(Box<str>, u64)> {
        let table = self.table.load();
        let used = |record: &Arc<Record>| {
            let seconds = record.last_used.0.load(Ordering::Relaxed);
            (seconds > 0).then(|| (record.token.name.clone(), seconds))
        };
        let mut all: Vec<_> = table.by_digest.values().filter_map(used).collect();
        all.sort();
        all
    }
}

impl TokenTable {
    fn new(configured: &[Token], of_file: &[Token], previous: Option<&Self>) -> Result<Self, String> {
        let mut table = Self::default();
        let mut names: HashSet<&str> = HashSet::new();
        for token in configured.iter().chain(of_file) {
            if !names.insert(&token.name) {
                return Err(format!("the token {:?} is in the file and in a section [[token]]", token.name));
            }
            let before = previous.and_then(|table| table.by_digest.get(&token.digest));
            let last_used = before.map_or_else(LastUse::default, |record| record.last_used.clone());
            let identity = Arc::new(Identity::Token(token.name.clone()));
            let record = Arc::new(Record { token: token.clone(), identity, last_used });
            if let Some(other) = table.by_digest.insert(token.digest, record) {
                return Err(format!("{:?} and {:?} are the same token", other.token.name, token.name));
            }
        }
        if table.by_digest.len() > MAX_TOKENS {
            return Err(format!("there are more than {MAX_TOKENS} tokens"));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn token(name: &str, begin: Option<u64>, end: Option<u64>) -> (String, Token) {
        let (text, digest) = new_token().unwrap();
        let token = Token { name: name.into(), digest, not_before: begin.map(at), not_after: end.map(at) };
        (text.to_string(), token)
    }

    fn tokens(list: &[&Token], previous: Option<&Tokens>) -> Tokens {
        let configured = list.iter().copied().cloned().collect();
        Tokens::new(&TokenList { configured, file: None }, previous).unwrap()
    }

    #[test]
    fn a_token_is_valid_in_its_time_and_no_other_is() {
        let ((old, first), (new, second)) = (token("old", None, Some(100)), token("new", Some(50), None));
        let tokens = tokens(&[&first, &second], None);
        let name = |text: &str, now| match tokens.verify(text, at(now)) {
            Ok(identity) => identity.name().to_owned(),
            Err(failure) => format!("{} {}", failure.cause.name(), failure.detail),
        };
        assert_eq!([name(&old, 1), name(&old, 99), name(&new, 50)], ["old", "old", "new"]);
        let ended = name(&old, 100);
        assert_eq!(
            ended,
            "expired the token \"old\" was valid until 1970-01-01T00:01:40Z; it is 1970-01-01T00:01:40Z"
        );
        assert!(
            name(&new, 49).starts_with("not-yet-valid the token \"new\" is valid from 1970-01-01T00:00:50Z")
        );
        let (unknown, _) = token("unknown", None, None);
        assert!(name(&unknown, 60).starts_with("unknown-token"));
        assert!(name(&old[..40], 60).starts_with("malformed"));
        for text in [&*old, &new, &unknown] {
            for now in [1, 200] {
                assert!(!name(text, now).contains(&text[4..]));
            }
        }
    }

    #[test]
    fn the_last_use_is_kept_over_a_reload() {
        let ((text, ci), (_, idle)) = (token("ci", None, None), token("idle", None, None));
        let before = tokens(&[&ci, &idle], None);
        before.verify(&text, at(7)).unwrap();
        let expected = [("ci".into(), 7)];
        assert_eq!(before.last_used(), expected);
        assert_eq!(tokens(&[&ci, &idle], Some(&before)).last_used(), expected);
        let (_, other) = token("ci", None, None);
        assert_eq!(
            tokens(&[&other], Some(&before)).last_used(),
            [],
            "another token of the name was not used"
        );
    }

    #[test]
    fn a_failure_is_no_use() {
        let (text, ci) = token("ci", None, Some(5));
        let tokens = tokens(&[&ci], None);
        tokens.verify(&text, at(9)).unwrap_err();
        assert_eq!(tokens.last_used(), []);
    }

    #[test]
    fn a_file_adds_tokens_and_a_wrong_one_changes_nothing() {
        let ((text, ci), (filed, backup)) = (token("ci", None, None), token("backup", None, None));
        let file = Some(("/run/tokens".as_ref() as &Path).into())
            .map(|path| (path, Arc::from(vec![backup.clone()])));
        let tokens = Tokens::new(&TokenList { configured: [ci].into(), file }, None).unwrap();
        assert!(tokens.verify(&text, at(1)).is_ok() && tokens.verify(&filed, at(1)).is_ok());
        let (other, replacement) = token("backup", None, None);
        assert_eq!(tokens.follow_file("backup:hush").unwrap_err().len(), 1);
        let twice = format!("ci:{}", replacement.digest);
        assert!(
            tokens.follow_file(&twice).unwrap_err()[0].contains("\"ci\" is in the file and in a section")
        );
        assert!(tokens.verify(&filed, at(1)).is_ok());
        let valid = format!("backup:{}", replacement.digest);
        assert_eq!([tokens.follow_file(&valid), tokens.follow_file(&valid)], [Ok(Some(2)), Ok(None)]);
        assert!(tokens.verify(&filed, at(1)).is_err() && tokens.verify(&other, at(1)).is_ok());
        assert!(tokens.verify(&text, at(1)).is_ok());
    }

    #[test]
    fn one_token_has_one_name() {
        let (_, ci) = token("ci", None, None);
        let other = Token { name: "other".into(), ..ci.clone() };
        let error = Tokens::new(&TokenList { configured: [ci, other].into(), file: None }, None).unwrap_err();
        assert_eq!(error, "\"ci\" and \"other\" are the same token");
    }
}
