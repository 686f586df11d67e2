//! Compares the signer with aws-sigv4's `sign()`, byte by byte, over requests that clients may send.

use super::*;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::grammar::Dialect;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::outgoing::payload::Payload;
use crate::s3::names::{BucketName, Prefix};
use crate::sessions::session::tests::minted;
use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::Request;
use http::header::{self, HeaderName};
use http1::Fields;
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

fn mapping() -> Mapping {
    let rights = Right::ALL.into_iter().collect();
    let scope = Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("").unwrap(), rights);
    // In this dialect ids and tokens of any form reach the signer.
    Mapping { dialect: Dialect::S3, ..Mapping::of_scopes("all", vec![scope]) }
}

fn outgoing(method: &Method, target: &str, fields: &Fields) -> Option<Outgoing> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mapping = mapping();
    let grant = mapping.grant(method, path, query, fields).ok()?;
    let payload = Payload::classify(grant.spec(), fields).ok()?;
    Outgoing::rebuild(grant, fields, payload).ok()
}

/// Returns the `Authorization` that aws-sigv4 computes for the request that was sent.
fn oracle(sent: &Request<()>, outgoing: &Outgoing, session: &Session, time: SystemTime) -> String {
    let keys = session.keys();
    let identity = AwsCredentials::new(
        keys.access_key.reveal(),
        keys.secret_key.reveal(),
        Some(session.token().reveal().to_owned()),
        None,
        "test",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.signature_location = SignatureLocation::Headers;
    settings.session_token_mode = SessionTokenMode::Include;
    let params = SigningParams::builder()
        .identity(&identity)
        .region(session.region())
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let host = sent.headers()["host"].to_str().unwrap();
    let uri = format!("http://{host}{}", sent.uri());
    let headers: Vec<(&str, &str)> = outgoing
        .headers()
        .iter()
        .filter(|(name, _)| is_signed(name))
        .map(|(name, value)| (name.as_str(), str::from_utf8(value.as_bytes()).unwrap()))
        .collect();
    let body = match outgoing.payload() {
        Payload::Sized(_, Some(hash)) => SignableBody::Precomputed(hash.to_str().unwrap().to_owned()),
        _ => SignableBody::UnsignedPayload,
    };
    let request = SignableRequest::new(sent.method().as_str(), uri, headers.into_iter(), body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let (headers, _) = instructions.into_parts();
    headers.iter().find(|header| header.name() == "authorization").unwrap().value().to_owned()
}

/// Parses the bytes that go over the wire.
fn parsed<B>(signed: &SignedRequest<B>) -> Request<()> {
    let text = [signed.head(), b"\r\n"].concat();
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    assert!(head.parse(&text).unwrap().is_complete());
    let mut request = Request::builder().method(head.method.unwrap()).uri(head.path.unwrap());
    for field in head.headers.iter() {
        request = request.header(field.name, field.value);
    }
    request.body(()).unwrap()
}

/// Checks the signature of a request against the oracle. Returns false if the request is refused before signing.
fn assert_same(method: &Method, target: &str, fields: &Fields, seconds: u64) -> bool {
    let Some(outgoing) = outgoing(method, target, fields) else { return false };
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let session = Session::new(minted(time + Duration::from_mins(15)), "us-east-1".into(), time).unwrap();
    let authority = Authority::new("minio.example:9000").unwrap();
    let date = AmzDate::new(time);
    let sent = parsed(&resign(&outgoing, (), &session, &authority, &date).unwrap());
    let ours = sent.headers()["authorization"].to_str().unwrap();
    assert_eq!(ours, oracle(&sent, &outgoing, &session, time), "{method} {target} {fields:?}");
    true
}

#[test]
fn awkward_keys() {
    let keys = [
        "hello.txt",
        "a%20b",
        "a+b",
        "a%2Bb",
        "100%25",
        "a!b",
        "a~b",
        "a*b",
        "it's",
        "(1)",
        "a:b",
        "a;b",
        "a=b",
        "a&b",
        "a,b",
        "a@b",
        "$a",
        "%C3%BC",
        "ü",
        "日本/語",
        "%F0%9F%A6%80",
        "dir/",
        "a/b/c/",
        "a%2Fb",
        "...",
        "a%5Cb",
        "%7Ea",
        "-_.~",
        "[x]",
        "%22q%22",
        "<b>",
        "%E2%80%8Bzero",
    ];
    for key in keys {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            assert!(assert_same(&method, &format!("/tmp/{key}"), &Fields::default(), 1_440_938_160), "{key}");
        }
    }
}

#[test]
fn a_known_signature() {
    let outgoing = outgoing(&Method::GET, "/tmp/media/hello.txt", &Fields::default()).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636);
    let session = Session::new(minted(time), "us-east-1".into(), time).unwrap();
    let signed =
        resign(&outgoing, (), &session, &Authority::new("127.0.0.1:9000").unwrap(), &AmzDate::new(time))
            .unwrap();
    let sent = parsed(&signed);
    let names: Vec<_> = sent.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(
        names,
        ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "authorization"]
    );
    let shown = format!("{signed:?}");
    assert!(!shown.contains("AKIDEXAMPLE") && !shown.contains("the.session.token"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, max_global_rejects: 16_384, ..ProptestConfig::default() })]

    #[test]
    fn any_request(
        key in prop_oneof!["\\PC{1,40}", "[ -~]{1,40}", "[a-z/%+ ]{1,30}"],
        raw in any::<bool>(),
        query in prop_oneof![
            Just(String::new()),
            Just("?tagging".to_owned()),
            Just("?versionId=a.b~c".to_owned()),
            Just("?partNumber=1&uploadId=a%2Bb~".to_owned()),
            "\\?response-content-disposition=[a-z%20+~*']{0,12}&response-expires=[a-z0-9]{0,5}",
        ],
        meta in proptest::collection::vec(("x-amz-meta-[a-z0-9-]{1,10}", "[!-~]{0,8}( {1,3}[!-~ü]{1,8}){0,3} {0,2}"), 0..4),
        content_type in proptest::option::of("[a-z]{1,8}/[a-z;= -]{1,12}"),
        sha in proptest::option::of("[0-9a-fA-F]{64}"),
        trailed in proptest::option::of(0..100_000_u64),
        verb in 0..4_usize,
        seconds in 0..4_000_000_000_u64,
    ) {
        let method = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE][verb].clone();
        let written = if raw { key } else { percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string() };
        let mut fields = Fields::default();
        for (name, value) in meta {
            fields.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        if let Some(value) = content_type {
            fields.insert(header::CONTENT_TYPE, HeaderValue::from_str(&value).unwrap());
        }
        if let Some(length) = trailed {
            fields.insert(HeaderName::from_static("x-amz-decoded-content-length"), length.into());
            fields.insert(HeaderName::from_static("x-amz-trailer"), HeaderValue::from_static("x-amz-checksum-crc64nvme"));
            fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip,aws-chunked"));
        } else if let Some(value) = sha {
            fields.insert(HeaderName::from_static("x-amz-content-sha256"), HeaderValue::from_str(&value).unwrap());
        }
        let target = if raw && written.contains('?') { format!("/tmp/{written}") } else { format!("/tmp/{written}{query}") };
        prop_assume!(assert_same(&method, &target, &fields, seconds));
    }

    #[test]
    fn any_list(
        prefix in "\\PC{0,30}", delimiter in "[/|+ ]{0,2}", token in "[A-Za-z0-9+/=_-]{1,30}", seconds in 0..4_000_000_000_u64,
    ) {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let target = format!(
            "/tmp?list-type=2&prefix={}&delimiter={}&continuation-token={}&max-keys=7",
            encode(&prefix), encode(&delimiter), encode(&token)
        );
        prop_assume!(assert_same(&Method::GET, &target, &Fields::default(), seconds));
    }
}

/// `Host` is signed without folding, so it must hold no white space.
#[test]
fn authorities_hold_no_white_space() {
    assert!(Authority::new("[::1]:9000").is_ok());
    for bad in ["a b", " a", "a\t", "a\u{fc}", "a\r\nb"] {
        assert_eq!(Authority::new(bad), Err(Unsignable), "{bad:?}");
    }
}
