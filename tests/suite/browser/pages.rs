//! The page of a folder as people use it: sorting, the filter, copied links, and what is left of it without scripts.

use super::{PLAIN, Site};
use crate::support::process::wait_for;
use serde_json::json;

const NAMES: &str = "return [...document.querySelectorAll('tr.d:not([hidden]) bdi, tr.f:not([hidden]) bdi')].map(name => name.textContent)";
const SORTED: &str =
    "return [...document.querySelectorAll('th[aria-sort]')].map(head => [head.textContent, head.ariaSort])";

impl Site {
    /// Stores three files and a folder whose orders by name, size and time differ.
    fn put_some(&self) {
        self.put([("media/some/folder/x", PLAIN)]);
        for (name, size) in [("Beta report.txt", 10), ("alpha.txt", 3000), ("Übersicht.txt", 2)] {
            let target = format!("media/some/{}", super::encoded(name));
            self.store(&target, &[("Content-Type", PLAIN)], &vec![b'x'; size]);
        }
    }
}

#[test]
fn people_sort_by_name_size_and_time() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    site.put_some();
    site.open("/tmp/media/some/");
    let by_name = json!(["folder/", "Beta report.txt", "alpha.txt", "Übersicht.txt"]);
    assert_eq!((browser.run(NAMES), browser.run(SORTED)), (by_name.clone(), json!([["Name", "ascending"]])));
    for (column, direction, names) in [
        ("Size", "descending", json!(["folder/", "alpha.txt", "Beta report.txt", "Übersicht.txt"])),
        ("Size", "ascending", json!(["folder/", "Übersicht.txt", "Beta report.txt", "alpha.txt"])),
        ("Name", "ascending", by_name),
        ("Name", "descending", json!(["folder/", "Übersicht.txt", "alpha.txt", "Beta report.txt"])),
    ] {
        browser.click(&browser.link(column));
        assert_eq!(
            (browser.run(NAMES), browser.run(SORTED)),
            (names, json!([[column, direction]])),
            "{column}"
        );
    }
    browser.click(&browser.link("Modified"));
    assert!(browser.url().ends_with("?sort=time&order=desc"), "{}", browser.url());
    browser.click(&browser.link("folder/"));
    assert_eq!(browser.url(), site.url("/tmp/media/some/folder/?sort=time&order=desc"), "the order is kept");
    browser.click(&browser.link("Parent folder"));
    assert_eq!(browser.url(), site.url("/tmp/media/some/?sort=time&order=desc"));
    assert_eq!(site.complaints(), Vec::<String>::new());
}

#[test]
fn people_filter_names_and_copy_links() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    site.put_some();
    // Browsers give scripts no clipboard at a name over plain HTTP.
    let named = format!("http://proxy.test:{}/tmp/media/some/", site.proxy.address("all").port());
    for (url, is_secure) in [(site.url("/tmp/media/some/"), true), (named, false)] {
        browser.open(&format!("{url}?sort=size&order=asc"));
        assert_eq!(browser.run("return isSecureContext"), json!(is_secure));
        let filter = browser.all("#filter").remove(0);
        for (typed, shown, said) in [
            ("BER", json!(["Übersicht.txt"]), "1 of 4"),
            ("txt REP", json!(["Beta report.txt"]), "1 of 4"),
            ("<b>", json!([]), "0 of 4"),
        ] {
            browser.type_into(&filter, typed);
            assert_eq!(browser.run(NAMES), shown, "{typed}");
            assert_eq!(browser.run("return document.getElementById('matches').textContent"), said);
            browser.clear(&filter);
        }
        assert_eq!(browser.run(NAMES).as_array().unwrap().len(), 4);
        // A link has neither the order nor the form.
        for (row, link) in [(0, "folder/"), (2, "Beta%20report.txt")] {
            browser
                .run(&format!("document.querySelectorAll('tr.d .c button, tr.f .c button')[{row}].click()"));
            assert!(
                wait_for(|| browser.text().contains("Link copied.").then_some(())).is_some(),
                "{}",
                browser.text()
            );
            browser.paste_into(&filter);
            assert_eq!(browser.property(&filter, "value"), json!(format!("{url}{link}")));
            browser.clear(&filter);
        }
        assert_eq!(site.complaints(), Vec::<String>::new());
    }
}

/// Everything but the filter, copied links and uploads works as before.
#[test]
fn a_page_works_without_scripts() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    site.put_some();
    browser.disable_scripts();
    browser.open(&site.url("/tmp/media/some/"));
    let sizes =
        || browser.run("return [...document.querySelectorAll('tr.f td.s')].map(size => size.textContent)");
    assert_eq!(sizes(), json!(["10 B", "2.9 KiB", "2 B"]));
    browser.click(&browser.link("Size"));
    assert_eq!(sizes(), json!(["2.9 KiB", "10 B", "2 B"]));
    let dead = "return [...document.querySelectorAll('input, button')].filter(control => control.checkVisibility()).length";
    assert_eq!(browser.run(dead), 0, "a control that does nothing is shown");
    assert!(browser.text().contains("curl -T FILE"), "{}", browser.text());
    browser.picture("without-scripts");
    browser.click(&browser.link("alpha.txt"));
    assert_eq!(browser.url(), site.url("/tmp/media/some/alpha.txt"));
}

/// Paper names the folder and its objects, and has nothing to press and no dark colours.
#[test]
fn a_printed_page_is_a_list_of_its_folder() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    site.put_some();
    site.open("/tmp/media/some/");
    browser.paper();
    let shown = |selector: &str| {
        let all = format!("[...document.querySelectorAll('{selector}')]");
        browser.run(&format!("return {all}.filter(element => element.checkVisibility()).length"))
    };
    for (selector, count) in [
        ("input, button, label, .c, #said, pre", 0),
        ("tr.u", 0),
        ("tr.f", 3),
        ("nav[aria-label=\"Folders above\"]", 1),
        ("thead", 1),
    ] {
        assert_eq!(shown(selector), count, "{selector}");
    }
    let colours = "const style = getComputedStyle(document.body);
        const link = getComputedStyle(document.querySelector('tr.f a'));
        return [style.color, style.backgroundColor, link.color, link.backgroundImage]";
    let (black, white) = ("rgb(0, 0, 0)", "rgb(255, 255, 255)");
    assert_eq!(browser.run(colours), json!([black, white, black, "none"]));
    browser.picture("printed");
}

/// People can tell which names the filter looks through.
#[test]
fn the_filter_of_a_long_folder_says_that_it_is_for_the_page() {
    let Some(site) = Site::start() else { return };
    let browser = &site.browser;
    let keys: Vec<String> = (0..1003).map(|number| format!("media/many/{number:04}")).collect();
    site.put(keys.iter().map(|key| (&**key, PLAIN)));
    site.put_some();
    let hint = "return document.getElementById('filter').placeholder";
    for (path, expected) in [
        ("/tmp/media/some/", "Filter"),
        ("/tmp/media/many/", "Filter this page"),
        ("/tmp/media/many/?after=0999", "Filter this page"),
        ("/tmp/media/many/?sort=time&order=desc", "Filter this page"),
    ] {
        site.open(path);
        assert_eq!(browser.run(hint), expected, "{path}");
    }
    assert!(browser.text().contains("1 to 1,000 of 1,003 names."), "{}", browser.text());
}
