//! The pages of folders: their rows, orders, links, and what they may do in a browser.

use super::super::order::{Column, Order, Sorted};
use super::*;
use crate::answer::representation::html::{Powers, content_security_policy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

#[test]
fn a_page_summarises_its_names() {
    let html = written(vec![file("b&b"), folder("c d/"), file("e")], &Position::Start, None);
    assert!(html.contains("<a href=\"b%26b\"><bdi>b&#38;b</bdi></a>"), "{html}");
    assert!(html.find("c%20d/").unwrap() < html.find("b%26b").unwrap(), "folders come first: {html}");
    assert!(html.contains("title=\"1,234 bytes\">1.2 KiB<"), "{html}");
    assert!(html.contains("datetime=\"2026-01-02T03:04:05Z\"") && html.contains(">2026-01-02 03:04 UTC<"));
    assert!(html.contains("1 folder, 2 files, 2.4 KiB<") && !html.contains("rel=\"next\""), "{html}");
    for offer in ["curl -T", "id=\"upload\""] {
        assert!(!html.contains(offer), "the client may not write here: {html}");
    }
    assert!(written(vec![], &Position::Start, None).contains("This folder is empty."));
}

#[test]
fn a_writable_folder_shows_the_upload_command() {
    let mapping = Mapping::of_scopes("writer", vec![scope("a 'b'/", &[Right::List, Right::Write])]);
    let place = Place::of(&mapping, "/tmp/a%20%27b%27/").unwrap();
    let command = |scheme: &str, fields: &[(&'static str, &str)]| {
        let fields = fields.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let request = Request::new(Method::GET, "/tmp/".parse().unwrap(), fields.collect()).unwrap();
        let (selection, page) = (&Selection::ALL, &page(vec![], None));
        let listed = FolderPage { place: &place, selection, page, sorted: None, is_format_named: false };
        assert_eq!(listed.powers(&mapping), Powers::Uploading);
        let html = listed.write(&mapping, &request, scheme);
        let command = html.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0;
        command.replace("&#39;", "'")
    };
    let path = "/tmp/a%20%27b%27/'";
    for (scheme, fields, origin) in [
        ("http", &[("host", "proxy.test:8080")][..], "http://proxy.test:8080"),
        ("https", &[("host", "proxy.test")], "https://proxy.test"),
        ("http", &[("host", "[::1]:80")], "http://[::1]:80"),
        // A header that no setting of the listener names is the client's own.
        ("http", &[("host", "proxy.test"), ("x-forwarded-proto", "https")], "http://proxy.test"),
        ("https", &[("host", "proxy.test"), ("x-forwarded-proto", "http")], "https://proxy.test"),
    ] {
        assert_eq!(command(scheme, fields), format!("curl -T FILE '{origin}{path}"), "{fields:?}");
    }
    for host in ["a'b", "$(x)", "a;b", "a&b"] {
        assert_eq!(command("http", &[("host", host)]), format!("curl -T FILE 'http://HOST{path}"), "{host}");
    }
}

/// Relative links to all of 500 folders above would take 400 KB.
#[test]
fn a_page_of_a_deep_folder_is_small() {
    let place = place(&format!("/tmp/media/{}", "a/".repeat(500)));
    let page = |entries| listed(&place, &Position::Start, &page(entries, None), false);
    let empty = page(vec![]);
    assert!(empty.contains("folders omitted"), "{empty}");
    let shallow = written(vec![], &Position::Start, None);
    assert!(empty.len() < shallow.len() + 8 * 1024, "{} and {}", empty.len(), shallow.len());
    assert!(page(vec![file("b"), file("c")]).len() < empty.len() + 2 * 1024);
}

#[test]
fn pages_link_to_the_next_and_the_first() {
    let first = written(vec![file("a?b")], &Position::Start, Some("t"));
    assert!(
        first.contains("<a href=\"?after=a%3Fb\" rel=\"next\">") && !first.contains("First page"),
        "{first}"
    );
    assert!(first.contains("<link rel=\"next\" href=\"?after=a%3Fb\">"), "{first}");
    assert!(first.contains("There are more on the next page."), "{first}");
    let unnamed = written(vec![file("a"), file("b\u{1}")], &Position::Start, Some("t"));
    assert!(
        unnamed.contains("<a href=\"?after=a\" rel=\"next\">"),
        "no list can begin after the last name: {unnamed}"
    );
    let last = written(vec![file("z")], &Position::After("a".to_owned()), None);
    assert!(last.contains("<a href=\"./\">First page</a>") && !last.contains("rel=\"next\""), "{last}");
    let (position, page) = (Position::After("a".to_owned()), page(vec![folder("y/"), file("z")], Some("t")));
    let kept = listed(&place("/tmp/media/"), &position, &page, true);
    for href in ["?format=html&#38;after=z", "?format=html", "y/?format=html", "../?format=html", "z"] {
        assert!(kept.contains(&format!("href=\"{href}\"")), "no {href} in {kept}");
    }
}

/// A page of names that were sorted by time, of which it shows those from `offset` on.
fn sorted_page(offset: usize, total: usize, last: Option<&str>, is_format_named: bool) -> String {
    let order = Order { by: Column::Time, is_descending: true };
    let selection = &Selection { position: Position::After("a b".to_owned()), order, offset };
    let page = &page(vec![folder("z/"), file("y")], None);
    let sorted = Some(&Sorted { total, last: last.map(str::to_owned) });
    let place = &place("/tmp/media/");
    let listed = FolderPage { place, selection, page, sorted, is_format_named };
    listed.write(&mapping(), &request(&Method::GET, "/tmp/media/", BROWSER), "http")
}

#[test]
fn sorted_pages_lead_through_all_names() {
    let kept = "sort=time&#38;order=desc";
    for (offset, total, last, next, said) in [
        (0, 2, None, None, "1 folder, 1 file, 1.2 KiB<".to_owned()),
        (
            4,
            7,
            None,
            Some("after=a%20b&#38;offset=6"),
            "1 folder, 1 file, 1.2 KiB on this page, 5 to 6 of 7 names.<".to_owned(),
        ),
        (5, 7, None, None, "6 to 7 of 7 names.<".to_owned()),
        (
            5,
            7,
            Some("q&r"),
            Some("after=q%26r"),
            "6 to 7 of 7 names. Sorted are 10,000 names at a time: the names after these are on later pages.<".to_owned(),
        ),
    ] {
        for (is_format_named, form) in [(false, ""), (true, "format=html&#38;")] {
            let html = sorted_page(offset, total, last, is_format_named);
            assert!(html.contains(&said), "{said}: {html}");
            let next = next.map(|next| format!("<a href=\"?{form}{kept}&#38;{next}\" rel=\"next\">"));
            match next {
                Some(next) => assert!(html.contains(&next), "{next}: {html}"),
                None => assert!(!html.contains("rel=\"next\""), "{html}"),
            }
            // Folders and the first page stay in this order.
            for href in [format!("z/?{form}{kept}"), format!("../?{form}{kept}"), format!("?{form}{kept}")] {
                assert!(html.contains(&format!("href=\"{href}\"")), "no {href} in {html}");
            }
            assert!(html.contains("<a href=\"y\">"), "links to objects keep no order: {html}");
        }
    }
}

#[test]
fn the_header_of_a_column_sorts_by_it() {
    let header = |html: &str, title: &str| {
        let (before, _) = html.split_once(&format!(">{title}</a></th>")).unwrap();
        before.rsplit_once("<th ").unwrap().1.to_owned()
    };
    let html = written(vec![file("a")], &Position::Start, None);
    for (title, expected) in [
        (
            "Name",
            "class=\"n\" scope=\"col\" aria-sort=\"ascending\"><a rel=\"nofollow\" href=\"?sort=name&#38;order=desc\"",
        ),
        ("Size", "class=\"s\" scope=\"col\"><a rel=\"nofollow\" href=\"?sort=size&#38;order=desc\""),
        ("Modified", "class=\"t\" scope=\"col\"><a rel=\"nofollow\" href=\"?sort=time&#38;order=desc\""),
    ] {
        assert_eq!(header(&html, title), expected);
    }
    let by_time = sorted_page(0, 2, None, false);
    assert!(header(&by_time, "Name").ends_with("href=\"./\""), "{by_time}");
    assert!(header(&by_time, "Modified").contains("aria-sort=\"descending\""), "{by_time}");
    assert!(header(&by_time, "Modified").ends_with("href=\"?sort=time&#38;order=asc\""), "{by_time}");
    assert!(header(&sorted_page(0, 2, None, true), "Name").ends_with("href=\"?format=html\""));
}

/// Otherwise the browser runs nothing.
#[test]
fn the_policy_names_the_script_and_the_style_of_the_page() {
    let html = written(vec![file("a")], &Position::Start, None);
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    for powers in [Powers::Scripted, Powers::Uploading] {
        let policy = content_security_policy(powers);
        for (element, source) in [("script", "script-src"), ("style", "style-src")] {
            let text = html.split_once(&format!("<{element}>")).unwrap().1;
            let text = text.split_once(&format!("</{element}>")).unwrap().0;
            let hash = STANDARD.encode(Sha256::digest(text));
            let part = format!("{source} 'sha256-{hash}'");
            assert!(policy.to_str().unwrap().contains(&part), "{part} is not in {policy:?}");
        }
    }
}
