//! The sessions of a configuration: those of the one before where nothing about them has changed. Where they are to be
//! minted again for the same policy and store, the old ones serve until that is done.

use super::issuer::IssuerWatch;
use crate::admission::{Admission, Bounds};
use crate::config::Config;
use crate::generation::{Generation, MappingState};
use crate::judge::{Nodes, StoreJudge};
use crate::mapping::{Mapping, MintWhen};
use crate::metrics::Metrics;
use crate::mint::{MintRequest, StsMint};
use crate::operation::SessionKind;
use crate::policy::SessionPolicy;
use crate::session_table::{self, Clock, Keeper, Kept, MintBudget, MintCounts, Slot};
use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;

/// Who mints, for one issuer.
#[derive(Debug)]
pub(super) struct Sessions {
    minter: Arc<ArcSwap<StsMint>>,
    budget: Arc<MintBudget>,
    nodes: Arc<ArcSwap<Nodes>>,
    issuer: IssuerWatch,
}

/// What a mapping's session before a reload is to the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// The same.
    Kept,
    /// For the same policy at the same store: good until there is the new one.
    Good,
    /// For something else.
    Other,
}

/// A mapping before a reload, and what has stayed the same.
struct Old<'o> {
    mapping: &'o Mapping,
    state: &'o MappingState,
    same_store: bool,
    same_issuer: bool,
}

impl Old<'_> {
    /// What was kept for the session of this kind, and what it is to that of `mapping`.
    fn session(&self, kind: SessionKind, mapping: &Mapping) -> (Before, Option<&Arc<Kept>>) {
        let same_policy = self.mapping.policy_of(kind) == mapping.policy_of(kind);
        let before = match same_policy && self.same_store {
            true if self.same_issuer && same_session(self.mapping, mapping) => Before::Kept,
            true => Before::Good,
            false => Before::Other,
        };
        (before, self.state.session.kept(kind))
    }
}

/// An empty slot for a session of `mapping`. Only the session for the scopes can be minted at the start: the others are
/// minted when a request needs them.
fn slot(kind: SessionKind, mapping: &Mapping, counts: &Arc<MintCounts>) -> Slot {
    let needed_always = kind == SessionKind::Scopes && mapping.mint == MintWhen::Start;
    Slot::new(needed_always, Arc::clone(counts))
}

impl Sessions {
    /// For the issuer of `config`, on the runtime that this is called in.
    ///
    /// # Errors
    /// When an endpoint cannot be spoken to.
    pub(super) fn new(config: &Config, metrics: &Arc<Metrics>) -> io::Result<Self> {
        Ok(Self::with(config, metrics, nodes(config)?))
    }

    fn with(config: &Config, metrics: &Arc<Metrics>, nodes: Nodes) -> Self {
        let limits = &config.limits;
        let minter = Arc::new(ArcSwap::from_pointee(minter(config)));
        Self {
            issuer: IssuerWatch::start(Arc::clone(&minter), Arc::clone(metrics)),
            minter,
            budget: Arc::new(MintBudget::new(limits.mints_per_second, limits.mint_timeout)),
            nodes: Arc::new(ArcSwap::from_pointee(nodes)),
        }
    }

    /// The states of the mappings of `config`, the first configuration.
    pub(super) fn begin(&self, config: &Config, metrics: &Metrics) -> Vec<MappingState> {
        config.mappings.iter().map(|mapping| self.state(config, mapping, metrics, None)).collect()
    }

    /// The states of the mappings of `config`, which follows `old`. From here on it is in effect.
    ///
    /// # Errors
    /// When an endpoint cannot be spoken to; nothing is changed then.
    pub(super) fn follow(
        &mut self,
        config: &Config,
        (old, generation): (&Config, &Generation),
        metrics: &Arc<Metrics>,
    ) -> io::Result<Vec<MappingState>> {
        let nodes = nodes(config)?;
        let (same_store, same_issuer) = (same_store(old, config), same_issuer(old, config));
        if same_issuer {
            self.nodes.store(Arc::new(nodes));
            // Those that are kept follow the endpoints and the time-out too.
            self.minter.store(Arc::new(minter(config)));
            self.budget.set(config.limits.mints_per_second, config.limits.mint_timeout);
        } else {
            *self = Self::with(config, metrics, nodes);
        }
        let state = |mapping: &Mapping| {
            let before =
                old.mappings.iter().zip(&generation.states).find(|(old, _)| old.name == mapping.name);
            let before = before.map(|(old, state)| Old { mapping: old, state, same_store, same_issuer });
            self.state(config, mapping, metrics, before.as_ref())
        };
        Ok(config.mappings.iter().map(state).collect())
    }

    /// The state of a mapping, and what it was before.
    fn state(
        &self,
        config: &Config,
        mapping: &Mapping,
        metrics: &Metrics,
        old: Option<&Old<'_>>,
    ) -> MappingState {
        let bounds = Bounds::of(&config.limits);
        let admission = match old {
            Some(old) if old.state.admission.bounds() == bounds => Arc::clone(&old.state.admission),
            _ => Arc::new(Admission::new(bounds)),
        };
        let completions = old.map(|old| Arc::clone(&old.state.completions)).unwrap_or_default();
        let (row, counts) = metrics.row(&mapping.name);
        metrics.show_admission(row, &admission);
        let session = |kind, policy| {
            let (before, kept) = old.map_or((Before::Other, None), |old| old.session(kind, mapping));
            match (before, kept) {
                (Before::Kept, Some(kept)) => Arc::clone(kept),
                (Before::Good, Some(kept)) => {
                    let slot = slot(kind, mapping, &counts).inheriting(kept.slot(), Clock::SYSTEM.now());
                    self.keep(config, mapping, kind, policy, slot)
                }
                _ => self.keep(config, mapping, kind, policy, slot(kind, mapping, &counts)),
            }
        };
        let scopes = session(SessionKind::Scopes, mapping.policy.clone());
        metrics.show_slot(row, scopes.slot());
        let uploads = mapping.policy_of(SessionKind::Uploads);
        let uploads = uploads.map(|policy| session(SessionKind::Uploads, policy));
        let session = session_table::Sessions::new(scopes, uploads);
        MappingState { row, session, admission, completions }
    }

    fn keep(
        &self,
        config: &Config,
        mapping: &Mapping,
        kind: SessionKind,
        policy: SessionPolicy,
        slot: Slot,
    ) -> Arc<Kept> {
        let slot = Arc::new(slot);
        let request = MintRequest { name: mapping.name.to_string(), policy, duration: mapping.duration };
        let (mint, budget) = (Arc::clone(&self.minter), Arc::clone(&self.budget));
        let region = Arc::clone(&config.upstream.region);
        let judge = StoreJudge::new(Arc::clone(&self.nodes), mapping, kind, Clock::SYSTEM);
        let issuer_doubts = Arc::clone(self.issuer.doubts());
        let clock = Clock::SYSTEM;
        Keeper { slot, mint, request, kind, region, clock, budget, judge, issuer_doubts }.start()
    }
}

fn minter(config: &Config) -> StsMint {
    let (region, role) = (&config.upstream.region, config.issuer.role_arn.as_deref());
    StsMint::new(config.sts(), region, &config.issuer.keys, role, config.limits.mint_timeout)
}

fn nodes(config: &Config) -> io::Result<Nodes> {
    Nodes::new(&config.upstream.endpoints, config.limits.connect_timeout)
}

/// Whether sessions of one are good in the other. An STS with a node in common is the same STS.
fn same_store(one: &Config, other: &Config) -> bool {
    one.sts().iter().any(|endpoint| other.sts().contains(endpoint))
        && one.upstream.region == other.upstream.region
}

/// Whether sessions of one are sessions of the other.
fn same_issuer(one: &Config, other: &Config) -> bool {
    same_store(one, other)
        && one.issuer.role_arn == other.issuer.role_arn
        && one.issuer.keys.are(&other.issuer.keys)
}

fn same_session(one: &Mapping, other: &Mapping) -> bool {
    (one.duration, one.mint) == (other.duration, other.mint)
}
