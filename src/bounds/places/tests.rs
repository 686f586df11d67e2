use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use tokio::task::{JoinSet, yield_now};

fn holder(group: usize, client: u32) -> Holder {
    Holder { group, client: ClientKey::V4(Ipv4Addr::from_bits(client)) }
}

fn places(places: usize, queue: usize, grouped: bool) -> Arc<Places> {
    Places::new(Size { places, grouped, queue })
}

fn take_all(places: &Arc<Places>, holder: Holder) -> Vec<Place> {
    std::iter::from_fn(|| places.try_take(holder)).collect()
}

#[test]
fn a_client_alone_gets_three_quarters_and_the_next_finds_room() {
    for (size, most) in [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6), (16, 12), (1024, 768)] {
        let places = places(size, 0, false);
        let first = take_all(&places, holder(0, 1));
        assert_eq!(first.len(), most, "of {size}");
        let second = take_all(&places, holder(0, 2));
        assert_eq!(second.is_empty(), size < 4, "of {size}");
        drop(first);
        assert!(places.try_take(holder(0, 3)).is_some());
    }
}

#[test]
fn many_hostile_clients_leave_room_for_one_more() {
    let places = places(1024, 0, false);
    let mut held: Vec<Vec<Place>> = Vec::new();
    for client in 1..=5 {
        held.push(take_all(&places, holder(0, client)));
        // The first clients take as many more places as they can get.
        for (client, held) in (1..).zip(&mut held) {
            held.extend(take_all(&places, holder(0, client)));
        }
    }
    assert!(places.try_take(holder(0, 9)).is_some(), "{} taken", places.taken());
}

#[test]
fn a_group_alone_gets_half_and_each_further_group_finds_room() {
    for (size, most) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let places = places(size, 0, true);
        assert_eq!(take_all(&places, holder(1, 1)).len(), most, "of {size}");
    }
    let places = places(32, 0, true);
    let first = take_all(&places, holder(1, 1));
    let neighbour = take_all(&places, holder(1, 2));
    assert_eq!(
        (first.len(), neighbour.is_empty()),
        (12, false),
        "a client of a group has three quarters of its half"
    );
    let _held: Vec<_> = (2..=5).map(|group| take_all(&places, holder(group, 1))).collect();
    assert!(places.try_take(holder(6, 1)).is_some(), "{} taken", places.taken());
}

#[tokio::test]
async fn a_place_that_is_freed_goes_to_clients_in_turns() {
    let places = places(1, 100, false);
    let only = places.try_take(holder(0, 1)).unwrap();
    let mut waiting = JoinSet::new();
    for client in [1, 1, 1, 2, 3] {
        let places = Arc::clone(&places);
        waiting.spawn(async move { places.take(holder(0, client)).await.map(|_place| client) });
        yield_now().await;
    }
    assert_eq!(places.waiting(), 5);
    drop(only);
    let mut order = Vec::new();
    while let Some(done) = waiting.join_next().await {
        order.push(done.unwrap().unwrap());
    }
    assert_eq!(order, [1, 2, 3, 1, 1]);
    assert_eq!((places.taken(), places.waiting()), (0, 0));
}

#[tokio::test]
async fn the_queue_is_divided_too() {
    let places = places(1, 8, false);
    let only = places.try_take(holder(0, 1)).unwrap();
    let mut waiting = JoinSet::new();
    for client in [1; 20].into_iter().chain([2]) {
        let places = Arc::clone(&places);
        waiting.spawn(async move { places.take(holder(0, client)).await.is_some() });
    }
    yield_now().await;
    assert_eq!(places.waiting(), 7, "six of the first, one of the second");
    waiting.shutdown().await;
    drop(only);
    assert_eq!((places.taken(), places.waiting()), (0, 0));
}

/// A place is not lost when its request leaves at the moment its turn comes.
#[tokio::test]
async fn the_place_of_a_departed_request_goes_to_the_next() {
    let places = places(1, 8, false);
    let only = places.try_take(holder(0, 1)).unwrap();
    let mut waits = JoinSet::new();
    for client in [2, 3] {
        let places = Arc::clone(&places);
        waits.spawn(async move { places.take(holder(0, client)).await.map(|_place| client) });
        yield_now().await;
    }
    // Both happen before either task is polled again.
    drop(only);
    waits.abort_all();
    while waits.join_next().await.is_some() {}
    assert_eq!((places.taken(), places.waiting()), (0, 0));
    assert!(places.try_take(holder(0, 4)).is_some());
}

proptest! {
    /// In any order of taking and giving back, no more places are taken than there are, and the counts return to zero.
    #[test]
    fn counts_hold(size in 1..40_usize, grouped: bool, steps in prop::collection::vec((0..3_usize, 0..4_u32, any::<bool>()), 1..200)) {
        let places = places(size, 0, grouped);
        let mut held = Vec::new();
        for (group, client, takes) in steps {
            if takes {
                held.extend(places.try_take(holder(group, client)));
            } else {
                held.pop();
            }
            prop_assert!(held.len() <= size);
            prop_assert_eq!(places.taken(), held.len());
        }
        held.clear();
        prop_assert_eq!(places.taken(), 0);
        prop_assert!(places.lock().holders.is_empty() && places.lock().groups.is_empty());
    }
}
