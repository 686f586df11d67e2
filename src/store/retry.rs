//! Retries: which requests may be sent again, and to which nodes. They are bounded, see [`Attempts`].

use crate::net::endpoint::NodeIndex;
use http::{HeaderName, HeaderValue, Method, header};

/// The maximum number of times that a request moves to another node because one closed the connection or was not
/// ready. Nodes that could not be connected to do not count: each is tried once.
const MAX_MOVES: u8 = 2;

/// The attempts at one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    excluded: Vec<NodeIndex>,
    moves: u8,
    fresh: bool,
}

impl Attempts {
    /// Makes the attempts at a request that may only go to `node`, of `nodes` nodes.
    pub(crate) fn at(node: NodeIndex, nodes: usize) -> Self {
        let excluded = (0..nodes).map(NodeIndex).filter(|other| *other != node).collect();
        Self { excluded, moves: MAX_MOVES, fresh: false }
    }

    /// Returns whether the request needs a connection that has carried no other request.
    pub(crate) fn want_fresh(&self) -> bool {
        self.fresh
    }

    /// Returns whether a node must not be tried, or not again.
    pub(crate) fn is_excluded(&self, node: NodeIndex) -> bool {
        self.excluded.contains(&node)
    }

    /// Asks for a new connection after the store had closed an idle one. Returns false the second time.
    pub(crate) fn renew(&mut self) -> bool {
        !std::mem::replace(&mut self.fresh, true)
    }

    /// Excludes a node that cannot be connected to.
    pub(crate) fn unreachable(&mut self, node: NodeIndex) {
        self.excluded.push(node);
    }

    /// Excludes a node that failed at the request. Returns whether the request may move to another node.
    pub(crate) fn exclude(&mut self, node: NodeIndex) -> bool {
        self.moves += 1;
        self.excluded.push(node);
        self.moves <= MAX_MOVES
    }
}

/// Returns whether a request that a node may have executed can be sent again: its body was not read, and executing it
/// twice has the same effect as once. A conditional write cannot: its own first execution would make it fail.
pub(crate) fn is_repeatable(
    method: &Method,
    headers: &[(HeaderName, HeaderValue)],
    body_has_begun: bool,
) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let conditional =
        || headers.iter().any(|(name, _)| *name == header::IF_MATCH || *name == header::IF_NONE_MATCH);
    !body_has_begun && method.is_idempotent() && (reads || !conditional())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_moves_twice_at_most_and_is_renewed_once() {
        let mut attempts = Attempts::default();
        for node in 0..5 {
            attempts.unreachable(NodeIndex(node));
        }
        assert!(attempts.is_excluded(NodeIndex(4)) && !attempts.is_excluded(NodeIndex(5)));
        assert!(attempts.exclude(NodeIndex(5)) && attempts.exclude(NodeIndex(6)));
        assert!(!attempts.exclude(NodeIndex(7)));
        assert!(!attempts.want_fresh() && attempts.renew() && attempts.want_fresh() && !attempts.renew());
    }

    #[test]
    fn only_requests_that_change_nothing_more_are_repeated() {
        let condition = [(header::IF_NONE_MATCH, HeaderValue::from_static("*"))];
        assert!(is_repeatable(&Method::GET, &[], false));
        assert!(is_repeatable(&Method::GET, &condition, false));
        assert!(is_repeatable(&Method::HEAD, &[], false));
        assert!(is_repeatable(&Method::PUT, &[], false));
        assert!(!is_repeatable(&Method::PUT, &[], true), "its body is gone");
        assert!(!is_repeatable(&Method::PUT, &condition, false), "it would fail on its own first execution");
        assert!(!is_repeatable(&Method::POST, &[], false), "a second multipart upload would be left over");
    }
}
