//! The sessions that a configuration needs: taken from the session table, minted by the configured issuer.

use super::issuer::IssuerWatch;
use crate::authorize::mapping::{Mapping, MintWhen};
use crate::authorize::operations::SessionKind;
use crate::authorize::policy::SessionPolicy;
use crate::bounds::admission::{Admission, Bounds};
use crate::bounds::limits::MAX_SESSIONS;
use crate::config::Config;
use crate::mint::StsMint;
use crate::net::wall_clock::WallClock;
use crate::proxy::generation::{Site, SiteTable};
use crate::sessions::minting::MintRequest;
use crate::sessions::table::{
    self as session_table, IssuerId, Keeper, MintBudget, MintCounts, Purpose, SessionHandle, SessionKey,
    SessionTable, Slot, StoreId, TableFull, Terms,
};
use crate::store::judge::{Nodes, StoreJudge, Trial};
use crate::telemetry::metrics::{Metrics, Row};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// The session table and the issuer of its new sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    table: SessionTable,
    issuer: Issuer,
}

/// An issuer, with the state that its sessions share.
#[derive(Debug)]
struct Issuer {
    id: IssuerId,
    store: StoreId,
    minter: Arc<ArcSwap<StsMint>>,
    budget: Arc<MintBudget>,
    /// The nodes on which new sessions are tried.
    nodes: Arc<ArcSwap<Nodes>>,
    watch: IssuerWatch,
}

impl Issuer {
    /// Starts using the issuer of `config`, on the current runtime.
    fn start(config: &Config, metrics: &Arc<Metrics>, nodes: Nodes, id: IssuerId, store: StoreId) -> Self {
        let limits = &config.limits;
        let minter = Arc::new(ArcSwap::from_pointee(minter(config)));
        Self {
            id,
            store,
            watch: IssuerWatch::start(Arc::clone(&minter), Arc::clone(metrics)),
            minter,
            budget: Arc::new(MintBudget::new(limits.mints_per_second, limits.mint_timeout)),
            nodes: Arc::new(ArcSwap::from_pointee(nodes)),
        }
    }

    /// Applies the endpoints and limits of `config` to running sessions too.
    fn update(&self, config: &Config, nodes: Nodes) {
        self.nodes.store(Arc::new(nodes));
        self.minter.store(Arc::new(minter(config)));
        self.budget.set(config.limits.mints_per_second, config.limits.mint_timeout);
    }

    /// Returns the key of a session of `mapping`. Only the session for the mapping's scopes can be minted at start.
    fn key(&self, mapping: &Mapping, kind: SessionKind, policy: SessionPolicy) -> SessionKey {
        let eager = kind == SessionKind::Scopes && mapping.mint == MintWhen::Start;
        SessionKey {
            purpose: Purpose { mapping: mapping.name.clone(), kind, policy, store: self.store },
            terms: Terms { issuer: self.id, lifetime: mapping.duration, eager },
        }
    }

    /// Starts the keeper of a slot.
    fn keep(&self, config: &Config, mapping: &Mapping, key: &SessionKey, slot: Slot) -> Arc<SessionHandle> {
        let Purpose { kind, policy, .. } = &key.purpose;
        let trial = Trial::of_kind(*kind, mapping);
        Keeper {
            slot: Arc::new(slot),
            mint: Arc::clone(&self.minter),
            request: MintRequest {
                name: mapping.name.to_string(),
                policy: policy.clone(),
                duration: mapping.duration,
            },
            kind: *kind,
            region: Arc::clone(&config.upstream.region),
            clock: WallClock::SYSTEM,
            budget: Arc::clone(&self.budget),
            judge: StoreJudge::new(Arc::clone(&self.nodes), trial, WallClock::SYSTEM),
            issuer_doubts: Arc::clone(self.watch.doubts()),
        }
        .start()
    }
}

impl Sessions {
    /// Makes an empty table for the issuer of `config`, on the current runtime.
    ///
    /// # Errors
    /// Fails if an endpoint is unusable.
    pub(super) fn new(config: &Config, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let (id, store) = (IssuerId::default(), StoreId::default());
        let issuer = Issuer::start(config, metrics, nodes(config)?, id, store);
        Ok(Self { table: SessionTable::new(MAX_SESSIONS), issuer })
    }

    /// Returns the sites of the mappings of `config`, the first configuration.
    ///
    /// # Errors
    /// Fails if the configuration needs more sessions than one process keeps.
    pub(super) fn begin(&self, config: &Config, metrics: &Metrics) -> io::Result<Vec<Arc<Site>>> {
        self.sites(&self.issuer, config, metrics, &HashMap::new())
    }

    /// Returns the sites of the mappings of `config`, which replaces `old`.
    ///
    /// # Errors
    /// Fails if an endpoint is unusable or too many sessions are in use. Nothing changes then.
    pub(super) fn follow(
        &mut self,
        config: &Config,
        (old, old_sites): (&Config, &SiteTable),
        metrics: &Arc<Metrics>,
    ) -> io::Result<Vec<Arc<Site>>> {
        let nodes = nodes(config)?;
        let old_sites = old_sites.iter().map(|site| (&*site.mapping.name, &**site)).collect();
        if same_issuer(old, config) {
            let sites = self.sites(&self.issuer, config, metrics, &old_sites)?;
            self.issuer.update(config, nodes);
            return Ok(sites);
        }
        let Issuer { id, store, .. } = self.issuer;
        let store = if same_store(old, config) { store } else { StoreId(store.0 + 1) };
        let issuer = Issuer::start(config, metrics, nodes, IssuerId(id.0 + 1), store);
        let sites = self.sites(&issuer, config, metrics, &old_sites)?;
        self.issuer = issuer;
        Ok(sites)
    }

    fn sites(
        &self,
        issuer: &Issuer,
        config: &Config,
        metrics: &Metrics,
        old: &HashMap<&str, &Site>,
    ) -> io::Result<Vec<Arc<Site>>> {
        let rows = metrics.rows(config.mappings.iter().map(|mapping| &*mapping.name));
        let site = |(mapping, row): (&Mapping, _)| {
            self.site(issuer, config, mapping, row, old.get(&*mapping.name).copied()).map(Arc::new)
        };
        let sites: Result<Vec<Arc<Site>>, TableFull> = config.mappings.iter().zip(rows).map(site).collect();
        let sites = sites.map_err(|TableFull { capacity }| {
            io::Error::other(format!(
                "more than {capacity} sessions would be in use at once: requests of earlier configurations still \
                 hold theirs; reload again when they have ended, or use fewer mappings"
            ))
        })?;
        // Not before all sites are there: until then the metrics show those of the configuration in effect.
        for site in &sites {
            metrics.show_admission(site.row, &site.admission);
            metrics.show_slot(site.row, site.session.slot());
        }
        Ok(sites)
    }

    /// Returns the site of a mapping, reusing the parts of its `old` site that still fit.
    fn site(
        &self,
        issuer: &Issuer,
        config: &Config,
        mapping: &Mapping,
        (row, counts): (Row, Arc<MintCounts>),
        old: Option<&Site>,
    ) -> Result<Site, TableFull> {
        let bounds = Bounds::of(&config.limits);
        let admission = match old {
            Some(old) if old.admission.bounds() == bounds => Arc::clone(&old.admission),
            _ => Arc::new(Admission::new(bounds)),
        };
        let completions = old.map(|old| Arc::clone(&old.completions)).unwrap_or_default();
        let session = |kind, policy| self.session(issuer, config, mapping, &counts, kind, policy);
        let scopes = session(SessionKind::Scopes, mapping.policy.clone())?;
        let uploads = mapping.policy_of(SessionKind::Uploads);
        let uploads = uploads.map(|policy| session(SessionKind::Uploads, policy)).transpose()?;
        let session = session_table::Sessions::new(scopes, uploads);
        Ok(Site { mapping: mapping.clone(), row, session, admission, completions })
    }

    fn session(
        &self,
        issuer: &Issuer,
        config: &Config,
        mapping: &Mapping,
        counts: &Arc<MintCounts>,
        kind: SessionKind,
        policy: SessionPolicy,
    ) -> Result<Arc<SessionHandle>, TableFull> {
        let key = issuer.key(mapping, kind, policy);
        let slot = Slot::new(key.terms.eager, Arc::clone(counts));
        let start = |slot| issuer.keep(config, mapping, &key, slot);
        self.table.get_or_start(&key, WallClock::SYSTEM.now(), slot, start)
    }
}

fn minter(config: &Config) -> StsMint {
    let (region, role) = (&config.upstream.region, config.issuer.role_arn.as_deref());
    StsMint::new(config.sts(), region, &config.issuer.keys, role, config.limits.mint_timeout)
}

fn nodes(config: &Config) -> io::Result<Nodes> {
    Nodes::new(&config.upstream.endpoints, config.limits.connect_timeout)
}

/// Returns whether sessions minted under one configuration are valid under the other. Two lists of STS endpoints with
/// a node in common mean the same STS. How sessions are tried depends on the kind of store.
fn same_store(one: &Config, other: &Config) -> bool {
    one.sts().iter().any(|endpoint| other.sts().contains(endpoint))
        && one.upstream.region == other.upstream.region
        && one.upstream.store == other.upstream.store
}

/// Returns whether both configurations derive sessions from the same rights.
fn same_issuer(one: &Config, other: &Config) -> bool {
    same_store(one, other)
        && one.issuer.role_arn == other.issuer.role_arn
        && one.issuer.keys.are(&other.issuer.keys)
}

#[cfg(test)]
mod tests;
