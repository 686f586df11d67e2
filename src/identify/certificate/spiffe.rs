//! SPIFFE ids, and the patterns that configurations write for them.
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>

use std::fmt;

/// The longest id, in bytes.
const MAX_ID: usize = 2048;
/// The longest trust domain, in bytes.
const MAX_TRUST_DOMAIN: usize = 255;
const SCHEME: &str = "spiffe://";

/// The SPIFFE id of a workload: a trust domain and a path. It has exactly one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId(Box<str>);

impl SpiffeId {
    /// Parses an id.
    ///
    /// # Errors
    /// Says what the id of a workload is.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (_, path) = split(text)?;
        check_path(path.ok_or("it names a trust domain and no workload in it")?)?;
        Ok(Self(text.into()))
    }

    /// Returns the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the trust domain.
    pub fn trust_domain(&self) -> &str {
        trust_domain(&self.0)
    }

    /// Returns the segments of the path.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        segments(&self.0)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SPIFFE ids that a condition admits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SpiffePattern {
    /// This id.
    Is(SpiffeId),
    /// Every id below this beginning, which ends in `/`. It is written with `*` after it.
    Below(Box<str>),
}

impl SpiffePattern {
    /// Parses an id, or the beginning of ids with `/*` after it.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(beginning) = text.strip_suffix("/*") else {
            if text.contains('*') {
                return Err(
                    "'*' is allowed only as the last segment, as in \"spiffe://example.test/ns/a/*\"",
                );
            }
            return SpiffeId::parse(text).map(Self::Is);
        };
        if let (_, Some(path)) = split(beginning)? {
            check_path(path)?;
        }
        Ok(Self::Below(format!("{beginning}/").into()))
    }

    /// Checks whether an id is admitted.
    pub fn admits(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Is(wanted) => wanted == id,
            // An id does not end in '/', so it always has a segment after the beginning.
            Self::Below(beginning) => id.0.starts_with(&**beginning),
        }
    }

    /// Checks whether every id that `other` admits is admitted.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Is(id)) => self.admits(id),
            (Self::Is(_), Self::Below(_)) => false,
            (Self::Below(outer), Self::Below(inner)) => inner.starts_with(&**outer),
        }
    }

    /// Returns the trust domain.
    pub fn trust_domain(&self) -> &str {
        trust_domain(self.text())
    }

    /// Returns the segments that all admitted ids begin with.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        segments(self.text())
    }

    fn text(&self) -> &str {
        match self {
            Self::Is(id) => id.as_str(),
            Self::Below(beginning) => beginning.strip_suffix('/').unwrap_or(beginning),
        }
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(id) => id.fmt(f),
            Self::Below(beginning) => write!(f, "{beginning}*"),
        }
    }
}

/// Returns the trust domain, which is valid, and the path after its first slash, if there is one.
fn split(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if text.len() > MAX_ID {
        return Err("it has at most 2048 bytes");
    }
    let rest = text.strip_prefix(SCHEME).ok_or("it begins with \"spiffe://\"")?;
    if rest.contains(['?', '#']) {
        return Err("it has neither a query nor a fragment");
    }
    if rest.contains('%') {
        return Err("nothing in it is percent-encoded");
    }
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    if domain.contains(['@', ':']) {
        return Err("its trust domain has neither a user nor a port");
    }
    if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("its trust domain is in lower case");
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    if !(1..=MAX_TRUST_DOMAIN).contains(&domain.len()) || !domain.bytes().all(is_plain) {
        return Err("its trust domain has 1 to 255 characters of a-z, 0-9 and . - _");
    }
    Ok((domain, path))
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    for segment in path.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Err("no segment of its path is empty, \".\" or \"..\", and it does not end in '/'");
        }
        if !segment.bytes().all(is_plain) {
            return Err("its path holds only a-z, A-Z, 0-9 and . - _ /");
        }
    }
    Ok(())
}

fn trust_domain(text: &str) -> &str {
    text.strip_prefix(SCHEME).and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix(SCHEME).unwrap_or_default().split('/').skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_by_the_standard() {
        let longest = format!("spiffe://td/{}", "a".repeat(MAX_ID - 12));
        for id in [
            "spiffe://td/a",
            "spiffe://example.test/ns/a/sa/b",
            "spiffe://a_b-c.1/A/._-",
            "spiffe://10.0.0.1/...",
            &longest,
        ] {
            assert_eq!(SpiffeId::parse(id).map(|id| id.to_string()).as_deref(), Ok(id));
        }
        let parsed = SpiffeId::parse("spiffe://td/ns/a").unwrap();
        assert_eq!((parsed.trust_domain(), parsed.segments().collect::<Vec<_>>()), ("td", vec!["ns", "a"]));
    }

    #[test]
    fn everything_else_is_no_id() {
        let (longer, domain) =
            (format!("spiffe://td/{}", "a".repeat(MAX_ID - 11)), format!("spiffe://{}/a", "a".repeat(256)));
        for (text, why) in [
            ("", "begins with"),
            ("td/a", "begins with"),
            ("SPIFFE://td/a", "begins with"),
            ("https://td/a", "begins with"),
            (" spiffe://td/a", "begins with"),
            ("spiffe:/td/a", "begins with"),
            ("spiffe://td", "no workload"),
            ("spiffe://td/", "empty"),
            ("spiffe:///a", "1 to 255"),
            (&*domain, "1 to 255"),
            ("spiffe://TD/a", "lower case"),
            ("spiffe://td:80/a", "port"),
            ("spiffe://u@td/a", "user"),
            ("spiffe://tü/a", "1 to 255"),
            ("spiffe://[::1]/a", "port"),
            ("spiffe://td/a?b", "query"),
            ("spiffe://td?b/a", "query"),
            ("spiffe://td/a#b", "fragment"),
            ("spiffe://td/%61", "percent"),
            ("spiffe://t%64/a", "percent"),
            ("spiffe://td/a/", "does not end in '/'"),
            ("spiffe://td//a", "empty"),
            ("spiffe://td/./a", "\".\""),
            ("spiffe://td/a/..", "\"..\""),
            ("spiffe://td/a b", "holds only"),
            ("spiffe://td/ä", "holds only"),
            ("spiffe://td/a*", "holds only"),
            ("spiffe://td/a\0", "holds only"),
            ("spiffe://td/a\n", "holds only"),
            (&*longer, "2048"),
        ] {
            let told = SpiffeId::parse(text).unwrap_err();
            assert!(told.contains(why), "{text:?}: {told}");
        }
    }

    #[test]
    fn a_pattern_ends_at_a_whole_segment() {
        let below = SpiffePattern::parse("spiffe://td/ns/a/*").unwrap();
        for (id, admitted) in [
            ("spiffe://td/ns/a/x", true),
            ("spiffe://td/ns/a/x/y", true),
            ("spiffe://td/ns/a", false),
            ("spiffe://td/ns/ab", false),
            ("spiffe://td/ns/ab/x", false),
            ("spiffe://td/NS/a/x", false),
            ("spiffe://td2/ns/a/x", false),
            ("spiffe://td/x/ns/a/x", false),
        ] {
            assert_eq!(below.admits(&SpiffeId::parse(id).unwrap()), admitted, "{id}");
        }
        let whole = SpiffePattern::parse("spiffe://td/*").unwrap();
        assert!(whole.admits(&SpiffeId::parse("spiffe://td/a").unwrap()));
        assert!(!whole.admits(&SpiffeId::parse("spiffe://td.test/a").unwrap()));
        assert_eq!((whole.to_string().as_str(), whole.trust_domain()), ("spiffe://td/*", "td"));
        assert_eq!(below.segments().collect::<Vec<_>>(), ["ns", "a"]);
        assert_eq!(whole.segments().count(), 0);
    }

    #[test]
    fn nothing_but_a_last_segment_is_a_pattern() {
        for text in
            ["*", "spiffe://*", "spiffe://*/a", "spiffe://td/*/b", "spiffe://td/a*", "spiffe://td/*/*"]
        {
            assert!(SpiffePattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_cover_what_lies_below_them() {
        let covers = |outer: &str, inner: &str| {
            SpiffePattern::parse(outer).unwrap().covers(&SpiffePattern::parse(inner).unwrap())
        };
        for (outer, inner, covered) in [
            ("spiffe://td/*", "spiffe://td/a/*", true),
            ("spiffe://td/*", "spiffe://td/a", true),
            ("spiffe://td/a/*", "spiffe://td/a", false),
            ("spiffe://td/a/*", "spiffe://td/ab/*", false),
            ("spiffe://td/a/*", "spiffe://td/*", false),
            ("spiffe://td/a", "spiffe://td/a", true),
            ("spiffe://td/a", "spiffe://td/a/*", false),
        ] {
            assert_eq!(covers(outer, inner), covered, "{outer} {inner}");
        }
    }
}
