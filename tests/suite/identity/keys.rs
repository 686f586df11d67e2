//! Local access keys on a real MinIO: what such a key signed is stored, and nothing else is.

use crate::support::http::{self, Response};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::sigv4::borrowed;
use crate::support::world::outcome;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::{SigningParams, calculate_signature, generate_signing_key};
use scopegate::internals::{Algorithm, Hasher};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const TRAILED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";

struct Local {
    minio: Minio,
    proxy: Proxy,
    key: Keys,
}

impl Local {
    fn start() -> Self {
        let ((minio, issuer), key) = (Minio::start_seeded(), Keys::random("SGREPORTS"));
        let config = format!(
            "[upstream]\nendpoints = [\"http://{}\"]\n[issuer]\naccess_key = {{ env = \"ISSUER_KEY\" }}\n\
             secret_key = {{ env = \"ISSUER_SECRET\" }}\n\
             [[key]]\naccess_key = \"{}\"\nsecret_key = {{ env = \"LOCAL_SECRET\" }}\n\
             [[listener]]\nname = \"only\"\naddress = \"127.0.0.1:0\"\n\
             [[listener]]\nname = \"both\"\naddress = \"127.0.0.1:0\"\n\
             [[listener]]\nname = \"strict\"\naddress = \"127.0.0.1:0\"\nunknown_keys = \"refuse\"\n\
             [[mapping]]\nname = \"reports\"\nclient = {{ key = [\"SGREPORTS\"] }}\n\
             [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"read\", \"list\", \"write\", \"delete\"]\n\
             [[mapping]]\nname = \"anyone\"\nclient = {{ network = \"127.0.0.0/8\", listener = \"both\" }}\n\
             [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\"]\n\
             [[mapping]]\nname = \"anyone-else\"\nclient = {{ network = \"127.0.0.0/8\", listener = \"strict\" }}\n\
             [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\"]\n",
            minio.address, key.access_key
        );
        let secrets = [
            ("ISSUER_KEY", &*issuer.access_key),
            ("ISSUER_SECRET", &*issuer.secret_key),
            ("LOCAL_SECRET", &*key.secret_key),
        ];
        let proxy = Proxy::start(&config, &secrets);
        Self { minio, proxy, key }
    }

    /// Signs a request for a listener. `mode` is `x-amz-content-sha256`.
    fn sign(&self, key: &Keys, listener: &str, request: &Request<'_>, mode: &str) -> Signed {
        let host = self.proxy.address(listener).to_string();
        let given = [&[("host", &*host), ("x-amz-content-sha256", mode)], request.headers].concat();
        let signable = given.iter().filter(|(name, _)| *name != "x-amz-content-sha256");
        let identity = Credentials::new(&key.access_key, &key.secret_key, None, None, "tests").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now())
            .settings(settings())
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{host}{}", request.target);
        let body = SignableBody::Precomputed(mode.to_owned());
        let signable = SignableRequest::new(request.method, uri, signable.copied(), body).unwrap();
        let (instructions, seed) = sign(signable, &params).unwrap().into_parts();
        let mut headers: Vec<(String, String)> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in instructions.headers().filter(|(name, _)| *name != "x-amz-content-sha256") {
            headers.push((name.to_owned(), value.to_owned()));
        }
        let date = headers.iter().find(|(name, _)| name == "x-amz-date").unwrap().1.clone();
        Signed { headers, seed, date }
    }

    fn send(&self, listener: &str, request: &Request<'_>, signed: &Signed, body: &[u8]) -> Response {
        let address = self.proxy.address(listener);
        http::request(address, request.method, request.target, &borrowed(&signed.headers), body)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", request.target, self.proxy.stderr()))
    }

    /// Sends a request whose hash is that of `said`, with the body `sent`.
    fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        said: &[u8],
        sent: &[u8],
    ) -> Response {
        let request = Request { method, target, headers };
        let signed = self.sign(&self.key, "only", &request, &hex(said));
        self.send("only", &request, &signed, sent)
    }

    /// Uploads in signed chunks. `change` changes the body on its way.
    fn upload(&self, upload: &Upload<'_>, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Response {
        let length = upload.content.len().to_string();
        let mut headers = upload.headers.to_vec();
        if upload.says_length {
            headers.push(("x-amz-decoded-content-length", &length));
        }
        let mode = if upload.has_trailer { TRAILED } else { CHUNKS };
        if upload.has_trailer {
            headers.push(("x-amz-trailer", "x-amz-checksum-crc32"));
        }
        let request = Request { method: "PUT", target: upload.target, headers: &headers };
        let signed = self.sign(&self.key, "only", &request, mode);
        let body = change(signed.envelope(&self.key, upload));
        self.send("only", &request, &signed, &body)
    }

    /// Returns what the store has, including parts of unfinished uploads.
    fn stored(&self) -> String {
        let objects = self.minio.mc(&["ls", "--recursive", "local/tmp/inbox/"]);
        objects + &self.minio.mc(&["ls", "--recursive", "--incomplete", "local/tmp/inbox/"])
    }
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
}

struct Upload<'a> {
    target: &'a str,
    content: &'a [u8],
    headers: &'a [(&'a str, &'a str)],
    has_trailer: bool,
    says_length: bool,
}

struct Signed {
    headers: Vec<(String, String)>,
    seed: String,
    date: String,
}

impl Signed {
    /// Returns the aws-chunked body with signatures, as the documentation of S3 describes it.
    fn envelope(&self, key: &Keys, upload: &Upload<'_>) -> Vec<u8> {
        let scope = format!("{}/us-east-1/s3/aws4_request", &self.date[..8]);
        let signing_key = generate_signing_key(&key.secret_key, SystemTime::now(), "us-east-1", "s3");
        let (mut previous, mut body) = (self.seed.clone(), Vec::new());
        let mut next = |kind: &str, hashes: String| {
            let text = format!("AWS4-HMAC-SHA256-{kind}\n{}\n{scope}\n{previous}\n{hashes}", self.date);
            previous = calculate_signature(&signing_key, text.as_bytes());
            previous.clone()
        };
        for chunk in upload.content.chunks(64 << 10).chain([&b""[..]]) {
            let signature = next("PAYLOAD", format!("{EMPTY}\n{}", hex(chunk)));
            body.extend_from_slice(format!("{:x};chunk-signature={signature}\r\n", chunk.len()).as_bytes());
            if !chunk.is_empty() {
                body.extend_from_slice(&[chunk, b"\r\n"].concat());
            }
        }
        if upload.has_trailer {
            let mut hasher = Hasher::new(Algorithm::Crc32);
            hasher.update(upload.content);
            let line = format!("x-amz-checksum-crc32:{}", hasher.finish().base64());
            let signature = next("TRAILER", hex(format!("{line}\n").as_bytes()));
            body.extend_from_slice(format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body
    }
}

fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// Returns the place of the last occurrence of `wanted`.
fn last(body: &[u8], wanted: &[u8]) -> usize {
    body.windows(wanted.len()).rposition(|window| window == wanted).unwrap()
}

/// Changes the byte at this place.
fn flipped(mut body: Vec<u8>, at: usize) -> Vec<u8> {
    body[at] ^= 1;
    body
}

#[test]
fn a_local_key_gets_its_scopes_and_its_credentials_stay_here() {
    let local = Local::start();
    let body = b"signed content";
    assert_eq!(outcome(&local.ask("PUT", "/tmp/inbox/a", &[], body, body)), "200");
    assert_eq!(local.ask("GET", "/tmp/inbox/a", &[], b"", b"").body, body);
    let list = local.ask("GET", "/tmp?list-type=2&prefix=inbox%2F", &[], b"", b"");
    assert_eq!(list.element("Key").as_deref(), Some("inbox/a"));
    let other = local.ask("GET", "/tmp/media/hello.txt", &[], b"", b"");
    assert_eq!(outcome(&other), "403 AccessDenied outside-scope");
    assert_eq!(outcome(&local.ask("DELETE", "/tmp/inbox/a", &[], b"", b"")), "204");
    assert_eq!(local.stored(), "");
    // MinIO does not know the key, so it would have refused each of these.
    let log = local.proxy.stderr();
    assert!(!log.contains(&local.key.secret_key) && !log.contains("Signature="), "{log}");
}

#[test]
fn mc_tells_a_wrong_secret_from_a_right_one() {
    let local = Local::start();
    let address = local.proxy.address("only");
    let (is_accepted, said) = local.minio.set_alias(address, &local.key);
    assert!(is_accepted, "{said}");
    let (is_accepted, said) = local.minio.set_alias(address, &Keys::random("SGREPORTS"));
    assert!(!is_accepted && said.contains("request signature we calculated does not match"), "{said}");
}

#[test]
fn a_form_with_a_signature_is_refused_with_advice() {
    let local = Local::start();
    let form = [("content-type", "multipart/form-data; boundary=x")];
    let answer = http::request(local.proxy.address("only"), "POST", "/tmp", &form, b"--x--").unwrap();
    assert_eq!(outcome(&answer), "403 AccessDenied not-offered");
    assert!(answer.text().contains("presign a PUT"), "{}", answer.text());
}

#[test]
fn wrong_credentials_never_get_the_rights_of_another_mapping() {
    let local = Local::start();
    let request = Request { method: "GET", target: "/tmp/media/hello.txt", headers: &[] };
    let ask = |key: &Keys, listener| {
        outcome(&local.send(listener, &request, &local.sign(key, listener, &request, EMPTY), b""))
    };
    let (unknown, wrong) = (Keys::random("NOBODY"), Keys::random("SGREPORTS"));
    assert_eq!(ask(&wrong, "only"), "403 SignatureDoesNotMatch wrong-signature");
    assert_eq!(ask(&wrong, "both"), "403 SignatureDoesNotMatch wrong-signature");
    assert_eq!(ask(&wrong, "strict"), "403 SignatureDoesNotMatch wrong-signature");
    assert_eq!(ask(&unknown, "only"), "403 InvalidAccessKeyId unknown-key");
    assert_eq!(ask(&unknown, "both"), "200", "a meaningless key, as without [[key]]");
    assert_eq!(ask(&unknown, "strict"), "403 InvalidAccessKeyId unknown-key");
    assert_eq!(ask(&local.key, "both"), "403 AccessDenied outside-scope");
    let answer = local.send("only", &request, &local.sign(&wrong, "only", &request, EMPTY), b"");
    let echoed = ["CanonicalRequest", "StringToSign", "SignatureProvided"];
    assert!(echoed.iter().all(|name| !answer.text().contains(name)), "{}", answer.text());
}

#[test]
fn a_body_other_than_the_signed_one_is_not_stored() {
    let local = Local::start();
    let large = content(12 << 20);
    let mismatch = "400 XAmzContentSHA256Mismatch content-sha256";
    for (said, sent) in [
        (&b"said"[..], &b"sent"[..]),
        (b"", b"sent"),
        (b"said", b""),
        (&large, &flipped(large.clone(), 0)),
        (&large, &flipped(large.clone(), large.len() - 1)),
    ] {
        for headers in [&[][..], &[("if-none-match", "*")]] {
            let answer = local.ask("PUT", "/tmp/inbox/a", headers, said, sent);
            assert_eq!(outcome(&answer), mismatch, "{} {headers:?}", sent.len());
        }
    }
    assert_eq!(local.stored(), "");
    assert_eq!(outcome(&local.ask("PUT", "/tmp/inbox/a", &[], &large, &large)), "200");
    assert_eq!(local.ask("GET", "/tmp/inbox/a", &[], b"", b"").body, large);
    // Documents, and bodies that mean nothing.
    let delete = b"<Delete><Object><Key>inbox/a</Key></Object></Delete>";
    let other = b"<Delete><Object><Key>inbox/b</Key></Object></Delete>";
    assert_eq!(outcome(&local.ask("POST", "/tmp?delete", &[], other, delete)), mismatch);
    assert_eq!(outcome(&local.ask("DELETE", "/tmp/inbox/a", &[], b"", b"x")), mismatch);
    assert_eq!(outcome(&local.ask("DELETE", "/tmp/inbox/a", &[], b"x", b"")), mismatch);
    assert_eq!(outcome(&local.ask("GET", "/tmp/inbox/a", &[], b"x", b"")), mismatch);
    assert!(
        local.stored().contains('a'),
        "{:?} {:?}",
        local.stored(),
        outcome(&local.ask("GET", "/tmp/inbox/a", &[], b"", b""))
    );
    assert_eq!(outcome(&local.ask("POST", "/tmp?delete", &[], delete, delete)), "200");
    assert_eq!(local.stored(), "");
}

#[test]
fn parts_of_multipart_uploads_are_verified() {
    let local = Local::start();
    let begun = local.ask("POST", "/tmp/inbox/m?uploads", &[], b"", b"");
    let id = begun.element("UploadId").unwrap();
    let part = format!("/tmp/inbox/m?partNumber=1&uploadId={id}");
    let upload = Upload {
        target: &part,
        content: &content(6 << 20),
        headers: &[],
        has_trailer: false,
        says_length: true,
    };
    assert_eq!(
        outcome(&local.ask("PUT", &part, &[], b"said", b"sent")),
        "400 XAmzContentSHA256Mismatch content-sha256"
    );
    let wrong = local.upload(&upload, |body| flipped(body, 3 << 20));
    assert_eq!(outcome(&wrong), "403 SignatureDoesNotMatch wrong-signature");
    let list = local.ask("GET", &format!("/tmp/inbox/m?uploadId={id}"), &[], b"", b"");
    assert_eq!((list.status(), list.element("PartNumber")), (200, None), "{}", list.text());
    let stored = local.upload(&upload, |body| body);
    let etag = stored.header("etag").unwrap();
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let complete = format!("/tmp/inbox/m?uploadId={id}");
    let document = document.as_bytes();
    assert_eq!(
        outcome(&local.ask("POST", &complete, &[], b"other", document)),
        "400 XAmzContentSHA256Mismatch content-sha256"
    );
    assert_eq!(outcome(&local.ask("POST", &complete, &[], document, document)), "200");
    assert_eq!(local.ask("GET", "/tmp/inbox/m", &[], b"", b"").body, upload.content);
}

#[test]
fn every_chunk_and_the_trailer_are_verified_before_anything_is_stored() {
    let local = Local::start();
    let (small, large) = (content(150_000), content(11 << 20));
    let condition = [("if-none-match", "*")];
    let forms = |has_trailer| {
        let form = |content, headers, says_length| Upload {
            target: "/tmp/inbox/a",
            content,
            headers,
            has_trailer,
            says_length,
        };
        [
            form(&small[..], &[][..], true),
            form(&small, &[], false),
            form(&small, &condition, true),
            form(&large, &[], true),
            form(&large, &[], false),
            form(b"", &[], true),
        ]
    };
    let wrong = "403 SignatureDoesNotMatch wrong-signature";
    for upload in forms(false).iter().chain(&forms(true)) {
        let length = upload.content.len();
        let describe = format!("{length} {:?} {} {}", upload.headers, upload.has_trailer, upload.says_length);
        let refused = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
            assert_eq!(outcome(&local.upload(upload, change)), wrong, "{describe}");
        };
        if length > 0 {
            refused(&|body| flipped(body, 200));
            refused(&|body| flipped(body, 70_000));
            // A byte of the last chunk.
            let from_end = if upload.has_trailer { 280 } else { 120 };
            refused(&|body: Vec<u8>| {
                let at = body.len() - from_end;
                flipped(body, at)
            });
        }
        // The last chunk's signature, and the trailer's.
        refused(&|body: Vec<u8>| {
            let at = last(&body, b"0;chunk-signature=") + 30;
            let digit = if body[at] == b'0' { b'1' } else { b'0' };
            [&body[..at], &[digit], &body[at + 1..]].concat()
        });
        if upload.has_trailer {
            refused(&|body: Vec<u8>| {
                let at = body.len() - 5;
                let digit = if body[at] == b'0' { b'1' } else { b'0' };
                [&body[..at], &[digit], &body[at + 1..]].concat()
            });
            refused(&|body: Vec<u8>| {
                let at = last(&body, b"x-amz-trailer-signature:");
                [&body[..at], b"\r\n"].concat()
            });
        }
        assert_eq!(local.stored(), "", "{describe}");
        assert_eq!(outcome(&local.upload(upload, |body| body)), "200", "{describe}");
        assert!(local.ask("GET", "/tmp/inbox/a", &[], b"", b"").body == upload.content, "{describe}");
        assert_eq!(outcome(&local.ask("DELETE", "/tmp/inbox/a", &[], b"", b"")), "204");
    }
}

#[test]
fn presigned_urls_work_without_any_key() {
    let local = Local::start();
    let presign = |method: &str, target: &str, seconds| {
        let host = local.proxy.address("only").to_string();
        let identity = Credentials::new(&local.key.access_key, &local.key.secret_key, None, None, "t").into();
        let mut settings = settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(seconds));
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now() - Duration::from_mins(20))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{host}{target}");
        let headers = [("host", &*host)];
        let body = SignableBody::UnsignedPayload;
        let request = SignableRequest::new(method, uri, headers.into_iter(), body).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let query: Vec<String> = instructions
            .params()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace('/', "%2F")))
            .collect();
        format!("{target}?{}", query.join("&"))
    };
    let ask = |method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        let host = local.proxy.address("only").to_string();
        let headers = [&[("host", &*host)], headers].concat();
        http::request(local.proxy.address("only"), method, target, &headers, body).unwrap()
    };
    let (put, get) = (presign("PUT", "/tmp/inbox/p", 3600), presign("GET", "/tmp/inbox/p", 3600));
    assert_eq!(outcome(&ask("PUT", &put, &[("content-type", "text/plain")], b"content")), "200");
    assert_eq!(ask("GET", &get, &[], b"").body, b"content");
    assert_eq!(outcome(&ask("PUT", &get, &[], b"other")), "403 SignatureDoesNotMatch wrong-signature");
    let copy = [("x-amz-copy-source", "/tmp/inbox/p")];
    assert_eq!(outcome(&ask("PUT", &put, &copy, b"")), "403 AccessDenied header-not-signed");
    let expired = presign("GET", "/tmp/inbox/p", 60);
    assert_eq!(outcome(&ask("GET", &expired, &[], b"")), "403 AccessDenied expired-signature");
    assert_eq!(ask("GET", &get, &[], b"").body, b"content");
}
