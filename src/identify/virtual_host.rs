//! Virtual-host style: `Host: bucket.domain` names the bucket, and the path holds only the key.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>

use crate::refusal::{Refusal, Rule};
use crate::s3::names::check_bucket;
use http1::{Host, Request};
use std::borrow::Cow;

/// Returns the path of a request in path style: see [`path_style`].
///
/// # Errors
/// As [`path_style`].
pub(crate) fn path_of<'r>(domain: Option<&str>, request: &'r Request) -> Result<Cow<'r, str>, Refusal> {
    // Most listeners have no domain, and need not look for the host.
    let host = domain.and_then(|domain| Some((domain, request.host()?)));
    path_style(host, request.target.path())
}

/// Returns a path in path style: preceded by the bucket that the Host names, if that is below the
/// domain.
///
/// If the Host is the domain itself, another name or an address, the path is in path style already. Several slashes
/// at its beginning count as one, because a URL joined from `http://host/` and `/bucket/key` has two.
///
/// # Errors
/// When the part of the Host before the domain is not a bucket name.
fn path_style<'p>(host: Option<(&str, Host<'_>)>, path: &'p str) -> Result<Cow<'p, str>, Refusal> {
    let Some((domain, host)) = host else { return Ok(one_slash(path).into()) };
    let host = bare(&host);
    match host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')) {
        Some(bucket) if path.starts_with('/') => {
            check_bucket(bucket).map_err(|why| {
                Refusal::new(Rule::BadHost, format!("the Host names the bucket {bucket:?}: {why}"))
            })?;
            Ok(format!("/{bucket}{path}").into())
        }
        _ => Ok(one_slash(path).into()),
    }
}

/// Reduces several slashes at the beginning of a path to one.
fn one_slash(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix('/').filter(|rest| rest.starts_with('/')) {
        path = rest;
    }
    path
}

/// Returns the name in a Host, in lower case and without a dot at its end.
fn bare(host: &Host<'_>) -> String {
    let name = String::from_utf8_lossy(host.name()).to_ascii_lowercase();
    name.strip_suffix('.').map(str::to_owned).unwrap_or(name)
}

/// Explains a refusal whose cause is that the Host names one of the client's buckets while the listener has no such
/// domain.
///
/// The response to a request for a foreign host names no buckets, because its page may be an attacker's. Only the
/// help for the operator names them.
#[must_use]
pub(crate) fn explain<'b>(
    refusal: Refusal,
    domain: Option<&str>,
    host: Option<Host<'_>>,
    buckets: impl IntoIterator<Item = &'b str>,
) -> Refusal {
    let concerns = matches!(refusal.rule, Rule::OutsideScope | Rule::BadTarget | Rule::ForeignHost);
    let Some(host) = host.filter(|host| concerns && host.address().is_none()) else { return refusal };
    let host = bare(&host);
    let below = |bucket: &str| host.strip_prefix(bucket)?.strip_prefix('.').map(str::to_owned);
    let named = buckets.into_iter().find_map(|bucket| Some((bucket, below(bucket)?)));
    let Some((bucket, rest)) = named.filter(|(_, rest)| domain != Some(rest)) else { return refusal };
    let help =
        format!("set domain = {rest:?} at the listener, so that its hosts name buckets as {host:?} does");
    if refusal.rule == Rule::ForeignHost {
        return refusal.with_help(help);
    }
    let message = format!(
        "the Host {host:?} names the bucket {bucket:?}, and this service reads the bucket from the path: ask for \
         /{bucket}/..., as clients do with path-style addressing (forcePathStyle)"
    );
    Refusal::new(refusal.rule, message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use http1::Fields;

    fn path(host: &str, path: &str) -> Result<String, Rule> {
        path_style(Some(("s3.example.test", Host::parse(host.as_bytes()).unwrap())), path)
            .map(Cow::into_owned)
            .map_err(|refusal| refusal.rule)
    }

    #[test]
    fn the_host_names_the_bucket() {
        let cases = [
            ("media.s3.example.test", "/a%2Fb", "/media/a%2Fb"),
            ("Media.S3.example.TEST:8080", "/", "/media/"),
            ("a.b.s3.example.test.", "/a", "/a.b/a"),
            ("s3.example.test", "/media/a", "/media/a"),
            ("s3.example.test:80", "/media/a", "/media/a"),
            ("elsewhere.test", "/media/a", "/media/a"),
            ("xs3.example.test", "/media/a", "/media/a"),
            ("127.0.0.1:8080", "/media/a", "/media/a"),
            ("[::1]:8080", "/media/a", "/media/a"),
        ];
        for (host, asked, expected) in cases {
            assert_eq!(path(host, asked).as_deref(), Ok(expected), "{host}");
        }
        for bad in [".s3.example.test", "ab.s3.example.test", "a_b.s3.example.test", "a..b.s3.example.test"] {
            assert_eq!(path(bad, "/a"), Err(Rule::BadHost), "{bad}");
        }
    }

    #[test]
    fn a_request_without_a_host_is_in_path_style() {
        let old = Request::new(Method::GET, "/media/a".parse().unwrap(), Fields::default()).unwrap();
        assert_eq!(path_of(Some("s3.example.test"), &old).unwrap(), "/media/a");
    }

    #[test]
    fn slashes_at_the_beginning_of_a_path_count_as_one() {
        for (asked, expected) in [
            ("//media/a", "/media/a"),
            ("///media//a/", "/media//a/"),
            ("//", "/"),
            ("/", "/"),
            ("/%2Fmedia", "/%2Fmedia"),
            ("*", "*"),
        ] {
            assert_eq!(path_style(None, asked).unwrap(), expected);
            assert_eq!(path("s3.example.test", asked).as_deref(), Ok(expected));
        }
        assert_eq!(path("media.s3.example.test", "//a").as_deref(), Ok("/media//a"), "a key has its slashes");
    }

    #[test]
    fn a_bucket_in_a_host_without_a_domain_is_explained() {
        let explained = |rule, domain, host: &str| {
            let refusal = Refusal::new(rule, "no");
            explain(refusal, domain, Host::parse(host.as_bytes()).ok(), ["other", "tmp", "a.b"])
        };
        for (host, domain, bucket, rest) in [
            ("TMP.localhost.:8080", None, "tmp", "localhost"),
            ("tmp.s3.example.test", Some("else.test"), "tmp", "s3.example.test"),
            ("a.b.s3.example.test", None, "a.b", "s3.example.test"),
        ] {
            let told = explained(Rule::OutsideScope, domain, host);
            assert!(told.message.contains(&format!("names the bucket {bucket:?}")), "{}", told.message);
            assert!(told.help().unwrap().contains(&format!("domain = {rest:?}")), "{:?}", told.help());
        }
        let foreign = explained(Rule::ForeignHost, None, "tmp.evil.test");
        assert_eq!(foreign.message, "no", "a page of evil.test learns nothing of buckets");
        assert!(foreign.help().unwrap().contains("domain = \"evil.test\""));
        for (rule, domain, host) in [
            (Rule::OutsideScope, Some("s3.example.test"), "tmp.s3.example.test"),
            (Rule::OutsideScope, None, "127.0.0.1:8080"),
            (Rule::OutsideScope, None, "s3.example.test"),
            (Rule::OutsideScope, None, "tmpx.s3.example.test"),
            (Rule::NoSuchUpload, None, "tmp.localhost"),
        ] {
            let refusal = explained(rule, domain, host);
            assert_eq!((&*refusal.message, refusal.help()), ("no", rule.help()), "{host}");
        }
    }
}
