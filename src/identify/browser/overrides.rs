//! `response-*` query parameters, which override headers of the object in the store's response.

use super::types::is_inert;
use crate::refusal::{Refusal, Rule};
use crate::s3::target::Query;
use http1::Fields;

/// Checks that a browser does not ask for an object in a form that it would run, or read as something else.
///
/// A link is enough to ask for one, and anyone can publish a link. S3 itself accepts overrides in signed requests only.
///
/// # Errors
/// When a browser asks for a type that is not inert, for `inline` without an inert type, or for another coding.
pub(crate) fn check_overrides(query: &Query<'_>, fields: &Fields) -> Result<(), Refusal> {
    let Some((name, value, allowed)) = active_override(query) else { return Ok(()) };
    if !is_of_a_browser(fields) {
        return Ok(());
    }
    let shown: String = value.chars().take(100).collect();
    Err(Refusal::new(
        Rule::ActiveOverride,
        format!("a browser may not ask for an object with {name}={shown:?}: {allowed}"),
    ))
}

/// Returns the first override that could make an object run: its name, its value, and what is allowed.
fn active_override<'q>(query: &'q Query<'_>) -> Option<(&'static str, &'q str, &'static str)> {
    const TYPE: &str = "response-content-type";
    let found = |name, is_harmless: &dyn Fn(&str) -> bool, allowed| {
        query.get(name).filter(|value| !is_harmless(value)).map(|value| (name, value, allowed))
    };
    // An object that is stored as an attachment may be a page: `inline` alone would show it.
    let has_type = query.get(TYPE).is_some();
    let disposition = |value: &str| {
        let kind = value.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("attachment") || (has_type && kind.eq_ignore_ascii_case("inline"))
    };
    found(
        TYPE,
        &|value| is_inert(value.as_bytes()),
        "the types allowed are text/plain, images, sound, video, PDF, office documents and archives",
    )
    .or_else(|| {
        let allowed = "only attachment is allowed, and inline beside response-content-type";
        found("response-content-disposition", &disposition, allowed)
    })
    .or_else(|| found("response-content-encoding", &|_| false, "store the object with its encoding"))
}

/// Checks whether a browser sends these fields. Signatures prove nothing, as a program that signs may run in a browser:
/// what a link can do counts.
fn is_of_a_browser(fields: &Fields) -> bool {
    const TELLING: [&[u8]; 4] = [b"accept-language", b"origin", b"referer", b"upgrade-insecure-requests"];
    fields.iter().any(|(name, value)| {
        let starts = |text: &[u8], start: &[u8]| {
            text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        };
        let is_agent = name.eq_ignore_ascii_case(b"user-agent");
        starts(name, b"sec-")
            || TELLING.iter().any(|telling| name.eq_ignore_ascii_case(telling))
            || (is_agent && (starts(value, b"Mozilla/") || starts(value, b"Opera/")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn refused(query: &str, fields: &[(&str, &str)]) -> bool {
        let query = Query::parse(Some(query)).unwrap();
        let fields = fields.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        check_overrides(&query, &fields.collect()).is_err()
    }

    const FIREFOX: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101");

    #[test]
    fn a_browser_gets_no_object_in_an_active_form() {
        for (query, good) in [
            ("", true),
            ("versionId=1&partNumber=2", true),
            ("response-content-type=text/html", false),
            ("response-content-type=TEXT/HTML", false),
            ("response-content-type=", false),
            ("response-content-type=image/svg%2Bxml", false),
            ("response-content-type=video/x%2Bxml", false),
            ("response-content-type=text/plain,text/html", false),
            ("%72esponse-content-type=text/javascript", false),
            ("response-content-type=application/pdf", true),
            ("response-content-type=text/plain%3Bcharset%3Dutf-8", true),
            ("response-content-disposition=inline", false),
            ("response-content-disposition=attachmentx", false),
            ("response-content-disposition=inline&response-content-type=application/pdf", true),
            ("response-content-disposition=inline%3Bfilename%3Da&response-content-type=image/png", true),
            ("response-content-disposition=inlinex&response-content-type=image/png", false),
            ("response-content-disposition=inline&response-content-type=text/html", false),
            ("response-content-disposition=inline&response-content-type=", false),
            ("response-content-type=application/vnd.ms-excel", true),
            ("response-content-disposition=attachment%3B%20filename%3Da", true),
            ("response-content-encoding=gzip", false),
            ("response-cache-control=no-store&response-content-language=de&response-expires=x", true),
            ("response-content-disposition=attachment&response-content-type=text/html", false),
        ] {
            assert_eq!(refused(query, &[FIREFOX]), !good, "{query}");
            let curl = [("user-agent", "curl/8.5"), ("accept", "*/*")];
            assert!(!refused(query, &curl) && !refused(query, &[]), "{query}: programs may ask for anything");
        }
    }

    /// Content delivery networks add `x-amz-*` to the requests of browsers, and over plain HTTP there is no `Sec-Fetch-*`.
    #[test]
    fn browsers_are_recognised_by_headers_that_programs_do_not_send() {
        for fields in [
            &[("sec-fetch-site", "none")][..],
            &[("sec-ch-ua", "x"), ("user-agent", "curl/8")],
            &[("user-agent", "mozilla/5.0")],
            &[("user-agent", "Opera/9.80")],
            &[("x-amz-cf-id", "x"), FIREFOX],
            &[("accept-language", "de")],
            &[("referer", "http://localhost/")],
            &[("origin", "http://localhost")],
            &[("upgrade-insecure-requests", "1")],
        ] {
            assert!(refused("response-content-type=text/html", fields), "{fields:?}");
        }
        for fields in [
            &[("user-agent", "Boto3/1.44 md/Botocore"), ("amz-sdk-request", "attempt=1")][..],
            &[("user-agent", "MinIO (linux; amd64) minio-go/v7.0.90 mc/RELEASE"), ("x-amz-date", "x")],
            &[("user-agent", "Wget/1.21"), ("accept", "*/*"), ("accept-encoding", "identity")],
        ] {
            assert!(!refused("response-content-type=text/html", fields), "{fields:?}");
        }
    }
}
