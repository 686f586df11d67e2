//! The sessions of a configuration: those of the one before where nothing about them has changed, else new ones.

use crate::admission::{Admission, Bounds};
use crate::config::Config;
use crate::generation::{Generation, MappingState};
use crate::mapping::{Mapping, MintWhen};
use crate::metrics::Metrics;
use crate::mint::{MintRequest, StsMint};
use crate::session_table::{Clock, Keeper, Kept, MintBudget, Slot};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// Who mints, for one issuer.
#[derive(Debug)]
pub(super) struct Sessions {
    minter: Arc<ArcSwap<StsMint>>,
    budget: Arc<MintBudget>,
}

impl Sessions {
    /// For the issuer of `config`.
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            minter: Arc::new(ArcSwap::from_pointee(minter(config))),
            budget: Arc::new(MintBudget::new(limits.mints_per_second, limits.mint_timeout)),
        }
    }

    /// The states of the mappings of `config`, the first configuration.
    pub(super) fn begin(&self, config: &Config, metrics: &Metrics) -> Vec<MappingState> {
        config.mappings.iter().map(|mapping| self.state(config, mapping, metrics, None)).collect()
    }

    /// The states of the mappings of `config`, which follows `old`. Must not fail: from here on it is in effect.
    pub(super) fn follow(
        &mut self,
        config: &Config,
        (old, generation): (&Config, &Generation),
        metrics: &Metrics,
    ) -> Vec<MappingState> {
        let same_issuer = same_issuer(old, config);
        if same_issuer {
            // Those that are kept follow the endpoints and the time-out too.
            self.minter.store(Arc::new(minter(config)));
            self.budget.set(config.limits.mints_per_second, config.limits.mint_timeout);
        } else {
            *self = Self::new(config);
        }
        let state = |mapping: &Mapping| {
            let before =
                old.mappings.iter().zip(&generation.states).find(|(old, _)| old.name == mapping.name);
            let before = before.map(|(old, state)| (same_issuer && same_session(old, mapping), state));
            self.state(config, mapping, metrics, before)
        };
        config.mappings.iter().map(state).collect()
    }

    /// `before` is the mapping's state until now, and whether its session is still the right one.
    fn state(
        &self,
        config: &Config,
        mapping: &Mapping,
        metrics: &Metrics,
        before: Option<(bool, &MappingState)>,
    ) -> MappingState {
        let bounds = Bounds::of(&config.limits);
        let admission = match before {
            Some((_, state)) if state.admission.bounds() == bounds => Arc::clone(&state.admission),
            _ => Arc::new(Admission::new(bounds)),
        };
        if let Some((true, state)) = before {
            return MappingState { admission, ..state.clone() };
        }
        let (row, counts) = metrics.row(&mapping.name);
        let slot = Arc::new(Slot::new(mapping.mint == MintWhen::Start, counts));
        metrics.show_slot(row, &slot);
        MappingState { row, session: self.keep(config, mapping, slot), admission }
    }

    fn keep(&self, config: &Config, mapping: &Mapping, slot: Arc<Slot>) -> Arc<Kept> {
        let request = MintRequest {
            name: mapping.name.to_string(),
            policy: mapping.policy.clone(),
            duration: mapping.duration,
        };
        let (mint, budget) = (Arc::clone(&self.minter), Arc::clone(&self.budget));
        let region = Arc::clone(&config.upstream.region);
        Keeper { slot, mint, request, region, clock: Clock::SYSTEM, budget }.start()
    }
}

fn minter(config: &Config) -> StsMint {
    let (region, role) = (&config.upstream.region, config.issuer.role_arn.as_deref());
    StsMint::new(config.sts(), region, &config.issuer.keys, role, config.limits.mint_timeout)
}

/// Whether sessions of one are sessions of the other. An STS with a node in common is the same STS.
fn same_issuer(one: &Config, other: &Config) -> bool {
    one.sts().iter().any(|endpoint| other.sts().contains(endpoint))
        && one.upstream.region == other.upstream.region
        && one.issuer.role_arn == other.issuer.role_arn
        && one.issuer.keys.are(&other.issuer.keys)
}

fn same_session(one: &Mapping, other: &Mapping) -> bool {
    (&one.policy, one.duration, one.mint) == (&other.policy, other.duration, other.mint)
}
