use std::time::Duration;

use super::super::{seed, store};
use super::Demo;
use super::client::{Answer, Call, Key};

const HELLO: &str = "/tmp/media/hello.txt";

impl Demo {
    async fn ask(&self, key: &Key, method: &'static str, target: &str) -> Answer {
        let at = self.store.address();
        Call::new(method, target).signed(at, key).send(at).await
    }

    async fn send(&self, key: &Key, call: Call) -> Answer {
        let at = self.store.address();
        call.signed(at, key).send(at).await
    }
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_session_reads_its_corner() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    let hello = demo.ask(&session, "GET", HELLO).await;
    assert_eq!((hello.status, hello.text().as_str()), (200, "Hello from Scopegate.\n"));
    assert_eq!(hello.header("content-type"), Some("text/plain"));
    assert_eq!(demo.ask(&session, "HEAD", HELLO).await.header("content-length"), Some("22"));
    assert_eq!(demo.ask(&session, "GET", "/tmp/media/notes/today.txt").await.status, 200);
    assert_eq!(demo.ask(&session, "GET", "/tmp/media/blob.bin").await.body, seed::blob());
    let part = Call::new("GET", "/tmp/media/blob.bin").header("range", "bytes=1000-1999");
    let part = demo.send(&session, part).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &seed::blob()[1000..2000]));
    assert_eq!(part.header("content-range"), Some("bytes 1000-1999/262144"));
}

#[tokio::test]
async fn a_session_lists_its_prefix_only() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    let list = demo.ask(&session, "GET", "/tmp?list-type=2&prefix=media%2F").await;
    assert_eq!(list.status, 200);
    assert!(list.text().contains("<Key>media/notes/today.txt</Key>"), "{}", list.text());
    assert!(!list.text().contains("secret"));
    for query in
        ["list-type=2", "prefix=", "prefix=other%2F", "prefix=media%2F&prefix=other%2F", "prefix=/other/"]
    {
        let answer = demo.ask(&session, "GET", &format!("/tmp?{query}")).await;
        assert_eq!(answer.refusal(), refusal(403, "AccessDenied"), "{query}");
    }
}

#[tokio::test]
async fn a_session_is_refused_everything_else() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    for (method, target) in [
        ("GET", "/tmp/other/secret.txt"),
        ("GET", "/"),
        ("GET", "/tmp?location"),
        ("GET", "/tmp?uploads"),
        ("GET", "/tmp/media/hello.txt?tagging"),
        ("PUT", "/tmp/media/new.txt"),
        ("PUT", "/tmp/inbox/new.txt?acl"),
        ("PUT", "/fresh"),
        ("DELETE", HELLO),
        ("DELETE", "/tmp"),
    ] {
        let answer = demo.ask(&session, method, target).await;
        assert_eq!(answer.refusal(), refusal(403, "AccessDenied"), "{method} {target}");
    }
    let head = demo.ask(&session, "HEAD", "/tmp/other/secret.txt").await;
    assert_eq!((head.status, head.header("x-minio-error-code")), (403, Some("accessdenied")));
}

/// A file system would resolve each of these to another key.
#[tokio::test]
async fn a_key_that_climbs_is_refused() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    for target in ["/tmp/media/../other/secret.txt", "/tmp/media//hello.txt", "/tmp/media/./hello.txt"] {
        let answer = demo.ask(&session, "GET", target).await;
        assert_eq!(answer.refusal(), refusal(400, "XMinioInvalidObjectName"), "{target}");
        let answer = demo.ask(&demo.issuer(), "GET", target).await;
        assert_eq!(answer.refusal(), refusal(400, "XMinioInvalidObjectName"), "{target}");
    }
    let copy =
        Call::new("PUT", "/tmp/inbox/copy").header("x-amz-copy-source", "/tmp/media/../other/secret.txt");
    assert_eq!(demo.send(&session, copy).await.refusal(), refusal(400, "XMinioInvalidObjectName"));
    let body = "<Delete><Object><Key>inbox/../media/hello.txt</Key></Object></Delete>";
    let delete = Call::new("POST", "/tmp?delete").body(body);
    assert_eq!(demo.send(&session, delete).await.refusal(), refusal(400, "XMinioInvalidObjectName"));
    assert_eq!(demo.ask(&session, "GET", HELLO).await.status, 200);
}

#[tokio::test]
async fn a_session_without_its_own_token_is_refused() {
    let demo = Demo::start().await;
    let (session, other) = (demo.session().await, demo.session().await);
    let token = session.token.clone().unwrap();
    let tampered = format!("{}{}", if token.starts_with('A') { 'B' } else { 'A' }, &token[1..]);
    for token in [None, Some(""), Some(tampered.as_str()), other.token.as_deref()] {
        let answer = demo.ask(&session.with_token(token), "GET", HELLO).await;
        assert_eq!(answer.refusal(), refusal(403, "InvalidTokenId"), "{token:?}");
    }
    let issuer = demo.issuer().with_token(session.token.as_deref());
    assert_eq!(demo.ask(&issuer, "GET", HELLO).await.refusal(), refusal(403, "InvalidTokenId"));
    assert_eq!(
        Call::new("GET", HELLO).send(demo.store.address()).await.refusal(),
        refusal(403, "AccessDenied")
    );
}

#[tokio::test]
async fn a_token_after_signing_is_checked_too() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    let at = demo.store.address();
    let call = Call::new("GET", HELLO).signed(at, &session.with_token(None));
    let token = session.token.clone().unwrap();
    assert_eq!(call.clone().header("x-amz-security-token", &token).send(at).await.status, 200);
    let twice = call.header("x-amz-security-token", &token).header("x-amz-security-token", "x");
    assert_eq!(twice.send(at).await.refusal(), refusal(403, "InvalidTokenId"));
    let query = format!("{HELLO}?X-Amz-Security-Token={token}");
    assert_eq!(demo.ask(&session.with_token(None), "GET", &query).await.status, 200);
}

#[tokio::test]
async fn a_tampered_signature_is_refused() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    let at = demo.store.address();
    let mut call = Call::new("GET", HELLO).signed(at, &session);
    for (name, value) in &mut call.headers {
        if name == "authorization" {
            let last = if value.pop() == Some('0') { '1' } else { '0' };
            value.push(last);
        }
    }
    assert_eq!(call.send(at).await.refusal(), refusal(403, "SignatureDoesNotMatch"));
    let wrong = Key { secret: "wrong".to_owned(), ..session };
    assert_eq!(demo.ask(&wrong, "GET", HELLO).await.refusal(), refusal(403, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn an_expired_session_is_unknown() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    demo.wait(Duration::from_secs(890));
    assert_eq!(demo.ask(&session, "GET", HELLO).await.status, 200);
    demo.wait(Duration::from_secs(11));
    assert_eq!(demo.ask(&session, "GET", HELLO).await.refusal(), refusal(403, "InvalidAccessKeyId"));
    let head = demo.ask(&session, "HEAD", HELLO).await;
    assert_eq!((head.status, head.header("x-minio-error-code")), (403, Some("invalidaccesskeyid")));
    assert_eq!(demo.ask(&demo.issuer(), "GET", HELLO).await.status, 200);
}

#[tokio::test]
async fn answers_of_a_file_system_are_mended() {
    let demo = Demo::start().await;
    let issuer = demo.issuer();
    for (target, status, code) in [
        ("/tmp/media", 404, "NoSuchKey"),
        ("/tmp/media/", 404, "NoSuchKey"),
        ("/tmp/media/hello.txt?versionId=1", 404, "NoSuchVersion"),
        ("/absent/key", 404, "NoSuchBucket"),
    ] {
        assert_eq!(demo.ask(&issuer, "GET", target).await.refusal(), refusal(status, code), "{target}");
    }
    assert_eq!(demo.ask(&issuer, "PUT", "/absent/key").await.refusal(), refusal(404, "NoSuchBucket"));
    assert_eq!(demo.ask(&issuer, "GET", "/tmp?location").await.status, 200);
}

/// Lists as mc does, a whole tree and one level of it.
#[tokio::test]
async fn a_listing_is_cut_at_its_delimiter_only() {
    let demo = Demo::start().await;
    let issuer = demo.issuer();
    let at = demo.store.address();
    let odd = Call::new("PUT", "/tmp/media/a%2Bb").body("odd").signed(at, &issuer);
    assert_eq!(odd.send(at).await.status, 200);
    for version in ["", "&list-type=2"] {
        let list = |query| format!("/tmp?encoding-type=url{version}&prefix=media%2F{query}");
        let tree = demo.ask(&issuer, "GET", &list("&delimiter=")).await.text();
        assert!(tree.contains("<Key>media/notes/today.txt</Key>"), "{tree}");
        assert!(tree.contains("<Key>media/a+b</Key>") && !tree.contains("EncodingType"), "{tree}");
        let level = demo.ask(&issuer, "GET", &list("&delimiter=%2F")).await.text();
        assert!(level.contains("<Prefix>media/notes/</Prefix>"), "{level}");
        assert!(!level.contains("today.txt"), "{level}");
        let refused = demo.ask(&issuer, "GET", &list("&delimiter=%C3%A9")).await;
        assert_eq!(refused.refusal(), refusal(501, "NotImplemented"));
    }
}

#[tokio::test]
async fn a_store_with_objects_is_not_seeded() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start_in(Some(folder.path().to_owned())).await;
    let changed = demo.send(&demo.issuer(), Call::new("PUT", HELLO).body("mine")).await;
    assert_eq!(changed.status, 200);
    let gone = demo.ask(&demo.issuer(), "DELETE", "/tmp/media/index.html").await;
    assert_eq!(gone.status, 204);
    demo.store.shutdown().await;

    let demo = Demo::start_in(Some(folder.path().to_owned())).await;
    assert_eq!(demo.ask(&demo.issuer(), "GET", HELLO).await.text(), "mine");
    assert_eq!(demo.ask(&demo.issuer(), "GET", "/tmp/media/index.html").await.status, 404);
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let listen = address.parse().unwrap();
        let Err(error) = store::start(store::StoreConfig { listen, data: None, seed: false }).await else {
            panic!("{address} was taken");
        };
        assert!(error.to_string().contains("for trying out only"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_runs_on_many_threads_too() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    assert_eq!(demo.ask(&session, "GET", HELLO).await.status, 200);
}
