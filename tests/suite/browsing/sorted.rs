//! Sorted lists: they are of the whole folder, and reading them has a bound.

use super::streams::long;
use super::{ALL, BROWSER, accept, json, names, references, references_below};
use crate::support::http::{self, Connection};
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::world::{World, config, corner, outcome, start};
use std::time::Duration;

/// Returns the names on all pages of a list, and the number of pages.
fn pages(world: &World, query: &str) -> (Vec<String>, usize) {
    let (mut target, mut seen, mut pages) = (format!("/tmp/media/many/{query}"), Vec::new(), 0);
    loop {
        let page = world.ask("all", "GET", &target, &accept(BROWSER), b"");
        assert_eq!(page.status(), 200, "{target}: {}", page.text());
        pages += 1;
        seen.extend(
            references_below(&page.text()).iter().map(|link| link.split('?').next().unwrap().to_owned()),
        );
        let link = page.text().contains("rel=\"next\"");
        let next = references(&page.text()).pop().filter(|_| link);
        let header = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
        assert_eq!(page.header("link"), header.as_deref());
        match next {
            Some(next) => target = format!("/tmp/media/many/{next}"),
            None => return (seen, pages),
        }
    }
}

#[test]
fn a_sorted_list_is_of_the_whole_folder() {
    let world = World::start(&[corner("all", ALL)]);
    // The larger an object is, the earlier is its name.
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    let mut put = |name: &str, size: usize| {
        let target = format!("/tmp/media/many/{name}");
        assert_eq!(connection.request("PUT", &target, &[], &vec![b'x'; size]).unwrap().status(), 200);
    };
    put("z-folder/x", 1);
    for number in 0..1100 {
        put(&format!("{number:04}"), 2000 - number);
    }
    let by_name: Vec<String> = (0..1100).map(|number| format!("{number:04}")).collect();
    let from_end: Vec<String> = by_name.iter().rev().cloned().collect();
    let after_folder = |names: &[String]| [&["z-folder/".to_owned()], names].concat();
    for (query, expected) in [
        ("?sort=size&order=asc", after_folder(&from_end)),
        ("?sort=size&order=desc", after_folder(&by_name)),
        ("?order=desc", after_folder(&from_end)),
        ("?sort=size&order=desc&format=html", after_folder(&by_name)),
    ] {
        assert_eq!(pages(&world, query), (expected.clone(), 2), "{query}");
        // Programs get all names at once, in the same order.
        let index = world.get("all", &format!("/tmp/media/many/{query}"));
        let linked: Vec<String> = references_below(&index.text())
            .iter()
            .map(|link| link.split('?').next().unwrap().to_owned())
            .collect();
        assert_eq!(linked, expected, "{query}");
    }
    let newest = json(&world.get("all", "/tmp/media/many/?sort=time&order=desc&format=json"));
    let times: Vec<&str> =
        newest["entries"].as_array().unwrap().iter().filter_map(|entry| entry["modified"].as_str()).collect();
    assert!(times.len() == 1100 && times.is_sorted_by(|one, other| one >= other), "{newest}");
    let last = json(&world.get("all", "/tmp/media/many/?sort=size&offset=1100&format=json"));
    assert_eq!(names(&last), ["0000"]);
    let text = world.get("all", "/tmp/media/many/?sort=size&offset=5000&format=text").text();
    assert_eq!(text, "");

    let refused = world.get("all", "/tmp/media/many/?sort=date");
    assert_eq!(outcome(&refused), "400 InvalidURI bad-target");
    assert!(
        refused.text().contains("sort is &quot;date&quot;: use name, size or time"),
        "{}",
        refused.text()
    );
    assert_eq!(world.ask("all", "HEAD", "/tmp/media/many/?sort=size", &accept(BROWSER), b"").status(), 200);
}

fn in_front_of_an_endless_list(more: &str) -> (Proxy, std::sync::mpsc::Receiver<u64>, Minio) {
    let (minio, issuer) = Minio::start_seeded();
    let (upstream, asked) = long(u64::MAX);
    (start(&config(upstream, minio.address, &[corner("all", ALL)], more), &issuer), asked, minio)
}

/// A folder may be endless as far as Scopegate knows.
#[test]
fn reading_names_to_sort_them_has_a_bound() {
    let (proxy, asked, _minio) = in_front_of_an_endless_list("[limits]\nworkers = 1\n");
    let ask =
        |target: &str| http::request(proxy.address("all"), "GET", target, &accept(BROWSER), b"").unwrap();
    let page = ask("/tmp/media/?order=desc");
    let text = page.text();
    assert!(page.status() == 200 && text.matches("<tr class=\"f\">").count() == 1000, "{}", page.status());
    let summary = text.split("<p class=\"note\">").nth(1).unwrap_or_default();
    let expected = "1 to 1,000 of 10,000 names. Sorted are 10,000 names at a time";
    assert!(summary.contains(expected), "{}", summary.split('<').next().unwrap_or_default());
    // The last of these pages leads to the names after the last that was read.
    let page = ask("/tmp/media/?order=desc&offset=9000").text();
    let next = references(&page).pop().unwrap();
    assert!(next.starts_with("?sort=name&order=desc&after=000"), "{next}");
    for form in ["json", "text", "html"] {
        let target = format!("/tmp/media/?sort=size&format={form}");
        let refused = http::get(proxy.address("all"), &target).unwrap();
        assert_eq!(refused.header("x-scopegate-rule"), Some("bad-target"), "{form}");
        assert!(
            refused.text().contains("more than the 10,000 names that can be sorted"),
            "{}",
            refused.text()
        );
    }
    drop(proxy);
    let pages = asked.recv_timeout(Duration::from_mins(1)).expect("the connection to the store ends");
    assert_eq!(pages, 5 * 10);
}

/// Names that are held to be sorted count against the memory of their client until it has taken the list.
#[test]
fn names_to_be_sorted_are_memory_of_their_client() {
    let (upstream, _asked) = long(10);
    let (minio, issuer) = Minio::start_seeded();
    let more = "[limits]\nworkers = 1\nmemory = \"40MiB\"\nupload_buffer = \"8MiB\"\n";
    let proxy = start(&config(upstream, minio.address, &[corner("all", ALL)], more), &issuer);
    let mut slow = Connection::open(proxy.address("all")).unwrap();
    slow.send(b"GET /tmp/media/?sort=size&format=text HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(slow.read_head().unwrap().status, 200);
    let refused = http::get(proxy.address("all"), "/tmp/media/?sort=size&format=text").unwrap();
    assert_eq!(outcome(&refused), "503 memory-full", "{}", refused.text());
}
