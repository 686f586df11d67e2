//! Pages of other sites over plain HTTP and non-loopback names, where browsers send no Fetch Metadata.

use super::{PLAIN, Site};
use crate::support::http;
use crate::support::process::wait_for;
use crate::support::record::Recorder;
use crate::support::world::outcome;

/// Serves a page.
pub(super) fn page(body: &str) -> Recorder {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
    Recorder::start((head + body).as_bytes())
}

#[test]
fn pages_of_other_sites_show_and_send_nothing() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>";
    for key in ["media/a.svg", "media/b.svg", "media/c.svg"] {
        site.store(key, &[("Content-Type", "image/svg+xml")], svg);
    }
    site.put([("media/note.txt", PLAIN)]);
    let port = site.proxy.address("all").port();
    let named = format!("http://proxy.test:{port}");
    let evil = page(&format!(
        "<!doctype html><img src='{named}/tmp/media/a.svg'>\
         <img src='{named}/tmp/media/b.svg' referrerpolicy=no-referrer>\
         <img src='http://127.0.0.1:{port}/tmp/media/c.svg'>\
         <a href='{named}/tmp/media/note.txt'>link</a>"
    ));
    let open = |host: &str| browser.open(&format!("http://{host}:{}/", evil.address().port()));
    let widths = "return [...document.images].map(image => image.naturalWidth)";

    open("evil.test");
    // Without a Referer, the second request looks like a program's. Only pages of the same site may use its response.
    assert_eq!(browser.run(widths), serde_json::json!([0, 0, 0]));
    open("proxy.test");
    assert_eq!(
        browser.run(widths),
        serde_json::json!([9, 9, 0]),
        "pages of the proxy's own site may show images"
    );

    // People may follow links.
    open("evil.test");
    browser.click(&browser.link("link"));
    assert_eq!(
        (browser.url(), browser.text()),
        (format!("{named}/tmp/media/note.txt"), "media/note.txt".to_owned())
    );
    // Forms are refused.
    open("evil.test");
    browser.run(&format!(
        "const form = document.createElement('form'); form.method = 'post'; form.enctype = 'text/plain'; \
         form.action = '{named}/tmp?delete'; document.body.append(form); form.submit()"
    ));
    let refused = || browser.text().contains("cross-site").then_some(());
    assert!(wait_for(refused).is_some(), "{}", browser.text());
}

/// If a page's host name is made to resolve to this machine, the page's origin would be the proxy's.
#[test]
fn rebound_names_are_not_served() {
    let Some(site) = Site::start() else { return };
    site.put([("media/note.txt", PLAIN)]);
    let port = site.proxy.address("all").port();
    site.browser.open(&format!("http://evil.test:{port}/tmp/media/note.txt"));
    assert!(site.browser.text().contains("foreign-host"), "{}", site.browser.text());
    site.browser.open(&format!("http://evil.test:{}/metrics", site.proxy.address("admin").port()));
    assert!(site.browser.text().contains("evil.test") && !site.browser.text().contains("scopegate_"));
    let host = [("Host", "evil.test")];
    let answer = http::request(site.proxy.address("all"), "GET", "/tmp/media/note.txt", &host, b"").unwrap();
    assert_eq!(outcome(&answer), "403 AccessDenied foreign-host");
}
