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
    let shown = "scopegate_requests_running{mapping=\"media-reader\"} 0";
    assert!(metrics.encode(Format::Text).contains(shown), "{}", metrics.encode(Format::Text));

    let error = sessions.follow(&long, (&short, &old), &metrics).unwrap_err();
    assert!(error.to_string().starts_with("more than 1 sessions would be in use at once"), "{error}");
    assert!(metrics.encode(Format::Text).contains(shown), "{}", metrics.encode(Format::Text));
    let same = sessions.follow(&short, (&short, &old), &metrics).unwrap();
    assert!(same[0].session.is(&old.iter().next().unwrap().session));

    drop((old, same));
    assert!(sessions.begin(&long, &metrics).is_ok(), "there is room when the old session has ended");
}

#[test]
fn a_store_of_another_kind_gets_sessions_of_its_own() {
    let other = EXAMPLE.replace("[upstream]", "[upstream]\nstore = \"s3\"");
    let [minio, s3] = [EXAMPLE, &other].map(|source| Config::parse(source, &Fake).unwrap());
    assert!(same_store(&minio, &minio) && !same_store(&minio, &s3));
}
