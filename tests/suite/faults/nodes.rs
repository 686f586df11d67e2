//! Several nodes of which one fails: what is sent to another, and what is not.

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
    /// Several that play these scripts.
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

    /// How many requests each node has had.
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

/// Breaks off when it has the whole request.
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

/// Sends until the first node was turned to once more, and returns what the client saw of that.
fn at_the_first(nodes: &Several, ask: Ask) -> String {
    let before = nodes.requests()[0];
    let seen = wait_for(|| {
        let seen = nodes.see(ask);
        (nodes.requests()[0] > before).then_some(seen)
    });
    seen.unwrap_or_else(|| panic!("the first node gets nothing: {}", nodes.proxy.stderr()))
}

#[test]
fn a_node_that_breaks_off_costs_no_read() {
    for read in [ASKS[0], ASKS[1]] {
        let nodes = Several::start(&[breaks(), good()]);
        assert_eq!(at_the_first(&nodes, read), "200", "{}", read.name);
        // Its health is well, so that it is not put out.
        assert_eq!((nodes.ejections(0), nodes.ejections(1)), (0, 0));
        assert_eq!(nodes.metric("scopegate_retries_total"), 1);
    }
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    for write in [ASKS[2], ASKS[3], ASKS[4], ASKS[6]] {
        let nodes = Several::start(&[breaks(), good()]);
        assert_eq!(at_the_first(&nodes, write), "502 InternalError upstream", "{}", write.name);
        assert_eq!(nodes.metric("scopegate_retries_total"), 0, "{}", write.name);
    }
}

#[test]
fn an_upload_of_which_nothing_was_sent_goes_to_another_node() {
    let nodes = Several::start(&[vec![Step::Head, Step::Reset], good()]);
    assert_eq!(at_the_first(&nodes, ASKS[4]), "200");
    assert_eq!(nodes.metric("scopegate_retries_total"), 1);
}

#[test]
fn a_node_that_is_still_starting_is_left_for_another() {
    for any in [ASKS[0], ASKS[2]] {
        let nodes = Several::start(&[starting(), good()]);
        assert_eq!(at_the_first(&nodes, any), "200", "{}", any.name);
        assert_eq!((nodes.ejections(0), nodes.metric("scopegate_retries_total")), (1, 1), "{}", any.name);
    }
    // Its body was sent, so the client is told.
    let nodes = Several::start(&[starting(), good()]);
    assert_eq!(at_the_first(&nodes, ASKS[3]), "503 XMinioServerNotInitialized");
    // There is no other, or the others are no better.
    for scripts in [vec![starting()], vec![starting(); 5]] {
        let nodes = Several::start(&scripts);
        assert_eq!(nodes.see(ASKS[0]), "503 XMinioServerNotInitialized");
        assert_eq!(nodes.requests().iter().sum::<usize>(), scripts.len().min(3));
    }
}

/// A node whose quorum is gone for a moment: a read is sent to another, a write is not, and the node stays.
#[test]
fn what_one_node_cannot_read_is_read_from_another() {
    let nodes = Several::start(&[unavailable("SlowDownRead"), good()]);
    assert_eq!(at_the_first(&nodes, ask("get", "GET", "/tmp/inbox/a", 0)), "200");
    assert_eq!(at_the_first(&nodes, ask("delete", "DELETE", "/tmp/inbox/a", 0)), "503 SlowDownRead");
    assert_eq!(nodes.ejections(0), 0);
}

#[test]
fn a_request_is_sent_to_two_more_nodes_at_most() {
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
fn an_answer_that_has_begun_is_not_begun_again() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let nodes = Several::start(&[answers(half), good()]);
    assert_eq!(at_the_first(&nodes, ASKS[0]), "broken");
    let head = ask("head", "HEAD", "/tmp/inbox/a", 0);
    assert_eq!(at_the_first(&nodes, head), "200");
}

#[test]
fn a_node_that_is_well_again_is_turned_to_again() {
    let nodes = Several::start(&[starting(), good()]);
    assert_eq!(at_the_first(&nodes, ASKS[0]), "200");
    nodes.nodes[0].play(good());
    assert_eq!(at_the_first(&nodes, ASKS[0]), "200");
    let ejected = format!("scopegate_node_ejected{{node=\"{}\"}}", nodes.nodes[0].address());
    assert!(wait_for(|| (nodes.metric(&ejected) == 0).then_some(())).is_some());
    let up = format!("scopegate_node_up{{node=\"{}\"}}", nodes.nodes[0].address());
    assert!(wait_for(|| (nodes.metric(&up) == 1).then_some(())).is_some());
}
