use super::*;
use SessionKind as K;

/// What a mapping's sessions are like, and what readiness says of them.
#[test]
fn a_mapping_is_served_if_a_session_works() {
    let states = |missing: Option<K>, denied: &[K], allowed: &[K]| {
        let mut states = SessionStates { missing, ..SessionStates::default() };
        for kind in denied {
            states.add_denial(*kind, Some("AccessDenied".into()));
        }
        for kind in allowed {
            states.add_denial(*kind, None);
        }
        states.obstacle("m")
    };
    for (missing, denied, allowed, expected) in [
        (None, &[][..], &[][..], ""),
        (None, &[], &[K::Get, K::Put], ""),
        (None, &[K::Get], &[], "store: mapping \"m\" is denied what it grants: AccessDenied ("),
        (None, &[K::Get, K::Put], &[], "store: mapping \"m\" is denied"),
        (None, &[K::Put], &[K::Get], ""),
        (None, &[K::Get], &[K::Delete], "store: mapping \"m\" is denied"),
        (Some(K::Put), &[], &[K::Get], "session: mapping \"m\" has no live session put ("),
        (Some(K::Get), &[K::Put], &[], "session: mapping \"m\" has no live session get ("),
    ] {
        let found = states(missing, denied, allowed).unwrap_or_default();
        let is_as_expected = if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) };
        assert!(is_as_expected, "{missing:?} {denied:?} {allowed:?}: {found}");
    }
}
