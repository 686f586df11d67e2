//! The origins in `[mapping.cors]`, and matching a page's origin against them.
//!
//! Origins are compared byte by byte with what browsers send
//! (<https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin>): lower case, without a path, and without the default
//! port of the scheme. An origin that no browser would send is a mistake in the configuration.

use http1::Host;

/// The maximum length of an origin in bytes. A host name has at most 253.
const MAX_ORIGIN: usize = 300;

/// The origins that the rules apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All origins: the mapping's objects are public.
    Any,
    /// These origins.
    Named(Vec<Origin>),
}

impl Origins {
    /// Checks whether a page's origin is one of these.
    pub fn include(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Named(origins) => origins.iter().any(|known| known.is(origin)),
        }
    }
}

/// An origin, or the origins of all names below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The whole origin, or only the scheme where `below` follows.
    start: Box<str>,
    /// `.example.org:8443`, for all names below that domain.
    below: Option<Box<str>>,
}

impl Origin {
    /// Parses `https://app.example.org`, `http://localhost:3000` or `https://*.example.org`.
    ///
    /// # Errors
    /// Explains what a browser would send instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "null" {
            return Err(
                "every sandboxed page has the origin null, those of other sites too: name the page's own"
                    .into(),
            );
        }
        if text.is_empty() || text.len() > MAX_ORIGIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "write an origin as browsers send it: in ASCII, other letters as xn--..., without blanks"
                    .into(),
            );
        }
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(format!("begin with the scheme in lower case, as in \"https://{}\"", bare(text)));
        };
        if let Some(authority) = rest.split(['/', '?', '#']).next().filter(|authority| *authority != rest) {
            return Err(format!("an origin has no path: write \"{scheme}://{authority}\""));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("browsers send it in lower case: write {:?}", text.to_ascii_lowercase()));
        }
        if scheme == "file" {
            return Err(
                "pages of files have the origin null, as every sandboxed page has: serve the page".into()
            );
        }
        let origin =
            |start: &str, below: Option<&str>| Self { start: start.into(), below: below.map(Into::into) };
        if let Some(below) = rest.strip_prefix('*') {
            check_domain(below)?;
            check_authority(scheme, &format!("a{below}"))?;
            return Ok(origin(&format!("{scheme}://"), Some(below)));
        }
        check_authority(scheme, rest)?;
        Ok(origin(text, None))
    }

    fn is(&self, origin: &[u8]) -> bool {
        match &self.below {
            None => origin == self.start.as_bytes(),
            Some(below) => {
                let name = origin.strip_prefix(self.start.as_bytes());
                name.and_then(|name| name.strip_suffix(below.as_bytes())).is_some_and(is_name)
            }
        }
    }
}

/// Returns the host and port in a text, for an example.
fn bare(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

/// Checks whether a text is a host name: non-empty labels, separated by dots.
fn is_name(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'.').all(|label| {
        !label.is_empty() && label.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    })
}

/// Checks what follows the `*` of `https://*.example.org`.
fn check_domain(below: &str) -> Result<(), String> {
    let domain =
        below.strip_prefix('.').ok_or("a * stands for whole names: write \"https://*.example.org\"")?;
    let name = domain.split(':').next().unwrap_or_default();
    if !name.contains('.') || name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.')) {
        return Err("a * stands before a domain of two names or more, as in \"https://*.example.org\"".into());
    }
    Ok(())
}

fn check_authority(scheme: &str, authority: &str) -> Result<(), String> {
    if authority.contains('@') {
        return Err("an origin has no user: leave out the part up to the '@'".into());
    }
    if authority.contains('*') {
        return Err("a * stands for the whole first name, as in \"https://*.example.org\"".into());
    }
    let is_web = matches!(scheme, "http" | "https");
    let host = Host::parse(authority.as_bytes())?;
    let name = host.name();
    if host.address().is_none() && !is_name(name) && (is_web || name != b".") {
        let why = if name.ends_with(b".") {
            "leave out the dot at its end"
        } else {
            "its host is neither a name nor an address"
        };
        return Err(why.into());
    }
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    if authority.ends_with(':') || (default.is_some() && host.port() == default) {
        let name = String::from_utf8_lossy(name);
        return Err(format!("browsers leave out the default port: write \"{scheme}://{name}\""));
    }
    match host.port() {
        Some(port) if !authority.ends_with(&format!(":{port}")) => Err(format!("write the port as {port}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(named: &str, origin: &str) -> bool {
        Origins::Named(vec![Origin::parse(named).unwrap()]).include(origin.as_bytes())
    }

    #[test]
    fn an_origin_is_compared_exactly() {
        for named in [
            "https://a.example",
            "http://localhost:3000",
            "https://[::1]:8443",
            "http://192.0.2.1",
            "chrome-extension://abcdefgh",
            "capacitor://localhost",
            "app://.",
        ] {
            assert!(includes(named, named), "{named}");
        }
        for other in [
            "",
            "null",
            "https://",
            "http://a.example",
            "https://a.example.evil",
            "https://a.example.",
            "https://a.example:443",
            "https://a.example:8443",
            "https://A.example",
            "HTTPS://a.example",
            "https://a.example/",
            "https://a.example ",
            "https://b.a.example",
            "https://evil-a.example",
            "https://a.example@evil.test",
            "https://a.example, https://evil.test",
            "a.example",
        ] {
            assert!(!includes("https://a.example", other), "{other}");
        }
    }

    #[test]
    fn a_star_is_every_name_below_a_domain() {
        for (origin, good) in [
            ("https://a.example.org", true),
            ("https://a.b-c.example.org", true),
            ("https://example.org", false),
            ("https://.example.org", false),
            ("https://a..example.org", false),
            ("https://evilexample.org", false),
            ("https://evil.test/.example.org", false),
            ("https://evil.test#.example.org", false),
            ("https://evil.test:80.example.org", false),
            ("https://user@x.example.org", false),
            ("https://a.example.org.evil", false),
            ("https://a.example.org:8443", false),
            ("http://a.example.org", false),
            ("null", false),
        ] {
            assert_eq!(includes("https://*.example.org", origin), good, "{origin}");
        }
        assert!(includes("https://*.example.org:8443", "https://a.example.org:8443"));
        assert!(!includes("https://*.example.org:8443", "https://a.example.org"));
    }

    #[test]
    fn rejects_origins_that_no_browser_sends() {
        for (text, help) in [
            ("null", "sandboxed"),
            ("", "as browsers send it"),
            ("a.example", "\"https://a.example\""),
            ("A.example/b", "begin with the scheme"),
            ("HTTPS://a.example", "begin with the scheme"),
            ("https://a.example/", "no path: write \"https://a.example\""),
            ("https://a.example/page?x", "write \"https://a.example\""),
            ("https://A.example", "write \"https://a.example\""),
            ("https://ä.example", "xn--"),
            ("https://a.example:443", "write \"https://a.example\""),
            ("http://a.example:80", "default port"),
            ("https://a.example:", "default port"),
            ("https://a.example:0443", "default port"),
            ("https://a.example:08443", "port as 8443"),
            ("https://a.example:99999", "port"),
            ("https://a.example.", "dot at its end"),
            ("https://user@a.example", "no user"),
            ("https://", "Host must be a single host"),
            ("https://a b.example", "without blanks"),
            ("https://*", "whole names"),
            ("https://*example.org", "whole names"),
            ("https://a.*.org", "whole first name"),
            ("https://*.*.org", "whole first name"),
            ("https://*.org", "two names"),
            ("https://*.1.1", "two names"),
            ("https://*.example.org.", "dot at its end"),
            ("file://", "null"),
        ] {
            let why = Origin::parse(text).unwrap_err();
            assert!(why.contains(help), "{text}: {why}");
        }
    }
}
