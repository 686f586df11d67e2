//! The request target (RFC 9112, section 3.2), parsed to a path and query, and a host if it names one.

use crate::message::{ByteSet, Host, Malformed, Reason};
use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;

/// A parsed target.
#[derive(Debug)]
pub(super) struct Target {
    /// The path and query, or `*`.
    pub(super) path: PathAndQuery,
    /// The host of the absolute form, which replaces that of `Host`.
    pub(super) authority: Option<Bytes>,
}

/// Parses a target.
///
/// # Errors
/// When it has none of the forms that its method allows, or contains a character that no target may.
pub(super) fn parse_target(method: &Method, target: &Bytes) -> Result<Target, Malformed> {
    match target.first() {
        Some(b'/') => origin(target.clone()).map(|path| Target { path, authority: None }),
        Some(b'*') if target.len() == 1 && *method == Method::OPTIONS => {
            Ok(Target { path: PathAndQuery::from_static("*"), authority: None })
        }
        _ if *method == Method::CONNECT => {
            Err(Malformed::new(Reason::UnsupportedMethod, "the method CONNECT is not supported"))
        }
        _ => absolute(target),
    }
}

/// Checks a path and query that did not arrive in a request line, such as `:path` of HTTP/2 (RFC 9113, section 8.3.1).
///
/// # Errors
/// When it does not begin with `/` and is not the `*` of `OPTIONS`, or contains a character that no target may.
pub fn check_path(method: &Method, path: &PathAndQuery) -> Result<(), Malformed> {
    let text = path.as_str().as_bytes();
    match text.first() {
        Some(b'/') if text.iter().all(|byte| is_allowed(*byte)) => Ok(()),
        Some(b'/') => Err(Malformed::new(Reason::InvalidTarget, NOT_ENCODED)),
        Some(b'*') if text.len() == 1 && *method == Method::OPTIONS => Ok(()),
        _ => Err(Malformed::new(Reason::InvalidTarget, "the path must begin with '/'")),
    }
}

const NOT_ENCODED: &str = "the target contains a character that must be percent-encoded in a URL";

fn origin(path: Bytes) -> Result<PathAndQuery, Malformed> {
    let bad = |why| Malformed::new(Reason::InvalidTarget, why);
    let is_text = || path.is_ascii() || str::from_utf8(&path).is_ok();
    if !path.iter().all(|byte| is_allowed(*byte)) || !is_text() {
        return Err(bad(NOT_ENCODED));
    }
    PathAndQuery::from_maybe_shared(path).map_err(|_| bad("the target must be the path and query of a URL"))
}

/// Parses `http://host/path`, whose host replaces that of `Host` (section 3.2.2).
fn absolute(target: &Bytes) -> Result<Target, Malformed> {
    let bad = |why| Malformed::new(Reason::InvalidTarget, why);
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .ok_or(bad("the target must be a path that begins with '/' or an http URL"))?;
    let rest = target.slice(scheme.len()..);
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = rest.slice(..end);
    Host::parse(&authority).map_err(|_| bad("the target must be a URL with a single host"))?;
    let path = rest.slice(end..);
    let path = if path.first() == Some(&b'/') { path } else { [b"/", &*path].concat().into() };
    origin(path).map(|path| Target { path, authority: Some(authority) })
}

/// Returns whether a target may contain a byte: `pchar / "/" / "?"` of RFC 3986, and what people type unencoded, brackets
/// and letters of any language. These are unambiguous and are forwarded percent-encoded. Escapes are checked where the
/// target is decoded.
fn is_allowed(byte: u8) -> bool {
    static SET: ByteSet = ByteSet::alphanumeric_and(b"-._~%!$&'()*+,;=:@/?[]").with_non_ascii();
    SET.has(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &Method, target: &'static str) -> Result<(String, Option<Bytes>), Reason> {
        parse_target(method, &Bytes::from_static(target.as_bytes()))
            .map(|target| (target.path.to_string(), target.authority))
            .map_err(|malformed| malformed.reason)
    }

    #[test]
    fn target_forms() {
        let host = |name: &'static str| Some(Bytes::from_static(name.as_bytes()));
        let good = [
            ("/", "/", None),
            ("/a%20b?c=d&e", "/a%20b?c=d&e", None),
            ("//a", "//a", None),
            ("/a:b@c!$&'()*+,;=-._~", "/a:b@c!$&'()*+,;=-._~", None),
            ("/ü[1]", "/ü[1]", None),
            ("http://h", "/", host("h")),
            ("http://h/a", "/a", host("h")),
            ("HTTP://h:1?b", "/?b", host("h:1")),
            ("https://h/", "/", host("h")),
        ];
        for (target, uri, authority) in good {
            assert_eq!(parse(&Method::GET, target), Ok((uri.to_owned(), authority)), "{target}");
        }
        assert_eq!(parse(&Method::OPTIONS, "*"), Ok(("*".to_owned(), None)));
        for bad in [
            "*",
            "!",
            "a",
            "localhost:80",
            "h/a",
            "?a",
            "",
            "http:/h/a",
            "http:///a",
            "http://u@h/",
            "http://h b/",
            "ftp://h/",
            "/a\u{1}",
            "/a#b",
            "/a\\b",
            "/a\"b",
            "/a<b",
            "/a>b",
            "/a^b",
            "/a`b",
            "/a{b}",
            "/a|b",
            "/a b",
            "http://h/#a",
            "http://[::1/",
        ] {
            assert_eq!(parse(&Method::GET, bad), Err(Reason::InvalidTarget), "{bad:?}");
        }
        let not_utf8 = parse_target(&Method::GET, &Bytes::from_static(b"/\xff"));
        assert_eq!(not_utf8.unwrap_err().reason, Reason::InvalidTarget);
        assert_eq!(parse(&Method::OPTIONS, "*a"), Err(Reason::InvalidTarget));
        assert_eq!(parse(&Method::CONNECT, "h:443"), Err(Reason::UnsupportedMethod));
    }
}
