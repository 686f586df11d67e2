use super::*;
use crate::config::tests::{EXAMPLE, Fake};
use crate::identify::client::ListenerRegistry;
use crate::telemetry::metrics::Format;

fn table(sites: Vec<Arc<Site>>) -> SiteTable {
    SiteTable::new(sites, &ListenerRegistry::default())
}

#[tokio::test]
async fn a_reload_without_room_for_its_sessions_changes_nothing() {
    let other =
        EXAMPLE.replace("15m", "1h").replace("[issuer]", "[limits]\nrequests_per_mapping = 7\n[issuer]");
    let [short, long] = [EXAMPLE, &other].map(|source| Config::parse(source, &Fake).unwrap());
    let metrics = Arc::new(Metrics::default());
    let mut sessions = Sessions::new(&short, &metrics).unwrap();
    sessions.table = Arc::new(SessionTable::new(1));
    let old = table(sessions.begin(&short, &metrics).unwrap());
    let get = old.iter().next().unwrap().sessions.slot_for(SessionKind::Get).unwrap();
    let shown = "scopegate_requests_running{mapping=\"media-reader\"} 0";
    assert!(metrics.encode(Format::Text).contains(shown), "{}", metrics.encode(Format::Text));

    let error = sessions.follow(&long, (&short, &old), &metrics).unwrap_err();
    assert!(error.to_string().starts_with("more than 1 sessions would be in use at once"), "{error}");
    assert!(metrics.encode(Format::Text).contains(shown), "{}", metrics.encode(Format::Text));
    let same = sessions.follow(&short, (&short, &old), &metrics).unwrap();
    assert!(Arc::ptr_eq(same[0].sessions.slot_for(SessionKind::Get).unwrap(), get));
    let full = Unopened::Full(TableFull { capacity: 1 });
    assert_eq!(same[0].sessions.slot_for(SessionKind::List).unwrap_err(), full);

    drop((old, same));
    let next = sessions.begin(&long, &metrics).unwrap();
    assert!(
        next[0].sessions.slot_for(SessionKind::Get).is_ok(),
        "there is room when the old session has ended"
    );
}

/// A reload opens the sessions that are open, and no others.
#[tokio::test]
async fn a_reload_keeps_the_open_sessions() {
    let one = EXAMPLE.replacen("session = ", "sessions = \"one\"\nsession = ", 1);
    let [split, one] = [EXAMPLE, &one].map(|source| Config::parse(source, &Fake).unwrap());
    let metrics = Arc::new(Metrics::default());
    let mut sessions = Sessions::new(&split, &metrics).unwrap();
    let kinds = |sites: &[Arc<Site>]| sites[0].sessions.opened().map(|(kind, _)| kind).collect::<Vec<_>>();
    let first = sessions.begin(&split, &metrics).unwrap();
    assert_eq!(kinds(&first), []);
    first[0].sessions.slot_for(SessionKind::Get).unwrap();
    first[0].sessions.slot_for(SessionKind::Other).unwrap();
    assert_eq!(first[0].sessions.slot_for(SessionKind::Put).unwrap_err(), Unopened::NotGranted);
    let first = table(first);
    let second = sessions.follow(&split, (&split, &first), &metrics).unwrap();
    assert_eq!(kinds(&second), [SessionKind::Get, SessionKind::Other]);
    assert_eq!(second[0].sessions.shared_with(&first.iter().next().unwrap().sessions), 2);
    let shown = "scopegate_sessions_open{mapping=\"media-reader\"} 2\n";
    assert!(metrics.encode(Format::Text).contains(shown), "{}", metrics.encode(Format::Text));
    let second = table(second);
    let third = sessions.follow(&one, (&split, &second), &metrics).unwrap();
    assert_eq!(kinds(&third), []);
    third[0].sessions.slot_for(SessionKind::Get).unwrap();
    assert_eq!(kinds(&third), [SessionKind::All], "one session signs everything");
    let third = table(third);
    let fourth = sessions.follow(&split, (&one, &third), &metrics).unwrap();
    assert_eq!(kinds(&fourth), []);
    drop((first, second, third));
    assert!(metrics.encode(Format::Text).contains("scopegate_sessions_open{mapping=\"media-reader\"} 0\n"));
}

#[tokio::test]
async fn only_common_sessions_are_minted_at_start() {
    use SessionKind as K;
    let scopes =
        "bucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\", \"list\", \"write\", \"delete\"]\n";
    let mapping = |more: &str| {
        let (head, _) = EXAMPLE.split_once("[[mapping]]").unwrap();
        format!(
            "{head}[[mapping]]\nname = \"a\"\nclient = {{ listener = \"sidecar\" }}\n{more}\n[[mapping.scope]]\n{scopes}"
        )
    };
    for (more, kinds) in [
        ("mint = \"start\"", &[K::Get, K::List, K::Put, K::Delete][..]),
        ("mint = \"start\"\nsessions = \"one\"", &[K::All]),
        ("mint = \"lazy\"", &[]),
    ] {
        let config = Config::parse(&mapping(more), &Fake).unwrap();
        let metrics = Arc::new(Metrics::default());
        let sites = Sessions::new(&config, &metrics).unwrap().begin(&config, &metrics).unwrap();
        assert_eq!(sites[0].sessions.opened().map(|(kind, _)| kind).collect::<Vec<_>>(), kinds, "{more}");
    }
}

#[test]
fn a_store_of_another_kind_gets_sessions_of_its_own() {
    let other = EXAMPLE.replace("[upstream]", "[upstream]\nstore = \"s3\"");
    let [minio, s3] = [EXAMPLE, &other].map(|source| Config::parse(source, &Fake).unwrap());
    assert!(same_store(&minio, &minio) && !same_store(&minio, &s3));
}
