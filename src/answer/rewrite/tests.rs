use super::*;
use crate::authorize::mount::{Mount, View};
use crate::s3::names::{BucketName, Prefix};
use crate::s3::operation::Operation;
use http::StatusCode;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http1::body::BoxError;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn view(prefix: &str) -> Arc<View> {
    let mount = Mount::parse("/pub/").unwrap();
    Arc::new(View::new(mount, BucketName::parse("hidden").unwrap(), Prefix::parse(prefix).unwrap()))
}

fn rewriter(operation: Operation, prefix: &str, url: bool) -> Rewriter {
    let key = format!("{prefix}a&b");
    Rewriter::new(Names::new(operation, Some(view(prefix)), url, "/pub/a%26b", Some(&key), Some("host:1")))
}

fn rewrite(operation: Operation, prefix: &str, url: bool, document: &str) -> Result<String, Unreadable> {
    let document = format!("{HEAD}{document}");
    let written = rewriter(operation, prefix, url).rewrite(document.as_bytes())?;
    let written = String::from_utf8(written).unwrap();
    Ok(written.strip_prefix(HEAD).unwrap().to_owned())
}

#[test]
fn lists_contain_only_the_clients_names() {
    let lists = [
        (
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>hidden</Name><Prefix>deep/media/a</Prefix>\
             <Marker>deep/media/m</Marker><NextMarker>deep/media/n[minio_cache:v2,return:]</NextMarker><Delimiter>/</Delimiter>\
             <StartAfter>deep/media/s</StartAfter><Contents><Key>deep/media/a&#34;&lt;ü</Key><ETag>&#34;e&#34;</ETag><Size>1</Size>\
             <Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner></Contents>\
             <CommonPrefixes><Prefix>deep/media/d/</Prefix></CommonPrefixes></ListBucketResult>",
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>pub</Name><Prefix>a</Prefix>\
             <Marker>m</Marker><NextMarker>n[minio_cache:v2,return:]</NextMarker><Delimiter>/</Delimiter>\
             <StartAfter>s</StartAfter><Contents><Key>a&#34;&lt;ü</Key><ETag>&#34;e&#34;</ETag><Size>1</Size>\
             <Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner></Contents>\
             <CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>",
        ),
        (
            "<ListVersionsResult><Name>hidden</Name><Prefix>deep/media/</Prefix><KeyMarker></KeyMarker><NextKeyMarker>deep/media/k</NextKeyMarker>\
             <Version><Key>deep/media/k</Key><VersionId>1</VersionId></Version><DeleteMarker><Key>deep/media/l</Key></DeleteMarker></ListVersionsResult>",
            "<ListVersionsResult><Name>pub</Name><Prefix></Prefix><KeyMarker></KeyMarker><NextKeyMarker>k</NextKeyMarker>\
             <Version><Key>k</Key><VersionId>1</VersionId></Version><DeleteMarker><Key>l</Key></DeleteMarker></ListVersionsResult>",
        ),
    ];
    for (stores, clients) in lists {
        assert_eq!(rewrite(Operation::ListObjects, "deep/media/", false, stores).unwrap(), clients);
    }
}

#[test]
fn tokens_and_encoded_names() {
    let sealed = rewrite(
        Operation::ListObjectsV2,
        "media/",
        false,
        "<ListBucketResult><NextContinuationToken>bWVkaWEvazM=</NextContinuationToken></ListBucketResult>",
    );
    assert!(sealed.unwrap().contains("<NextContinuationToken>kazM=</NextContinuationToken>"));
    let document =
        |key: &str| format!("<ListBucketResult><Contents><Key>{key}</Key></Contents></ListBucketResult>");
    for (prefix, url, stores, clients) in [
        ("a b/ü/", true, "a+b/%C3%BC/x%2by+z", Some("x%2by+z")),
        ("a b/ü/", true, "a%20b%2F%c3%bc%2Fx", Some("x")),
        ("a b/ü/", true, "a+b/%C3%BD/x", None),
        ("a b/ü/", false, "a b/ü/x", Some("x")),
        ("a b/ü/", false, "a b/&#252;/x", Some("x")),
        ("a b/ü/", false, "a+b/ü/x", None),
        ("a&b/", false, "a&amp;b/&amp;", Some("&amp;")),
        ("a&b/", false, "a&b/x", None),
        ("a&b/", true, "a%26b/%", Some("%")),
        ("", false, "any", Some("any")),
        ("media/", false, "other/x", None),
        ("media/", false, "media", None),
    ] {
        let written = rewrite(Operation::ListObjects, prefix, url, &document(stores));
        assert_eq!(written.ok(), clients.map(document), "{prefix} {stores}");
    }
}

#[test]
fn results_and_errors_contain_the_clients_names() {
    let cases = [
        (
            Operation::CreateMultipartUpload,
            "<InitiateMultipartUploadResult><Bucket>hidden</Bucket><Key>media/a&amp;b</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>",
            "<InitiateMultipartUploadResult><Bucket>pub</Bucket><Key>a&amp;b</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        (
            Operation::CompleteMultipartUpload,
            "<CompleteMultipartUploadResult><Location>http://10.0.0.1/hidden/media/a&amp;b</Location><Bucket>hidden</Bucket><Key>media/a&amp;b</Key><ChecksumCRC32>media/==</ChecksumCRC32></CompleteMultipartUploadResult>",
            "<CompleteMultipartUploadResult><Location>http://host:1/pub/a%26b</Location><Bucket>pub</Bucket><Key>a&amp;b</Key><ChecksumCRC32>media/==</ChecksumCRC32></CompleteMultipartUploadResult>",
        ),
        (
            Operation::GetObject,
            "<Error><Code>NoSuchKey</Code><Message>hidden/media/x is not there</Message><Key>media/a&amp;b</Key><BucketName>hidden</BucketName><Resource>/hidden/media/a&amp;b</Resource><Extra>media/x</Extra></Error>",
            "<Error><Code>NoSuchKey</Code><Message>the store refused the request</Message><Key>a&amp;b</Key><BucketName>pub</BucketName><Resource>/pub/a%26b</Resource><Extra></Extra></Error>",
        ),
    ];
    for (operation, stores, clients) in cases {
        assert_eq!(rewrite(operation, "media/", false, stores).unwrap(), clients);
    }
    // Without a mount only the store's address is replaced.
    let names = Names::new(Operation::CompleteMultipartUpload, None, false, "/b/k", Some("k"), None);
    let stores = "<CompleteMultipartUploadResult><Location>http://10.0.0.1/b/k</Location><Key>k</Key></CompleteMultipartUploadResult>";
    let written = Rewriter::new(names).rewrite(stores.as_bytes()).unwrap();
    let clients = "<CompleteMultipartUploadResult><Location>/b/k</Location><Key>k</Key></CompleteMultipartUploadResult>";
    assert_eq!(written, clients.as_bytes());
}

#[test]
fn refusals_of_scopegate_are_added_to_a_deletes_result() {
    for (stores, clients) in [
        (
            "<DeleteResult><Deleted><Key>media/a</Key></Deleted></DeleteResult>",
            "<DeleteResult><Deleted><Key>a</Key></Deleted><Error/></DeleteResult>",
        ),
        ("<DeleteResult/>", "<DeleteResult><Error/></DeleteResult>"),
        ("<Error><Code>X</Code></Error>", "<Error><Code>X</Code></Error>"),
    ] {
        let more = Box::new(rewriter(Operation::DeleteObjects, "media/", false)).with_more("<Error/>".into());
        assert_eq!(more.rewrite(stores.as_bytes()).unwrap(), clients.as_bytes());
    }
}

#[test]
fn only_documents_with_names_are_rewritten() {
    let concerns = |operation, status| rewriter(operation, "media/", false).concerns(status);
    assert!(!concerns(Operation::GetObject, StatusCode::OK));
    assert!(!concerns(Operation::GetObjectTagging, StatusCode::OK), "a tag's Key is no object's");
    assert!(concerns(Operation::GetObject, StatusCode::NOT_FOUND));
    assert!(concerns(Operation::ListObjects, StatusCode::OK));
    assert!(!concerns(Operation::GetObject, StatusCode::NOT_MODIFIED));
}

#[test]
fn malformed_documents_end_the_response() {
    for bad in [
        "",
        "text",
        "<a>",
        "<a></b>",
        "<a></a><b></b>",
        "<a/><b/>",
        "<a><!-- media/ --></a>",
        "<a><![CDATA[media/]]></a>",
        "<!DOCTYPE a [<!ENTITY x \"media/\">]><a>&x;</a>",
        "<a></a>more",
        "</a>",
        "<>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>",
    ] {
        assert!(rewrite(Operation::ListObjects, "media/", false, bad).is_err(), "{bad}");
    }
    let long = format!("<a>{}</a>", "x".repeat(70_000));
    let mut out = Vec::new();
    let mut whole = rewriter(Operation::ListObjects, "media/", false);
    let fed: Result<(), Unreadable> =
        long.as_bytes().chunks(100).try_for_each(|chunk| whole.feed(chunk, &mut out));
    assert!(fed.is_err(), "an endless text is not kept");
}

/// A body in chunks.
struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn chunks(document: &str, size: usize) -> Chunks {
    Chunks(document.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect())
}

#[tokio::test]
async fn rewriting_does_not_depend_on_chunks() {
    let stores = "<ListBucketResult>\n<Name>hidden</Name><Contents><Key>media/ü&amp;</Key></Contents></ListBucketResult>\n";
    let clients =
        "<ListBucketResult>\n<Name>pub</Name><Contents><Key>ü&amp;</Key></Contents></ListBucketResult>";
    for size in 1..stores.len() {
        let body =
            Rewritten::new(chunks(stores, size), Box::new(rewriter(Operation::ListObjects, "media/", false)));
        let written = body.collect().await.unwrap().to_bytes();
        assert_eq!(String::from_utf8_lossy(&written).trim_end(), clients, "chunks of {size}");
    }
    let broken = Rewritten::new(
        chunks("<ListBucketResult>", 5),
        Box::new(rewriter(Operation::ListObjects, "media/", false)),
    );
    assert!(broken.collect().await.is_err());
}

proptest! {
    /// Every document is refused, or passes without bucket and prefix in the places of names.
    #[test]
    fn no_store_name_passes(
        name in prop_oneof!["Key", "Prefix", "Name", "NextMarker", "NextContinuationToken", "Strange", "Resource"],
        text in prop_oneof!["deepmedia/\\PC{0,10}", "[a-z/&;#0-9%+]{0,20}", "hidden"],
        url: bool,
    ) {
        let escaped = quick_xml::escape::escape(&text).into_owned();
        let document = format!("<ListBucketResult><{name}>{escaped}</{name}></ListBucketResult>");
        if let Ok(written) = rewrite(Operation::ListObjects, "deepmedia/", url, &document) {
            prop_assert!(!written.contains("hidden"), "{}", written);
            let within = text.strip_prefix("deepmedia/").unwrap_or(&text);
            prop_assert!(within.contains("deepmedia") || !written.contains("deepmedia"), "{}", written);
        }
    }
}
