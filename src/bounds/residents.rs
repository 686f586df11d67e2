//! A bounded table of what is kept for each identity. The least recently used idle entry makes room for a new one.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::Duration;

/// The table. Its users lock it for the time of one call.
#[derive(Debug)]
pub(crate) struct Residents<K, V> {
    by_key: HashMap<K, Resident<V>>,
    /// The keys in the order of their last use.
    by_turn: BTreeMap<u64, K>,
    next_turn: u64,
    capacity: NonZeroUsize,
}

#[derive(Debug)]
struct Resident<V> {
    value: V,
    turn: u64,
    used: Duration,
}

/// The error of a table that is full of entries in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllInUse;

impl<K: Clone + Eq + Hash, V> Residents<K, V> {
    /// Makes an empty table for at most `capacity` entries.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self { by_key: HashMap::new(), by_turn: BTreeMap::new(), next_turn: 0, capacity }
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns all entries, the least recently used first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.by_turn.values().filter_map(|key| Some((key, &self.by_key.get(key)?.value)))
    }

    /// Returns the value of a key, and records its use at `now`.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q, now: Duration) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let resident = self.by_key.get_mut(key)?;
        resident.used = now;
        if resident.turn + 1 < self.next_turn
            && let Some(key) = self.by_turn.remove(&resident.turn)
        {
            resident.turn = self.next_turn;
            self.by_turn.insert(self.next_turn, key);
            self.next_turn += 1;
        }
        Some(&resident.value)
    }

    /// Makes room for one more entry. Returns the value that was dropped for it.
    ///
    /// # Errors
    /// When the table is full and no value is idle.
    pub(crate) fn make_room(&mut self, is_idle: impl Fn(&V) -> bool) -> Result<Option<V>, AllInUse> {
        if self.by_key.len() < self.capacity.get() {
            return Ok(None);
        }
        let idle = self.iter().find(|(_, value)| is_idle(value)).map(|(key, _)| key.clone());
        self.remove(&idle.ok_or(AllInUse)?).map(Some).ok_or(AllInUse)
    }

    /// Adds a value that is used at `now`, unless its key has one already or there is no room. Returns the value of
    /// the key, with the value that was dropped for it.
    ///
    /// # Errors
    /// As [`Residents::make_room`].
    pub(crate) fn insert(
        &mut self,
        key: K,
        value: V,
        now: Duration,
        is_idle: impl Fn(&V) -> bool,
    ) -> Result<(&V, Option<V>), AllInUse> {
        let dropped = if self.by_key.contains_key(&key) {
            Some(value)
        } else {
            self.add(key.clone(), value, now, is_idle)?
        };
        self.get(&key, now).map(|value| (value, dropped)).ok_or(AllInUse)
    }

    fn add(
        &mut self,
        key: K,
        value: V,
        now: Duration,
        is_idle: impl Fn(&V) -> bool,
    ) -> Result<Option<V>, AllInUse> {
        let dropped = self.make_room(is_idle)?;
        let turn = self.next_turn;
        self.next_turn += 1;
        self.by_turn.insert(turn, key.clone());
        self.by_key.insert(key, Resident { value, turn, used: now });
        Ok(dropped)
    }

    /// Removes the idle values that were last used before `since`, and returns them.
    pub(crate) fn remove_unused(&mut self, since: Duration, is_idle: impl Fn(&V) -> bool) -> Vec<V> {
        let is_over = |resident: &Resident<V>| resident.used < since && is_idle(&resident.value);
        let unused: Vec<K> = self
            .by_key
            .iter()
            .filter(|(_, resident)| is_over(resident))
            .map(|(key, _)| key.clone())
            .collect();
        unused.iter().filter_map(|key| self.remove(key)).collect()
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let resident = self.by_key.remove(key)?;
        self.by_turn.remove(&resident.turn);
        Some(resident.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn table(capacity: usize) -> Residents<u8, u8> {
        Residents::new(NonZeroUsize::new(capacity).unwrap())
    }

    fn keys(table: &Residents<u8, u8>) -> Vec<u8> {
        table.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn the_least_recently_used_idle_entry_makes_room() {
        let mut table = table(3);
        for key in [1, 2, 3] {
            assert_eq!(table.insert(key, key, at(0), |_| true), Ok((&key, None)));
        }
        assert_eq!(table.get(&1, at(1)), Some(&1));
        assert_eq!(table.insert(4, 4, at(2), |value| *value != 2), Ok((&4, Some(3))), "2 is in use");
        assert_eq!(keys(&table), [2, 1, 4]);
        assert_eq!(table.insert(5, 5, at(3), |_| false), Err(AllInUse));
        assert_eq!(table.insert(1, 9, at(3), |_| false), Ok((&1, Some(9))), "the first value of a key stays");
        assert_eq!(keys(&table), [2, 4, 1]);
    }

    #[test]
    fn entries_without_use_are_removed() {
        let mut table = table(9);
        for key in [1, 2, 3, 4] {
            table.insert(key, key, at(key.into()), |_| true).unwrap();
        }
        table.get(&1, at(10));
        let mut removed = table.remove_unused(at(4), |value| *value != 3);
        removed.sort_unstable();
        assert_eq!((removed, keys(&table)), (vec![2], vec![3, 4, 1]));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Get(u8),
        Insert(u8),
        Sweep(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..12_u8).prop_map(Step::Get),
            (0..12_u8).prop_map(Step::Insert),
            (1..20_u8).prop_map(Step::Sweep)
        ]
    }

    proptest! {
        /// The table behaves like a list in the order of use, and never exceeds its capacity.
        #[test]
        fn behaves_like_a_list(
            capacity in 1..8_usize,
            busy in prop::collection::btree_set(0..12_u8, 0..6),
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let busy: BTreeSet<u8> = busy;
            let is_idle = |value: &u8| !busy.contains(value);
            let (mut table, mut list) = (table(capacity), Vec::<(u8, u64)>::new());
            for (now, step) in (0..).zip(steps) {
                let found = |list: &[(u8, u64)], key: u8| list.iter().position(|(other, _)| *other == key);
                match step {
                    Step::Get(key) => {
                        let known = found(&list, key).map(|index| list.remove(index));
                        list.extend(known.map(|(key, _)| (key, now)));
                        prop_assert_eq!(table.get(&key, at(now)).is_some(), known.is_some());
                    }
                    Step::Insert(key) => {
                        let inserted = table.insert(key, key, at(now), is_idle).map(|(_, dropped)| dropped);
                        if let Some(index) = found(&list, key) {
                            list.remove(index);
                            prop_assert_eq!(inserted, Ok(Some(key)));
                        } else if list.len() == capacity {
                            let Some(index) = list.iter().position(|(key, _)| is_idle(key)) else {
                                prop_assert_eq!(inserted, Err(AllInUse));
                                continue;
                            };
                            prop_assert_eq!(inserted, Ok(Some(list.remove(index).0)));
                        } else {
                            prop_assert_eq!(inserted, Ok(None));
                        }
                        list.push((key, now));
                    }
                    Step::Sweep(age) => {
                        let since = now.saturating_sub(age.into());
                        table.remove_unused(at(since), is_idle);
                        list.retain(|(key, used)| *used >= since || busy.contains(key));
                    }
                }
                prop_assert_eq!(keys(&table), list.iter().map(|(key, _)| *key).collect::<Vec<_>>());
                prop_assert!(table.len() <= capacity && table.by_turn.len() == table.len());
            }
        }
    }
}
