use super::*;
use std::sync::Mutex;

/// Opens sessions that are never minted, up to a number, except those for copies.
#[derive(Debug)]
struct Opener {
    opened: Arc<Mutex<Vec<SessionKind>>>,
}

const ROOM: usize = 3;

impl OpenSession for Opener {
    fn open(&self, kind: SessionKind) -> Result<Arc<SessionHandle>, Unopened> {
        let mut opened = self.opened.lock().unwrap();
        if kind == SessionKind::Copy {
            return Err(Unopened::NotGranted);
        }
        if opened.len() == ROOM {
            return Err(Unopened::Full(TableFull { capacity: ROOM }));
        }
        opened.push(kind);
        Ok(SessionHandle::unfilled())
    }
}

fn sessions(plan: SessionPlan) -> (Sessions, Arc<Mutex<Vec<SessionKind>>>) {
    let opened = Arc::default();
    (Sessions::new(plan, Box::new(Opener { opened: Arc::clone(&opened) })), opened)
}

#[test]
fn a_session_is_opened_once_by_the_first_request() {
    use SessionKind as K;
    for (plan, asked, expected) in [
        (SessionPlan::Split, &[K::Put, K::Get, K::Put, K::Get][..], &[K::Put, K::Get][..]),
        (SessionPlan::One, &[K::Put, K::Get, K::List, K::Uploads], &[K::All, K::Uploads]),
    ] {
        let (sessions, opened) = sessions(plan);
        assert_eq!(sessions.opened().count(), 0, "{plan:?}");
        for kind in asked {
            let slot = Arc::clone(sessions.slot_for(*kind).unwrap());
            assert!(Arc::ptr_eq(&slot, sessions.slot_for(*kind).unwrap()), "{plan:?} {kind}");
        }
        assert_eq!(*opened.lock().unwrap(), expected, "{plan:?}");
        let mut kinds: Vec<_> = sessions.opened().map(|(kind, _)| kind).collect();
        kinds.sort_by_key(|kind| expected.iter().position(|other| other == kind));
        assert_eq!(kinds, expected, "{plan:?}");
    }
}

#[test]
fn sessions_that_cannot_be_opened_stay_so_and_the_others_are_used() {
    let (sessions, opened) = sessions(SessionPlan::Split);
    assert_eq!(sessions.slot_for(SessionKind::Copy).unwrap_err(), Unopened::NotGranted);
    for kind in [SessionKind::Get, SessionKind::List, SessionKind::Put] {
        sessions.slot_for(kind).unwrap();
    }
    let full = Unopened::Full(TableFull { capacity: ROOM });
    assert_eq!(sessions.slot_for(SessionKind::Other).unwrap_err(), full);
    assert!(sessions.slot_for(SessionKind::Get).is_ok());
    opened.lock().unwrap().clear();
    assert!(sessions.slot_for(SessionKind::Other).is_ok(), "there is room again");
}

#[test]
fn a_new_configuration_opens_what_is_open() {
    let (old, _) = sessions(SessionPlan::Split);
    for kind in [SessionKind::Get, SessionKind::Uploads] {
        old.slot_for(kind).unwrap();
    }
    for (plan, expected) in [
        (SessionPlan::Split, &[SessionKind::Get, SessionKind::Uploads][..]),
        (SessionPlan::One, &[SessionKind::Uploads]),
    ] {
        let (new, opened) = sessions(plan);
        new.follow(&old).unwrap();
        assert_eq!(*opened.lock().unwrap(), expected, "{plan:?}");
        assert_eq!((new.shared_with(&old), old.shared_with(&old)), (0, 2));
    }
    let (full, opened) = sessions(SessionPlan::Split);
    opened.lock().unwrap().extend([SessionKind::Put; ROOM]);
    assert_eq!(full.follow(&old), Err(TableFull { capacity: ROOM }));
}

#[tokio::test]
async fn a_denial_raises_doubts_about_the_other_sessions() {
    let (sessions, _) = sessions(SessionPlan::Split);
    let [get, put] =
        [SessionKind::Get, SessionKind::Put].map(|kind| Arc::clone(sessions.slot_for(kind).unwrap()));
    sessions.doubt_others(&get, NodeIndex(1));
    assert_eq!((get.denials.take_nodes(), put.denials.take_nodes()), (vec![], vec![NodeIndex(1)]));
}
