//! Objects in a browser: only objects of a site run with the reader's rights, and media and documents are displayed.

use super::Site;
use crate::support::http;
use crate::support::process::wait_for;
use aws_smithy_types::base64;
use serde_json::json;

/// A script that reads another object of the reader and shows it in the title.
const READS_A_SECRET: &str = "const asked = new XMLHttpRequest(); asked.open('GET', '/tmp/media/secret.txt', false); \
    asked.send(); document.title = asked.responseText;";

impl Site {
    pub(super) fn store(&self, key: &str, headers: &[(&str, &str)], content: &[u8]) {
        let target = format!("/tmp/{key}");
        let answer = http::request(self.proxy.address("all"), "PUT", &target, headers, content).unwrap();
        assert_eq!(answer.status(), 200, "{key}: {}", answer.text());
    }

    fn title(&self) -> String {
        self.browser.run("return document.title").as_str().unwrap().to_owned()
    }

    fn origin(&self) -> String {
        self.browser.run("return self.origin").as_str().unwrap().to_owned()
    }
}

fn html(script: &str) -> String {
    format!("<!doctype html><title>harmless</title><script>{script}</script><p>shown</p>")
}

#[test]
fn a_stored_page_cannot_read_another_object() {
    let Some(site) = Site::start() else { return };
    site.store("media/secret.txt", &[("Content-Type", "text/plain")], b"secret");
    let page = html(READS_A_SECRET);
    for (key, kind) in
        [("media/inbox/evil.html", "text/html"), ("media/inbox/evil", "text/html; charset=utf-8")]
    {
        site.store(key, &[("Content-Type", kind)], page.as_bytes());
        site.browser.open(&site.url(&format!("/tmp/{key}")));
        assert_eq!((&*site.title(), &*site.origin()), ("harmless", "null"), "{key}");
        assert!(site.browser.text().contains("shown"), "the page is still displayed");
    }
    // Other types that browsers render as pages. The last one looks as if it were not sandboxed.
    let kinds = ["application/xhtml+xml", "text/xml", "application/xml", "video/x+xml"];
    for (number, kind) in kinds.iter().enumerate() {
        let page = format!(
            "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>harmless</title></head>\
             <body><script>{READS_A_SECRET}</script></body></html>"
        );
        let key = format!("media/inbox/{number}");
        site.store(&key, &[("Content-Type", kind)], page.as_bytes());
        site.browser.open(&site.url(&format!("/tmp/{key}")));
        assert_eq!((&*site.title(), &*site.origin()), ("harmless", "null"), "{kind}");
    }
    let image = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><script>{READS_A_SECRET}</script></svg>");
    site.store("media/inbox/image", &[("Content-Type", "image/svg+xml")], image.as_bytes());
    site.browser.open(&site.url("/tmp/media/inbox/image"));
    assert_eq!((&*site.title(), &*site.origin()), ("", "null"));
    // The same page runs as part of a site.
    site.store("site/index.html", &[("Content-Type", "text/html")], page.as_bytes());
    site.browser.open(&site.url("/tmp/site/"));
    assert_eq!(site.title(), "secret", "the test detects a script that runs");
}

#[test]
fn a_link_cannot_turn_text_into_a_script() {
    let Some(site) = Site::start() else { return };
    for folder in ["media", "site"] {
        let page = html("document.title = 'ran'");
        site.store(&format!("{folder}/note.txt"), &[("Content-Type", "text/plain")], page.as_bytes());
        let attached = [("Content-Type", "text/html"), ("Content-Disposition", "attachment")];
        site.store(&format!("{folder}/attached.html"), &attached, page.as_bytes());
        for target in [
            "note.txt?response-content-type=text/html",
            "note.txt?response-content-type=image/svg%2Bxml",
            "note.txt?response-content-type=text/html&X-Amz-Signature=x&X-Amz-Credential=y",
            "attached.html?response-content-disposition=inline",
            "note.txt?response-content-encoding=gzip",
        ] {
            site.browser.open(&site.url(&format!("/tmp/{folder}/{target}")));
            assert!(site.browser.text().contains("active-override"), "{target}: {}", site.browser.text());
            assert_ne!(site.title(), "ran", "{target}");
        }
        site.browser.open(&site.url(&format!("/tmp/{folder}/note.txt")));
        assert!(site.browser.text().contains("document.title = 'ran'"), "text is shown as text");
    }
    // Programs get the requested type. A browser mistaken for a program would still run nothing.
    let asked = "/tmp/media/note.txt?response-content-type=text/html";
    let answer = http::get(site.proxy.address("all"), asked).unwrap();
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("text/html")));
    assert_eq!(answer.header("content-security-policy"), Some("sandbox"));
}

/// A script that runs a worker of the site and returns what it sends.
const WORKER: &str = "return new Promise(done => { const worker = new Worker('/tmp/site/echo.js'); \
    worker.onerror = () => done('refused'); worker.onmessage = event => done(event.data) })";

#[test]
fn service_workers_cannot_be_registered() {
    let Some(site) = Site::start() else { return };
    site.store("site/index.html", &[("Content-Type", "text/html")], html("").as_bytes());
    let script = [("Content-Type", "text/javascript")];
    site.store("site/worker.js", &script, b"self.addEventListener('fetch', event => {})");
    site.store("site/echo.js", &script, b"postMessage('worked')");
    site.browser.open(&site.url("/tmp/site/"));
    let registered = site.browser.run(
        "return navigator.serviceWorker.register('/tmp/site/worker.js').then(() => 'registered', error => String(error))",
    );
    assert!(registered.as_str().unwrap().contains("403"), "{registered}");
    let registered = "return navigator.serviceWorker.getRegistrations().then(all => all.length)";
    assert_eq!(site.browser.run(registered), 0);
    assert_eq!(site.browser.run(WORKER), "worked", "the worker ends with its page");
}

#[test]
fn a_site_still_works() {
    let Some(site) = Site::start() else { return };
    let page = "<!doctype html><link rel=stylesheet href=style.css><p>site</p><script src=code.js></script>\
        <script type=module>import { value } from './module.js'; document.body.dataset.module = value</script>";
    site.store("site/docs/index.html", &[("Content-Type", "text/html")], page.as_bytes());
    site.store("site/docs/style.css", &[("Content-Type", "text/css")], b"p { color: rgb(1, 2, 3) }");
    site.store("site/docs/code.js", &[("Content-Type", "text/javascript")], b"document.title = 'ran'");
    site.store(
        "site/docs/module.js",
        &[("Content-Type", "text/javascript")],
        b"export const value = 'loaded'",
    );
    site.store("site/docs/data.json", &[("Content-Type", "application/json")], b"{\"from\": \"a store\"}");
    // The second time, the browser has cached the page and gets 304.
    for path in ["/tmp/site/docs", "/tmp/site/docs/", "/tmp/site/docs/"] {
        site.open(path);
        assert_eq!((site.title(), site.browser.url()), ("ran".to_owned(), site.url("/tmp/site/docs/")));
        let color = "return getComputedStyle(document.querySelector('p')).color";
        assert_eq!(site.browser.run(color), "rgb(1, 2, 3)");
        assert_eq!(site.browser.run("return document.body.dataset.module"), "loaded");
        let fetched = "return fetch('data.json').then(answer => answer.json())";
        assert_eq!(site.browser.run(fetched), json!({ "from": "a store" }));
        // A script of the site may write what its reader may.
        let put = "return fetch('note.txt', { method: 'PUT', body: 'x' }).then(answer => answer.status)";
        assert_eq!(site.browser.run(put), 200);
    }
}

const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Returns a second of silence.
fn wav() -> Vec<u8> {
    let head =
        b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0";
    [&head[..], &[128; 8000]].concat()
}

const PDF: &str = "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n";

#[test]
fn images_sound_pdfs_and_downloads_are_still_shown() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    site.store("media/a.png", &[("Content-Type", "image/png")], &base64::decode(PNG).unwrap());
    site.store("media/a.wav", &[("Content-Type", "audio/wav")], &wav());
    site.store("media/a.pdf", &[("Content-Type", "application/pdf")], PDF.as_bytes());
    site.store("media/a.zip", &[("Content-Type", "application/zip")], b"PK\x05\x06");
    let attached =
        [("Content-Type", "text/html"), ("Content-Disposition", "attachment; filename=\"page.html\"")];
    site.store("media/attached", &attached, b"<p>kept");

    site.open("/tmp/media/a.png");
    assert_eq!(browser.run("return document.images[0].naturalWidth"), 1);
    // The viewer requests the sound again, as a page of the same origin.
    for target in ["/tmp/media/a.wav", "/tmp/media/a.wav?response-content-type=audio/wav"] {
        browser.open(&site.url(target));
        let played = || (browser.run("return document.querySelector('video').duration") == 1).then_some(());
        assert!(wait_for(played).is_some(), "{target}: {:?}", browser.console());
    }
    site.open("/tmp/media/a.pdf");
    assert_eq!(browser.run("return document.contentType"), "application/pdf");
    browser.picture("pdf");

    site.open("/tmp/media/");
    let arrives = |file: &str| wait_for(|| browser.downloads().join(file).is_file().then_some(())).is_some();
    for (name, file) in [("a.zip", "a.zip"), ("attached", "page.html")] {
        browser.click(&browser.link(name));
        assert!(arrives(file), "{file} was not downloaded");
    }
    browser.open(&site.url("/tmp/media/a.png?response-content-disposition=attachment%3B%20filename%3Db.png"));
    assert!(arrives("b.png"), "a link may ask for a download");
}
