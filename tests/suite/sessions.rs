//! Sessions on a real MinIO: what clients see when the issuer, the server or the session fails.

mod kinds;

use crate::support::faults::Relay;
use crate::support::http::{self, Connection};
use crate::support::keys::Keys;
use crate::support::minio::{Minio, READ_ONLY};
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::world::{self, Corner, World, config, corner, outcome};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

const OBJECT: &str = "/tmp/media/hello.txt";
const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "write")];
/// The number of sessions that sign the requests of [`Load`]: for reads, lists and writes.
const KINDS: u64 = 3;
const MINTED: &str = "scopegate_mints_total{mapping=\"client\",result=\"minted\"}";
const DENIALS: &str = "scopegate_store_denials_total{mapping=\"client\"}";

/// Clients that repeat a GET, a HEAD, a list and a PUT until they are stopped.
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

    /// Waits until this many further requests were answered.
    fn pass(&self, more: u64, proxy: &Proxy) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        assert!(
            wait_for(|| (self.answered.load(Ordering::Relaxed) >= goal).then_some(())).is_some(),
            "the load has stalled: {}",
            proxy.stderr()
        );
    }

    /// Stops the clients and returns the failures.
    fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

/// MinIO may look up the rights of a request after the session that signed it was removed, and then answers
/// AccessDenied. Each round uses another mapping, because a session that dies young is replaced ever more slowly.
#[test]
fn a_purged_session_is_replaced_under_load() {
    const CLIENTS: usize = 6;
    const ROUNDS: usize = 8;
    let names: Vec<_> = (0..ROUNDS).map(|round| format!("client{round}")).collect();
    let corners: Vec<_> = names.iter().map(|name| corner(name, SCOPES)).collect();
    let world = World::start(&corners);
    for name in &names {
        let load = Load::start(world.proxy.address(name), CLIENTS);
        load.pass(100, &world.proxy);
        world.minio.revoke_sessions("stsadmin");
        load.pass(100, &world.proxy);
        let failures = load.finish();
        assert!(failures.is_empty(), "{failures:?}");
        let minted = format!("scopegate_mints_total{{mapping=\"{name}\",result=\"minted\"}}");
        assert_eq!(world.metric(&minted), 2 * KINDS, "one mint of each session for the purge");
        assert_eq!(world.metric(&format!("scopegate_store_denials_total{{mapping=\"{name}\"}}")), 0);
    }
    assert!(world.metric("scopegate_replays_total") >= ROUNDS as u64);
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
fn a_restart_under_load_costs_only_requests_in_progress() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    let load = Load::start(world.proxy.address("client"), 4);
    load.pass(100, &world.proxy);
    world.minio.restart();
    load.pass(100, &world.proxy);
    let failures = load.finish();
    let expected = |failure: &String| failure.contains(" upstream") || failure.contains("503");
    assert!(failures.iter().all(expected), "{failures:?}");
    assert_eq!(world.metric(MINTED), KINDS, "sessions survive a restart");
}

#[test]
fn recovers_from_a_new_root_password_with_one_mint() {
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

/// Waits until the log contains all of these words. A separate thread writes the log.
fn said(world: &World, words: &[&str]) {
    let said = wait_for(|| {
        let log = world.proxy.stderr();
        words.iter().all(|word| log.contains(word)).then_some(())
    });
    assert!(said.is_some(), "no {words:?} in {}", world.proxy.stderr());
}

fn readiness(world: &World) -> String {
    http::get(world.proxy.address("admin"), "/readyz").unwrap().text()
}

#[test]
fn a_disabled_issuer_means_access_denied_until_it_is_enabled() {
    let world = World::start(&[corner("client", SCOPES)]);
    assert_eq!(world.get("client", OBJECT).status(), 200);
    world.minio.disable_user("stsadmin");
    for _ in 0..5 {
        assert_eq!(outcome(&world.get("client", OBJECT)), "403 AccessDenied");
    }
    assert_eq!(world.metric(MINTED), 1, "AccessDenied is never minted for while the session lives");
    assert_eq!(world.metric(DENIALS), 5);
    // The operator learns what to do.
    said(
        &world,
        &["the store denies what the mapping grants", "mapping=\"client\"", "mc admin user info ALIAS USER"],
    );
    said(&world, &["store_code=\"AccessDenied\""]);
    said(&world, &["STS refuses the issuer", "mc admin user enable"]);
    assert!(readiness(&world).contains("store: mapping \"client\" is denied what it grants: AccessDenied"));
    assert_eq!(world.proxy.stderr().matches("the store denies what the mapping grants").count(), 1);
    // The proxy notices without any request that the issuer works again.
    world.minio.enable_user("stsadmin");
    assert!(wait_for(|| (readiness(&world) == "ok\n").then_some(())).is_some(), "{}", readiness(&world));
    said(&world, &["the store allows again what the mapping grants"]);
    assert_eq!(world.get("client", OBJECT).status(), 200);

    world.minio.disable_user("stsadmin");
    world.minio.revoke_sessions("stsadmin");
    assert_eq!(outcome(&world.get("client", OBJECT)), "503 ServiceUnavailable no-session");
}

/// The issuer's own policy lacks a part of what a mapping grants.
#[test]
fn insufficient_issuer_rights_are_reported_but_keep_readiness() {
    const BOTH: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "read,write")];
    let (minio, _issuer) = Minio::start_seeded();
    let issuer = minio.add_user("reader", READ_ONLY);
    let proxy = world::start(&config(minio.address, minio.address, &[corner("client", BOTH)], ""), &issuer);
    let world = World { minio, issuer, proxy };
    assert_eq!(world.get("client", OBJECT).status(), 200);
    for _ in 0..3 {
        assert_eq!(outcome(&world.ask("client", "PUT", "/tmp/inbox/a", &[], b"a")), "403 AccessDenied");
    }
    assert_eq!(world.get("client", OBJECT).status(), 200);
    said(&world, &["the store denies what the mapping grants", "session=\"put\"", "scopegate check --live"]);
    said(&world, &["the store denied a request that the mapping grants", "session=\"get\""]);
    assert_eq!((world.metric(DENIALS), readiness(&world).as_str()), (3, "ok\n"));
    assert_eq!(world.metric(MINTED), 2);
}

/// However many requests are denied, the session is checked at most ten times per second.
#[test]
fn legitimate_denials_do_not_double_the_load() {
    const CLIENTS: usize = 4;
    const EACH: usize = 50;
    let world = World::start(&[corner("client", SCOPES)]);
    let relay = Relay::start(world.minio.address);
    let text = config(relay.address(), world.minio.address, &[corner("client", SCOPES)], "");
    let counted = world::start(&text, &world.issuer);
    assert_eq!(http::get(counted.address("client"), OBJECT).unwrap().status(), 200);
    world.minio.disable_user("stsadmin");
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = Connection::open(counted.address("client")).unwrap();
                for _ in 0..EACH {
                    assert_eq!(connection.request("GET", OBJECT, &[], b"").unwrap().status(), 403);
                }
            });
        }
    });
    let most = start.elapsed().as_millis() / 100 + 2;
    // Each check opens a connection of its own, and the pools open few.
    let connections = relay.connections() as u128;
    assert!(connections <= most + 2 * CLIENTS as u128, "{connections} connections, {most} tries at most");
}

/// Detected without any request.
#[test]
fn a_wrong_issuer_key_is_reported_before_the_first_request() {
    let (minio, _issuer) = Minio::start_seeded();
    let wrong = Keys::random("stsadmin");
    let proxy = world::start(&config(minio.address, minio.address, &[corner("client", SCOPES)], ""), &wrong);
    let world = World { minio, issuer: wrong, proxy };
    said(&world, &["STS refuses the issuer", "the issuer's secret key is wrong: correct secret_key"]);
    assert!(readiness(&world).contains("issuer: STS refuses its key"), "{}", readiness(&world));
    assert_eq!(world.metric("scopegate_issuer_refused"), 1);
    assert_eq!(
        world.metric(MINTED) + world.metric("scopegate_mints_total{mapping=\"client\",result=\"refused\"}"),
        0
    );
    // The operator can also fix it at the store.
    world.minio.mc(&["admin", "user", "add", "local", "stsadmin", &world.issuer.secret_key]);
    assert!(wait_for(|| (readiness(&world) == "ok\n").then_some(())).is_some(), "{}", readiness(&world));
    assert_eq!(world.get("client", OBJECT).status(), 200);
    assert_eq!(world.minio.sessions(), 1, "checks of the issuer mint nothing");
}

/// The store starts after the proxy.
#[test]
fn the_issuer_is_checked_once_the_store_is_up() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    world.minio.stop();
    let wrong = Keys::random("stsadmin");
    let text = config(world.minio.address, world.minio.address, &[corner("client", SCOPES)], "");
    world.proxy = world::start(&text, &wrong);
    assert!(readiness(&world).contains("upstream: no node answers"), "{}", readiness(&world));
    assert!(!world.proxy.stderr().contains("STS refuses"), "{}", world.proxy.stderr());
    world.minio.restart();
    said(&world, &["STS refuses the issuer", "correct secret_key"]);
}

#[test]
fn a_removed_issuer_is_reported_to_the_operator_only() {
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
        ready.status() == 503 && ready.text().contains("session: mapping \"client\" has no live session"),
        "{}",
        ready.text()
    );
    for secret in [&world.issuer.secret_key, &world.issuer.access_key] {
        assert!(!log.contains(secret.as_str()) || secret == "stsadmin", "{log}");
    }
}

#[test]
fn a_session_minted_at_start_is_ready_for_the_first_request() {
    let world = World::start(&[Corner { name: "client", scopes: SCOPES, more: "mint = \"start\"" }]);
    let ready = wait_for(|| {
        Some(http::get(world.proxy.address("admin"), "/readyz").unwrap())
            .filter(|answer| answer.status() == 200)
    });
    assert!(ready.is_some());
    assert_eq!(world.metric(MINTED), KINDS);
    assert_eq!(world.metric("scopegate_sessions_open{mapping=\"client\"}"), KINDS);
    for kind in ["get", "list", "put"] {
        let series =
            format!("scopegate_session_expiry_timestamp_seconds{{mapping=\"client\",session=\"{kind}\"}}");
        assert!(world.metric(&series) > 1_700_000_000, "{kind}");
    }
}

#[test]
fn concurrent_first_requests_share_one_mint() {
    let world = World::start(&[corner("client", SCOPES)]);
    let address = world.proxy.address("client");
    let clients: Vec<_> =
        (0..32).map(|_| thread::spawn(move || http::get(address, OBJECT).unwrap().status())).collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!(world.metric("scopegate_mints_total{mapping=\"client\",result=\"minted\"}"), 1);
}
