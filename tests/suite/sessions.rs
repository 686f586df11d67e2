//! Sessions on the real MinIO: what clients see when the issuer, the server or the session goes away.

use crate::support::http::{self, Connection};
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::world::{Corner, World, corner, outcome};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

const OBJECT: &str = "/tmp/media/hello.txt";
const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "write")];

/// Clients that ask again and again until they are stopped, by turns with a GET, a HEAD, a list and a PUT.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let client = |number: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || {
                let mut failures = Vec::new();
                let mut connection = Connection::open(address).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let put = format!("/tmp/inbox/{number}");
                    for (method, target, body) in [
                        ("GET", OBJECT, ""),
                        ("HEAD", OBJECT, ""),
                        ("GET", "/tmp?prefix=media/", ""),
                        ("PUT", &*put, "body"),
                    ] {
                        match connection.request(method, target, &[], body.as_bytes()) {
                            Ok(answer) if answer.status() == 200 => {
                                _ = answered.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(answer) => failures.push(format!("{method}: {}", outcome(&answer))),
                            Err(error) => {
                                failures.push(format!("{method}: {error}"));
                                connection = Connection::open(address).unwrap();
                            }
                        }
                    }
                }
                failures
            })
        };
        Self { clients: (0..clients).map(client).collect(), stop, answered }
    }

    /// Lets the load go on until so many more requests were answered.
    fn pass(&self, more: u64, proxy: &Proxy) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        assert!(
            wait_for(|| (self.answered.load(Ordering::Relaxed) >= goal).then_some(())).is_some(),
            "the load stands still: {}",
            proxy.stderr()
        );
    }

    /// What failed.
    fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

#[test]
fn a_purged_session_is_replaced_under_load() {
    const CLIENTS: usize = 4;
    const PURGES: usize = 3;
    let world = World::start(&[corner("client", SCOPES)]);
    let load = Load::start(world.proxy.address("client"), CLIENTS);
    load.pass(100, &world.proxy);
    for _ in 0..PURGES {
        world.minio.revoke_sessions("stsadmin");
        load.pass(100, &world.proxy);
    }
    // A request that MinIO is judging while it purges may find the session without its policy: AccessDenied, which is
    // passed on. Every request after that gets the new session.
    let failures = load.finish();
    let judged_meanwhile = |failure: &String| {
        matches!(failure.as_str(), "GET: 403 AccessDenied" | "PUT: 403 AccessDenied" | "HEAD: 403")
    };
    assert!(failures.iter().all(judged_meanwhile) && failures.len() <= CLIENTS * PURGES, "{failures:?}");
    let mints = world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}");
    assert!((2..=4).contains(&mints), "one mint for each purge that was noticed: {mints}");
    assert!(world.metric("scopegate_replays_total") >= 1);
}

#[test]
fn a_restarted_server_keeps_its_sessions() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    assert_eq!(world.get("client", OBJECT).status(), 200);
    world.minio.stop();
    let gone = world.get("client", OBJECT);
    assert_eq!(outcome(&gone), "502 InternalError upstream");
    let ready = || http::get(world.proxy.address("admin"), "/readyz").unwrap();
    let not_ready = wait_for(|| Some(ready()).filter(|answer| answer.status() == 503)).unwrap();
    assert!(not_ready.text().contains("upstream: no node answers"), "{}", not_ready.text());
    world.minio.restart();
    let back = wait_for(|| Some(world.get("client", OBJECT)).filter(|answer| answer.status() == 200));
    assert!(back.is_some());
    assert!(
        wait_for(
            || (http::get(world.proxy.address("admin"), "/readyz").unwrap().status() == 200).then_some(())
        )
        .is_some()
    );
    assert_eq!(world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"), 1);
}

#[test]
fn a_server_restarted_under_load_costs_what_was_under_way() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    let load = Load::start(world.proxy.address("client"), 4);
    load.pass(100, &world.proxy);
    world.minio.restart();
    load.pass(100, &world.proxy);
    let failures = load.finish();
    let expected = |failure: &String| failure.contains(" upstream") || failure.contains("503");
    assert!(failures.iter().all(expected), "{failures:?}");
    assert_eq!(
        world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"),
        1,
        "sessions survive a restart"
    );
}

#[test]
fn a_new_root_password_kills_every_session_and_one_mint_mends_it() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    assert_eq!(world.get("client", OBJECT).status(), 200);
    world.minio.change_root_password();
    assert_eq!(
        world.ask("client", "HEAD", OBJECT, &[], b"").status(),
        200,
        "a HEAD, which has no body to say why: {}",
        world.proxy.stderr()
    );
    assert_eq!(world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"), 2);
    assert_eq!(world.metric("scopegate_replays_total"), 1);
}

#[test]
fn a_disabled_issuer_is_access_denied_without_a_mint_and_works_again_when_enabled() {
    let world = World::start(&[corner("client", SCOPES)]);
    assert_eq!(world.get("client", OBJECT).status(), 200);
    world.minio.disable_user("stsadmin");
    for _ in 0..5 {
        assert_eq!(outcome(&world.get("client", OBJECT)), "403 AccessDenied");
    }
    assert_eq!(
        world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"),
        1,
        "AccessDenied is never minted for"
    );
    world.minio.enable_user("stsadmin");
    assert_eq!(world.get("client", OBJECT).status(), 200);

    world.minio.disable_user("stsadmin");
    world.minio.revoke_sessions("stsadmin");
    let refused = world.get("client", OBJECT);
    assert!(
        matches!(outcome(&refused).as_str(), "503 ServiceUnavailable no-session" | "403 AccessDenied"),
        "{}",
        outcome(&refused)
    );
}

#[test]
fn a_removed_issuer_is_told_to_the_operator_and_not_to_the_client() {
    let world = World::start(&[Corner { name: "client", scopes: SCOPES, more: "" }]);
    world.minio.remove_user("stsadmin");
    let refused = world.get("client", OBJECT);
    assert_eq!(outcome(&refused), "503 ServiceUnavailable no-session");
    assert!(refused.header("retry-after").is_some());
    assert!(!refused.text().contains("Access Key"), "{}", refused.text());
    let told = wait_for(|| {
        let stderr = world.proxy.stderr();
        stderr.contains("mint failed").then_some(stderr)
    });
    let log = told.unwrap();
    assert!(
        log.contains("does not exist in our records")
            && log.contains("create the user, or correct access_key"),
        "{log}"
    );
    let ready = http::get(world.proxy.address("admin"), "/readyz").unwrap();
    assert!(
        ready.status() == 503 && ready.text().contains("session: mapping \"client\" has none"),
        "{}",
        ready.text()
    );
    for secret in [&world.issuer.secret_key, &world.issuer.access_key] {
        assert!(!log.contains(secret.as_str()) || secret == "stsadmin", "{log}");
    }
}

#[test]
fn a_session_minted_at_start_is_there_before_the_first_request() {
    let world = World::start(&[Corner { name: "client", scopes: SCOPES, more: "mint = \"start\"" }]);
    let ready = wait_for(|| {
        Some(http::get(world.proxy.address("admin"), "/readyz").unwrap())
            .filter(|answer| answer.status() == 200)
    });
    assert!(ready.is_some());
    assert_eq!(world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"), 1);
    assert!(world.metric("scopegate_session_expiry_timestamp_seconds{mapping=\"client\"}") > 1_700_000_000);
}

#[test]
fn however_many_begin_at_once_there_is_one_mint() {
    let world = World::start(&[corner("client", SCOPES)]);
    let address = world.proxy.address("client");
    let clients: Vec<_> =
        (0..32).map(|_| thread::spawn(move || http::get(address, OBJECT).unwrap().status())).collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!(world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"), 1);
}
