//! Decisions and the rules behind them.

use super::*;
use crate::config::Config;
use crate::config::tests::{EXAMPLE, Fake};
use crate::identify::client::tests::{connection, listener};
use crate::s3::verb::Verbs;
use http::HeaderValue;
use proptest::prelude::*;

/// Returns `tmp/media/` with read and list, and `tmp/inbox/` with write.
fn mapping() -> Mapping {
    let more = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"write\"]\n";
    Config::parse(&format!("{EXAMPLE}{more}"), &Fake).unwrap().mappings.remove(0)
}

fn decide(method: &Method, target: &str, source: Option<&str>) -> Result<(), Rule> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let source = source.map(|source| (X_AMZ_COPY_SOURCE, HeaderValue::from_str(source).unwrap()));
    mapping()
        .grant(method, path, query, &source.into_iter().collect())
        .map(|_| ())
        .map_err(|refusal| refusal.rule)
}

/// The scope with the longest prefix decides.
#[test]
fn only_objects_of_a_site_are_served_as_pages() {
    let scopes = "index = \"index.html\"\n\
        [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/inbox/\"\nallow = [\"read\"]\n\
        [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/inbox/site/\"\nallow = [\"read\"]\nsite = true\n\
        [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/docs/\"\nallow = [\"write\"]\n\
        [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"plain/\"\nallow = [\"read\"]\n";
    let mapping = Config::parse(&format!("{EXAMPLE}{scopes}"), &Fake).unwrap().mappings.remove(0);
    let fields = Fields::default();
    for (path, query, site) in [
        ("/tmp/media/a", None, true),
        ("/tmp/media/inbox/a", None, false),
        ("/tmp/media/inbox/site/a", None, true),
        ("/tmp/media/docs/a", None, true),
        ("/tmp/plain/a", None, false),
        ("/tmp/media/a", Some("tagging"), false),
        ("/tmp", Some("prefix=media/"), false),
    ] {
        let grant = mapping.grant(&Method::GET, path, query, &fields).unwrap();
        assert_eq!(mapping.is_site(&grant), site, "{path} {query:?}");
    }
}

#[test]
fn each_refusal_names_its_rule() {
    let cases = [
        (Method::GET, "/tmp/media/a", Ok(())),
        (Method::PUT, "/tmp/inbox/a", Ok(())),
        (Method::GET, "/tmp?prefix=media/", Ok(())),
        (Method::GET, "/tmp?location", Ok(())),
        (Method::GET, "/tmp/other/a", Err(Rule::OutsideScope)),
        (Method::GET, "/other/media/a", Err(Rule::OutsideScope)),
        (Method::GET, "/", Ok(())),
        (Method::HEAD, "/", Ok(())),
        (Method::POST, "/", Err(Rule::NotOffered)),
        (Method::PUT, "/", Err(Rule::MethodNotAllowed)),
        (Method::OPTIONS, "/", Err(Rule::MethodNotAllowed)),
        (Method::PUT, "/tmp", Err(Rule::NotOffered)),
        (Method::PUT, "/other", Err(Rule::OutsideScope)),
        (Method::POST, "/tmp?delete", Err(Rule::RightNotGranted)),
        (Method::GET, "/minio/health/live", Err(Rule::OutsideScope)),
        (Method::GET, "/minio/admin/v3/accountinfo?x=1", Err(Rule::OutsideScope)),
        (Method::GET, "/tmp", Err(Rule::OutsideScope)),
        (Method::GET, "/tmp?prefix=med", Err(Rule::OutsideScope)),
        (Method::GET, "/tmp?prefix=inbox/", Err(Rule::RightNotGranted)),
        (Method::GET, "/tmp/inbox/a", Err(Rule::RightNotGranted)),
        (Method::PUT, "/tmp/media/a", Err(Rule::RightNotGranted)),
        (Method::DELETE, "/tmp/inbox/a", Err(Rule::RightNotGranted)),
        (Method::GET, "/tmp/media/a?versionId=1", Err(Rule::RightNotGranted)),
        (Method::PATCH, "/tmp/media/a", Err(Rule::MethodNotAllowed)),
        (Method::GET, "/tmp/media/../a", Err(Rule::BadTarget)),
        (Method::GET, "/tmp?prefix=media/../", Err(Rule::BadTarget)),
        (Method::GET, "/tmp?prefix=media/&marker=media/a[minio_cache:v2,return:]", Ok(())),
        (Method::GET, "/tmp?prefix=media/&marker=media/a[minio_cache:v2", Err(Rule::BadTarget)),
        (Method::GET, "/tmp?list-type=2&prefix=media/&start-after=[minio_cache", Err(Rule::BadTarget)),
        (Method::GET, "/tmp?prefix=media/&max-keys=x", Err(Rule::BadArgument)),
        (Method::GET, "/tmp?list-type=2&prefix=media/&continuation-token=bWVkaWEvYQ==", Ok(())),
        (
            Method::GET,
            "/tmp?list-type=2&prefix=media/b&continuation-token=bWVkaWEvYQ==",
            Err(Rule::BadArgument),
        ),
        (Method::GET, "/tmp/media/a?partNumber=0", Err(Rule::BadArgument)),
        (Method::DELETE, "/tmp/inbox/a?uploadId=eC4", Err(Rule::NoSuchUpload)),
        (Method::PUT, "/tmp/inbox/xl.meta", Err(Rule::BadTarget)),
        (Method::PUT, "/tmp/inbox/a__XLDIR__", Err(Rule::BadTarget)),
        (Method::PUT, "/tmp/inbox/a%01", Err(Rule::BadTarget)),
        (Method::PUT, "/tmp/inbox/a[minio_cache:v2,return:]", Err(Rule::BadTarget)),
        (
            Method::GET,
            "/tmp?list-type=2&prefix=media/&continuation-token=bWVkaWEvYVttaW5pb19jYWNoZTp2Mg%3D%3D",
            Err(Rule::BadTarget),
        ),
        (Method::POST, "/tmp/media/a?delete", Err(Rule::NotOffered)),
        (Method::POST, "/tmp/media/a", Err(Rule::MethodNotAllowed)),
        (Method::GET, "/tmp/media/a?acl", Err(Rule::UnknownOperation)),
        (Method::GET, "/tmp/media/a?wat", Ok(())),
        (Method::HEAD, "/tmp/media/a?v=80d5e7a1&utm_source=x&prefix=y", Ok(())),
        (Method::GET, "/tmp/media/a?ACL", Err(Rule::UnknownOperation)),
        (Method::GET, "/tmp/media/a?x-amz-meta-a=b", Err(Rule::UnknownQuery)),
        (Method::GET, "/tmp/media/a?x-minio-extract=true", Err(Rule::UnknownQuery)),
        (Method::GET, "/tmp/media/a?torrent&v=1", Err(Rule::UnknownOperation)),
        (Method::GET, "/tmp/media/a?metrics", Err(Rule::UnknownOperation)),
        (Method::GET, "/tmp?prefix=media/&wat", Err(Rule::UnknownQuery)),
        (Method::PUT, "/tmp/inbox/a?wat", Err(Rule::UnknownQuery)),
        (Method::PUT, "/tmp/inbox/a?METRICS", Err(Rule::NotOffered)),
        (Method::PUT, "/tmp/inbox/a?x-amz-meta-a=b", Err(Rule::UnknownQuery)),
    ];
    for (method, target, expected) in cases {
        assert_eq!(decide(&method, target, None), expected, "{method} {target}");
    }
    for (source, expected) in [
        ("/tmp/media/a", Ok(())),
        ("/tmp/inbox/a", Err(Rule::CopySource)),
        ("/tmp/other/a", Err(Rule::CopySource)),
        ("/tmp/media/a?versionId=1", Err(Rule::CopySource)),
        ("/tmp/media/../other/a", Err(Rule::BadHeader)),
    ] {
        assert_eq!(decide(&Method::PUT, "/tmp/inbox/b", Some(source)), expected, "{source}");
    }
}

/// Names that a mount hides cannot be reached, neither as the target nor as the source of a copy.
#[test]
fn a_copy_sees_its_source_through_the_same_mount() {
    let mounted =
        "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"behind/\"\nmount = \"/pub/\"\nallow = [\"read\"]\n";
    let inbox = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"write\"]\n";
    let mapping = Config::parse(&format!("{EXAMPLE}{mounted}{inbox}"), &Fake).unwrap().mappings.remove(0);
    let copy = |source: &'static str| {
        let fields = Fields::from_iter([(X_AMZ_COPY_SOURCE, HeaderValue::from_static(source))]);
        let granted = mapping.grant(&Method::PUT, "/tmp/inbox/a", None, &fields);
        granted.map(|grant| grant.copy_source()).map_err(|refusal| refusal.rule)
    };
    assert_eq!(copy("/pub/a"), Ok(Some("/tmp/behind/a".to_owned())));
    assert_eq!(copy("/tmp/behind/a"), Err(Rule::CopySource));
    assert_eq!(copy("/tmp/media/a"), Ok(Some("/tmp/media/a".to_owned())));
}

#[test]
fn scopes_bound_the_size_of_uploads() {
    let bounded = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"write\"]\nmax_object_size = \"1KiB\"\n";
    let wider = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/large/\"\nallow = [\"write\"]\n";
    let mapping = Config::parse(&format!("{EXAMPLE}{bounded}{wider}"), &Fake).unwrap().mappings.remove(0);
    let fields = Fields::default();
    let fits = |path, bytes| {
        let grant = mapping.grant(&Method::PUT, path, None, &fields).unwrap();
        grant.check_size(bytes).map_err(|refusal| refusal.rule)
    };
    assert_eq!(fits("/tmp/inbox/a", 1024), Ok(()));
    assert_eq!(fits("/tmp/inbox/a", 1025), Err(Rule::TooLarge));
    assert_eq!(fits("/tmp/inbox/large/a", u64::MAX), Ok(()), "both scopes allow it, one without a limit");
}

#[test]
fn the_first_mapping_that_matches_wins() {
    let mappings = [mapping(), mapping()];
    let listener = listener("sidecar");
    let here = connection(Some("127.0.0.1"), listener.clone());
    assert_eq!(find(&mappings, &Client::of_connection(&here)).map(|(index, _)| index), Some(0));
    let there = connection(Some("10.0.0.1"), listener);
    assert!(find(&mappings, &Client::of_connection(&there)).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Any target is refused, or the request decodes to the key that was decided on, which is in scope.
    #[test]
    fn forwarded_requests_are_in_scope(target in prop_oneof![
        "/(tmp|other|%74mp)(/|%2f|//)(media|inbox|other|%6dedia|\\.\\.|%2e%2e|\\.)(/|%2F|%5c|\\\\)[a-z%./]{0,12}(\\?[a-z=&/%.]{0,20})?",
        "\\PC{0,60}",
    ], verb in 0..4_usize) {
        let method = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE][verb].clone();
        let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
        let fields = Fields::default();
        let mapping = mapping();
        if let Ok(grant) = mapping.grant(&method, path, query, &fields) {
            let decided = grant.resource().clone();
            let named = grant.query.get("prefix").map(str::to_owned);
            let operation = grant.operation();
            let (sent, _) = grant.into_canonical();
            let decoded = Resource::parse(&sent);
            prop_assert_eq!(decoded.as_ref(), Ok(&decided));
            prop_assert_eq!(decided.bucket(), (operation != Operation::ListBuckets).then_some("tmp"));
            let key = if operation.lists() { named.as_deref() } else { decided.key() };
            let within = key.is_none_or(|key| key.starts_with("media/") || key.starts_with("inbox/"));
            prop_assert!(within, "{operation:?} {sent}");
        }
    }
}

#[test]
fn method_not_allowed_lists_allowed_methods() {
    let refused = |method: Method, target: &str| {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let refusal = mapping().grant(&method, path, query, &Fields::default()).unwrap_err();
        (refusal.rule, refusal.allow.map(Verbs::list))
    };
    for (method, target, allowed) in [
        (Method::PUT, "/", "GET, HEAD"),
        (Method::DELETE, "/", "GET, HEAD"),
        (Method::PATCH, "/tmp", "GET, HEAD"),
        (Method::PATCH, "/tmp/media/a", "GET, HEAD"),
        (Method::POST, "/tmp/media/a", "GET, HEAD"),
        (Method::PATCH, "/tmp/media/a?tagging", "GET"),
        (Method::PATCH, "/tmp/media/a/", "GET, HEAD"),
        (Method::POST, "/tmp/inbox/a", "PUT"),
        (Method::PATCH, "/tmp/inbox/a?uploads", "POST"),
        (Method::TRACE, "/tmp/inbox/a?tagging", "PUT, DELETE"),
        (Method::from_bytes(b"get").unwrap(), "/tmp/inbox/a", "PUT"),
    ] {
        let expected = (Rule::MethodNotAllowed, Some(allowed.to_owned()));
        assert_eq!(refused(method.clone(), target), expected, "{method} {target}");
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        assert_eq!(mapping().methods(path, query).unwrap().list(), allowed, "OPTIONS {target}");
    }
    for target in ["/tmp/other/a", "/other/a", "/tmp/other/"] {
        assert_eq!(refused(Method::PATCH, target), (Rule::OutsideScope, None), "{target}");
        assert_eq!(mapping().methods(target, None).unwrap_err().rule, Rule::OutsideScope, "{target}");
    }
}

#[test]
fn clients_do_not_retry_permanent_refusals() {
    const SENT_AGAIN: [u16; 6] = [429, 500, 502, 503, 504, 408];
    let passing = [
        Rule::TooManyFailures,
        Rule::CredentialsUnavailable,
        Rule::TooManyIdentities,
        Rule::RequestTimeout,
        Rule::NoRoom,
        Rule::QueueFull,
        Rule::QueueTimeout,
        Rule::RateLimited,
        Rule::MemoryFull,
        Rule::NoSession,
        Rule::SessionReplaced,
        Rule::ShuttingDown,
        Rule::Upstream,
        Rule::UpstreamTimeout,
        Rule::Internal,
    ];
    for rule in Rule::ALL {
        let again = SENT_AGAIN.contains(&rule.status().as_u16());
        assert_eq!(again, passing.contains(&rule), "{rule:?}");
    }
    let not_implemented: Vec<Rule> =
        Rule::ALL.into_iter().filter(|rule| rule.status().as_u16() == 501).collect();
    assert_eq!(not_implemented, [Rule::TransferCoding, Rule::UnknownOperation, Rule::Condition]);
}
