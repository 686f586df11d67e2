//! Sites: mappings with their state. If each identity has a prefix of its own, each has a site of its own as well.
//!
//! The site of an identity is opened when its identity sends the first request, and dropped when it was idle for as long as a session
//! lives, or when another identity needs its room.

use crate::authorize::homes::Homes;
use crate::authorize::mapping::Mapping;
use crate::authorize::template::Values;
use crate::bounds::admission::Admission;
use crate::bounds::completions::Completions;
use crate::bounds::residents::{AllInUse, Residents};
use crate::identify::client::{Client, ClientKey};
use crate::refusal::{Refusal, Rule};
use crate::sessions::table::Sessions;
use crate::telemetry::metrics::{IdentityCounts, Row};
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A mapping with its state, which is kept between requests and, where possible, between generations.
#[derive(Debug)]
pub(crate) struct Site {
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// Its row in the metrics.
    pub row: Row,
    /// Its sessions.
    pub sessions: Arc<Sessions>,
    /// Its admission control.
    pub admission: Arc<Admission>,
    /// Its multipart uploads that are being completed, and lists of uploads.
    pub completions: Arc<Completions>,
    /// The unit that the places of an identity's requests are counted by. Requests of a shared site are counted by client.
    pub holder: Option<ClientKey>,
    /// The sites of the identities, if each has its own. Requests then use none of the sessions of this site.
    pub homes: Option<HomeSites>,
}

impl Site {
    /// Returns the site of a client that the mapping admits.
    ///
    /// # Errors
    /// When the client's identity cannot have a site of its own.
    pub(crate) fn of_client<'s>(self: &'s Arc<Self>, client: &Client<'_>) -> Result<Found<'s>, Refusal> {
        match &self.homes {
            None => Ok(Found::Shared(self)),
            Some(homes) => homes.site_of(self, client).map(Found::Own),
        }
    }
}

/// The time between two searches for idle sites.
const SWEEP: Duration = Duration::from_mins(1);

/// Makes the sessions of identities.
pub(crate) trait MakeSessions: fmt::Debug + Send + Sync {
    /// Returns the sessions of an identity's mapping. They are opened when a request needs them.
    fn of_identity(&self, mapping: &Arc<Mapping>) -> Sessions;
}

/// The sites of a mapping's identities.
#[derive(Debug)]
pub(crate) struct HomeSites {
    homes: Arc<Homes>,
    sessions: Box<dyn MakeSessions>,
    residents: Mutex<Residents<Arc<Values>, Arc<Site>>>,
    counts: Arc<IdentityCounts>,
    /// The number of the next identity.
    next: AtomicU64,
    epoch: Instant,
}

/// The site of a client: that of its mapping, or that of its identity.
#[derive(Clone, Debug)]
pub(crate) enum Found<'g> {
    /// All clients of the mapping share the site.
    Shared(&'g Arc<Site>),
    /// The identity has a site of its own.
    Own(Arc<Site>),
}

impl Deref for Found<'_> {
    type Target = Arc<Site>;

    fn deref(&self) -> &Arc<Site> {
        match self {
            Self::Shared(site) => site,
            Self::Own(site) => site,
        }
    }
}

impl HomeSites {
    /// Makes the sites of `homes`. They are counted in `counts`.
    pub(crate) fn new(
        homes: Arc<Homes>,
        sessions: Box<dyn MakeSessions>,
        counts: Arc<IdentityCounts>,
    ) -> Self {
        let residents = Mutex::new(Residents::new(homes.identities()));
        Self { homes, sessions, residents, counts, next: AtomicU64::new(0), epoch: Instant::now() }
    }

    /// Returns the counts.
    pub(crate) fn counts(&self) -> &Arc<IdentityCounts> {
        &self.counts
    }

    /// Returns the site of a client's identity. `shared` is the site of its mapping.
    ///
    /// # Errors
    /// When the identity cannot name a segment of a prefix, or when too many others are in use.
    pub(crate) fn site_of(&self, shared: &Site, client: &Client<'_>) -> Result<Arc<Site>, Refusal> {
        let values = self.homes.values(client)?;
        let now = self.epoch.elapsed();
        let made_room = {
            let mut residents = self.lock();
            if let Some(site) = residents.get(&values, now) {
                return Ok(Arc::clone(site));
            }
            residents.make_room(is_idle)
        };
        // Dropped without the lock: its sessions end with it.
        self.dropped(made_room.map_err(too_many)?);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let site = self.make(shared, &values, number)?;
        self.add(values, site, now)
    }

    /// Makes the site of the identity with these values.
    fn make(&self, shared: &Site, values: &Values, number: u64) -> Result<Site, Refusal> {
        let mapping = Arc::new(shared.mapping.of_identity(&self.homes, values)?);
        Ok(Site {
            sessions: Arc::new(self.sessions.of_identity(&mapping)),
            mapping,
            row: shared.row,
            admission: Arc::clone(&shared.admission),
            completions: Arc::clone(&shared.completions),
            holder: Some(ClientKey::Identity(number)),
            homes: None,
        })
    }

    fn add(&self, values: Values, site: Site, now: Duration) -> Result<Arc<Site>, Refusal> {
        let holder = site.holder;
        let mut residents = self.lock();
        let added = residents.insert(&Arc::new(values), Arc::new(site), now, is_idle);
        let added = added.map(|(site, dropped)| (Arc::clone(site), dropped));
        self.counts.set_live(residents.len());
        drop(residents);
        let (site, dropped) = added.map_err(too_many)?;
        // If another request of the identity came first, its site is used, and this one counted as nothing.
        self.dropped(dropped.filter(|dropped| dropped.holder != holder));
        Ok(site)
    }

    /// Takes over the identities of the mapping's earlier configuration. Sessions that fit both stay the same.
    pub(crate) fn inherit(&self, shared: &Site, old: &Self) {
        if !self.homes.identify_as(&old.homes) {
            return;
        }
        let identities: Vec<(Arc<Values>, Arc<Site>)> =
            old.lock().iter().map(|(values, site)| (Arc::clone(values), Arc::clone(site))).collect();
        self.next.store(old.next.load(Ordering::Relaxed), Ordering::Relaxed);
        let newest = identities.len().saturating_sub(self.homes.identities().get());
        for (values, before) in identities.into_iter().skip(newest) {
            let Some(ClientKey::Identity(number)) = before.holder else { continue };
            // An identity or a session without room is opened again by the next request.
            let Ok(site) = self.make(shared, &values, number) else { continue };
            let _ = site.sessions.follow(&before.sessions);
            let _ = self.add(Values::clone(&values), site, self.epoch.elapsed());
        }
    }

    /// Returns the site of each identity.
    pub(crate) fn sites(&self) -> Vec<Arc<Site>> {
        self.lock().iter().map(|(_, site)| Arc::clone(site)).collect()
    }

    /// Drops sites that are idle for longer than a session lives, for as long as the site of the mapping exists.
    pub(crate) async fn sweep(shared: Weak<Site>) {
        loop {
            sleep(SWEEP).await;
            let Some(shared) = shared.upgrade() else { return };
            let Some(homes) = &shared.homes else { return };
            let idle = {
                let mut residents = homes.lock();
                let since = homes.epoch.elapsed().saturating_sub(shared.mapping.duration);
                let idle = residents.remove_unused(since, is_idle);
                homes.counts.set_live(residents.len());
                idle
            };
            homes.dropped(idle);
        }
    }

    fn dropped(&self, sites: impl IntoIterator<Item = Arc<Site>>) {
        for site in sites {
            self.counts.count_dropped();
            drop(site);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Residents<Arc<Values>, Arc<Site>>> {
        self.residents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether no request uses a site. New references are made under the lock of the table only.
fn is_idle(site: &Arc<Site>) -> bool {
    Arc::strong_count(site) == 1
}

fn too_many(_: AllInUse) -> Refusal {
    let message = "too many identities of this mapping send requests at once: slow down";
    Refusal::new(Rule::TooManyIdentities, message).retry_after(1)
}

#[cfg(test)]
mod tests;
