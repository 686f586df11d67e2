//! How MinIO treats bodies in signed chunks with a trailing checksum.

use super::outcome;
use crate::support::http::{self, Response};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::sigv4::{Request, borrowed, direct, signed_payload};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::{SigningParams, sign_chunk, sign_trailer};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Headers;
use std::time::SystemTime;

const MODE: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
/// The CRC32 of `123456789`.
const CRC32: &str = "y/Q5Jg==";

fn params(identity: &Identity, time: SystemTime) -> SigningParams<'_, SigningSettings> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    SigningParams::builder()
        .identity(identity)
        .region("us-east-1")
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
}

/// PUTs `123456789` with this CRC32 as a trailer and signatures by aws-sigv4. `spoil` makes the last signature wrong.
fn put(minio: &Minio, keys: &Keys, target: &str, encoding: Option<&str>, crc: &str, spoil: bool) -> Response {
    let identity: Identity = Credentials::new(&keys.access_key, &keys.secret_key, None, None, "tests").into();
    let (time, host) = (SystemTime::now(), minio.address.to_string());
    let mut given = vec![
        ("host", &*host),
        ("x-amz-decoded-content-length", "9"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    given.extend(encoding.map(|encoding| ("content-encoding", encoding)));
    let body = SignableBody::Precomputed(MODE.to_owned());
    let uri = format!("http://{host}{target}");
    let request = SignableRequest::new("PUT", uri, given.iter().copied(), body).unwrap();
    let (instructions, seed) = sign(request, &params(&identity, time).into()).unwrap().into_parts();

    let params = params(&identity, time);
    let chunk = |data: &'static [u8], previous: &str| {
        sign_chunk(&bytes::Bytes::from_static(data), previous, &params).unwrap().signature().to_owned()
    };
    let first = chunk(b"123456789", &seed);
    let last = chunk(b"", &first);
    let mut trailer = Headers::new();
    trailer.insert("x-amz-checksum-crc32", crc.to_owned());
    let mut end = sign_trailer(&trailer, &last, &params).unwrap().signature().to_owned();
    if spoil {
        end = "0".repeat(64);
    }
    let body = format!(
        "9;chunk-signature={first}\r\n123456789\r\n0;chunk-signature={last}\r\nx-amz-checksum-crc32:{crc}\r\n\
         x-amz-trailer-signature:{end}\r\n\r\n"
    );
    let headers: Vec<(String, String)> = given
        .into_iter()
        .chain(instructions.headers())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    http::request(minio.address, "PUT", target, &borrowed(&headers), body.as_bytes()).unwrap()
}

#[test]
fn a_trailing_checksum_is_verified_and_kept() {
    let (minio, _issuer) = Minio::start_seeded();
    let root = &minio.root;
    let ask = |method: &str, target: &str, headers: &[(&str, &str)]| {
        direct(&minio, root, method, target, headers, b"")
    };
    let attributes = [("x-amz-object-attributes", "Checksum")];
    let encodings = [(None, None), (Some("aws-chunked"), None), (Some("gzip,aws-chunked"), Some("gzip"))];
    for (sent, stored) in encodings {
        assert_eq!(outcome(&put(&minio, root, "/tmp/good", sent, CRC32, false)), "200");
        let got = ask("GET", "/tmp/good", &[]);
        assert_eq!((got.text().as_str(), got.header("content-encoding")), ("123456789", stored), "{sent:?}");
        let kept = ask("GET", "/tmp/good?attributes=", &attributes);
        assert_eq!(kept.element("ChecksumCRC32").as_deref(), Some(CRC32));
    }
    let wrong = put(&minio, root, "/tmp/wrong", None, "AAAAAA==", false);
    assert_eq!(outcome(&wrong), "400 XAmzContentChecksumMismatch");
    let unsigned = put(&minio, root, "/tmp/wrong", None, CRC32, true);
    assert_eq!(outcome(&unsigned), "403 SignatureDoesNotMatch");
    assert_eq!(ask("HEAD", "/tmp/wrong", &[]).status(), 404);

    let declared = [("x-amz-checksum-algorithm", "CRC32")];
    let upload = ask("POST", "/tmp/parts?uploads=", &declared).element("UploadId").unwrap();
    let part = format!("/tmp/parts?partNumber=1&uploadId={upload}");
    assert_eq!(
        outcome(&put(&minio, root, &part, None, "AAAAAA==", false)),
        "400 XAmzContentChecksumMismatch"
    );
    assert_eq!(outcome(&put(&minio, root, &part, None, CRC32, false)), "200");
    let parts = ask("GET", &format!("/tmp/parts?uploadId={upload}"), &[]);
    assert_eq!(parts.element("ChecksumCRC32").as_deref(), Some(CRC32), "{}", parts.text());
}

/// MinIO takes every error except an orderly end for a zero byte of the trailer, and continues to read. So Scopegate
/// sends no trailers.
#[test]
fn an_incomplete_trailer_takes_unlimited_memory() {
    let (minio, _issuer) = Minio::start_seeded();
    let before = minio.memory();
    let host = minio.address.to_string();
    let given = [
        ("content-length", "100"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let request = Request { method: "PUT", host: &host, target: "/tmp/a", headers: &given, body: b"" };
    let payload = SignableBody::Precomputed("STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned());
    let headers = signed_payload(&minio.root, "s3", &request, payload);
    let mut connection = http::Connection::open(minio.address).unwrap();
    let begun = b"5\r\nhello\r\n0\r\nx-amz-check";
    connection.send(&http::request_bytes("PUT", "/tmp/a", &borrowed(&headers), begun)).unwrap();
    drop(connection);
    let grown = || (minio.memory() > before + (300 << 20)).then_some(());
    assert!(wait_for(grown).is_some(), "{} bytes, and {before} before", minio.memory());
}
