//! Signatures of aws-sigv4's signer are accepted, and nothing else is.

mod mutations;
mod rejected;

use super::*;
use crate::identify::client::ListenerRegistry;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderName, HeaderValue, Method};
use http1::Fields;
use proptest::prelude::*;
use std::net::IpAddr;

const SECRET: &str = "a secret of 32 characters, or so";
const HASH: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const SEEDED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// A request of a client. It is kept as text so that tests can change it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

impl Sent {
    pub(super) fn new(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers.iter().map(owned).collect(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(have, _)| have != name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Returns a header as text.
    pub(super) fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(have, _)| have == name);
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    }

    /// Returns the request as it arrives, or `None` if it is not valid HTTP.
    pub(super) fn arrived(&self) -> Option<Request> {
        let method = Method::from_bytes(self.method.as_bytes()).ok()?;
        let target = self.target.parse().ok()?;
        let mut map = http::HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            map.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        let fields: Fields = map.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Request::new(method, target, fields).ok()
    }
}

pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(super) fn keys() -> Keys {
    let key = |id, allows_unsigned| LocalKey::new(id, Secret::new(SECRET.to_owned()), allows_unsigned);
    Keys::new(vec![key("REPORTS", false), key("a/b+c=", true)], "us-east-1".into(), vec!["strict".into()])
}

/// Signs a request with aws-sigv4. The payload mode is that of the header, or none for a presigned URL.
pub(super) fn signed(sent: &Sent, key: &str, secret: &str, expires: Option<u64>, time: SystemTime) -> Sent {
    let identity = Credentials::new(key, secret, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.excluded_headers = None;
    if let Some(seconds) = expires {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(seconds));
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    }
    let params = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let mode = sent.headers.iter().find(|(name, _)| name == "x-amz-content-sha256");
    let mode = mode.map_or("UNSIGNED-PAYLOAD", |(_, value)| str::from_utf8(value).unwrap());
    let body = match mode {
        "UNSIGNED-PAYLOAD" => SignableBody::UnsignedPayload,
        mode => SignableBody::Precomputed(mode.to_owned()),
    };
    let uri = format!("http://{}{}", sent.header("host"), sent.target);
    let headers = sent.headers.iter().filter(|(name, _)| name != "host" && name != "x-amz-content-sha256");
    let headers: Vec<(&str, &str)> =
        headers.map(|(name, value)| (&**name, str::from_utf8(value).unwrap())).collect();
    let request = SignableRequest::new(&sent.method, uri, headers.into_iter(), body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let (headers, query) = instructions.into_parts();
    let mut result = sent.clone();
    for header in headers {
        result = result.with(header.name(), header.value());
    }
    for (index, (name, value)) in query.iter().enumerate() {
        let join = if index == 0 && !result.target.contains('?') { '?' } else { '&' };
        let value = crate::s3::target::encode_query(value);
        result.target = format!("{}{join}{name}={value}", result.target);
    }
    result
}

pub(super) fn verify_at(
    sent: &Sent,
    listener: &str,
    time: SystemTime,
) -> Result<Option<SignedBody>, Failure> {
    let request = sent.arrived().unwrap();
    let authorization = request.fields().get("authorization").and_then(http1::visible).map(str::to_owned);
    let signature = authorization.as_deref().map_or(SignatureIn::Query, SignatureIn::Header);
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let listener = ListenerRegistry::default().register(&listener.into());
    let verified = keys().verify(&request, signature, &Connection::tcp(peer, listener), time)?;
    Ok(verified.map(|verified| verified.body))
}

pub(super) fn verify(sent: &Sent) -> Result<Option<SignedBody>, Failure> {
    verify_at(sent, "public", now())
}

fn assert_accepted(sent: &Sent) {
    let result = verify(sent);
    assert!(matches!(result, Ok(Some(_))), "{sent:?}: {result:?}");
}

const HOST: (&str, &str) = ("host", "s3.example.test:8080");

fn sha(hash: &str) -> (&str, &str) {
    ("x-amz-content-sha256", hash)
}

#[test]
fn what_sdks_sign_is_accepted() {
    let empty = String::from_utf8(hex(&crate::s3::signed_body::EMPTY_SHA256).to_vec()).unwrap();
    let empty = &*empty;
    for sent in [
        Sent::new("GET", "/", &[HOST, sha(empty)]),
        Sent::new("GET", "/tmp?list-type=2&prefix=a%2Fb&delimiter=%2F&marker=%5B", &[HOST, sha(empty)]),
        Sent::new("GET", "/tmp/?uploads", &[HOST, sha(empty)]),
        Sent::new("HEAD", "/tmp/a%20b/c%2Bd~e/%E2%82%AC%5B%5D~", &[HOST, sha(empty)]),
        Sent::new("GET", "/tmp/a", &[HOST, sha("UNSIGNED-PAYLOAD")]),
        Sent::new(
            "PUT",
            "/tmp/a",
            &[HOST, sha(HASH), ("content-length", "5"), ("content-type", "text/plain")],
        ),
        Sent::new(
            "PUT",
            "/tmp/a",
            &[HOST, sha(HASH), ("x-amz-meta-a", "  two   words  "), ("x-amz-acl", "private")],
        ),
        Sent::new("PUT", "/tmp/a", &[HOST, sha(SEEDED), ("x-amz-decoded-content-length", "5")]),
        Sent::new("PUT", "/tmp/a", &[HOST, sha("STREAMING-UNSIGNED-PAYLOAD-TRAILER")]),
        Sent::new("POST", "/tmp?delete", &[HOST, sha(HASH), ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")]),
    ] {
        assert_accepted(&signed(&sent, "REPORTS", SECRET, None, now()));
        assert_accepted(&signed(&sent, "a/b+c=", SECRET, None, now() - Duration::from_secs(890)));
    }
    for sent in [
        Sent::new("GET", "/tmp/a%20b?response-content-type=text%2Fplain", &[HOST]),
        Sent::new("PUT", "/tmp/a?x-amz-meta-b=c%20d&partNumber=1", &[HOST]),
        Sent::new("PUT", "/tmp/a", &[HOST, ("x-amz-meta-a", "b"), ("content-type", "text/plain")]),
    ] {
        for expires in [1, 604_800] {
            assert_accepted(&signed(&sent, "REPORTS", SECRET, Some(expires), now()));
        }
    }
}

#[test]
fn the_signature_says_how_the_body_is_covered() {
    let body = |mode: &str| {
        let sent = Sent::new("PUT", "/tmp/a", &[HOST, ("x-amz-content-sha256", mode)]);
        verify(&signed(&sent, "REPORTS", SECRET, None, now())).unwrap().unwrap()
    };
    assert!(matches!(body(HASH), SignedBody::Sha256(hash) if Some(hash) == parse_hex(HASH.as_bytes())));
    assert!(matches!(body("UNSIGNED-PAYLOAD"), SignedBody::Open));
    assert!(matches!(body("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), SignedBody::Checksummed));
    assert!(matches!(body(SEEDED), SignedBody::Chunks(chain) if !chain.has_trailer()));
    let trailed = format!("{SEEDED}-TRAILER");
    assert!(matches!(body(&trailed), SignedBody::Chunks(chain) if chain.has_trailer()));
}

#[test]
fn nothing_shows_a_secret() {
    let sent = Sent::new("GET", "/tmp/a", &[HOST, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]);
    assert_accepted(&signed(&sent, "REPORTS", SECRET, None, now()));
    let key = LocalKey::new("REPORTS", Secret::new(SECRET.to_owned()), false);
    key.of_day("20231114", "us-east-1").unwrap();
    let shown = format!("{:?} {key:?}", keys());
    assert!(!shown.contains(SECRET), "{shown}");
}

fn text(of: &'static str) -> impl Strategy<Value = String> {
    of.prop_map(String::from)
}

fn any_sent() -> impl Strategy<Value = (Sent, Option<u64>)> {
    let method = prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE"]);
    let path = text("/[a-z0-9-]{3,12}(/[A-Za-z0-9 +~!$&'()*,;:=@._€ü\\[\\]-]{0,12}){0,3}");
    let query = prop::collection::btree_map(text("[a-zA-Z~.\\[ü-]{1,8}"), text("[ -~€]{0,12}"), 0..4);
    let meta =
        prop::collection::btree_map(text("x-amz-meta-[a-z]{1,6}"), text("[!-~]([ -~]{0,12}[!-~])?"), 0..3);
    let mode = prop::sample::select(vec!["UNSIGNED-PAYLOAD", HASH, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]);
    (method, path, query, meta, mode, prop::option::of(1..604_800_u64)).prop_map(
        |(method, path, query, meta, mode, expires)| {
            let path = crate::s3::target::encode_path(&path);
            let encode = crate::s3::target::encode_query;
            let query: Vec<String> =
                query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
            let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
            let mut sent = Sent::new(method, &target, &[HOST]);
            // Chunks come with PUT and POST only.
            let mode = if matches!(method, "PUT" | "POST") { mode } else { HASH };
            if expires.is_none() {
                sent = sent.with("x-amz-content-sha256", mode);
            }
            for (name, value) in meta {
                sent = sent.with(&name, &value);
            }
            (sent, expires)
        },
    )
}

proptest! {
    #[test]
    fn whatever_aws_sigv4_signs_is_accepted((sent, expires) in any_sent()) {
        assert_accepted(&signed(&sent, "REPORTS", SECRET, expires, now()));
    }

    #[test]
    fn nothing_panics(authorization in "(AWS4-HMAC-SHA256|AWS|AWS4-ECDSA-P256-SHA256) [ -~]{0,120}", target in "/[ -~]{0,60}") {
        let sent = Sent::new("GET", "/", &[HOST, ("authorization", &authorization)]);
        let _ = sent.arrived().map(|_| verify(&sent));
        let sent = Sent::new("GET", &target, &[HOST]);
        let _ = sent.arrived().map(|_| verify(&sent));
    }
}
