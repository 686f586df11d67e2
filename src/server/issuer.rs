//! Checks at start that STS accepts the issuer's key, before the first client needs a session.

use crate::mint::StsMint;
use crate::sessions::minting::MintFailure;
use crate::telemetry::metrics::Metrics;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The first and the longest pause between checks while all fail.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The consecutive refusals after which the issuer counts as refused. A store that is still starting may refuse once.
const REFUSALS: u32 = 2;

/// A watch over one issuer. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct IssuerWatch {
    doubts: Arc<Notify>,
    _watching: JoinSet<()>,
}

impl IssuerWatch {
    /// Starts watching, on the current runtime.
    pub(super) fn start(minter: Arc<ArcSwap<StsMint>>, metrics: Arc<Metrics>) -> Self {
        let doubts = Arc::new(Notify::new());
        let mut watching = JoinSet::new();
        watching.spawn(watch(minter, metrics, Arc::clone(&doubts)));
        Self { doubts, _watching: watching }
    }

    /// Returns the notification that starts another check of the issuer.
    pub(super) fn doubts(&self) -> &Arc<Notify> {
        &self.doubts
    }
}

/// Checks until the issuer is accepted, and again whenever it is doubted.
async fn watch(minter: Arc<ArcSwap<StsMint>>, metrics: Arc<Metrics>, doubts: Arc<Notify>) {
    let (mut refusals, mut pause) = (0_u32, FIRST_PAUSE);
    metrics.issuer.set_refused(false);
    loop {
        match minter.load_full().check().await {
            Ok(()) => {
                if refusals >= REFUSALS {
                    tracing::info!("STS accepts the issuer's key again");
                }
                metrics.issuer.set_refused(false);
                (refusals, pause) = (0, FIRST_PAUSE);
                doubts.notified().await;
            }
            Err(error) if error.failure == MintFailure::Refused => {
                refusals = refusals.saturating_add(1);
                if refusals == REFUSALS {
                    metrics.issuer.set_refused(true);
                    tracing::warn!(%error, help = error.help(), "STS refuses the issuer: no session can be minted");
                }
            }
            Err(error) => tracing::debug!(%error, "STS cannot be asked about the issuer"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
