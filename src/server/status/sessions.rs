//! The sessions of a mapping on the status page.
//!
//! Where each identity has sessions of its own, those of one kind are shown together: nobody reads a page of a thousand
//! identities, and it must not name them.

use super::units::Seconds;
use crate::authorize::operations::SessionKind;
use crate::proxy::generation::Site;
use crate::sessions::table::Slot;
use crate::sigv4::amz_date::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It signs requests.
    Live,
    /// There is no session, and no request has needed it since the last one ended.
    Unused,
    /// There is no session, and requests need it.
    Missing,
    /// The store denies everything to it.
    Denied,
}

/// A session, or those of one kind of all identities together.
#[derive(Debug, Serialize)]
pub(super) struct Session {
    /// The kind of operations that it signs.
    pub kind: &'static str,
    /// The number of identities that have one. `None` if all clients of the mapping share one.
    pub identities: Option<usize>,
    /// Its state; that of the worst.
    pub state: State,
    /// Its end; that of the first to end.
    pub expires: Option<String>,
    /// The time to that end.
    pub remaining_seconds: Seconds,
    /// The time from its mint to that end.
    pub lifetime_seconds: Seconds,
    /// The time of the last mint.
    pub minted: Option<String>,
    /// The time from which on it is minted again, if it is in use; that of the first.
    pub next_refresh: Option<String>,
    /// The last mint that failed.
    pub last_error: Option<Failure>,
    /// The error code with which the store denies everything.
    pub denied_with: Option<Box<str>>,
}

/// A mint that failed.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    /// Its time.
    pub at: String,
    /// Its error.
    pub message: String,
}

/// What is known of a session, as times.
struct Facts {
    state: State,
    /// The end of a live session, and the time of its mint.
    life: Option<(SystemTime, Option<SystemTime>)>,
    minted: Option<SystemTime>,
    refresh: Option<SystemTime>,
    failed: Option<(SystemTime, String)>,
    denied_with: Option<Box<str>>,
}

/// Returns the sessions of a mapping that were opened.
pub(super) fn of_site(site: &Site, now: SystemTime) -> Vec<Session> {
    let Some(homes) = &site.homes else {
        let opened = site.sessions.opened();
        return opened
            .map(|(kind, slot)| Session::of(kind.name(), None, Facts::of(slot, now), now))
            .collect();
    };
    let mut all = BTreeMap::new();
    for site in homes.sites() {
        for (kind, slot) in site.sessions.opened() {
            let facts = Facts::of(slot, now);
            let entry = all.entry(position(kind)).or_insert((kind, 0, None));
            entry.1 += 1;
            entry.2 = Some(match entry.2.take() {
                None => facts,
                Some(others) => facts.with(others),
            });
        }
    }
    let shown = all.into_values().filter_map(|(kind, identities, facts)| Some((kind, identities, facts?)));
    shown.map(|(kind, identities, facts)| Session::of(kind.name(), Some(identities), facts, now)).collect()
}

/// Returns the place of a kind in the order in which kinds are shown.
fn position(kind: SessionKind) -> usize {
    SessionKind::ALL.into_iter().position(|other| other == kind).unwrap_or_default()
}

impl State {
    /// Returns the word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Unused => "unused",
            Self::Missing => "missing",
            Self::Denied => "denied",
        }
    }

    /// Returns whether requests fail because of it.
    pub(super) fn is_trouble(self) -> bool {
        matches!(self, Self::Missing | Self::Denied)
    }

    /// Returns the worse of two: that of which an operator must know.
    fn worse(self, other: Self) -> Self {
        let order = [Self::Missing, Self::Denied, Self::Live, Self::Unused];
        order.into_iter().find(|state| [self, other].contains(state)).unwrap_or(self)
    }
}

impl Facts {
    fn of(slot: &Slot, now: SystemTime) -> Self {
        let (past, denied_with, is_live) = (slot.past(), slot.denial(), slot.live(now).is_some());
        let state = match is_live {
            true if denied_with.is_some() => State::Denied,
            true => State::Live,
            false if slot.is_ready(now) => State::Unused,
            false => State::Missing,
        };
        Self {
            state,
            life: slot.expiration().filter(|_| is_live).map(|end| (end, past.fetched)),
            minted: past.fetched,
            refresh: past.refresh.filter(|_| is_live),
            failed: past.failed.map(|(at, error)| (at, error.to_string())),
            denied_with,
        }
    }

    /// Joins what is known of two sessions.
    fn with(self, other: Self) -> Self {
        let first = |one: Option<SystemTime>, other: Option<SystemTime>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            state: self.state.worse(other.state),
            life: [self.life, other.life].into_iter().flatten().min_by_key(|(end, _)| *end),
            minted: self.minted.max(other.minted),
            refresh: first(self.refresh, other.refresh),
            failed: [self.failed, other.failed].into_iter().flatten().max_by_key(|(at, _)| *at),
            denied_with: self.denied_with.or(other.denied_with),
        }
    }
}

impl Session {
    fn of(kind: &'static str, identities: Option<usize>, facts: Facts, now: SystemTime) -> Self {
        let Facts { state, life, minted, refresh, failed, denied_with } = facts;
        let since = |time: Option<SystemTime>| life?.0.duration_since(time?).ok().map(|time| time.as_secs());
        Self {
            kind,
            identities,
            state,
            expires: life.map(|(end, _)| rfc3339(end)),
            remaining_seconds: Seconds(since(Some(now)).unwrap_or_default()),
            lifetime_seconds: Seconds(life.and_then(|(_, minted)| since(minted)).unwrap_or_default()),
            minted: minted.map(rfc3339),
            next_refresh: refresh.map(rfc3339),
            last_error: failed.map(|(at, message)| Failure { at: rfc3339(at), message }),
            denied_with,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn of_many_identities_the_worst_and_the_first_to_end_is_shown() {
        let facts = |state, start: u64, failed: Option<u64>| Facts {
            state,
            life: (state == State::Live).then(|| (at(start + 900), Some(at(start)))),
            minted: Some(at(start)),
            refresh: (state == State::Live).then(|| at(start + 600)),
            failed: failed.map(|seconds| (at(seconds), format!("at {seconds}"))),
            denied_with: None,
        };
        let all = [
            facts(State::Live, 100, Some(90)),
            facts(State::Missing, 20, Some(930)),
            facts(State::Live, 40, None),
            facts(State::Unused, 10, None),
        ];
        let joined = all.into_iter().reduce(Facts::with).unwrap();
        let shown = Session::of("get", Some(4), joined, at(340));
        assert_eq!((shown.state, shown.identities), (State::Missing, Some(4)));
        assert_eq!((shown.remaining_seconds, shown.lifetime_seconds), (Seconds(600), Seconds(900)));
        let times = [&shown.expires, &shown.minted, &shown.next_refresh].map(|time| time.as_deref().unwrap());
        assert_eq!(times, ["1970-01-01T00:15:40Z", "1970-01-01T00:01:40Z", "1970-01-01T00:10:40Z"]);
        assert_eq!(shown.last_error.unwrap().message, "at 930");
    }
}
