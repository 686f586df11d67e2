//! A real MinIO behind a network that fails: what was reported is what happened.

use super::{Ask, ask, is_one_of, send, settled};
use crate::support::faults::{Cut, Relay, Way};
use crate::support::http::{self, Response};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::sigv4::direct;
use crate::support::world::{self, config, corner};

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "read,write,list")];
const CUTS: [Cut; 3] = [Cut::Reset, Cut::Stall, Cut::HalfClose];
/// Long enough for a busy machine to store some MiB.
const LIMITS: &str = "[limits]\nstall_timeout = \"2s\"\nresponse_timeout = \"2s\"\nworkers = 1\n";
/// Possible outcomes of a request whose response has not begun.
const FAILED: &str = "502 InternalError upstream or 504 InternalError upstream-timeout";

/// Returns whether an upload failed. MinIO itself may notice that the upload broke off.
fn is_failure(seen: &str) -> bool {
    is_one_of(seen, FAILED) || is_one_of(seen, "400 or 400 IncompleteBody or 499 ClientDisconnected")
}

struct Network {
    minio: Minio,
    issuer: Keys,
    relay: Relay,
    proxy: Proxy,
}

impl Network {
    fn start() -> Self {
        let (minio, issuer) = Minio::start_seeded();
        let relay = Relay::start(minio.address);
        let proxy =
            world::start(&config(relay.address(), minio.address, &[corner("all", SCOPES)], LIMITS), &issuer);
        Self { minio, issuer, relay, proxy }
    }

    /// Sends a request while the network fails in this way. Returns what the client sees.
    fn ask(&self, cut: (Way, u64, Cut), ask: Ask) -> (String, Option<Response>) {
        self.relay.cut(Some(cut));
        let seen = send(self.proxy.address("all"), ask);
        self.relay.cut(None);
        seen
    }

    fn store(&self, target: &str) -> Response {
        direct(&self.minio, &self.issuer, "GET", target, &[], b"")
    }
}

#[test]
fn a_get_is_complete_or_visibly_broken() {
    let network = Network::start();
    let content: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    network.minio.put("tmp/media/large", &content);
    let get = ask("get", "GET", "/tmp/media/large", 0);
    let files = settled(&network.proxy);
    for how in CUTS {
        for at in [0, 10, 100] {
            let (seen, _) = network.ask((Way::Down, at, how), get);
            assert!(is_one_of(&seen, FAILED), "{how:?} at {at}: {seen}");
        }
        let (seen, _) = network.ask((Way::Down, 10_000, how), get);
        assert!(is_one_of(&seen, "broken or 502 InternalError upstream"), "{how:?}: {seen}");
        // The rest is requested.
        for at in [500_000, 1_000_000] {
            let (seen, answer) = network.ask((Way::Down, at, how), get);
            assert!(seen == "200" && answer.unwrap().body == content, "{how:?} at {at}: {seen}");
        }
    }
    let (seen, answer) = send(network.proxy.address("all"), get);
    assert_eq!(seen, "200");
    assert!(answer.unwrap().body == content);
    // One connection to the store stays open.
    assert!(wait_for(|| (settled(&network.proxy) <= files + 1).then_some(())).is_some());
}

#[test]
fn a_broken_upload_is_neither_stored_nor_reported_as_stored() {
    let network = Network::start();
    for (number, how) in CUTS.into_iter().enumerate() {
        for at in [100, 10_000, 1_500_000] {
            let target: &'static str = ["/tmp/inbox/0", "/tmp/inbox/1", "/tmp/inbox/2"][number];
            let (seen, _) = network.ask((Way::Up, at, how), ask("put", "PUT", target, 3 << 20));
            assert!(is_failure(&seen), "{how:?} at {at}: {seen}");
            assert_eq!(network.store(target).status(), 404, "{how:?} at {at}: half of it is there");
        }
    }
    // A lost response is not a success either, even if the object was stored.
    for how in CUTS {
        let put = ask("put", "PUT", "/tmp/inbox/lost", 4);
        let (seen, _) = network.ask((Way::Down, 30, how), put);
        assert!(is_one_of(&seen, FAILED), "{how:?}: {seen}");
    }
    assert_eq!(send(network.proxy.address("all"), ask("put", "PUT", "/tmp/inbox/0", 3 << 20)).0, "200");
    assert_eq!(network.store("/tmp/inbox/0").body.len(), 3 << 20);
}

#[test]
fn a_multipart_upload_survives_a_failing_network() {
    let network = Network::start();
    let address = network.proxy.address("all");
    let created = http::request(address, "POST", "/tmp/inbox/parts?uploads", &[], b"").unwrap();
    let upload = created.element("UploadId").unwrap();
    let part: &'static str = format!("/tmp/inbox/parts?partNumber=1&uploadId={upload}").leak();
    for how in CUTS {
        let (seen, _) = network.ask((Way::Up, 1_000_000, how), ask("part", "PUT", part, 5 << 20));
        assert!(is_failure(&seen), "{how:?}: {seen}");
        let listed = network.store(&format!("/tmp/inbox/parts?uploadId={upload}"));
        assert!(listed.status() == 200 && !listed.text().contains("<Part>"), "{how:?}: {}", listed.text());
    }
    let (seen, answer) = send(address, ask("part", "PUT", part, 5 << 20));
    assert_eq!(seen, "200");
    let etag = answer.unwrap().header("etag").unwrap().to_owned();
    let complete = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let target = format!("/tmp/inbox/parts?uploadId={upload}");
    network.relay.cut(Some((Way::Up, 700, Cut::Reset)));
    let cut = http::request(address, "POST", &target, &[], complete.as_bytes()).unwrap();
    network.relay.cut(None);
    assert_eq!(world::outcome(&cut), "502 InternalError upstream");
    assert_eq!(network.store("/tmp/inbox/parts").status(), 404);
    let whole = http::request(address, "POST", &target, &[], complete.as_bytes()).unwrap();
    assert_eq!(world::outcome(&whole), "200", "{}", whole.text());
    assert_eq!(network.store("/tmp/inbox/parts").body.len(), 5 << 20);
}
