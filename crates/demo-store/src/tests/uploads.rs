use super::Demo;
use super::client::{Answer, Call, Key};

impl Demo {
    async fn put(&self, key: &Key, target: &str, body: &str) -> Answer {
        let at = self.store.address();
        Call::new("PUT", target).body(body).signed(at, key).send(at).await
    }

    async fn call(&self, key: &Key, call: Call) -> Answer {
        let at = self.store.address();
        call.signed(at, key).send(at).await
    }

    async fn reads(&self, target: &str) -> Answer {
        self.call(&self.issuer(), Call::new("GET", target)).await
    }
}

fn denied() -> (u16, String) {
    (403, "AccessDenied".to_owned())
}

#[tokio::test]
async fn a_session_writes_and_deletes_in_its_inbox_only() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    assert_eq!(demo.put(&session, "/tmp/inbox/a/b.txt", "new").await.status, 200);
    assert_eq!(demo.reads("/tmp/inbox/a/b.txt").await.text(), "new");
    assert_eq!(demo.put(&session, "/tmp/media/hello.txt", "new").await.refusal(), denied());
    assert_eq!(demo.reads("/tmp/media/hello.txt").await.text(), "Hello from Scopegate.\n");
    assert_eq!(demo.call(&session, Call::new("DELETE", "/tmp/media/hello.txt")).await.refusal(), denied());
    assert_eq!(demo.call(&session, Call::new("DELETE", "/tmp/inbox/a/b.txt")).await.status, 204);
    assert_eq!(demo.reads("/tmp/inbox/a/b.txt").await.status, 404);
}

#[tokio::test]
async fn each_key_of_a_multi_delete_is_judged() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    demo.put(&session, "/tmp/inbox/one", "1").await;
    let delete = |keys: &[&str]| {
        let objects = keys.join("</Key></Object><Object><Key>");
        let body = format!("<Delete><Object><Key>{objects}</Key></Object></Delete>");
        Call::new("POST", "/tmp?delete").body(body)
    };
    let mixed = delete(&["inbox/one", "media/hello.txt"]);
    assert_eq!(demo.call(&session, mixed).await.refusal(), denied());
    assert_eq!(demo.reads("/tmp/inbox/one").await.status, 200);
    assert_eq!(demo.reads("/tmp/media/hello.txt").await.status, 200);
    let old = "<Delete><Object><Key>inbox/one</Key><VersionId>1</VersionId></Object></Delete>";
    let old = demo.call(&session, Call::new("POST", "/tmp?delete").body(old)).await;
    assert_eq!(old.refusal(), (404, "NoSuchVersion".to_owned()));
    assert_eq!(demo.reads("/tmp/inbox/one").await.status, 200);
    assert_eq!(demo.call(&session, delete(&["inbox/one"])).await.status, 200);
    assert_eq!(demo.reads("/tmp/inbox/one").await.status, 404);
}

#[tokio::test]
async fn a_copy_needs_its_source_and_its_target() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    let copy = |from: &str, to: &str| Call::new("PUT", to).header("x-amz-copy-source", from);
    assert_eq!(demo.call(&session, copy("/tmp/media/hello.txt", "/tmp/inbox/copy")).await.status, 200);
    assert_eq!(demo.reads("/tmp/inbox/copy").await.text(), "Hello from Scopegate.\n");
    for (from, to) in [
        ("/tmp/other/secret.txt", "/tmp/inbox/copy"),
        ("tmp/other%2Fsecret.txt", "/tmp/inbox/copy"),
        ("/tmp/media/hello.txt", "/tmp/media/copy"),
        ("/tmp/media/hello.txt?versionId=1", "/tmp/inbox/copy"),
        ("nonsense", "/tmp/inbox/copy"),
    ] {
        assert_eq!(demo.call(&session, copy(from, to)).await.refusal(), denied(), "{from} to {to}");
    }
}

/// A proxy replaces its session in the middle of an upload, and the upload continues.
#[tokio::test]
async fn an_upload_outlives_the_session_that_began_it() {
    let demo = Demo::start().await;
    let (first, second) = (demo.session().await, demo.session().await);
    let begun = demo.call(&first, Call::new("POST", "/tmp/inbox/large?uploads")).await;
    let upload = begun.element("UploadId").unwrap();
    let part = format!("/tmp/inbox/large?partNumber=1&uploadId={upload}");
    let part = demo.put(&second, &part, "content").await;
    assert_eq!(part.status, 200, "{}", part.text());
    let etag = part.header("etag").unwrap();
    let parts = format!(
        "<CompleteMultipartUpload><Part><ETag>{etag}</ETag><PartNumber>1</PartNumber></Part>\
         </CompleteMultipartUpload>"
    );
    let complete = Call::new("POST", &format!("/tmp/inbox/large?uploadId={upload}")).body(parts);
    assert_eq!(demo.call(&second, complete).await.status, 200);
    assert_eq!(demo.reads("/tmp/inbox/large").await.text(), "content");
    let elsewhere = demo.call(&second, Call::new("POST", "/tmp/media/large?uploads")).await;
    assert_eq!(elsewhere.refusal(), denied());
}

#[tokio::test]
async fn a_key_that_the_file_system_cannot_hold_is_refused_before_it_is_written() {
    let demo = Demo::start().await;
    let issuer = demo.issuer();
    for (length, status) in [(120, 200), (130, 400), (400, 400)] {
        let target = format!("/tmp/inbox/{}", "k".repeat(length));
        assert_eq!(demo.put(&issuer, &target, "x").await.status, status, "{length}");
        assert_eq!(demo.reads(&target).await.status == 200, status == 200, "{length}");
        let begun = demo.call(&issuer, Call::new("POST", &format!("{target}?uploads"))).await;
        assert_eq!(begun.status, status, "{length}");
    }
}
