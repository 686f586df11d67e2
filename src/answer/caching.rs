//! What caches may do with the response to a client who is known by more than its network: keep it for that client only.
//!
//! An object that was stored with `Cache-Control: public` is public as far as its owner knows. A cache between Scopegate
//! and its clients would show it to clients who may not read it.

use http::HeaderValue;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, VARY};
use http1::Fields;

/// The directives that are for shared caches, which must not store the response at all.
const SHARED: [&str; 4] = ["public", "private", "s-maxage", "proxy-revalidate"];

/// Keeps shared caches from storing a response. A browser may still store it as its own directives say.
/// <https://www.rfc-editor.org/rfc/rfc9111.html#section-5.2.2>
pub(crate) fn keep_private(fields: &mut Fields) {
    let lines = fields.all(CACHE_CONTROL.as_str());
    let own: Option<Vec<Vec<&str>>> =
        lines.map(|line| str::from_utf8(line).ok().and_then(directives_of)).collect();
    // What cannot be read is left out: `private` alone allows no shared cache anything.
    let own = own.into_iter().flatten().flatten().filter(|directive| !is_shared(directive));
    let value = std::iter::once("private").chain(own).collect::<Vec<_>>().join(", ");
    set(fields, CACHE_CONTROL, &value, "private");
}

/// Says that the response depends on the credentials of the request.
pub(crate) fn vary_by_credentials(fields: &mut Fields) {
    let lines: Vec<&str> = fields.all(VARY.as_str()).filter_map(|line| str::from_utf8(line).ok()).collect();
    let mut names = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    if names.any(|name| name == "*" || name.eq_ignore_ascii_case(AUTHORIZATION.as_str())) {
        return;
    }
    let own = lines.into_iter().chain(["Authorization"]).collect::<Vec<_>>().join(", ");
    set(fields, VARY, &own, "*");
}

fn set(fields: &mut Fields, name: HeaderName, value: &str, otherwise: &'static str) {
    fields.insert(name, HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(otherwise)));
}

/// Splits a line at the commas outside quotes. Returns `None` if a quote does not end.
fn directives_of(line: &str) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_end = |c: char| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match c {
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' => return !is_quoted,
            _ => {}
        }
        false
    };
    let directives = line.split(is_end).map(str::trim).filter(|directive| !directive.is_empty()).collect();
    (!is_quoted).then_some(directives)
}

fn is_shared(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim();
    SHARED.iter().any(|shared| name.eq_ignore_ascii_case(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &HeaderName, lines: &[&str]) -> Fields {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn shared_caches_store_nothing_and_browsers_as_before() {
        for (lines, expected) in [
            (&[][..], "private"),
            (&["public"], "private"),
            (&["public, max-age=600"], "private, max-age=600"),
            (&["PUBLIC,Max-Age=600"], "private, Max-Age=600"),
            (&["max-age=600, s-maxage=9000, proxy-revalidate"], "private, max-age=600"),
            (&["no-store"], "private, no-store"),
            (&["public, no-store"], "private, no-store"),
            (&["private, no-cache"], "private, no-cache"),
            (&["private=\"x-a, x-b\", max-age=5"], "private, max-age=5"),
            (&["no-cache=\"set-cookie, public\", public"], "private, no-cache=\"set-cookie, public\""),
            (&["public", "max-age=600"], "private, max-age=600"),
            (&["max-age=600, a=\"b"], "private"),
            (&["max-age=600, a=\"b\\\""], "private"),
            (&["max-age=600, a=\"\\\\\", public"], "private, max-age=600, a=\"\\\\\""),
            (&["ü", "public"], "private, ü"),
            (&[" , ,"], "private"),
            (&["public = 1"], "private"),
        ] {
            let mut fields = with(&CACHE_CONTROL, lines);
            keep_private(&mut fields);
            let all: Vec<&[u8]> = fields.all("cache-control").collect();
            assert_eq!(all, [expected.as_bytes()], "{lines:?}");
        }
    }

    #[test]
    fn a_response_varies_by_credentials_once() {
        for (lines, expected) in [
            (&[][..], "Authorization"),
            (&["Accept"], "Accept, Authorization"),
            (&["Accept", "Origin"], "Accept, Origin, Authorization"),
            (&["origin, authorization"], "origin, authorization"),
            (&["*"], "*"),
        ] {
            let mut fields = with(&VARY, lines);
            vary_by_credentials(&mut fields);
            assert_eq!(fields.get("vary"), Some(expected.as_bytes()), "{lines:?}");
        }
    }
}
