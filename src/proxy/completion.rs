//! Completing multipart uploads: few parts at once, since each costs the store a look at its disks. Listing uploads: few
//! lists at once, since MinIO writes each of them whole.

use super::{Proxy, StoreAnswer};
use crate::access::AccessRecord;
use crate::document::{Completion, MAX_PARTS};
use crate::generation::MappingState;
use crate::outgoing::Outgoing;
use crate::refusal::{Refusal, Rule};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout;

/// The most parts of one mapping that the store is at at once: two of the largest uploads, which cost MinIO about a
/// second each.
const PARTS_AT_ONCE: u32 = 2 * MAX_PARTS;
/// The most completions of one mapping that wait for their turn.
const WAITING: usize = 64;

/// The most lists of uploads of one mapping that the store is at at once.
const LISTS_AT_ONCE: usize = 2;

/// The completions and the lists of uploads of one mapping.
#[derive(Debug)]
pub struct Completions {
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
    /// Waits until the store may look at this many more parts.
    async fn turn(&self, parts: usize, patience: Duration) -> Result<OwnedSemaphorePermit, Refusal> {
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
}

impl Completions {
    /// Waits until the store may make one more list of uploads.
    pub(super) async fn turn_to_list(&self, patience: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
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
    let mut refusal = Refusal::new(rule, why);
    refusal.retry_after = Some(1);
    refusal
}

impl Proxy {
    /// Has the store complete an upload, in a task of its own: the store goes on when the client has left, and so the
    /// upload's turn lasts until the store answers.
    pub(super) async fn complete(
        &self,
        outgoing: &Outgoing,
        completion: &Completion,
        state: &MappingState,
        record: &mut AccessRecord,
    ) -> Result<StoreAnswer, Refusal> {
        let turn = state.completions.turn(completion.parts(), self.limits().queue_timeout).await?;
        let outgoing = outgoing.with_document(completion.document());
        let (proxy, slot, mut aside) = (self.clone(), Arc::clone(state.session.slot()), record.aside());
        let (done, coming) = oneshot::channel();
        tokio::task::spawn_local(async move {
            let answer = proxy.send_document(&outgoing, &slot, &mut aside).await;
            drop(turn);
            // Nobody may be there to take it any more.
            let _ = done.send((answer, aside));
        });
        let failed = |_| Refusal::new(Rule::Internal, "the upload could not be completed");
        let (answer, aside) = coming.await.map_err(failed)?;
        if let Some(note) = aside.noted() {
            record.note(&note);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_of_the_largest_are_completed_at_once_and_further_ones_wait_for_so_long() {
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
    async fn not_more_than_so_many_wait() {
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
