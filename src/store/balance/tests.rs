use super::*;
use crate::net::endpoint::Endpoint;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// A balancer over several nodes, with a clock that tests set by hand.
struct Cluster {
    balancer: Rc<Balancer>,
    board: Arc<NodeBoard>,
    now: Instant,
}

impl Cluster {
    fn of(count: usize) -> Self {
        let endpoints: Vec<_> =
            (0..count).map(|n| Endpoint::parse(&format!("http://node{n}:9000")).unwrap()).collect();
        let now = Instant::now();
        let board = Arc::new(NodeBoard::new(&endpoints, now));
        Self { balancer: Balancer::new(Arc::clone(&board), 0), board, now }
    }

    fn pick(&self) -> InFlight {
        self.balancer.pick(self.now, &Attempts::default()).unwrap()
    }

    fn report(&self, request: &InFlight, outcome: Outcome) -> bool {
        request.report(outcome, self.now, 0.0)
    }

    /// Sends requests until one goes to this node. The others end without a response.
    fn pick_node(&self, node: usize) -> InFlight {
        let mut begun: Vec<_> = (0..100).map(|_| self.pick()).collect();
        let place = begun.iter().position(|request| request.choice().node.0 == node);
        begun.swap_remove(place.unwrap_or_else(|| panic!("node {node} is never chosen")))
    }

    /// Sends a request to this node and reports this outcome.
    fn make(&self, node: usize, outcome: Outcome) {
        self.report(&self.pick_node(node), outcome);
    }

    /// Returns how many of `requests` successful requests, sent one after the other, go to each node.
    fn shares(&self, requests: usize) -> Vec<usize> {
        let mut shares = vec![0; self.balancer.nodes.len()];
        for _ in 0..requests {
            let request = self.pick();
            self.report(&request, Outcome::Answered);
            shares[request.choice().node.0] += 1;
        }
        shares
    }

    fn check(&self, node: usize, answers: bool) {
        self.board.checked(NodeIndex(node), Check { began: self.now, answers });
    }
}

/// A request must end that has found its only node unreachable.
#[test]
fn an_excluded_node_is_not_chosen_even_if_it_is_the_only_one() {
    for count in [1, 2] {
        let cluster = Cluster::of(count);
        let mut attempts = Attempts::default();
        for _ in 0..count {
            let request = cluster.balancer.pick(cluster.now, &attempts).unwrap();
            attempts.unreachable(request.choice().node);
        }
        assert!(cluster.balancer.pick(cluster.now, &attempts).is_none(), "{count} nodes");
    }
}

#[test]
fn picks_the_least_loaded_node_and_ties_in_turn() {
    let cluster = Cluster::of(3);
    assert_eq!(cluster.shares(300), [100, 100, 100]);
    let held: Vec<_> =
        (0..3).map(|_| cluster.pick()).filter(|request| request.choice().node.0 != 1).collect();
    assert_eq!(cluster.shares(30), [0, 30, 0], "the others have a request each");
    drop(held);
    assert_eq!(cluster.shares(30), [10, 10, 10]);
}

#[test]
fn excluded_nodes_are_not_chosen_again() {
    let cluster = Cluster::of(3);
    let mut attempts = Attempts::default();
    let mut seen = Vec::new();
    while let Some(request) = cluster.balancer.pick(cluster.now, &attempts) {
        seen.push(request.choice().node.0);
        attempts.unreachable(request.choice().node);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    assert!(!cluster.balancer.has_another(cluster.now, &attempts));
}

#[test]
fn a_dead_node_costs_one_request_per_backoff() {
    let mut cluster = Cluster::of(2);
    let mut tried = Vec::new();
    let start = cluster.now;
    while cluster.now < start + 120 * SECOND {
        let request = cluster.pick();
        if request.choice().node.0 == 0 {
            tried.push((cluster.now - start).as_secs());
            cluster.report(&request, Outcome::Failed);
        } else {
            cluster.report(&request, Outcome::Answered);
        }
        drop(request);
        cluster.now += 100 * MILLI;
    }
    assert_eq!(tried, [0, 1, 3, 7, 15, 31, 55, 79, 103]);
    assert_eq!(backoff(0, 1.0), SECOND + SECOND / 4);
    assert_eq!(backoff(u32::MAX, 1.0), 30 * SECOND);
}

#[test]
fn an_ejected_node_is_probed_with_one_request_at_a_time() {
    let mut cluster = Cluster::of(2);
    cluster.make(0, Outcome::Failed);
    cluster.now += 2 * SECOND;
    let burst: Vec<_> = (0..20).map(|_| cluster.pick()).collect();
    let trials: Vec<_> = burst.iter().filter(|request| request.choice().node.0 == 0).collect();
    assert_eq!(trials.len(), 1);
    // A probe that ends without a response does not keep the node out forever.
    drop(burst);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Answered);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 0);
}

#[test]
fn a_slow_probe_counts_after_another_began() {
    let mut cluster = Cluster::of(2);
    cluster.make(0, Outcome::Failed);
    cluster.now += SECOND;
    let trial = cluster.pick_node(0);
    cluster.now += SECOND;
    let other = cluster.pick_node(0);
    cluster.report(&trial, Outcome::Answered);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 0);
    drop(other);
}

#[test]
fn requests_that_die_with_a_node_are_one_failure() {
    let mut cluster = Cluster::of(2);
    let burst: Vec<_> = (0..100).map(|_| cluster.pick()).filter(|one| one.choice().node.0 == 0).collect();
    cluster.now += MILLI;
    let ejections = burst.iter().filter(|request| cluster.report(request, Outcome::Failed)).count();
    assert_eq!((ejections, cluster.board.nodes()[0].ejections()), (1, 1));
    // A response to a request sent before the ejection does not bring the node back.
    cluster.report(&burst[0], Outcome::Answered);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 1);
    drop(burst);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Answered);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 0, "the back-off was the first, of one second");
}

#[test]
fn a_returned_node_starts_slowly() {
    let mut cluster = Cluster::of(2);
    cluster.make(0, Outcome::Failed);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Answered);
    let shares: Vec<usize> = (0..=5)
        .map(|_| {
            let share = cluster.shares(1000)[0];
            cluster.now += 2 * SECOND;
            share
        })
        .collect();
    assert!((40..=110).contains(&shares[0]), "{shares:?}");
    assert!(shares.is_sorted(), "{shares:?}");
    assert_eq!(shares[5], 500, "{shares:?}");
    // A failure during the slow start backs off for longer than the first did.
    cluster.make(0, Outcome::Failed);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Answered);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Failed);
    cluster.now += SECOND;
    assert_eq!(cluster.shares(10), [0, 10]);
}

#[test]
fn nodes_that_return_together_share_all_requests() {
    let mut cluster = Cluster::of(2);
    cluster.make(0, Outcome::Failed);
    cluster.make(1, Outcome::Failed);
    cluster.now += SECOND;
    for trial in [cluster.pick(), cluster.pick()] {
        cluster.report(&trial, Outcome::Answered);
    }
    let shares = cluster.shares(100);
    assert!(shares.iter().all(|share| *share >= 30), "{shares:?}");
}

#[test]
fn failed_requests_eject_no_node_and_wake_the_prober() {
    let mut cluster = Cluster::of(2);
    for _ in 0..100 {
        cluster.make(0, Outcome::Doubtful);
    }
    assert_eq!(cluster.board.nodes()[0].ejections(), 0);
    assert_eq!(cluster.shares(10), [5, 5]);
    assert!(cluster.board.take_doubt(NodeIndex(0)) && !cluster.board.take_doubt(NodeIndex(0)));
    assert!(!cluster.board.take_doubt(NodeIndex(1)));
    // The check decides.
    cluster.now += MILLI;
    cluster.check(0, true);
    assert_eq!(cluster.shares(10), [5, 5]);
    cluster.now += MILLI;
    cluster.check(0, false);
    assert_eq!(cluster.shares(10), [0, 10]);
}

#[test]
fn a_doubtful_probe_does_not_prolong_the_backoff() {
    let mut cluster = Cluster::of(2);
    cluster.make(0, Outcome::Failed);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Doubtful);
    cluster.now += SECOND;
    cluster.make(0, Outcome::Answered);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 0);
    assert_eq!(cluster.board.nodes()[0].ejections(), 1);
}

#[test]
fn with_all_nodes_down_the_first_to_retry_is_chosen() {
    let mut cluster = Cluster::of(3);
    for node in [2, 0, 1] {
        cluster.make(node, Outcome::Failed);
        cluster.now += 10 * MILLI;
    }
    assert_eq!(cluster.pick().choice().node, NodeIndex(2));
    // Requests that go there only because every node is down do not prolong its back-off.
    for _ in 0..100 {
        cluster.report(&cluster.pick(), Outcome::Failed);
    }
    assert_eq!(cluster.board.nodes().iter().map(crate::store::nodes::NodeFacts::ejections).sum::<u64>(), 3);
    cluster.report(&cluster.pick(), Outcome::Answered);
    assert_eq!(cluster.shares(10), [0, 0, 10]);
}

#[test]
fn checks_eject_and_return_nodes() {
    let mut cluster = Cluster::of(2);
    cluster.now += SECOND;
    cluster.check(0, false);
    assert_eq!(cluster.shares(10), [0, 10]);
    cluster.now += 19 * SECOND;
    assert_eq!(cluster.shares(10), [0, 10]);
    cluster.check(0, true);
    assert!(cluster.shares(100)[0] > 0, "it answers again");

    cluster.now += 20 * SECOND;
    cluster.make(0, Outcome::Failed);
    cluster.now += 500 * MILLI;
    assert_eq!(cluster.shares(10), [0, 10]);
    cluster.check(0, true);
    cluster.now += MILLI;
    assert!(cluster.shares(100)[0] > 0, "it answered the prober before its back-off was over");

    cluster.make(0, Outcome::Failed);
    cluster.now += 500 * MILLI;
    cluster.check(0, false);
    cluster.now += 15 * SECOND;
    assert_eq!(cluster.shares(10), [0, 10], "its back-off is over, and it still does not answer the prober");
    cluster.now += 5 * SECOND;
    assert!(cluster.shares(100)[0] > 0, "the check is too old");
}

#[test]
fn answered_requests_overrule_older_checks() {
    let mut cluster = Cluster::of(2);
    cluster.check(0, false);
    let asked = cluster.now;
    cluster.now += MILLI;
    // The check is reported after a later request succeeded.
    let other = Cluster { balancer: Balancer::new(Arc::clone(&cluster.board), 0), ..cluster };
    other.balancer.nodes[0].answered.set(Some(asked + MILLI));
    assert_eq!(other.shares(10), [5, 5]);
}

#[test]
fn a_dropped_balancer_takes_back_its_ejections() {
    let cluster = Cluster::of(2);
    cluster.make(0, Outcome::Failed);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 1);
    drop(cluster.balancer);
    assert_eq!(cluster.board.nodes()[0].ejecting_workers(), 0);
}

/// An outage of one node: from the first to the second time, in milliseconds.
type Outage = (u64, u64);

/// The result of a simulation.
#[derive(Default)]
struct Seen {
    /// When each node was chosen, and whether that was while it was down.
    chosen: Vec<Vec<(u64, bool)>>,
    /// The number of requests that no node served.
    lost: usize,
}

/// Sends a request every 5 ms. Each takes 20 ms, and is sent to another node if its node is down.
fn simulate(outages: &[Outage], end: u64, chance: f64) -> (Cluster, Seen) {
    let mut cluster = Cluster::of(outages.len());
    let start = cluster.now;
    let mut seen = Seen { chosen: vec![Vec::new(); outages.len()], lost: 0 };
    let mut under_way: Vec<(u64, InFlight)> = Vec::new();
    for at in (0..end).step_by(5) {
        cluster.now = start + Duration::from_millis(at);
        let is_down = |node: usize| (outages[node].0..outages[node].1).contains(&at);
        for (_, request) in under_way.extract_if(.., |(until, _)| *until <= at) {
            let down = is_down(request.choice().node.0);
            request.report(if down { Outcome::Failed } else { Outcome::Answered }, cluster.now, chance);
        }
        let mut attempts = Attempts::default();
        loop {
            let Some(request) = cluster.balancer.pick(cluster.now, &attempts) else {
                seen.lost += 1;
                break;
            };
            let node = request.choice().node;
            seen.chosen[node.0].push((at, is_down(node.0)));
            if !is_down(node.0) {
                under_way.push((at + 20, request));
                break;
            }
            request.report(Outcome::Failed, cluster.now, chance);
            attempts.unreachable(node);
        }
    }
    (cluster, seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_request_is_lost_while_nodes_die_and_return(
        outages in proptest::collection::vec((0..30_000_u64, 0..40_000_u64), 2..6),
        chance in 0.0..1.0_f64,
    ) {
        // The first node never fails, so that there is always one to move to.
        let outages: Vec<Outage> = std::iter::once((0, 0))
            .chain(outages.into_iter().map(|(from, length)| (from, from + length)))
            .collect();
        let (cluster, seen) = simulate(&outages, 120_000, chance);
        prop_assert_eq!(seen.lost, 0);
        for (chosen, (from, until)) in seen.chosen.iter().zip(&outages) {
            // The requests that found the node down: one for each back-off.
            let trials: Vec<u64> = chosen.iter().filter(|(_, down)| *down).map(|(at, _)| *at).collect();
            for (number, pair) in trials.windows(2).enumerate() {
                let backoff = backoff(u32::try_from(number).unwrap(), 0.0);
                prop_assert!(u128::from(pair[1] - pair[0]) >= backoff.as_millis(), "{:?}", trials);
            }
            prop_assert!(trials.len() <= 8);
            // The node has its full weight again after the longest back-off and the slow start.
            let whole = until + 30_000 + 10_000;
            let served = chosen.iter().filter(|(at, _)| *at >= whole).count();
            let due = usize::try_from((120_000 - whole) / 5).unwrap() / outages.len();
            prop_assert!(served * 10 >= due * 8, "{} of {} in {}..{}", served, due, from, until);
        }
        let in_flight: u32 = cluster.balancer.nodes.iter().map(|node| node.in_flight.get()).sum();
        prop_assert_eq!(in_flight, 0, "every request is over");
        prop_assert!(cluster.board.nodes().iter().all(|node| node.ejecting_workers() == 0));
    }
}
