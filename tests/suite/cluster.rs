//! A real MinIO of four nodes, some of which are killed and restarted under load.

use crate::support::cluster::Cluster;
use crate::support::http::{self, Connection};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::sigv4::{Request, borrowed, signed, try_direct};
use crate::support::world::{self, config, corner, outcome};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "write")];
const CLIENTS: usize = 3;
const WORKERS: u64 = 2;
/// Larger than the buffers on the way, so that responses are in progress when a node dies.
const LARGE: usize = 1 << 20;

/// What the clients observed.
#[derive(Default)]
struct Seen {
    /// GETs that did not return the object.
    refused: Vec<String>,
    /// GETs whose response broke off.
    broken: Vec<String>,
    /// PUTs that did not succeed, although MinIO could write.
    failed: Vec<String>,
    /// Keys of PUTs that succeeded.
    stored: Vec<String>,
}

/// Clients that GET and PUT until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..CLIENTS)
            .map(|number| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                thread::spawn(move || {
                    let mut seen = Seen::default();
                    let mut round = 0;
                    while !stop.load(Ordering::Relaxed) {
                        get(address, "/tmp/media/hello.txt", b"hello, media\n".len(), &mut seen);
                        get(address, "/tmp/media/large", LARGE, &mut seen);
                        put(address, format!("inbox/{number}-{round}"), &mut seen);
                        answered.fetch_add(3, Ordering::Relaxed);
                        round += 1;
                    }
                    seen
                })
            })
            .collect();
        Self { stop, answered, clients }
    }

    /// Waits until the clients have made this many further requests.
    fn pass(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        let passed = wait_for(|| (self.answered.load(Ordering::Relaxed) >= goal).then_some(()));
        assert!(passed.is_some(), "the load has stalled");
    }

    fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().unwrap()).fold(
            Seen::default(),
            |mut all, seen| {
                all.refused.extend(seen.refused);
                all.broken.extend(seen.broken);
                all.failed.extend(seen.failed);
                all.stored.extend(seen.stored);
                all
            },
        )
    }
}

fn get(address: SocketAddr, target: &str, length: usize, seen: &mut Seen) {
    let mut connection = Connection::open(address).unwrap();
    connection.send(&http::request_bytes("GET", target, &[], b"")).unwrap();
    let head = match connection.read_head() {
        Ok(head) => head,
        Err(error) => return seen.refused.push(format!("{target}: no answer: {error}")),
    };
    let mut body = Vec::new();
    match connection.read_body("GET", &head, &mut body) {
        Ok(_) if head.status == 200 && body.len() == length => {}
        Ok(_) => seen.refused.push(format!(
            "{target}: {} {}",
            head.status,
            String::from_utf8_lossy(&body[..body.len().min(300)])
        )),
        Err(error) => seen.broken.push(format!("{target}: {error}")),
    }
}

fn put(address: SocketAddr, key: String, seen: &mut Seen) {
    match http::request(address, "PUT", &format!("/tmp/{key}"), &[], key.as_bytes()) {
        Ok(answer) if answer.status() == 200 => seen.stored.push(key),
        // MinIO's own answer while it reaches too few of its drives, as on a machine whose disk is busy.
        Ok(answer) if outcome(&answer) == "503 SlowDownWrite" => {}
        Ok(answer) => seen.failed.push(format!("{key}: {}", outcome(&answer))),
        Err(error) => seen.failed.push(format!("{key}: {error}")),
    }
}

fn start_proxy(cluster: &Cluster, issuer: &Keys, scopes: &[(&str, &str, &str)]) -> Proxy {
    let first = cluster.addresses[0];
    let all: Vec<_> = cluster.addresses.iter().map(|address| format!("\"http://{address}\"")).collect();
    let more = format!("[limits]\nworkers = {WORKERS}\n");
    let text = config(first, first, &[corner("all", scopes)], &more);
    world::start(&text.replace(&format!("[\"http://{first}\"]"), &format!("[{}]", all.join(", "))), issuer)
}

/// Returns how many requests the proxy has sent to a node.
fn requests(proxy: &Proxy, node: SocketAddr) -> u64 {
    let text = http::get(proxy.address("admin"), "/metrics").unwrap().text();
    let series = format!("scopegate_node_requests_total{{node=\"{node}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

#[test]
fn reads_survive_nodes_killed_under_load() {
    const KILLED: [usize; 2] = [1, 2];
    let mut cluster = Cluster::start();
    let issuer = cluster.first.seed_issuer();
    cluster.first.put("tmp/media/large", &vec![b'x'; LARGE]);
    let proxy = start_proxy(&cluster, &issuer, SCOPES);
    let load = Load::start(proxy.address("all"));
    load.pass(30);
    for address in &cluster.addresses {
        assert!(requests(&proxy, *address) > 0, "{address} gets nothing");
    }
    for node in KILLED {
        let address = cluster.addresses[node];
        cluster.kill(node);
        load.pass(12);
        let before = requests(&proxy, address);
        load.pass(45);
        let tried = requests(&proxy, address) - before;
        assert!(tried <= 4 * WORKERS, "a dead node was turned to {tried} times");
        cluster.restart(node);
        let before = requests(&proxy, address);
        let back = wait_for(|| (requests(&proxy, address) >= before + 8).then_some(()));
        assert!(back.is_some(), "{address} gets nothing after its return:\n{}", proxy.stderr());
    }
    let seen = load.finish();
    assert!(seen.refused.is_empty(), "GETs failed: {:?}", seen.refused);
    assert!(seen.broken.is_empty(), "GETs broke off: {:?}\n{}", seen.broken, proxy.stderr());
    assert!(seen.failed.len() <= CLIENTS * KILLED.len() * 4, "PUTs failed: {:?}", seen.failed);
    assert!(!seen.stored.is_empty());
    for key in &seen.stored {
        let read = || try_direct(&cluster.first, &issuer, "GET", &format!("/tmp/{key}"), &[], b"");
        // MinIO keeps the locks of a killed node for about a minute.
        let there = read().or_else(|_| read()).unwrap();
        assert_eq!((there.status(), there.text()), (200, key.clone()), "the PUT had succeeded");
    }
}

/// Each node knows only the uploads that were created through it.
#[test]
fn uploads_of_every_node_are_listed() {
    let mut cluster = Cluster::start();
    let issuer = cluster.first.seed_issuer();
    let scopes: &[(&str, &str, &str)] = &[("tmp", "media/", "list,write")];
    let proxy = start_proxy(&cluster, &issuer, scopes);
    let begin = |number: usize, prefix: &str| {
        let target = format!("/tmp/{prefix}node{number}?uploads=");
        let host = cluster.addresses[number].to_string();
        let request = Request { method: "POST", host: &host, target: &target, headers: &[], body: b"" };
        let headers = signed(&issuer, "s3", &request);
        // MinIO answers 503 SlowDownWrite while too few drives of a new cluster respond.
        let begun = wait_for(|| {
            let begun = http::request(cluster.addresses[number], "POST", &target, &borrowed(&headers), b"");
            begun.ok().filter(|begun| begun.status() != 503)
        });
        let begun = begun.unwrap_or_else(|| panic!("node {number} of the cluster takes no upload"));
        assert_eq!(begun.status(), 200, "{}", begun.text());
    };
    for node in 0..cluster.addresses.len() {
        begin(node, "media/");
        begin(node, "other/");
    }
    let list = |query: &str| {
        let answer = http::get(proxy.address("all"), &format!("/tmp?uploads{query}")).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let text = answer.text();
        text.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(""), ["media/node0", "media/node1", "media/node2", "media/node3"]);
    // A full list lacks the uploads that only the dead node remembers. The drives of the others know those of a whole
    // key.
    cluster.kill(1);
    assert_eq!(list(""), ["media/node0", "media/node2", "media/node3"], "{}", proxy.stderr());
    assert_eq!(list("&prefix=media/node1"), ["media/node1"]);
}
