//! The signer compared with `sign()` of aws-sigv4, byte by byte, for any request of a client.

use super::mappings::trusted;
use super::request::Lines;
use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderMap, HeaderValue, Request};
use scopegate::internals::{
    AmzDate, Authority, Credentials, Minted, Outgoing, Payload, Secret, Session, SignedRequest, resign,
};
use std::time::{Duration, SystemTime};

pub(crate) const WORDS: &[&[u8]] = &[
    b"GET ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"POST ",
    b"/tmp/",
    b"%20",
    b"+",
    b"%2B",
    b"%25",
    b"~",
    b"%7E",
    b"*",
    b"'",
    b"(",
    b"!",
    b"\xc3\xbc",
    b"%C3%BC",
    b"%E2%80%8B",
    b"%F0%9F%A6%80",
    b"[",
    b"\"",
    b"%0A",
    b"?list-type=2&prefix=",
    b"&delimiter=%2F",
    b"?versionId=",
    b"?tagging",
    b"?uploads",
    b"?partNumber=1&uploadId=x",
    b"response-content-disposition=",
    b"=",
    b"&",
    b"\nx-amz-meta-a: ",
    b"\nx-amz-meta-a-b: c",
    b"\ncontent-type: a/b; c=\"d  e\"",
    b"\ncontent-md5: x",
    b"\ncontent-length: 5",
    b"\nx-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"\nx-amz-copy-source: /tmp/b",
    b"  ",
    b"\t",
    b"\nx-amz-tagging: a=b&c=d",
    b"\xc2\xa0",
    b"\xe2\x80\x83",
    b"\nx-amz-storage-class: STANDARD",
];

/// The body of the signed requests: only the head matters here.
struct NoBody;

/// A day in 2015, that of SigV4's published examples.
const EPOCH: u64 = 1_440_938_160;

pub(crate) fn check(input: &[u8]) -> String {
    let Some(Lines { method, path, query, fields }) = Lines::read(input) else {
        return "not lines".to_owned();
    };
    let mapping = trusted();
    let outgoing = mapping.grant(&method, path, query, &fields).and_then(|grant| {
        let payload = Payload::classify(grant.spec(), &fields)?;
        Outgoing::rebuild(grant, &fields, payload)
    });
    let outgoing = match outgoing {
        Ok(outgoing) => outgoing,
        Err(refusal) => return format!("{:?}", refusal.rule),
    };
    // A day later for each byte, so that keys of many days are derived.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH + 86_400 * input.len() as u64);
    let session = session(now);
    let authority = Authority::new("minio.example:9000").unwrap();
    let sent = parsed(&resign(&outgoing, NoBody, &session, &authority, &AmzDate::new(now)).unwrap());
    let ours = sent.headers()["authorization"].to_str().unwrap();
    check_signed(ours, sent.headers());
    assert_eq!(
        ours,
        oracle(&sent, signed_names(ours), &session, now),
        "the signature differs from that of aws-sigv4"
    );
    format!("{} {}", sent.method(), signed_names(ours).count())
}

/// Parses a signed head with another parser.
fn parsed(signed: &SignedRequest<NoBody>) -> Request<NoBody> {
    let text = [signed.head(), b"\r\n"].concat();
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Request::new(&mut fields);
    assert!(head.parse(&text).unwrap().is_complete());
    let mut request = Request::builder().method(head.method.unwrap()).uri(head.path.unwrap());
    for field in head.headers.iter() {
        request = request.header(field.name, field.value);
    }
    request.body(NoBody).unwrap()
}

fn session(now: SystemTime) -> Session {
    let keys = Credentials {
        access_key: Secret::new("AKIDEXAMPLE".into()),
        secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
    };
    let token = Secret::new("the.session.token".into());
    let minted = Minted { keys, token, expiration: now + Duration::from_mins(15) };
    Session::new(minted, "us-east-1".into(), now).unwrap()
}

/// Returns the names of the signed headers.
fn signed_names(authorization: &str) -> impl Iterator<Item = &str> {
    let names = authorization.split("SignedHeaders=").nth(1).unwrap();
    names.split(',').next().unwrap().split(';')
}

/// Checks that all required headers are signed. MinIO refuses an unsigned `x-amz-` header.
fn check_signed(authorization: &str, headers: &HeaderMap) {
    for name in headers.keys().map(http::HeaderName::as_str) {
        let must = name.starts_with("x-amz-") || ["host", "content-type", "content-md5"].contains(&name);
        assert!(!must || signed_names(authorization).any(|signed| signed == name), "{name} is not signed");
    }
}

/// Trims a value and replaces runs of white space by one space, where white space is that of Go's `unicode.IsSpace`.
fn fold(value: &str) -> String {
    let is_space = |c: char| {
        matches!(c, '\t'..='\r' | ' ' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
    };
    value.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns the `Authorization` that aws-sigv4 computes for a sent request.
fn oracle<'n>(
    sent: &Request<NoBody>,
    names: impl Iterator<Item = &'n str>,
    session: &Session,
    now: SystemTime,
) -> String {
    let (access, secret) = (session.keys().access_key.reveal(), session.keys().secret_key.reveal());
    let token = Some(session.token().reveal().to_owned());
    let identity = AwsCredentials::new(access, secret, token, None, "fuzz").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.signature_location = SignatureLocation::Headers;
    settings.session_token_mode = SessionTokenMode::Include;
    let params = SigningParams::builder().identity(&identity).region(session.region()).name("s3").time(now);
    let params = params.settings(settings).build().unwrap().into();

    // MinIO folds more kinds of white space than sign() does.
    let text = |value: &HeaderValue| fold(std::str::from_utf8(value.as_bytes()).unwrap());
    let own = ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
    let signed: Vec<(&str, String)> =
        names.filter(|name| !own.contains(name)).map(|name| (name, text(&sent.headers()[name]))).collect();
    let headers = signed.iter().map(|(name, value)| (*name, &**value));
    let body = match text(&sent.headers()["x-amz-content-sha256"]) {
        hash if hash == "UNSIGNED-PAYLOAD" => SignableBody::UnsignedPayload,
        hash => SignableBody::Precomputed(hash),
    };
    let uri = format!("http://{}{}", text(&sent.headers()["host"]), sent.uri());
    let request = SignableRequest::new(sent.method().as_str(), uri, headers, body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let (headers, _) = instructions.into_parts();
    headers.iter().find(|header| header.name() == "authorization").unwrap().value().to_owned()
}
