//! The status page: what it shows is in use, it shows no secret, and it updates itself in a browser.

use crate::support::browser::Browser;
use crate::support::http::{self, Response};
use crate::support::process::wait_for;
use crate::support::proxy::{assert_holds_none, secrets_in};
use crate::support::world::{World, config, corner};
use serde_json::Value;

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
const NEVER: &[(&str, &str, &str)] = &[("tmp", "never/", "read")];

fn world() -> World {
    World::start(&[corner("all", ALL), corner("idle", NEVER)])
}

fn ask(world: &World, path: &str) -> Response {
    http::get(world.proxy.address("admin"), path).unwrap()
}

fn status(world: &World) -> Value {
    serde_json::from_slice(&ask(world, "/status.json").body).unwrap()
}

/// Returns what is found by its name in a list of the status.
fn named<'v>(list: &'v Value, key: &str, name: &str) -> &'v Value {
    let found = list.as_array().unwrap().iter().find(|entry| entry[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

#[test]
fn sessions_requests_and_refusals_are_those_in_use() {
    let world = world();
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[], b"twelve bytes").status(), 200);
    assert_eq!(world.get("all", "/tmp/inbox/a").text(), "twelve bytes");
    let refused = world.get("all", "/tmp/other/secret");
    assert_eq!(refused.status(), 403);

    let counted = || {
        let status = status(&world);
        let all = named(&status["mappings"], "name", "all").clone();
        (all["requests"] == 3 && all["running"] == 0).then_some(status)
    };
    let status = wait_for(counted).unwrap_or_else(|| panic!("{:#}", status(&world)));
    assert_eq!((&status["ready"], &status["obstacles"]), (&true.into(), &Value::Array(Vec::new())));
    let all = named(&status["mappings"], "name", "all");
    assert_eq!((&all["received_bytes"], &all["open_sessions"]), (&12.into(), &2.into()));
    for kind in ["get", "put"] {
        let session = named(&all["sessions"], "kind", kind);
        assert_eq!(session["state"], "live", "{session:#}");
        let (left, life) = (&session["remaining_seconds"], &session["lifetime_seconds"]);
        assert!((890..=900).contains(&left.as_u64().unwrap()), "{session:#}");
        assert!((895..=900).contains(&life.as_u64().unwrap()), "{session:#}");
        assert!(session["minted"].as_str() < session["next_refresh"].as_str(), "{session:#}");
        assert!(session["next_refresh"].as_str() < session["expires"].as_str(), "{session:#}");
        assert_eq!(session["last_error"], Value::Null);
    }
    assert_eq!(named(&status["mappings"], "name", "idle")["sessions"], Value::Array(Vec::new()));

    let last = &status["refusals"][0];
    assert_eq!(last["request_id"].as_str(), refused.header("x-amz-request-id"));
    assert_eq!(
        [&last["rule"], &last["mapping"], &last["client"], &last["operation"]],
        ["outside-scope", "all", "127.0.0.1", "GetObject"]
    );
    let node = &status["nodes"][0];
    assert_eq!((&node["name"], &node["is_up"]), (&world.minio.address.to_string().into(), &true.into()));
    assert!(node["answered_in_milliseconds"].as_f64().unwrap() > 0.0, "{node:#}");
    assert_eq!(named(&status["listeners"], "name", "all")["tls"], false);

    // The charts show it after the next sample.
    let sampled = || {
        let status = crate::status::status(&world);
        let recent = &status["traffic"]["recent"];
        let sum =
            |list: &Value| -> u64 { list.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum() };
        let is_sampled = (sum(&recent["requests"]), sum(&recent["refused"])) == (3, 1);
        (is_sampled && recent["refused_by_rule"]["outside-scope"] == 1).then_some(())
    };
    assert!(wait_for(sampled).is_some(), "{:#}", crate::status::status(&world)["traffic"]);
}

#[test]
fn trouble_is_shown() {
    let mut world = world();
    assert_eq!(world.get("all", "/tmp/inbox/none").status(), 404);
    world.minio.stop();
    // A session of another kind is needed, and cannot be minted.
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[], b"x").status(), 503);
    let shown = || {
        let status = status(&world);
        let put = named(&status["mappings"], "name", "all")["sessions"]
            .as_array()?
            .iter()
            .find(|session| session["kind"] == "put")?
            .clone();
        let is_shown = status["ready"] == false
            && status["nodes"][0]["is_up"] == false
            && put["state"] == "missing"
            && put["last_error"]["message"].is_string();
        is_shown.then_some(())
    };
    assert!(wait_for(shown).is_some(), "{:#}", status(&world));
    let page = ask(&world, "/status").text();
    assert!(page.contains("not ready") && page.contains(">down<") && page.contains(">missing<"), "{page}");
}

/// A configuration that is not in effect is named with its mistakes, until a correct one takes effect.
#[test]
fn mistakes_of_a_rejected_configuration_are_shown() {
    let world = world();
    let right = config(world.minio.address, world.minio.address, &[corner("all", ALL)], "");
    world.proxy.reload(&right.replace("[upstream]", "[upstream]\nregoin = \"a\""));
    let note = || {
        let status = status(&world);
        status["notes"].as_array().unwrap().iter().find_map(|note| Some(note.as_str()?.to_owned()))
    };
    let shown = wait_for(note).unwrap_or_else(|| panic!("{:#}", status(&world)));
    assert!(shown.starts_with("configuration: not reloaded: "), "{shown}");
    assert!(shown.contains("unknown key \"regoin\"") && shown.contains("did you mean"), "{shown}");
    let rejected = status(&world);
    assert_eq!((&rejected["ready"], &rejected["configuration"]["generation"]), (&true.into(), &1.into()));
    assert!(rejected["configuration"]["rejected_at"].is_string(), "{rejected:#}");
    let page = ask(&world, "/status").text();
    assert!(page.contains("a newer one was rejected at") && page.contains("regoin"), "{page}");
    assert!(ask(&world, "/readyz").text().contains("regoin"));
    world.proxy.reload(&right);
    let corrected = || {
        let status = status(&world);
        let is_corrected = status["notes"] == Value::Array(Vec::new())
            && status["configuration"]["rejected_at"] == Value::Null
            && status["configuration"]["generation"] == 2;
        is_corrected.then_some(())
    };
    assert!(wait_for(corrected).is_some(), "{:#}", status(&world));
}

#[test]
fn the_page_is_private_and_holds_no_secret() {
    let world = world();
    assert_eq!(world.get("all", "/tmp/inbox/none").status(), 404);
    let signed = [("Authorization", "Bearer a-secret-of-the-client")];
    world.ask("all", "GET", "/tmp/other/<script>?X-Amz-Signature=a-secret-signature", &signed, b"");
    let issuer = [("A_SECRET", &*world.issuer.secret_key), ("B_SECRET", &*world.issuer.access_key)];
    let mut secrets = secrets_in(&issuer);
    secrets.extend(["a-secret".to_owned(), "<script>?".to_owned()]);
    for path in ["/", "/status", "/status.json"] {
        let answer = ask(&world, path);
        assert_eq!(answer.status(), 200, "{path}");
        assert_holds_none(&secrets, &answer.text());
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let policy = ask(&world, "/status").header("content-security-policy").unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
}

/// The page shows new requests without being loaded again, and says so when the server is gone.
#[test]
fn a_browser_shows_updates() {
    let Some(browser) = Browser::start() else { return };
    let world = world();
    let url = format!("http://{}/status", world.proxy.address("admin"));
    browser.open(&url);
    browser.run("window.isTheSamePage = true");
    assert!(browser.text().contains("None since the start."), "{}", browser.text());
    for name in ["a", "b"] {
        assert_eq!(world.ask("all", "PUT", &format!("/tmp/inbox/{name}"), &[], b"x").status(), 200);
    }
    assert_eq!(world.get("all", "/tmp/other/x").status(), 403);
    let shows = |text: &str| wait_for(|| browser.text().contains(text).then_some(()));
    assert!(shows("outside-scope").is_some() && shows("live").is_some(), "{}", browser.text());
    assert!(shows("3 requests in 10 minutes, 1 refused").is_some(), "{}", browser.text());
    assert_eq!(browser.run("return window.isTheSamePage"), Value::Bool(true), "it was not loaded again");
    assert_eq!(browser.console(), Vec::<String>::new(), "the policy allows all that the page does");
    keeps_what_a_reader_holds(&browser, &world);
    for (width, dark, name) in
        [(1200, false, "status-wide"), (390, false, "status-narrow"), (1200, true, "status-dark")]
    {
        browser.screen(width, dark);
        browser.picture(name);
        let overflows = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.run(overflows), Value::Bool(false), "{name} scrolls sideways");
    }
    drop(world);
    assert!(shows("Not updated since").is_some(), "{}", browser.text());
}

/// Updates keep the focus and the place of a reader, wait while text is selected, and can be paused.
fn keeps_what_a_reader_holds(browser: &Browser, world: &World) {
    let refuse = || assert_eq!(world.get("all", "/tmp/other/x").status(), 403);
    let refusals = || browser.run("return document.querySelectorAll('td.id').length").as_u64().unwrap();
    let reach = |count: u64| wait_for(|| (refusals() >= count).then_some(()));
    browser.run("window.link = document.querySelector('main a'); window.link.focus()");
    browser.run("document.querySelector('main h2').setAttribute('class', 'bad')");
    refuse();
    assert!(reach(2).is_some(), "{}", browser.text());
    assert_eq!(browser.run("return document.querySelectorAll('main h2.bad').length"), Value::from(0));
    let is_kept = "return document.activeElement === window.link && window.link.isConnected";
    assert_eq!(browser.run(is_kept), Value::Bool(true));

    browser.run("getSelection().selectAllChildren(document.querySelector('td.id'))");
    let id = browser.run("return getSelection().toString()");
    refuse();
    let waits = || browser.text().contains("because text is selected").then_some(());
    assert!(wait_for(waits).is_some(), "{}", browser.text());
    assert_eq!((browser.run("return getSelection().toString()"), refusals()), (id, 2));
    browser.run("getSelection().removeAllRanges()");
    assert!(reach(3).is_some(), "{}", browser.text());

    browser.run("document.getElementById('pause').click()");
    assert!(browser.text().contains("Paused: this is the state of"), "{}", browser.text());
    refuse();
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(refusals(), 3);
    browser.run("document.getElementById('pause').click()");
    assert!(reach(4).is_some(), "{}", browser.text());
}
