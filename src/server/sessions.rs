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
use crate::proxy::site::{HomeSites, MakeSessions};
use crate::sessions::minting::MintRequest;
use crate::sessions::table::{
    self as session_table, IssuerId, Keeper, MintBudget, MintCounts, OpenSession, Purpose, SessionHandle,
    SessionKey, SessionTable, Slot, StoreId, TableFull, Terms, Unopened,
};
use crate::store::judge::{Nodes, StoreJudge, Trial};
use crate::telemetry::metrics::{Metrics, Row};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// The session table and the issuer of its new sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Arc<SessionTable>,
    issuer: Issuer,
}

/// An issuer, and the watch over it.
#[derive(Debug)]
struct Issuer {
    minting: Arc<Minting>,
    /// Ends with the issuer, while its sessions live on for as long as requests use them.
    _watch: IssuerWatch,
}

/// The state that the sessions of an issuer share.
#[derive(Debug)]
struct Minting {
    id: IssuerId,
    store: StoreId,
    region: Arc<str>,
    minter: Arc<ArcSwap<StsMint>>,
    budget: Arc<MintBudget>,
    /// The nodes on which new sessions are tried.
    nodes: Arc<ArcSwap<Nodes>>,
    doubts: Arc<Notify>,
    /// The runtime that mints, which is not that of the workers.
    runtime: Handle,
}

impl Issuer {
    /// Starts using the issuer of `config`, on the current runtime.
    ///
    /// # Errors
    /// Fails if an endpoint is unusable.
    fn start(config: &Config, metrics: &Arc<Metrics>, (id, store): (IssuerId, StoreId)) -> io::Result<Self> {
        let nodes = nodes(config)?;
        let limits = &config.limits;
        let minter = Arc::new(ArcSwap::from_pointee(minter(config)?));
        let watch = IssuerWatch::start(Arc::clone(&minter), Arc::clone(metrics));
        let minting = Minting {
            id,
            store,
            region: Arc::clone(&config.upstream.region),
            minter,
            budget: Arc::new(MintBudget::new(limits.mints_per_second, limits.mint_timeout)),
            nodes: Arc::new(ArcSwap::from_pointee(nodes)),
            doubts: Arc::clone(watch.doubts()),
            runtime: Handle::current(),
        };
        Ok(Self { minting: Arc::new(minting), _watch: watch })
    }
}

impl Minting {
    /// Applies the endpoints and limits of `config` to running sessions too.
    fn update(&self, config: &Config, nodes: Nodes, minter: StsMint) {
        self.nodes.store(Arc::new(nodes));
        self.minter.store(Arc::new(minter));
        self.budget.set(config.limits.mints_per_second, config.limits.mint_timeout);
    }

    /// Returns the key of a session of `mapping`. Only common sessions are minted at start.
    fn key(&self, mapping: &Mapping, kind: SessionKind, policy: SessionPolicy) -> SessionKey {
        let eager = kind.is_common() && mapping.mint == MintWhen::Start;
        SessionKey {
            purpose: Purpose { mapping: mapping.name.clone(), kind, policy, store: self.store },
            terms: Terms { issuer: self.id, lifetime: mapping.duration, eager },
        }
    }

    /// Starts the keeper of a slot. Mints while there is no live session take their turn in `missing` first.
    fn keep(
        &self,
        mapping: &Mapping,
        key: &SessionKey,
        slot: Slot,
        missing: Option<&Arc<MintBudget>>,
    ) -> Arc<SessionHandle> {
        let Purpose { kind, policy, .. } = &key.purpose;
        let trial = Trial::of_kind(*kind, mapping);
        let _entered = self.runtime.enter();
        Keeper {
            slot: Arc::new(slot),
            mint: Arc::clone(&self.minter),
            request: MintRequest {
                name: mapping.name.to_string(),
                policy: policy.clone(),
                duration: mapping.duration,
            },
            kind: *kind,
            region: Arc::clone(&self.region),
            clock: WallClock::SYSTEM,
            budget: Arc::clone(&self.budget),
            missing: missing.cloned(),
            judge: StoreJudge::new(Arc::clone(&self.nodes), trial, WallClock::SYSTEM),
            issuer_doubts: Arc::clone(&self.doubts),
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
        let issuer = Issuer::start(config, metrics, (id, store))?;
        Ok(Self { table: Arc::new(SessionTable::new(MAX_SESSIONS)), issuer })
    }

    /// Returns the sites of the mappings of `config`, the first configuration.
    ///
    /// # Errors
    /// Fails if the configuration needs more sessions than one process keeps.
    pub(super) fn begin(&self, config: &Config, metrics: &Metrics) -> io::Result<Vec<Arc<Site>>> {
        self.sites(&self.issuer.minting, config, metrics, &HashMap::new())
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
        let old_sites = old_sites.iter().map(|site| (&*site.mapping.name, &**site)).collect();
        let minting = &self.issuer.minting;
        if same_issuer(old, config) {
            let (nodes, minter) = (nodes(config)?, minter(config)?);
            let sites = self.sites(minting, config, metrics, &old_sites)?;
            minting.update(config, nodes, minter);
            return Ok(sites);
        }
        let Minting { id, store, .. } = **minting;
        let store = if same_store(old, config) { store } else { StoreId(store.0 + 1) };
        let issuer = Issuer::start(config, metrics, (IssuerId(id.0 + 1), store))?;
        let sites = self.sites(&issuer.minting, config, metrics, &old_sites)?;
        self.issuer = issuer;
        Ok(sites)
    }

    fn sites(
        &self,
        minting: &Arc<Minting>,
        config: &Config,
        metrics: &Metrics,
        old: &HashMap<&str, &Site>,
    ) -> io::Result<Vec<Arc<Site>>> {
        let rows = metrics.rows(config.mappings.iter().map(|mapping| &*mapping.name));
        let opening = |(mapping, (row, counts)): (&Mapping, (Row, Arc<MintCounts>))| {
            let (table, minting) = (Arc::clone(&self.table), Arc::clone(minting));
            let common = Common { table, minting, counts, missing: None };
            site(common, config, mapping, row, old.get(&*mapping.name).copied()).map(Arc::new)
        };
        let sites: Result<Vec<Arc<Site>>, TableFull> =
            config.mappings.iter().zip(rows).map(opening).collect();
        let sites = sites.map_err(|TableFull { capacity }| {
            io::Error::other(format!(
                "more than {capacity} sessions would be in use at once: requests of earlier configurations still \
                 hold theirs; reload again when they have ended, or use fewer mappings"
            ))
        })?;
        // Not before all sites are there: until then the metrics show those of the configuration in effect.
        for site in &sites {
            metrics.show_admission(site.row, &site.admission);
            metrics.show_sessions(site.row, &site.sessions);
            let Some(homes) = &site.homes else { continue };
            if let Some(old) = old.get(&*site.mapping.name).and_then(|old| old.homes.as_ref()) {
                homes.inherit(site, old);
            }
            metrics.show_identities(site.row, homes.counts());
            tokio::spawn(HomeSites::sweep(Arc::downgrade(site)));
        }
        Ok(sites)
    }
}

/// What the sessions of a mapping, or of its identities, have in common.
#[derive(Clone, Debug)]
struct Common {
    table: Arc<SessionTable>,
    minting: Arc<Minting>,
    counts: Arc<MintCounts>,
    /// The budget of identities for mints without a live session.
    missing: Option<Arc<MintBudget>>,
}

impl Common {
    fn sessions(&self, mapping: &Arc<Mapping>) -> session_table::Sessions {
        let opener = Opener { common: self.clone(), mapping: Arc::clone(mapping) };
        session_table::Sessions::new(mapping.sessions, Box::new(opener))
    }
}

impl MakeSessions for Common {
    fn of_identity(&self, mapping: &Arc<Mapping>) -> session_table::Sessions {
        self.sessions(mapping)
    }
}

/// Opens the sessions of one mapping, or of one of its identities.
#[derive(Debug)]
struct Opener {
    common: Common,
    mapping: Arc<Mapping>,
}

impl OpenSession for Opener {
    fn open(&self, kind: SessionKind) -> Result<Arc<SessionHandle>, Unopened> {
        let Self { common: Common { table, minting, counts, missing }, mapping } = self;
        let policy = mapping.policy_of(kind).ok_or(Unopened::NotGranted)?;
        let key = minting.key(mapping, kind, policy);
        let slot = Slot::new(key.terms.eager, Arc::clone(counts));
        let start = |slot| minting.keep(mapping, &key, slot, missing.as_ref());
        table.get_or_start(&key, WallClock::SYSTEM.now(), slot, start).map_err(Unopened::Full)
    }
}

/// Returns the site of a mapping, reusing the parts of its `old` site that still fit.
fn site(
    common: Common,
    config: &Config,
    mapping: &Mapping,
    row: Row,
    old: Option<&Site>,
) -> Result<Site, TableFull> {
    let bounds = Bounds::of(&config.limits);
    let admission = match old {
        Some(old) if old.admission.bounds() == bounds => Arc::clone(&old.admission),
        _ => Arc::new(Admission::new(bounds)),
    };
    let completions = old.map(|old| Arc::clone(&old.completions)).unwrap_or_default();
    let mapping = Arc::new(mapping.clone());
    let sessions = Arc::new(common.sessions(&mapping));
    if mapping.mint == MintWhen::Start {
        open_common(&sessions)?;
    }
    if let Some(old) = old {
        sessions.follow(&old.sessions)?;
    }
    let homes = mapping.homes.as_ref().map(|homes| {
        let before = old.and_then(|old| old.homes.as_ref());
        let counts = before.map(|homes| homes.counts().continued()).unwrap_or_default();
        let common = Common { missing: Some(Arc::new(budget_of_homes(config))), ..common };
        HomeSites::new(Arc::clone(homes), Box::new(common), Arc::new(counts))
    });
    Ok(Site { mapping, row, sessions, admission, completions, holder: None, homes })
}

/// Opens the sessions that most clients use, as far as the mapping has them.
fn open_common(sessions: &session_table::Sessions) -> Result<(), TableFull> {
    for kind in SessionKind::ALL.into_iter().filter(|kind| kind.is_common()) {
        if let Err(Unopened::Full(full)) = sessions.slot(kind) {
            return Err(full);
        }
    }
    Ok(())
}

/// Returns the budget of each mapping with homes for mints without a live session. Together they have half of all mints, so
/// that many new identities do not keep other sessions from being refreshed.
fn budget_of_homes(config: &Config) -> MintBudget {
    let count = config.mappings.iter().filter(|mapping| mapping.homes.is_some()).count();
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    MintBudget::new(config.limits.mints_per_second / 2 / count, config.limits.mint_timeout)
}

fn minter(config: &Config) -> io::Result<StsMint> {
    let (region, role) = (&config.upstream.region, config.issuer.role_arn.as_deref());
    StsMint::new(config.sts_servers(), region, &config.issuer.keys, role, config.limits.mint_timeout)
}

fn nodes(config: &Config) -> io::Result<Nodes> {
    Nodes::new(config.upstream.servers(), config.limits.connect_timeout)
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
