//! A person who logs in with a real browser: what pages of the proxy and of other sites can do with the login.

use super::sites::page;
use crate::identity::declare::{config, user};
use crate::support::browser::Browser;
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::world::start;
use aws_smithy_types::base64;
use serde_json::json;

/// The hash of "alice's" by `htpasswd -nbB -C 4`, which is quick to check.
const ALICE: &str = "$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6";

#[test]
fn a_person_logs_in_and_pages_of_other_sites_do_not_use_the_login() {
    let Some(browser) = Browser::start() else { return };
    let (minio, issuer) = Minio::start_seeded();
    let mappings = [("alice", "user = \"alice\"", "media/")];
    let text = config(&minio, "", &user("alice", &[ALICE]), &mappings)
        .replace("name = \"web\"\n", "name = \"web\"\nhosts = [\"proxy.test\"]\n")
        .replace("allow = [\"read\"]", "allow = [\"read\", \"list\", \"write\", \"delete\"]");
    let proxy = start(&text, &issuer);
    let port = proxy.address("web").port();
    let results = |result: &str| {
        let metrics = http::get(proxy.address("admin"), "/metrics").unwrap().text();
        let series = format!("scopegate_authentications_total{{scheme=\"basic\",result=\"{result}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok()).unwrap_or_default()
    };
    let host = format!("proxy.test:{port}");

    // Chromium shows an object only if its type is known. It would save others as files.
    let objects: [(&str, &str, &[u8]); 2] = [
        ("/tmp/media/hello.txt", "text/plain", b"hello, media\n"),
        (
            "/tmp/media/a.svg",
            "image/svg+xml",
            b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        ),
    ];
    let authorization = format!("Basic {}", base64::encode("alice:alice's"));
    for (path, content_type, content) in objects {
        let headers = [("Authorization", &*authorization), ("Content-Type", content_type)];
        let stored = http::request(proxy.address("web"), "PUT", path, &headers, content).unwrap();
        assert_eq!(stored.status(), 200, "{}", stored.text());
    }
    // What the browser's dialogue does with a user and a password.
    browser.open(&format!("http://alice:alice%27s@{host}/tmp/media/"));
    assert!(browser.text().contains("hello.txt"), "{}", browser.text());
    let shows = |text: &str| wait_for(|| (browser.text() == text).then_some(())).is_some();
    // The browser remembers the password for all pages of this origin.
    browser.open(&format!("http://{host}/tmp/media/hello.txt"));
    assert!(shows("hello, media\n"), "{}", browser.text());
    let (logins, wrong) = (results("ok"), results("wrong-password"));
    assert!(logins >= 4 && wrong == 0, "{logins} logins: {}", proxy.stderr());

    let evil = page(&format!(
        "<!doctype html><img src='http://{host}/tmp/media/a.svg'>\
         <img src='http://alice:wrong@{host}/tmp/media/a.svg'>\
         <a href='http://{host}/tmp/media/hello.txt'>link</a>"
    ));
    browser.open(&format!("http://evil.test:{}/", evil.address().port()));
    assert_eq!(
        browser.run("return [...document.images].map(image => image.naturalWidth)"),
        json!([0, 0]),
        "no image is shown"
    );
    for (options, what) in [
        (json!({ "credentials": "include" }), "a script reads nothing"),
        (json!({ "credentials": "include", "method": "PUT", "body": "x" }), "a script writes nothing"),
        (json!({ "credentials": "include", "method": "DELETE" }), "a script deletes nothing"),
    ] {
        let url = json!(format!("http://{host}/tmp/media/hello.txt"));
        let failed = browser.run(&format!(
            "return fetch({url}, {options}).then(answer => answer.status, error => String(error))"
        ));
        assert_eq!(failed, "TypeError: Failed to fetch", "{what}");
    }
    // A simple POST needs no preflight, and its response is not read.
    let url = json!(format!("http://{host}/tmp?delete"));
    let options = json!({ "credentials": "include", "mode": "no-cors", "method": "POST",
        "body": "<Delete><Object><Key>media/hello.txt</Key></Object></Delete>" });
    browser.run(&format!("return fetch({url}, {options}).then(() => '', String)"));
    assert_eq!((results("ok"), results("wrong-password")), (logins, 0), "no password was looked at");

    // A person follows a link, and is still logged in.
    browser.click(&browser.link("link"));
    assert!(shows("hello, media\n"), "it was neither changed nor deleted: {}", browser.text());
    assert_eq!(results("ok"), logins + 1);
    let log = proxy.terminate().1;
    assert!(log.contains("identity=\"alice\"") && log.contains("rule=\"cross-site\""), "{log}");
    assert!(!log.contains("alice's") && !log.contains("alice%27s") && !log.contains("YWxpY2U6"), "{log}");
}
