//! Cycles of a directed graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The successors of each node.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the shortest cycle through each node that is on one. Of cycles of the same nodes only one is returned. The
/// first node is not repeated at the end.
pub(crate) fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let mut seen = BTreeSet::new();
    let shortest = graph.keys().filter_map(|node| cycle_through(graph, node));
    shortest.filter(|cycle| seen.insert(cycle.iter().cloned().collect::<BTreeSet<_>>())).collect()
}

/// Searches breadth first, so that the cycle found is a shortest one.
fn cycle_through(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut queue = VecDeque::from([vec![start.to_owned()]]);
    let mut visited = BTreeSet::new();
    while let Some(way) = queue.pop_front() {
        for next in graph.get(way.last()?).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if visited.insert(next) {
                queue.push_back([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Graph, cycles};

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn finds_each_cycle_once() {
        let found = cycles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "d")]));
        assert_eq!(found, [vec!["a", "b", "c"], vec!["d", "e"]]);
        assert_eq!(cycles(&graph(&[("a", "a")])), [vec!["a"]]);
    }

    #[test]
    fn finds_no_cycle_in_a_diamond() {
        assert!(cycles(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])).is_empty());
    }
}
