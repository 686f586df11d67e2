//! Limits on operations that are expensive for the store: completions of multipart uploads, which read each part from
//! its disks, and lists of uploads, which MinIO always writes whole.

use crate::refusal::{Refusal, Rule};
use crate::s3::limits::MAX_PARTS;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The maximum number of parts of one mapping that are completed at once: two uploads of the largest size, each of
/// which takes MinIO about a second.
const PARTS_AT_ONCE: u32 = 2 * MAX_PARTS;
/// The maximum number of waiting completions and lists of one mapping.
const WAITING: usize = 64;

/// The maximum number of lists of uploads of one mapping that run at once.
const LISTS_AT_ONCE: usize = 2;

/// The limits on completions and lists of uploads of one mapping.
#[derive(Debug)]
pub(crate) struct Completions {
    parts: Arc<Semaphore>,
    lists: Semaphore,
    waiting: Semaphore,
}

impl Default for Completions {
    fn default() -> Self {
        let parts = Arc::new(Semaphore::new(PARTS_AT_ONCE as usize));
        Self { parts, lists: Semaphore::new(LISTS_AT_ONCE), waiting: Semaphore::new(WAITING) }
    }
}

impl Completions {
    /// Waits until the store may read this many more parts.
    ///
    /// # Errors
    /// When too many are waiting, or the turn does not come within `patience`.
    pub(crate) async fn turn(
        &self,
        parts: usize,
        patience: Duration,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        let parts = u32::try_from(parts).unwrap_or(MAX_PARTS).min(MAX_PARTS);
        if let Ok(turn) = Arc::clone(&self.parts).try_acquire_many_owned(parts) {
            return Ok(turn);
        }
        let busy =
            |rule| busy(rule, "too many multipart uploads with many parts are being completed: try again");
        let _place = self.waiting.try_acquire().map_err(|_| busy(Rule::QueueFull))?;
        let turn = timeout(patience, Arc::clone(&self.parts).acquire_many_owned(parts)).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| busy(Rule::QueueTimeout))
    }

    /// Waits until the store may write another list of uploads.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub(crate) async fn turn_to_list(&self, patience: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
        if let Ok(turn) = self.lists.try_acquire() {
            return Ok(turn);
        }
        let busy = |rule| busy(rule, "too many lists of multipart uploads are being made: try again");
        let _place = self.waiting.try_acquire().map_err(|_| busy(Rule::QueueFull))?;
        let turn = timeout(patience, self.lists.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| busy(Rule::QueueTimeout))
    }
}

fn busy(rule: Rule, why: &str) -> Refusal {
    Refusal::new(rule, why).retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_of_the_largest_uploads_are_completed_at_once_and_others_wait() {
        let completions = Completions::default();
        let patience = Duration::from_secs(10);
        let rule = |turn: Result<OwnedSemaphorePermit, Refusal>| turn.err().map(|refusal| refusal.rule);
        let first = completions.turn(10_000, patience).await.unwrap();
        let _second = completions.turn(9_999, patience).await.unwrap();
        let _small = completions.turn(1, patience).await.unwrap();
        assert_eq!(rule(completions.turn(1, patience).await), Some(Rule::QueueTimeout));
        drop(first);
        assert!(completions.turn(1, patience).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn two_lists_of_uploads_are_made_at_once() {
        let completions = Completions::default();
        let patience = Duration::from_secs(10);
        let rule = |turn: Result<SemaphorePermit<'_>, Refusal>| turn.err().map(|refusal| refusal.rule);
        let first = completions.turn_to_list(patience).await.unwrap();
        let _second = completions.turn_to_list(patience).await.unwrap();
        assert_eq!(rule(completions.turn_to_list(patience).await), Some(Rule::QueueTimeout));
        drop(first);
        assert!(completions.turn_to_list(patience).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded() {
        let completions = Arc::new(Completions::default());
        let patience = Duration::from_secs(10);
        let _all = completions.turn(10_000, patience).await.unwrap();
        let _rest = completions.turn(10_000, patience).await.unwrap();
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let completions = Arc::clone(&completions);
                tokio::spawn(async move { completions.turn(1, patience).await.is_err() })
            })
            .collect();
        while completions.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let over = completions.turn(1, patience).await.err().map(|refusal| refusal.rule);
        assert_eq!(over, Some(Rule::QueueFull));
        for waiting in waiting {
            assert!(waiting.await.unwrap());
        }
    }
}
