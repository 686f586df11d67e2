//! SIGHUP: a new configuration applies to requests that begin later, and changes nothing else.

use crate::support::http::{self, Connection};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::record::Recorder;
use crate::support::world::{self, Corner, World, config, corner, outcome};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;

const READER: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list")];
const WRITER: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
const RELOADED: &str = "scopegate_config_reloads_total{result=\"ok\"}";
const FAILED: &str = "scopegate_config_reloads_total{result=\"failed\"}";

fn corners() -> [Corner<'static>; 2] {
    [corner("reader", READER), corner("writer", WRITER)]
}

impl World {
    fn config(&self, corners: &[Corner<'_>], more: &str) -> String {
        config(self.minio.address, self.minio.address, corners, more)
    }

    /// Reloads another configuration and waits for the result.
    fn reload(&self, config: &str, result: &str) {
        let before = self.metric(result);
        self.proxy.reload(config);
        let done = wait_for(|| (self.metric(result) > before).then_some(()));
        assert!(done.is_some(), "{}", self.proxy.stderr());
    }

    /// Waits until the log contains these words. A separate thread writes the log.
    fn said(&self, words: &str) {
        let said = wait_for(|| self.proxy.stderr().contains(words).then_some(()));
        assert!(said.is_some(), "no {words:?} in {}", self.proxy.stderr());
    }

    /// Waits until a series has this value. A request is counted after its response.
    fn counts(&self, series: &str, value: u64) {
        let counted = wait_for(|| (self.metric(series) == value).then_some(()));
        assert!(counted.is_some(), "{series} is {}, not {value}", self.metric(series));
    }

    fn minted(&self, mapping: &str) -> u64 {
        self.metric(&format!("scopegate_mints_total{{mapping=\"{mapping}\",result=\"minted\"}}"))
    }
}

#[test]
fn an_invalid_configuration_changes_nothing_and_logs_every_mistake() {
    let world = World::start(&corners());
    let mut kept = Connection::open(world.proxy.address("reader")).unwrap();
    let mut get = || outcome(&kept.request("GET", "/tmp/media/hello.txt", &[], b"").unwrap());
    assert_eq!(get(), "200");
    let bad = world.config(&[corner("reader", &[("TMP", "other/", "read")])], "[limits]\nworkers = 0\n");
    world.reload(&bad, FAILED);
    assert_eq!((get(), world.minted("reader")), ("200".to_owned(), 1));
    assert_eq!(world.get("reader", "/tmp/other/secret.txt").status(), 403);
    assert_eq!(world.ask("writer", "PUT", "/tmp/inbox/a", &[], b"a").status(), 200);
    assert_eq!(world.metric("scopegate_config_last_reload_successful"), 0);
    for mistake in ["is not a bucket", "workers = 0 is out of range", "mistakes=2", "stays in effect"] {
        world.said(mistake);
    }

    // A change that a running process cannot make is refused as a whole.
    let restart =
        world.config(&[corner("reader", WRITER)], "[limits]\nworkers = 7\n[log]\nformat = \"json\"\n");
    world.reload(&restart, FAILED);
    world.said("limits.workers was changed, which needs a restart");
    world.said("log.format was changed");
    // So is an address that is in use.
    let taken = Recorder::start(b"");
    let config = world.config(&corners(), "").replacen(
        "address = \"127.0.0.1:0\"\n[[mapping]]",
        &format!("address = \"{}\"\n[[mapping]]", taken.address()),
        1,
    );
    world.reload(&config, FAILED);
    world.said(r#"listener \"reader\" cannot bind"#);
    assert_eq!((get(), world.minted("reader")), ("200".to_owned(), 1));
}

/// Only the changed mapping is minted again. The other keeps its session; connections and transfers continue.
#[test]
fn a_valid_configuration_applies_to_later_requests() {
    let world = World::start(&corners());
    let large = vec![b'x'; 30_000_000];
    assert_eq!(world.ask("writer", "PUT", "/tmp/inbox/large", &[], &large).status(), 200);
    let mut kept = Connection::open(world.proxy.address("reader")).unwrap();
    let mut get = |target| outcome(&kept.request("GET", target, &[], b"").unwrap());
    assert_eq!(get("/tmp/media/hello.txt"), "200");
    assert_eq!(get("/tmp/other/secret.txt"), "403 AccessDenied outside-scope");
    let mut transfer = Connection::open(world.proxy.address("writer")).unwrap();
    transfer.send(b"GET /tmp/inbox/large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let head = transfer.read_head().unwrap();
    let requests = "scopegate_requests_total{mapping=\"reader\",operation=\"GetObject\",status=\"2xx\"}";
    world.counts(requests, 1);

    let both = [("tmp", "media/", "read,list"), ("tmp", "other/", "read")];
    let new = [corner("writer", WRITER), corner("reader", &both)];
    world.reload(&world.config(&new, "[log]\naccess = false\n[limits]\nstall_timeout = \"30s\"\n"), RELOADED);
    assert_eq!(world.metric("scopegate_config_last_reload_successful"), 1);
    assert_eq!(get("/tmp/other/secret.txt"), "200");
    assert_eq!(get("/tmp/media/hello.txt"), "200");
    world.counts(requests, 3);
    assert_eq!((world.minted("reader"), world.minted("writer")), (2, 2));
    assert_eq!(world.get("writer", "/tmp/inbox/large").body.len(), large.len());
    assert_eq!(world.minted("writer"), 2, "unchanged sessions are kept: one to read, one to write");

    let mut got = Vec::new();
    transfer.read_body("GET", &head, &mut got).unwrap();
    assert!(got == large, "a running transfer was disturbed");
    world.said("configuration reloaded mappings=2 sessions_kept=2");
    let World { proxy, .. } = world;
    let log = proxy.terminate().1;
    // Three earlier requests, and the transfer, which began before the reload.
    assert_eq!(log.matches("client=").count(), 4, "[log] access does not follow: {log}");
}

/// The file of the secret changes before the store knows the new secret, and contains a mistake.
#[test]
fn a_reload_with_a_wrong_secret_keeps_the_session() {
    let world = World::start(&corners());
    let file = tempfile::NamedTempFile::new().unwrap();
    let with_file = world.config(&corners(), "").replace(
        "secret_key = { env = \"ISSUER_SECRET\" }",
        &format!("secret_key = {{ file = \"{}\" }}", file.path().display()),
    );
    let get = || outcome(&world.get("reader", "/tmp/media/hello.txt"));
    assert_eq!((get().as_str(), world.minted("reader")), ("200", 1));
    std::fs::write(file.path(), "wrong-wrong-wrong").unwrap();
    world.reload(&with_file, RELOADED);
    world.said("sessions_kept=0 sessions_to_renew=1");
    world.said("mint failed");
    world.said("the issuer's secret key is wrong");
    for _ in 0..20 {
        assert_eq!(get(), "200");
    }
    let ready = || http::get(world.proxy.address("admin"), "/readyz").unwrap().text();
    // The writer has no session and cannot get one.
    assert!(
        wait_for(|| ready().contains("issuer: STS refuses its key").then_some(())).is_some(),
        "{}",
        ready()
    );
    assert_eq!(world.minted("reader"), 1);
    // With the right secret, the next session is the new issuer's.
    std::fs::write(file.path(), &world.issuer.secret_key).unwrap();
    world.reload(&with_file, RELOADED);
    world.counts("scopegate_mints_total{mapping=\"reader\",result=\"minted\"}", 2);
    assert_eq!(get(), "200");
    assert!(wait_for(|| (ready() == "ok\n").then_some(())).is_some(), "{}", ready());
}

/// A changed policy needs a new session: the old one may allow too much or too little.
#[test]
fn a_reload_of_scopes_replaces_the_session() {
    let world = World::start(&corners());
    assert_eq!(world.get("reader", "/tmp/media/hello.txt").status(), 200);
    let other = [corner("reader", &[("tmp", "other/", "read")]), corner("writer", WRITER)];
    let wrong = world.config(&other, "").replace("ISSUER_SECRET", "ISSUER_KEY");
    world.reload(&wrong, RELOADED);
    world.said("sessions_kept=0 sessions_to_renew=0");
    assert_eq!(outcome(&world.get("reader", "/tmp/other/secret.txt")), "503 ServiceUnavailable no-session");
}

/// Opening a pipe fails unless somebody reads it.
const O_NONBLOCK: i32 = 0o4000;

/// A file can block a reload forever.
#[test]
fn stops_while_a_reload_waits_for_a_file() {
    let world = World::start(&corners());
    let folder = tempfile::TempDir::new().unwrap();
    let pipe = folder.path().join("secret");
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap();
    assert!(made.success());
    let waits = world.config(&corners(), "").replace(
        "secret_key = { env = \"ISSUER_SECRET\" }",
        &format!("secret_key = {{ file = \"{}\" }}", pipe.display()),
    );
    world.proxy.reload(&waits);
    // The open succeeds once the proxy reads the pipe.
    let open = || std::fs::File::options().write(true).custom_flags(O_NONBLOCK).open(&pipe).ok();
    let end = wait_for(open);
    let end = end.expect("the reload does not read the file");
    assert_eq!(world.get("reader", "/tmp/media/hello.txt").status(), 200);
    let World { proxy, .. } = world;
    let (code, log) = proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped cut_short=false"), "{log}");
    drop(end);
}

#[test]
fn a_reload_changes_listeners_and_endpoints() {
    let world = World::start(&corners());
    let (reader, writer) = (world.proxy.address("reader"), world.proxy.address("writer"));
    let mut kept = Connection::open(reader).unwrap();
    assert_eq!(kept.request("GET", "/tmp/media/hello.txt", &[], b"").unwrap().status(), 200);

    // The reader's listener is removed and another added. The writer's listener, now the first, still belongs to the
    // writer.
    let third = [corner("writer", WRITER), corner("third", READER)];
    world.reload(&world.config(&third, ""), RELOADED);
    assert_eq!(http::get(world.proxy.address("third"), "/tmp/media/hello.txt").unwrap().status(), 200);
    assert_eq!(
        outcome(&http::get(writer, "/tmp/media/hello.txt").unwrap()),
        "403 AccessDenied outside-scope"
    );
    assert!(wait_for(|| TcpStream::connect(reader).err()).is_some(), "still accepting");
    let orphan = kept.request("GET", "/tmp/media/hello.txt", &[], b"").unwrap();
    assert_eq!(outcome(&orphan), "403 AccessDenied no-mapping", "not another listener's mapping");

    let other_store = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
    world.reload(&config(other_store.address(), world.minio.address, &third, ""), RELOADED);
    assert_eq!(world.get("third", "/tmp/media/hello.txt").text(), "other");
    assert_eq!(world.minted("third"), 1, "the STS is the same");
}

#[test]
fn a_reload_changes_the_log_level() {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let text = |level| config(nobody, nobody, &corners(), &format!("[log]\nlevel = \"{level}\"\n"));
    let proxy = world::start(&text("info"), &Keys::random("issuer"));
    for (done, level) in [(1, "error"), (2, "info")] {
        proxy.reload(&text(level));
        let reloaded = wait_for(|| {
            let metrics = http::get(proxy.address("admin"), "/metrics").unwrap().text();
            metrics.contains(&format!("{RELOADED} {done}\n")).then_some(())
        });
        assert!(reloaded.is_some(), "{}", proxy.stderr());
    }
    let log = proxy.terminate().1;
    assert_eq!(log.matches("configuration reloaded").count(), 1, "{log}");
}

/// The session for lists of uploads survives or is replaced like the main one.
#[test]
fn an_unchanged_mapping_keeps_its_session_for_lists_of_uploads() {
    let world = World::start(&corners());
    let list = || world.get("writer", "/tmp?uploads").status();
    assert_eq!((list(), world.minted("writer")), (200, 1), "the other session is not needed");
    world.reload(&world.config(&corners(), "[limits]\nrequest_timeout = \"2m\"\n"), RELOADED);
    assert_eq!((list(), world.minted("writer")), (200, 1));
    let more: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete"), ("tmp", "new/", "read")];
    world.reload(&world.config(&[corner("reader", READER), corner("writer", more)], ""), RELOADED);
    assert_eq!((list(), world.minted("writer")), (200, 1), "a scope without such lists makes no difference");
    let less: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,write")];
    world.reload(&world.config(&[corner("reader", READER), corner("writer", less)], ""), RELOADED);
    assert_eq!(outcome(&world.get("writer", "/tmp?uploads")), "403 AccessDenied right-not-granted");
}
