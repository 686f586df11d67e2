use super::*;
use crate::authorize::homes::HomeScope;
use crate::authorize::operations::{SessionKind, SessionPlan};
use crate::authorize::scope::Scope;
use crate::authorize::template::Template;
use crate::bounds::admission::Bounds;
use crate::bounds::limits::Limits;
use crate::identify::client::tests::{connection, listener};
use crate::identify::client::{Connection, PeerUser};
use crate::identify::matcher::Matcher;
use crate::s3::names::BucketName;
use crate::sessions::table::{OpenSession, SessionHandle, Unopened};
use crate::telemetry::metrics::{Format, Metrics};
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicUsize;

/// Opens sessions that are never minted.
#[derive(Clone, Debug, Default)]
struct Opener {
    opened: Arc<AtomicUsize>,
}

impl OpenSession for Opener {
    fn open(&self, _: SessionKind) -> Result<Arc<SessionHandle>, Unopened> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(SessionHandle::unfilled())
    }
}

impl MakeSessions for Opener {
    fn of_identity(&self, mapping: &Arc<Mapping>) -> Sessions {
        assert!(mapping.homes.is_none() && !mapping.scopes.is_empty());
        Sessions::new(mapping.sessions, Box::new(self.clone()))
    }
}

fn homes(prefix: &str, identities: usize) -> Arc<Homes> {
    let template = Template::parse(prefix, None).unwrap().unwrap();
    let rights = [crate::authorize::rights::Right::Read].into_iter().collect();
    let scope = Scope::new(BucketName::parse("home").unwrap(), template.example().unwrap(), rights);
    let scopes = vec![HomeScope { scope, template: Some(template) }];
    Arc::new(Homes::new(scopes, &Matcher::default(), NonZeroUsize::new(identities).unwrap()))
}

/// Returns the site of a mapping with room for this many identities, and how many sessions were opened.
fn site(prefix: &str, identities: usize, metrics: &Metrics) -> (Arc<Site>, Arc<AtomicUsize>) {
    let (homes, opened) = (homes(prefix, identities), Arc::<AtomicUsize>::default());
    let sessions = Box::new(Opener { opened: Arc::clone(&opened) });
    let limits = Limits { requests_per_mapping: 8, queue_per_mapping: 0, ..Limits::default() };
    let (row, _) = metrics.rows(["homes"]).remove(0);
    let site = Arc::new(Site {
        mapping: Arc::new(Mapping {
            homes: Some(Arc::clone(&homes)),
            ..Mapping::of_scopes("homes", Vec::new())
        }),
        row,
        sessions: Arc::new(Sessions::new(SessionPlan::Split, sessions.clone())),
        admission: Arc::new(Admission::new(Bounds::of(&limits))),
        completions: Arc::default(),
        holder: None,
        homes: Some(HomeSites::new(homes, sessions, Arc::default())),
    });
    metrics.show_identities(row, site.homes.as_ref().unwrap().counts());
    (site, opened)
}

/// Returns the site of a user.
fn of(site: &Arc<Site>, uid: u32) -> Result<Arc<Site>, Rule> {
    let connection = Connection::unix(Some(PeerUser { uid, gid: 1 }), listener("main"));
    let found = site.of_client(&Client::of_connection(&connection)).map_err(|refusal| refusal.rule)?;
    Ok(Arc::clone(&found))
}

fn prefixes(site: &Site) -> Vec<String> {
    let sites = site.homes.as_ref().unwrap().sites();
    sites.iter().map(|site| site.mapping.scopes[0].prefix.to_string()).collect()
}

#[tokio::test]
async fn an_identity_has_one_site_of_its_own() {
    let (site, opened) = site("{uid}/", 10, &Metrics::default());
    let (first, again, other) = (of(&site, 1).unwrap(), of(&site, 1).unwrap(), of(&site, 2).unwrap());
    assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
    assert!(first.holder != other.holder && first.holder.is_some());
    assert_eq!(opened.load(Ordering::Relaxed), 0, "no request has needed a session");
    let slot = |site: &Arc<Site>| Arc::clone(site.sessions.slot_for(SessionKind::Get).unwrap());
    assert!(Arc::ptr_eq(&slot(&first), &slot(&again)) && !Arc::ptr_eq(&slot(&first), &slot(&other)));
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    assert_eq!(prefixes(&site), ["1/", "2/"]);
    let stranger = connection(Some("10.0.0.1"), listener("main"));
    let refusal = site.of_client(&Client::of_connection(&stranger)).unwrap_err();
    assert_eq!(refusal.rule, Rule::IdentityNotAName);
}

#[tokio::test]
async fn the_next_identity_takes_the_room_of_an_idle_one() {
    let metrics = Arc::new(Metrics::default());
    let (site, _) = site("{uid}/", 90, &metrics);
    let busy = of(&site, 0).unwrap();
    for uid in 1..90 {
        of(&site, uid).unwrap();
    }
    assert_eq!(prefixes(&site).len(), 90);
    of(&site, 90).unwrap();
    let kept = prefixes(&site);
    assert_eq!(kept.len(), 90, "{kept:?}");
    assert!(kept.contains(&"0/".to_owned()) && !kept.contains(&"1/".to_owned()), "0 is in use: {kept:?}");
    drop(busy);
    let text = metrics.encode(Format::Text);
    for line in [
        "scopegate_identities{mapping=\"homes\"} 90",
        "scopegate_identities_dropped_total{mapping=\"homes\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn without_an_idle_identity_another_is_refused_and_opens_nothing() {
    let (site, opened) = site("{uid}/", 2, &Metrics::default());
    let running = [of(&site, 1).unwrap(), of(&site, 2).unwrap()];
    let connection = Connection::unix(Some(PeerUser { uid: 3, gid: 1 }), listener("main"));
    let refusal = site.of_client(&Client::of_connection(&connection)).unwrap_err();
    assert_eq!((refusal.rule, refusal.retry_after), (Rule::TooManyIdentities, Some(1)));
    assert_eq!((refusal.status().as_u16(), refusal.rule.code()), (503, "SlowDown"));
    assert_eq!(opened.load(Ordering::Relaxed), 0);
    assert!(of(&site, 1).is_ok(), "those with a site are served");
    drop(running);
    assert!(of(&site, 3).is_ok());
}

#[tokio::test(start_paused = true)]
async fn idle_identities_are_dropped_after_the_life_of_a_session() {
    let metrics = Arc::new(Metrics::default());
    let (site, _) = site("{uid}/", 10, &metrics);
    let sweeping = tokio::spawn(HomeSites::sweep(Arc::downgrade(&site)));
    let (running, _) = (of(&site, 1).unwrap(), of(&site, 2).unwrap());
    sleep(site.mapping.duration.saturating_sub(SWEEP)).await;
    of(&site, 3).unwrap();
    assert_eq!(prefixes(&site).len(), 3);
    sleep(3 * SWEEP).await;
    assert_eq!(prefixes(&site), ["1/", "3/"], "1 is in use, and 3 was until now");
    drop(running);
    sleep(site.mapping.duration + 2 * SWEEP).await;
    assert!(prefixes(&site).is_empty());
    let text = metrics.encode(Format::Text);
    assert!(text.contains("scopegate_identities{mapping=\"homes\"} 0"), "{text}");
    drop(site);
    sleep(2 * SWEEP).await;
    assert!(sweeping.is_finished(), "the search ends with the site");
}

/// One identity gets three quarters of the places, from however many addresses it sends its requests.
#[tokio::test]
async fn no_identity_takes_all_places_of_its_mapping() {
    let (site, _) = site("{uid}/", 10, &Metrics::default());
    let (alice, bob) = (of(&site, 1).unwrap(), of(&site, 2).unwrap());
    let mut permits = Vec::new();
    for _ in 0..8 {
        permits.extend(alice.admission.admit(alice.holder.unwrap()).await.ok());
    }
    assert_eq!(permits.len(), 6);
    assert!(bob.admission.admit(bob.holder.unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_new_configuration_keeps_the_identities() {
    let metrics = Metrics::default();
    let (old, _) = site("{uid}/", 10, &metrics);
    for uid in 1..=5 {
        of(&old, uid).unwrap();
    }
    let held = of(&old, 4).unwrap();
    held.sessions.slot_for(SessionKind::Put).unwrap();
    let (new, opened) = site("new/{uid}/", 3, &metrics);
    let inherit = |new: &Arc<Site>| {
        new.homes.as_ref().unwrap().inherit(new, old.homes.as_ref().unwrap());
    };
    inherit(&new);
    assert_eq!(prefixes(&new), ["new/3/", "new/5/", "new/4/"], "the most recently used");
    assert_eq!((of(&new, 4).unwrap().holder, opened.load(Ordering::Relaxed)), (held.holder, 1));
    let open: Vec<_> = of(&new, 4).unwrap().sessions.opened().map(|(kind, _)| kind).collect();
    assert_eq!(open, [SessionKind::Put]);
    let six = of(&new, 6).unwrap().holder;
    assert!(
        prefixes(&new).len() == 3
            && old.homes.as_ref().unwrap().sites().iter().all(|site| site.holder != six)
    );

    let (other, _) = site("{uid}/", 3, &metrics);
    let user = Template::parse("{user}/", None).unwrap();
    let scopes = vec![HomeScope {
        scope: other.mapping.homes.as_ref().unwrap().scopes()[0].scope.clone(),
        template: user,
    }];
    let homes = Arc::new(Homes::new(scopes, &Matcher::default(), NonZeroUsize::MIN));
    let sessions = Box::new(Opener::default());
    let renamed = HomeSites::new(homes, sessions, Arc::default());
    renamed.inherit(&other, old.homes.as_ref().unwrap());
    assert!(renamed.sites().is_empty(), "a user id is not the name of a user");
}
