//! Pages of another origin in a real browser: those that `[mapping.cors]` names can read, show and write what it
//! allows, and other pages can do nothing.

use super::sites::page;
use crate::support::browser::Browser;
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::world::{Corner, config, start};
use serde_json::{Value, json};

struct Viewer {
    minio: Minio,
    proxy: Proxy,
    browser: Browser,
    app: Recorder,
}

impl Viewer {
    /// Starts a proxy whose mapping names `http://app.test` with the port of a page server. Returns `None` if no
    /// browser is installed.
    fn start() -> Option<Self> {
        let browser = Browser::start()?;
        let app = page("<!doctype html><title>app</title>");
        let (minio, issuer) = Minio::start_seeded();
        let cors = format!(
            "[mapping.cors]\norigins = [\"http://app.test:{}\"]\nmethods = [\"GET\", \"HEAD\", \"PUT\"]\n",
            app.address().port()
        );
        let scopes = [("tmp", "media/", "read,list,write,delete")];
        let corner = Corner { name: "all", scopes: &scopes, more: &cors };
        let text = config(minio.address, minio.address, &[corner], "")
            .replace("[[listener]]\n", "[[listener]]\nhosts = [\"proxy.test\"]\n");
        let proxy = start(&text, &issuer);
        Some(Self { minio, proxy, browser, app })
    }

    fn url(&self, path: &str) -> String {
        format!("http://proxy.test:{}{path}", self.proxy.address("all").port())
    }

    /// Opens the page under this host name.
    fn open(&self, host: &str) {
        self.browser.open(&format!("http://{host}:{}/", self.app.address().port()));
    }

    /// Makes the page fetch a path. Returns the response's status, text and these headers, or that the fetch failed.
    fn fetch(&self, path: &str, options: &Value, headers: &[&str]) -> Value {
        let (url, headers) = (json!(self.url(path)), json!(headers));
        self.browser.run(&format!(
            "return fetch({url}, {options}).then(async answer => \
             [answer.status, await answer.text(), ...{headers}.map(name => answer.headers.get(name))], \
             error => String(error))"
        ))
    }
}

const FAILED: &str = "TypeError: Failed to fetch";

#[test]
fn named_pages_read_and_write() {
    let Some(viewer) = Viewer::start() else { return };
    viewer.minio.put("tmp/media/data.bin", b"0123456789");
    viewer.open("app.test");
    // As a viewer of PDFs, videos or maps does: byte ranges, with their position in the whole.
    let piece = viewer.fetch(
        "/tmp/media/data.bin",
        &json!({ "headers": { "Range": "bytes=2-5" } }),
        &["content-range", "accept-ranges", "content-length"],
    );
    assert_eq!(piece, json!([206, "2345", "bytes 2-5/10", "bytes", "4"]));
    // As an SDK does, whose headers need a preflight.
    let signed = json!({ "Authorization": "AWS4-HMAC-SHA256 Credential=any", "x-amz-date": "20260101T000000Z",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "amz-sdk-invocation-id": "1", "x-amz-user-agent": "any" });
    let put = json!({ "method": "PUT", "body": "written", "headers": signed });
    let stored = viewer.fetch("/tmp/media/new", &put, &["etag"]);
    assert_eq!(stored[0], 200, "{stored}");
    assert!(stored[2].as_str().is_some_and(|tag| tag.len() == 34), "{stored}");
    let read = viewer.fetch("/tmp/media/new", &json!({ "headers": signed }), &["x-amz-request-id"]);
    assert_eq!((&read[0], &read[1]), (&json!(200), &json!("written")));
    assert!(read[2].is_string(), "{read}");
    let listed = viewer.fetch("/tmp?list-type=2&prefix=media/", &json!({ "headers": signed }), &[]);
    assert!(listed[1].as_str().unwrap().contains("<Key>media/new</Key>"), "{listed}");
    // Errors can be read as well.
    let rule = &["x-scopegate-rule"];
    let refused = viewer.fetch("/tmp/other/secret.txt", &json!({}), rule);
    assert_eq!((&refused[0], &refused[2]), (&json!(403), &json!("outside-scope")));
    assert_eq!(viewer.fetch("/tmp/media/none", &json!({}), &[])[0], 404);
    // A method that is not listed, and credentials, which nothing needs.
    assert_eq!(viewer.fetch("/tmp/media/new", &json!({ "method": "DELETE" }), &[]), FAILED);
    assert_eq!(viewer.fetch("/tmp/media/new", &json!({ "credentials": "include" }), &[]), FAILED);
    assert_eq!(viewer.minio.mc(&["cat", "local/tmp/media/new"]).trim_end(), "written");
}

#[test]
fn no_other_page_reads_or_shows_anything() {
    let Some(viewer) = Viewer::start() else { return };
    viewer.minio.put("tmp/media/data.bin", b"0123456789");
    let image = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>";
    let stored = http::request(
        viewer.proxy.address("all"),
        "PUT",
        "/tmp/media/a.svg",
        &[("Content-Type", "image/svg+xml")],
        image,
    );
    assert_eq!(stored.unwrap().status(), 200);
    let shown = |more: &str| {
        let url = json!(viewer.url(&format!("/tmp/media/a.svg?{more}")));
        viewer.browser.run(&format!(
            "return new Promise(done => {{ const image = new Image(); {more}; image.src = {url}; \
             image.onload = () => done(image.naturalWidth); image.onerror = () => done('refused') }})"
        ))
    };
    viewer.open("evil.test");
    assert_eq!(viewer.fetch("/tmp/media/data.bin", &json!({}), &[]), FAILED);
    assert_eq!(
        viewer.fetch("/tmp/media/data.bin", &json!({ "headers": { "x-amz-date": "x" } }), &[]),
        FAILED
    );
    let put = json!({ "method": "PUT", "body": "evil" });
    assert_eq!(viewer.fetch("/tmp/media/data.bin", &put, &[]), FAILED);
    for more in ["", "image.crossOrigin = 'anonymous'", "image.referrerPolicy = 'no-referrer'"] {
        assert_eq!(shown(more), "refused", "{more}");
    }
    // A sandboxed page has the origin null.
    let framed = viewer.browser.run(&format!(
        "return new Promise(done => {{ addEventListener('message', event => done(event.data)); \
         const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts'; \
         frame.srcdoc = `<script>fetch({}).then(() => parent.postMessage('read', '*'), \
         error => parent.postMessage(String(error), '*'))</script>`; document.body.append(frame) }})",
        json!(viewer.url("/tmp/media/data.bin"))
    ));
    assert_eq!(framed, FAILED);
    viewer.open("app.test");
    for more in ["", "image.crossOrigin = 'anonymous'"] {
        assert_eq!(shown(more), 9, "a page that is named may show it: {more}");
    }
    assert_eq!(
        shown("image.referrerPolicy = 'no-referrer'"),
        "refused",
        "without a referrer, the page cannot be recognised"
    );
    assert_eq!(viewer.minio.mc(&["cat", "local/tmp/media/data.bin"]).trim_end(), "0123456789");
}
