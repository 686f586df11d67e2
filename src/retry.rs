//! What a request may try again, and where. Bounded: see [`Attempts`].

use crate::nodes::NodeIndex;
use crate::outgoing::Outgoing;
use http::{Method, header};

/// Other nodes that a request is sent to after one broke off or was not ready. Nodes that could not even be connected
/// to do not count: each of them is tried once.
const MAX_MOVES: u8 = 2;

/// The attempts at one request.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    left: Vec<NodeIndex>,
    moves: u8,
    fresh: bool,
}

impl Attempts {
    /// The attempts at a request to one of `nodes`, which goes to no other.
    pub fn at(node: NodeIndex, nodes: usize) -> Self {
        let left = (0..nodes).map(NodeIndex).filter(|other| *other != node).collect();
        Self { left, moves: MAX_MOVES, fresh: false }
    }

    /// Whether a connection is wanted that carried no request before.
    pub fn want_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a node is not to be tried (again).
    pub fn exclude(&self, node: NodeIndex) -> bool {
        self.left.contains(&node)
    }

    /// The connection had been closed by the store: whether it is worth another, which is once.
    pub fn renew(&mut self) -> bool {
        !std::mem::replace(&mut self.fresh, true)
    }

    /// A node cannot be connected to.
    pub fn unreachable(&mut self, node: NodeIndex) {
        self.left.push(node);
    }

    /// Leaves a node for another: whether that is within bounds.
    pub fn leave(&mut self, node: NodeIndex) -> bool {
        self.moves += 1;
        self.left.push(node);
        self.moves <= MAX_MOVES
    }
}

/// Whether a request of which a node may have heard can be sent again: no body is lost by it, and doing it twice is
/// doing it once. A conditional write is not: it would fail on what it did itself.
pub fn is_repeatable(outgoing: &Outgoing, body_has_begun: bool) -> bool {
    let reads = matches!(*outgoing.method(), Method::GET | Method::HEAD);
    let conditional = || {
        outgoing.headers().iter().any(|(name, _)| *name == header::IF_MATCH || *name == header::IF_NONE_MATCH)
    };
    !body_has_begun && outgoing.method().is_idempotent() && (reads || !conditional())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::names::{BucketName, Prefix};
    use crate::payload::Payload;
    use crate::rights::Right;
    use crate::scope::Scope;

    #[test]
    fn a_request_moves_twice_at_most_and_is_renewed_once() {
        let mut attempts = Attempts::default();
        for node in 0..5 {
            attempts.unreachable(NodeIndex(node));
        }
        assert!(attempts.exclude(NodeIndex(4)) && !attempts.exclude(NodeIndex(5)));
        assert!(
            attempts.leave(NodeIndex(5)) && attempts.leave(NodeIndex(6)) && !attempts.leave(NodeIndex(7))
        );
        assert!(!attempts.want_fresh() && attempts.renew() && attempts.want_fresh() && !attempts.renew());
    }

    #[test]
    fn only_what_changes_nothing_more_is_repeated() {
        let mapping = all_rights();
        let repeatable = |method: Method, query: Option<&str>, condition: bool, begun| {
            let condition = condition.then(|| (header::IF_NONE_MATCH, header::HeaderValue::from_static("*")));
            let fields = condition.into_iter().collect();
            let grant = mapping.grant(&method, "/tmp/media/a", query, &fields).unwrap();
            is_repeatable(&Outgoing::rebuild(grant, &fields, Payload::Empty).unwrap(), begun)
        };
        assert!(repeatable(Method::GET, None, false, false));
        assert!(repeatable(Method::GET, None, true, false));
        assert!(repeatable(Method::HEAD, None, false, false));
        assert!(repeatable(Method::PUT, None, false, false));
        assert!(!repeatable(Method::PUT, None, false, true), "its body is gone");
        assert!(!repeatable(Method::PUT, None, true, false), "it may have made what it must not find");
        assert!(
            !repeatable(Method::POST, Some("uploads"), false, false),
            "a second upload would be left over"
        );
    }

    fn all_rights() -> Mapping {
        let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse("media/").unwrap());
        let scope = Scope::new(bucket, prefix, [Right::Read, Right::Write].into_iter().collect());
        Mapping::of_scopes("all", vec![scope])
    }
}
