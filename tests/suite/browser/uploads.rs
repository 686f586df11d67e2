//! Uploads from the page of a folder: progress, refusals, replacing, and who is offered them.

use super::{PLAIN, Site};
use crate::support::browser::Browser;
use crate::support::http;
use crate::support::process::wait_for;
use crate::support::world::{World, corner};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The name, the state and the text of each file.
const FILES: &str = "return [...document.querySelectorAll('#files li')].map(file => [file.querySelector('bdi').textContent, file.className, file.querySelector('.state').textContent])";

impl Site {
    fn read(&self, key: &str) -> String {
        http::get(self.proxy.address("all"), &format!("/tmp/{key}")).unwrap().text()
    }

    /// Picks files for an upload.
    fn pick(&self, files: &[PathBuf]) {
        let pick = self.browser.all("#pick").remove(0);
        let paths: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        self.browser.type_into(&pick, &paths.join("\n"));
    }

    /// Waits until the files are as expected.
    fn shows_files(&self, expected: &serde_json::Value) {
        let last = || self.browser.run(FILES);
        let shown = wait_for(|| (last() == *expected).then_some(()));
        assert!(shown.is_some(), "{expected}, but {}: {:?}", last(), self.complaints());
    }

    /// Clicks a button in the list of files.
    fn press(&self, text: &str) {
        let press = format!(
            "[...document.querySelectorAll('#files button')].find(button => button.textContent === '{text}').click()"
        );
        self.browser.run(&press);
    }
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

/// With and without Fetch Metadata, which browsers do not send over plain HTTP to a name.
#[test]
fn people_upload_files_and_replace_only_what_they_want() {
    let Some(site) = Site::start() else { return };
    let folder = TempDir::new().unwrap();
    for (host, below) in [("127.0.0.1", "a"), ("proxy.test", "b")] {
        site.put([(&*format!("media/{below}/note #1.txt"), PLAIN)]);
        let url = format!("http://{host}:{}/tmp/media/{below}/", site.proxy.address("all").port());
        site.browser.open(&url);
        let note = write(&folder, "note #1.txt", b"new");
        let other = write(&folder, "100% ü & <b>.txt", b"other");
        let empty = write(&folder, "empty", b"");
        site.pick(&[note, other, empty]);
        let other = json!(["100% ü & <b>.txt", "done", "uploaded"]);
        let empty = json!(["empty", "done", "uploaded"]);
        site.shows_files(&json!([["note #1.txt", "stopped", "exists already"], other, empty]));
        assert_eq!(
            site.read(&format!("media/{below}/note%20%231.txt")),
            format!("media/{below}/note #1.txt")
        );
        let listed = || site.browser.all("tr.f a").len() == 3;
        assert!(wait_for(|| listed().then_some(())).is_some(), "the list is not updated");
        assert_eq!(site.browser.all("tr.f .c button").len(), 3, "new rows have buttons");
        site.press("Replace");
        site.shows_files(&json!([["note #1.txt", "done", "uploaded"], other, empty]));
        assert_eq!(site.read(&format!("media/{below}/note%20%231.txt")), "new");
        assert_eq!(site.read(&format!("media/{below}/100%25%20%C3%BC%20%26%20%3Cb%3E.txt")), "other");
        // The refusal of the store is the only complaint.
        let said = site.complaints();
        assert!(said.len() == 1 && said[0].contains("412"), "{said:?}");
        site.browser.screen(1100, false);
        site.browser.picture(&format!("uploads-{host}"));
    }
}

#[test]
fn an_upload_shows_its_progress_and_can_be_cancelled() {
    let Some(site) = Site::start() else { return };
    let folder = TempDir::new().unwrap();
    let files: Vec<PathBuf> = ["1", "2", "3"].map(|name| write(&folder, name, &vec![b'x'; 8 << 20])).into();
    site.open("/tmp/media/");
    site.browser.throttle_uploads(1 << 20);
    site.pick(&files);
    let bars = "return [...document.querySelectorAll('#files progress')].map(bar => bar.value)";
    let half_way = || {
        let bars = site.browser.run(bars);
        let share = |at: usize| bars[at].as_f64().unwrap();
        (share(0) > 0.0 && share(0) < 1.0 && share(1) > 0.0 && share(2) == 0.0).then_some(())
    };
    assert!(wait_for(half_way).is_some(), "two at a time: {}", site.browser.run(FILES));
    let asks = "return !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))";
    assert_eq!(site.browser.run(asks), true, "leaving the page would end the uploads");
    site.browser.picture("upload-progress");
    site.press("Cancel");
    let first = || site.browser.run(FILES)[0].clone();
    assert!(
        wait_for(|| (first() == json!(["1", "stopped", "cancelled"])).then_some(())).is_some(),
        "{}",
        first()
    );
    assert_eq!(http::get(site.proxy.address("all"), "/tmp/media/1").unwrap().status(), 404);
    site.browser.throttle_uploads(0);
    site.press("Retry");
    site.shows_files(&json!([
        ["1", "done", "uploaded"],
        ["2", "done", "uploaded"],
        ["3", "done", "uploaded"]
    ]));
    assert_eq!(site.read("media/1").len(), 8 << 20);
    assert_eq!(site.browser.run(asks), false);

    // A refusal arrives although the file is longer than what was sent when the store refused it.
    site.press("Dismiss");
    site.pick(&[write(&folder, "1", &vec![b'y'; 100 << 20])]);
    let last = || site.browser.run(FILES)[2].clone();
    assert!(
        wait_for(|| (last() == json!(["1", "stopped", "exists already"])).then_some(())).is_some(),
        "{}",
        last()
    );
}

#[test]
fn an_upload_shows_what_the_server_refuses() {
    let Some(site) = Site::start() else { return };
    let folder = TempDir::new().unwrap();
    site.open("/tmp/media/");
    site.pick(&[write(&folder, "a\u{1}b", b"x")]);
    let state = || site.browser.run(FILES)[0].clone();
    let refused = wait_for(|| (state()[1] == "stopped").then(state)).unwrap();
    assert!(refused[2].as_str().unwrap().starts_with("400: "), "{refused}");
    let log = site.proxy.stderr();
    assert!(log.contains("bad-target"), "{log}");
}

/// Folders keep their paths.
#[test]
fn dropped_files_and_folders_are_uploaded() {
    let Some(site) = Site::start() else { return };
    let folder = TempDir::new().unwrap();
    write(&folder, "photos/2026/a b.txt", b"a");
    write(&folder, "photos/c.txt", b"c");
    let single = write(&folder, "single.txt", b"s");
    site.open("/tmp/media/");
    site.browser.drop_files(&[folder.path().join("photos"), single]);
    let done = || site.browser.all("#files li.done").len() == 3;
    assert!(wait_for(|| done().then_some(())).is_some(), "{}", site.browser.run(FILES));
    for (key, content) in [("photos/2026/a%20b.txt", "a"), ("photos/c.txt", "c"), ("single.txt", "s")] {
        assert_eq!(site.read(&format!("media/{key}")), content);
    }
    assert!(wait_for(|| (site.browser.all("tr.d a").len() == 1).then_some(())).is_some());
    assert_eq!(site.complaints(), Vec::<String>::new());
}

/// Where a client may not write, its page offers no upload and its script can send nothing.
#[test]
fn only_a_folder_that_may_be_written_offers_uploads() {
    let Some(browser) = Browser::start() else { return };
    let world = World::start(&[
        corner("writer", &[("tmp", "media/", "read,list,write")]),
        corner("reader", &[("tmp", "media/", "read,list,delete"), ("tmp", "inbox/", "write")]),
    ]);
    for (who, offers) in [("writer", true), ("reader", false)] {
        browser.open(&format!("http://{}/tmp/media/", world.proxy.address(who)));
        assert_eq!(browser.all("#upload").len() == 1, offers, "{who}");
        let sends = "return fetch('hello.txt').then(answer => answer.status, String)";
        let expected = if offers { json!(200) } else { json!("TypeError: Failed to fetch") };
        assert_eq!(browser.run(sends), expected, "{who}");
        let markup =
            "try { document.body.innerHTML = '<b>'; return 'read' } catch (error) { return error.name }";
        assert_eq!(browser.run(markup), "TypeError", "{who}: markup is read from a text");
    }
}
