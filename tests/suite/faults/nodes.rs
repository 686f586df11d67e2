//! Several nodes, one of which fails: which requests are sent to another node.

use super::{ALL, ASKS, Ask, LIMITS, SESSION, answers, ask, good, send};
use crate::support::faults::{Scripted, Step};
use crate::support::http;
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::world::{self, config, corner};

pub(super) struct Several {
    pub(super) proxy: Proxy,
    pub(super) nodes: Vec<Scripted>,
    _sts: Recorder,
}

impl Several {
    /// Starts nodes that play these scripts.
    pub(super) fn start(scripts: &[Vec<Step>]) -> Self {
        let nodes: Vec<_> = scripts.iter().map(|script| Scripted::start(script.clone())).collect();
        let addresses: Vec<_> = nodes.iter().map(|node| format!("\"http://{}\"", node.address())).collect();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
        let sts = Recorder::start(answer.as_bytes());
        let text = config(nodes[0].address(), sts.address(), &[corner("all", ALL)], LIMITS);
        let text = text.replace(&addresses[0], &addresses.join(", "));
        let proxy = world::start(&text, &Keys::random("issuer"));
        Self { proxy, nodes, _sts: sts }
    }

    pub(super) fn see(&self, ask: Ask) -> String {
        send(self.proxy.address("all"), ask).0
    }

    /// Returns the number of requests that each node has received.
    pub(super) fn requests(&self) -> Vec<usize> {
        self.nodes.iter().map(Scripted::requests).collect()
    }

    pub(super) fn metric(&self, series: &str) -> u64 {
        let text = http::get(self.proxy.address("admin"), "/metrics").unwrap().text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    pub(super) fn ejections(&self, node: usize) -> u64 {
        self.metric(&format!("scopegate_node_ejections_total{{node=\"{}\"}}", self.nodes[node].address()))
    }
}

/// The node breaks off after it has read the whole request.
fn breaks() -> Vec<Step> {
    vec![Step::Head, Step::Body, Step::Reset]
}

fn starting() -> Vec<Step> {
    unavailable("XMinioServerNotInitialized")
}

pub(super) fn unavailable(code: &str) -> Vec<Step> {
    let error = format!("<Error><Code>{code}</Code></Error>");
    answers(
        format!(
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{error}",
            error.len()
        )
        .as_bytes(),
    )
}

/// Sends requests until the first node receives another one. Returns what the client saw of that request.
fn at_the_first(nodes: &Several, ask: Ask) -> String {
    let before = nodes.requests()[0];
    let seen = wait_for(|| {
        let seen = nodes.see(ask);
        (nodes.requests()[0] > before).then_some(seen)
    });
    seen.unwrap_or_else(|| panic!("the first node gets no request: {}", nodes.proxy.stderr()))
}

#[test]
fn reads_survive_a_node_that_breaks_off() {
    for read in [ASKS[0], ASKS[1]] {
        let nodes = Several::start(&[breaks(), good()]);
        assert_eq!(at_the_first(&nodes, read), "200", "{}", read.name);
        // Health checks succeed, so the node is not ejected.
        assert_eq!((nodes.ejections(0), nodes.ejections(1)), (0, 0));
        assert_eq!(nodes.metric("scopegate_retries_total"), 1);
    }
}

#[test]
fn writes_that_may_have_happened_are_not_retried() {
    for write in [ASKS[2], ASKS[3], ASKS[4], ASKS[6]] {
        let nodes = Several::start(&[breaks(), good()]);
        assert_eq!(at_the_first(&nodes, write), "502 InternalError upstream", "{}", write.name);
        assert_eq!(nodes.metric("scopegate_retries_total"), 0, "{}", write.name);
    }
}

#[test]
fn an_unsent_upload_goes_to_another_node() {
    let nodes = Several::start(&[vec![Step::Head, Step::Reset], good()]);
    assert_eq!(at_the_first(&nodes, ASKS[4]), "200");
    assert_eq!(nodes.metric("scopegate_retries_total"), 1);
}

#[test]
fn a_starting_node_is_left_for_another() {
    for any in [ASKS[0], ASKS[2]] {
        let nodes = Several::start(&[starting(), good()]);
        assert_eq!(at_the_first(&nodes, any), "200", "{}", any.name);
        assert_eq!((nodes.ejections(0), nodes.metric("scopegate_retries_total")), (1, 1), "{}", any.name);
    }
    // Its body was sent, so the client gets the error.
    let nodes = Several::start(&[starting(), good()]);
    assert_eq!(at_the_first(&nodes, ASKS[3]), "503 XMinioServerNotInitialized");
    // There is no other node, or the others fail as well.
    for scripts in [vec![starting()], vec![starting(); 5]] {
        let nodes = Several::start(&scripts);
        assert_eq!(nodes.see(ASKS[0]), "503 XMinioServerNotInitialized");
        assert_eq!(nodes.requests().iter().sum::<usize>(), scripts.len().min(3));
    }
}

/// A node that has briefly lost its quorum: reads are sent to another node, writes are not, and the node is kept.
#[test]
fn failed_reads_are_retried_at_another_node() {
    let nodes = Several::start(&[unavailable("SlowDownRead"), good()]);
    assert_eq!(at_the_first(&nodes, ask("get", "GET", "/tmp/inbox/a", 0)), "200");
    assert_eq!(at_the_first(&nodes, ask("delete", "DELETE", "/tmp/inbox/a", 0)), "503 SlowDownRead");
    assert_eq!(nodes.ejections(0), 0);
}

#[test]
fn a_request_is_retried_at_two_more_nodes_at_most() {
    let nodes = Several::start(&vec![breaks(); 5]);
    assert_eq!(nodes.see(ASKS[0]), "502 InternalError upstream");
    let requests = nodes.requests();
    assert_eq!((requests.iter().sum::<usize>(), requests.iter().max()), (3, Some(&1)), "{requests:?}");
}

#[test]
fn a_node_that_does_not_listen_costs_nothing() {
    for any in ASKS {
        let Several { proxy, mut nodes, _sts } = Several::start(&[good(), good()]);
        nodes.remove(0);
        for _ in 0..4 {
            assert_eq!(send(proxy.address("all"), any).0, "200", "{}", any.name);
        }
    }
}

#[test]
fn a_response_that_has_begun_is_not_restarted() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let nodes = Several::start(&[answers(half), good()]);
    assert_eq!(at_the_first(&nodes, ASKS[0]), "broken");
    let head = ask("head", "HEAD", "/tmp/inbox/a", 0);
    assert_eq!(at_the_first(&nodes, head), "200");
}

#[test]
fn a_recovered_node_is_used_again() {
    let nodes = Several::start(&[starting(), good()]);
    assert_eq!(at_the_first(&nodes, ASKS[0]), "200");
    nodes.nodes[0].play(good());
    assert_eq!(at_the_first(&nodes, ASKS[0]), "200");
    let ejected = format!("scopegate_node_ejected{{node=\"{}\"}}", nodes.nodes[0].address());
    assert!(wait_for(|| (nodes.metric(&ejected) == 0).then_some(())).is_some());
    let up = format!("scopegate_node_up{{node=\"{}\"}}", nodes.nodes[0].address());
    assert!(wait_for(|| (nodes.metric(&up) == 1).then_some(())).is_some());
}
