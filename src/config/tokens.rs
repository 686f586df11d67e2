//! Reads `[[token]]` and `tokens`: the bearer tokens, of which the configuration knows only the digests.

use super::Environment;
use super::clients::NameList;
use super::declarations::read_declarations;
use super::reader::{At, quoted};
use super::schema::TOKEN;
use super::source::Span;
use super::table::Table;
use crate::authenticate::tokens::{PREFIX, Token, TokenDigest, TokenList, parse_time, parse_tokens};
use std::sync::Arc;
use std::time::SystemTime;
use toml::de::DeValue;

const MAKE_TOKEN: &str =
    "write the 64 digits that `scopegate new-token` printed, or that `sha256sum` prints of the token";

/// Reads the tokens. Returns `None` if they have a mistake; their names are there all the same.
pub(super) fn read_tokens(root: &Table<'_>, environment: &dyn Environment) -> (Option<TokenList>, NameList) {
    let mut names = NameList::default();
    let tables = root.tables("token", &TOKEN);
    let count = tables.len();
    let mut tokens: Vec<Token> = Vec::new();
    for table in tables {
        let token = read_token(table, &mut names, &tokens);
        tokens.extend(token);
    }
    let declarations = read_declarations(root, "tokens", parse_tokens, environment);
    names.is_open = tokens.len() < count || declarations.is_some();
    let (file, is_read) = match &declarations {
        Some(At { value, .. }) => (value.clone(), value.is_some()),
        None => (None, true),
    };
    let of_file = file.as_ref().map_or(&[][..], |(_, tokens)| tokens);
    let is_twice =
        |token: &&Token| tokens.iter().any(|other| other.name == token.name || other.digest == token.digest);
    let twice = of_file.iter().find(is_twice);
    if let (Some(token), Some(declarations)) = (twice, &declarations) {
        let message = format!("the file has the token {:?}, as a section [[token]] has", token.name);
        root.reader().error(declarations.span, message, "remove one of them");
    }
    let is_whole = is_read && tokens.len() == count && twice.is_none();
    (is_whole.then(|| TokenList { configured: Arc::from(tokens), file }), names)
}

fn read_token(table: Table<'_>, names: &mut NameList, others: &[Token]) -> Option<Token> {
    let reader = table.reader();
    let is_token = |name: &At<&str>| name.value.contains(PREFIX);
    let name = match table.string("name").filter(is_token) {
        Some(name) => {
            let help = "write a name for it, such as \"ci\", and replace the token: it is no longer secret";
            reader.error(name.span, "name holds the token itself", help);
            None
        }
        None => table.name(),
    };
    if let Some(name) = name {
        if names.names.iter().any(|other| **other == *name.value) {
            let help = "give each token its own name, such as ci-1 and ci-2 while one replaces the other";
            reader.error(name.span, format!("another token has the name {}", quoted(name.value)), help);
        } else {
            names.names.push(name.value.into());
        }
    }
    table.require("sha256", format!("add sha256 = \"...\": {MAKE_TOKEN}"));
    let digest = table.string("sha256").and_then(|text| read_digest(text, name, others, &table));
    let (begin, end) = (read_time(&table, "not_before"), read_time(&table, "not_after"));
    if let (Some(Ok(begin)), Some(Ok(end))) = (&begin, &end)
        && end.value <= begin.value
    {
        reader.error(
            end.span,
            "not_after is not after not_before",
            "the token would never be valid: write a later time",
        );
    }
    table.finish();
    let time =
        |read: Option<Result<At<SystemTime>, ()>>| read.map(|time| time.map(|time| time.value)).transpose();
    let (not_before, not_after) = (time(begin).ok()?, time(end).ok()?);
    Some(Token { name: name?.value.into(), digest: digest?, not_before, not_after })
}

/// Reads a digest. Messages do not quote it, because it may be the token.
fn read_digest(
    text: At<&str>,
    name: Option<At<&str>>,
    others: &[Token],
    table: &Table<'_>,
) -> Option<TokenDigest> {
    let of = name.map(|name| format!(" of the token {}", quoted(name.value))).unwrap_or_default();
    let digest = TokenDigest::parse(text.value).map_err(|why| {
        table.reader().error(text.span, format!("sha256{of} is not accepted: {why}"), MAKE_TOKEN);
    });
    let digest = digest.ok()?;
    if let Some(other) = others.iter().find(|other| other.digest == digest) {
        let message = format!("sha256{of} is that of the token {:?}", other.name);
        table.reader().error(text.span, message, "make another token with `scopegate new-token`");
    }
    Some(digest)
}

/// Reads a time. It needs a zone: without one, two machines may disagree by a day.
fn read_time(table: &Table<'_>, key: &'static str) -> Option<Result<At<SystemTime>, ()>> {
    let value = table.get(key)?;
    let span = Span::from(value.span());
    let time = match value.get_ref() {
        DeValue::Datetime(time) => parse_time(&time.to_string()),
        _ => None,
    };
    if time.is_none() {
        let help =
            format!("write a time with its zone and without quotes, such as {key} = 2027-01-01T00:00:00Z");
        table.reader().error(span, format!("{key} is not a time with a zone"), help);
    }
    Some(time.map(|value| At { value, span }).ok_or(()))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::tests::{EXAMPLE, Fake, mistakes};
    use super::*;
    use crate::net::guarded::ReadError;
    use crate::sigv4::secret::Secret;
    use std::path::Path;
    use std::time::Duration;

    const ONE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    struct WithFile(String);

    impl Environment for WithFile {
        fn variable(&self, name: &str) -> Result<Secret, ReadError> {
            Fake.variable(name)
        }

        fn file(&self, path: &Path) -> Result<Secret, ReadError> {
            if path == Path::new("tokens") { Ok(Secret::new(self.0.clone())) } else { Fake.file(path) }
        }
    }

    #[test]
    fn reads_tokens_of_sections_and_of_a_file() {
        let source = format!(
            "tokens = {{ file = \"tokens\" }}\n{EXAMPLE}[[token]]\nname = \"ci\"\nsha256 = \"{ONE}\"\n\
             not_before = 2026-12-31T23:00:00Z\nnot_after = 2027-01-01T01:00:00+01:00\n"
        );
        let source = source
            .replace("listener = \"sidecar\" }", "listener = \"sidecar\", token = [\"ci\", \"later\"] }");
        let other = ONE.replace('0', "f");
        let config = Config::parse(&source, &WithFile(format!("backup:{other}"))).unwrap();
        let token = &config.tokens.configured[0];
        let (begin, end) = (token.not_before.unwrap(), token.not_after.unwrap());
        assert_eq!((&*token.name, token.digest.to_string()), ("ci", ONE.to_owned()));
        assert_eq!(end.duration_since(begin).unwrap(), Duration::from_hours(1));
        assert_eq!(&*config.tokens.file.clone().unwrap().1[0].name, "backup");
        let twice = Config::parse(&source, &WithFile(format!("ci:{other}"))).unwrap_err();
        assert_eq!(twice[0].message, "the file has the token \"ci\", as a section [[token]] has");
    }

    #[test]
    fn finds_mistakes_in_tokens_and_never_shows_one() {
        let good = format!("[[token]]\nname = \"ci\"\nsha256 = \"{ONE}\"\n");
        for (tokens, expected) in [
            ("[[token]]\nname = \"ci\"".to_owned(), "[[token]] has no \"sha256\" | add sha256"),
            (
                "[[token]]\nsha256 = \"hush\"".to_owned(),
                "does not have 64 hexadecimal digits | write the 64 digits",
            ),
            (
                "[[token]]\nname = \"ci\"\nsha256 = \"sgt_hush\"".to_owned(),
                "sha256 of the token \"ci\" is not accepted: it is the token itself, which must not be in a configuration",
            ),
            (good.replace("ci", "c i"), "\"c i\" is not a valid name"),
            (format!("{good}{good}"), "another token has the name \"ci\""),
            (
                format!("{good}{}", good.replace("ci", "other")),
                "sha256 of the token \"other\" is that of the token \"ci\"",
            ),
            (
                format!("{good}not_after = \"2027-01-01T00:00:00Z\""),
                "not_after is not a time with a zone | write",
            ),
            (format!("{good}not_after = 2027-01-01T00:00:00"), "not_after is not a time with a zone"),
            (format!("{good}not_before = 2027-01-01"), "not_before is not a time with a zone"),
            (
                format!("{good}not_after = 2027-01-01T00:00:00Z\nnot_before = 2027-01-01T00:00:00Z"),
                "not_after is not after not_before",
            ),
            (format!("{good}expires = 1"), "unknown key \"expires\""),
        ] {
            let found = mistakes(&format!("{EXAMPLE}{tokens}"));
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{tokens}: {found:#?}");
            assert!(!found.concat().contains("hush"), "{found:#?}");
        }
    }

    /// The line with the mistake is shown too, and it holds the token.
    #[test]
    fn a_pasted_token_is_hidden_wherever_it_stands() {
        for tokens in [
            "[[token]]\nname = \"ci\"\nsha256 = \"sgt_hush\"",
            "[[token]]\nname = \"ci\"\ntoken = \"sgt_hush\"",
            "[[token]]\nname = \"sgt_hush hush\"\nsha256 = \"\"",
            "[[user]]\nname = \"ci\"\npassword = \"sgt_hush\"",
        ] {
            let wrong = Config::parse(&format!("{EXAMPLE}{tokens}"), &Fake).unwrap_err();
            for mistake in wrong {
                let drawn = mistake.draw(Path::new("proxy.toml"));
                assert!(!drawn.contains("hush"), "{drawn}");
            }
        }
        let pasted = format!("tokens = {{ file = \"sgt_hush\" }}\n{EXAMPLE}");
        let wrong = Config::parse(&pasted, &Fake).unwrap_err();
        assert_eq!(wrong[0].message, "tokens: its file cannot be read, and is not shown: it may be a secret");
        assert!(!wrong[0].draw(Path::new("proxy.toml")).contains("hush"));
    }
}
