use super::*;
use crate::bounds::memory::{MemoryBudget, Payer, Use};
use crate::identify::client::ClientKey;
use crate::outgoing::payload::HeldBody;
use crate::s3::aws_chunked::Envelope;
use http::{HeaderName, HeaderValue};
use http_body_util::Full;

fn memory() -> impl FnMut(usize) -> Result<(), Refusal> {
    let mut share =
        MemoryBudget::new(64 << 20).share(Payer::Client(ClientKey::User(Some(1))), Use::Documents);
    move |bytes| share.grow_to(bytes)
}

async fn read_with(kind: Kind, headers: &[(&'static str, &str)], body: &'static [u8]) -> Result<Bytes, Rule> {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    let fields = headers.iter().map(field).collect();
    let upload = Upload::new(Full::new(Bytes::from_static(body)));
    upload.set_length(body.len() as u64);
    let payload = Payload::Sized(body.len() as u64, None);
    read(kind, &upload, &payload, &fields, Duration::from_secs(5), memory())
        .await
        .map_err(|refusal| refusal.rule)
}

#[tokio::test]
async fn rejects_documents_with_wrong_checksums() {
    let sha = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let good = [
        ("content-md5", "rL0Y20zC+Fzt72VPzMSk2A=="),
        ("x-amz-checksum-crc32", "jHNlIQ=="),
        ("x-amz-checksum-sha1", "C+7Hteo/D9vJXQ3UfzxbwnXaijM="),
        ("x-amz-content-sha256", sha),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ];
    for header in good {
        assert_eq!(
            read_with(Kind::Delete, &[header], b"foo").await.as_deref(),
            Ok(&b"foo"[..]),
            "{header:?}"
        );
    }
    let bad = [
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", Rule::BadDigest),
        ("content-md5", "AAAA", Rule::BadHeader),
        ("x-amz-checksum-crc32", "AAAAAA==", Rule::ChecksumMismatch),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", Rule::ChecksumMismatch),
        ("x-amz-content-sha256", &"0".repeat(64), Rule::ChecksumMismatch),
    ];
    for (name, value, rule) in bad {
        assert_eq!(read_with(Kind::Delete, &[(name, value)], b"foo").await, Err(rule), "{name}");
    }
}

#[tokio::test]
async fn a_document_is_bounded() {
    const MOST: usize = Kind::Delete.most();
    static LARGE: [u8; MOST + 1] = [b' '; MOST + 1];
    assert_eq!(read_with(Kind::Delete, &[], &LARGE).await, Err(Rule::TooLarge));
    let upload = Upload::new(Full::new(Bytes::from_static(&LARGE)));
    upload.set_length(LARGE.len() as u64);
    let read =
        read(Kind::Delete, &upload, &Payload::Empty, &Fields::default(), Duration::from_secs(5), memory())
            .await;
    assert_eq!(read.map_err(|refusal| refusal.rule), Err(Rule::TooLarge), "whatever was announced");
}

/// The checksum header of a completion concerns the object, Content-MD5 the document.
#[tokio::test]
async fn a_completion_may_have_the_checksum_of_the_object() {
    let of_the_object = [("x-amz-checksum-crc32", "AAAAAA==")];
    assert!(read_with(Kind::Complete, &of_the_object, b"foo").await.is_ok());
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    assert_eq!(read_with(Kind::Complete, &wrong, b"foo").await, Err(Rule::BadDigest));
    assert_eq!(read_with(Kind::Tagging, &of_the_object, b"foo").await, Err(Rule::ChecksumMismatch));
}

/// In an envelope or in chunks, with and without a trailing checksum.
#[tokio::test]
async fn documents_are_read_in_every_body_form() {
    let enveloped = "3\r\nfoo\r\n0\r\nx-amz-checksum-crc32:jHNlIQ==\r\n\r\n";
    for (body, trailer, expected) in [
        (enveloped.to_owned(), Some(Algorithm::Crc32), Ok("foo")),
        (enveloped.replace("jHN", "AAA"), Some(Algorithm::Crc32), Err(Rule::ChecksumMismatch)),
        (enveloped.replace("jHNlIQ==", "jHNlIR=="), Some(Algorithm::Crc32), Err(Rule::BadEnvelope)),
    ] {
        let envelope = Some(Envelope { decoded: None, trailer });
        let upload = Upload::new(Full::new(Bytes::from(body)));
        let payload = Payload::Held(HeldBody { envelope, ..HeldBody::default() });
        upload.begin(&payload).unwrap();
        let read =
            read(Kind::Complete, &upload, &payload, &Fields::default(), Duration::from_secs(5), memory())
                .await;
        assert_eq!(read.as_deref().map_err(|refusal| refusal.rule), expected.map(str::as_bytes));
    }
}
