//! Pages in a real browser. Screenshots are written to target/tmp/screenshots.

mod cors;
mod login;
mod objects;
mod pages;
mod sites;
mod uploads;

use crate::browsing::AWKWARD;
use crate::support::browser::Browser;
use crate::support::http::Connection;
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::world::{config, corner, start};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const SCOPES: &[(&str, &str, &str)] =
    &[("tmp", "media/", "read,list,write"), ("tmp", "site/", "read,list,write")];

/// Encodes a key as a path.
fn encoded(key: &str) -> String {
    utf8_percent_encode(key, NON_ALPHANUMERIC).to_string().replace("%2F", "/")
}

struct Site {
    _minio: Minio,
    proxy: Proxy,
    browser: Browser,
}

impl Site {
    /// Opens a browser in front of a proxy with a few folders. Returns `None` if no browser is installed.
    fn start() -> Option<Self> {
        let browser = Browser::start()?;
        let (minio, issuer) = Minio::start_seeded();
        let text = config(minio.address, minio.address, &[corner("all", SCOPES)], "")
            .replace("prefix = \"site/\"", "prefix = \"site/\"\nindex = \"index.html\"")
            .replace("[[listener]]\n", "[[listener]]\nhosts = [\"proxy.test\"]\n");
        let proxy = start(&text, &issuer);
        Some(Self { _minio: minio, proxy, browser })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.proxy.address("all"))
    }

    /// Stores objects under their encoded keys. The content of each is its name.
    fn put<'k>(&self, keys: impl IntoIterator<Item = (&'k str, &'k str)>) {
        let mut connection = Connection::open(self.proxy.address("all")).unwrap();
        for (key, kind) in keys {
            let encoded = encoded(key);
            let content = if kind == "text/html" {
                format!("<!doctype html><title>{key}</title>{key}")
            } else {
                key.to_owned()
            };
            let headers = [("Content-Type", kind)];
            let answer =
                connection.request("PUT", &format!("/tmp/{encoded}"), &headers, content.as_bytes()).unwrap();
            assert_eq!(answer.status(), 200, "{key}: {}", answer.text());
        }
    }

    /// Opens a path and checks that the page does not violate its own policy.
    fn open(&self, path: &str) {
        let _of_the_page_before = self.browser.console();
        self.browser.open(&self.url(path));
        assert_eq!(self.complaints(), Vec::<String>::new(), "{path}");
    }

    /// Returns the messages of the console, except for the icon that a browser requests.
    fn complaints(&self) -> Vec<String> {
        self.browser.console().into_iter().filter(|line| !line.contains("/favicon.ico")).collect()
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

#[test]
fn people_can_navigate_folders() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    site.put([
        ("media/photos/2026/beach.txt", PLAIN),
        ("media/photos/list.txt", PLAIN),
        ("site/docs/index.html", "text/html"),
    ]);

    browser.open(&site.url("/tmp/media/"));
    assert_eq!(browser.console(), Vec::<String>::new(), "not even for an icon");
    browser.click(&browser.link("photos/"));
    assert_eq!(browser.url(), site.url("/tmp/media/photos/"));
    browser.click(&browser.link("2026/"));
    browser.click(&browser.link("beach.txt"));
    assert_eq!(
        (browser.url(), browser.text()),
        (site.url("/tmp/media/photos/2026/beach.txt"), "media/photos/2026/beach.txt".to_owned())
    );
    site.open("/tmp/media/photos/2026/");
    browser.click(&browser.link("Parent folder"));
    assert_eq!(browser.url(), site.url("/tmp/media/photos/"));
    browser.click(&browser.link("media"));
    assert_eq!(browser.url(), site.url("/tmp/media/"));
    browser.click(&browser.link("Parent folder"));
    assert_eq!(browser.url(), site.url("/tmp/"), "the parent folder shows its scopes");
    browser.click(&browser.link("All folders"));
    assert_eq!(browser.url(), site.url("/"));
    assert!(browser.text().contains("read, list, write"), "{}", browser.text());
    browser.click(&browser.link("site/"));
    assert_eq!(browser.url(), site.url("/tmp/site/"));
    browser.open(&site.url("/tmp/media"));
    assert_eq!(browser.url(), site.url("/tmp/media/"), "a folder without its slash leads to it");
    assert_eq!(site.complaints(), Vec::<String>::new());

    browser.open(&site.url("/tmp/site/docs"));
    assert_eq!(
        (browser.url(), browser.text()),
        (site.url("/tmp/site/docs/"), "site/docs/index.html".to_owned())
    );
    browser.open(&site.url("/tmp"));
    assert_eq!(browser.url(), site.url("/tmp/"), "a bucket is a folder");
    browser.open(&site.url("/tmp/media/photos/none.txt"));
    browser.click(&browser.link("Go to /tmp/media/photos/"));
    assert_eq!(browser.url(), site.url("/tmp/media/photos/"));

    // Shows that the console reports violations at all. A folder's page refuses the script before its policy on scripts does.
    for (path, title, refused_by) in
        [("/", "/", "Content Security Policy"), ("/tmp/media/", "/tmp/media/", "TrustedScript")]
    {
        site.open(path);
        browser.run("const s = document.createElement('script'); s.append('document.title = \"broken\"'); document.body.append(s)");
        let said = browser.console();
        assert!(said.iter().any(|line| line.contains(refused_by)), "{path}: {said:?}");
        browser.run("document.body.setAttribute('style', 'color: red')");
        let said = browser.console();
        assert!(said.iter().any(|line| line.contains("Content Security Policy")), "{path}: {said:?}");
        assert_eq!(browser.run("return document.title"), title);
    }
}

#[test]
fn awkward_names_work_in_a_browser() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    let keys: Vec<String> = AWKWARD.iter().map(|name| format!("media/odd/{name}")).collect();
    site.put(keys.iter().map(|key| (&**key, PLAIN)));
    site.put([("media/odd/<i>f</x", PLAIN), ("media/odd/עברית \u{202e}dlof/x", PLAIN)]);
    site.open("/tmp/media/odd/");
    assert_eq!(
        browser.run("return document.querySelectorAll('script, i i, img').length"),
        1,
        "the page's own script"
    );
    let links: Vec<String> = browser
        .all("tr.f a")
        .iter()
        .map(|link| browser.property(link, "href").as_str().unwrap().to_owned())
        .collect();
    assert_eq!(links.len(), AWKWARD.len());
    let mut found: Vec<String> = links
        .iter()
        .map(|link| {
            browser.open(link);
            browser.text()
        })
        .collect();
    let mut expected = keys.clone();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    site.open("/tmp/media/odd/");
    browser.click(&browser.link("עברית \u{202e}dlof/"));
    assert_eq!(browser.all("tr.f a").len(), 1);
    for (width, dark, name) in [(1200, false, "odd-wide-light"), (390, true, "odd-phone-dark")] {
        browser.screen(width, dark);
        site.open("/tmp/media/odd/");
        browser.picture(name);
    }
}

#[test]
fn pages_fit_phones_and_dark_mode() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    let long = format!("media/a-rather-{}-name-without-a-space.tar.gz", "very-".repeat(30));
    site.put([
        (&*long, PLAIN),
        ("media/photos/a.txt", PLAIN),
        ("media/2026/b/c.txt", PLAIN),
        ("media/Report 2026.pdf", PLAIN),
        ("media/תמונות מהחוף.jpg", PLAIN),
        ("media/صور.jpg", PLAIN),
    ]);
    for (width, dark) in [(1200, false), (1200, true), (390, false), (390, true)] {
        browser.screen(width, dark);
        let name =
            format!("{}-{}", if width > 600 { "wide" } else { "phone" }, if dark { "dark" } else { "light" });
        site.open("/tmp/media/");
        assert_eq!(
            browser.run("return document.documentElement.scrollWidth <= window.innerWidth"),
            true,
            "{name}"
        );
        let back = browser.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(back, if dark { "rgb(21, 23, 27)" } else { "rgb(255, 255, 255)" }, "{name}");
        let smallest = browser.run("return Math.min(...[...document.querySelectorAll('td a')].map(a => a.getBoundingClientRect().height))");
        assert!(smallest.as_f64().unwrap() >= 34.0, "{name}: a link is {smallest} high");
        browser.picture(&name);
        browser.run("document.getElementById('filter').value = 'מה'; applyFilter()");
        browser.picture(&format!("{name}-filtered"));
        site.open("/tmp/media/2026/b/");
        browser.picture(&format!("{name}-below"));
        browser.open(&site.url("/tmp/other/secret.txt"));
        assert!(browser.text().contains("outside-scope"));
        browser.picture(&format!("{name}-refused"));
        for (path, what) in [("/", "scopes"), ("/tmp/", "above"), ("/tmp/media/none", "missing")] {
            browser.open(&site.url(path));
            let fits = browser.run("return document.documentElement.scrollWidth <= window.innerWidth");
            assert_eq!(fits, true, "{name} {path}");
            browser.picture(&format!("{name}-{what}"));
        }
    }
}

#[test]
fn a_large_folder_is_paged() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    let keys: Vec<String> = (0..1005).map(|number| format!("media/many/{number:04} & more")).collect();
    site.put(keys.iter().map(|key| (&**key, PLAIN)));
    site.open("/tmp/media/many/");
    assert_eq!(browser.all("tr.f a").len(), 1000);
    browser.click(&browser.link("Next page"));
    assert_eq!(browser.all("tr.f a").len(), 5);
    browser.screen(390, false);
    browser.picture("second-page");
    browser.click(&browser.link("1004 & more"));
    assert_eq!(browser.text(), "media/many/1004 & more");
    browser.open(&site.url("/tmp/media/many/?after=1003%20%26%20more"));
    browser.click(&browser.link("First page"));
    assert_eq!((browser.url(), browser.all("tr.f a").len()), (site.url("/tmp/media/many/"), 1000));
    assert_eq!(site.complaints(), Vec::<String>::new());
}
