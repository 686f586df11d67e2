//! Operations whose body is a document: read whole, judged, and written again for the store.

use super::call::Call;
use super::decision::{Document, DocumentRequest};
use super::reply::{Served, StoreAnswer};
use super::{ClientBody, Proxy};
use crate::access::AccessRecord;
use crate::body::{Upload, read_whole};
use crate::document::{self, Completion, Tagging};
use crate::memory::Use;
use crate::multi_delete::{self, Deletion, Group, Judged, Merged, code_and_message};
use crate::outgoing::{Outgoing, WithDocument};
use crate::refusal::{Refusal, Rule};
use crate::rewrite::Rewriter;
use crate::session_table::Slot;
use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

/// The most that is read of the store's result for a group: a key has up to 6 KiB with its markup.
const MAX_RESULT: usize = multi_delete::GROUP * 8 * 1024;

/// The number of groups that may wait for a locked key until all time is over.
const SLOW_GROUPS: u32 = 4;

impl Proxy {
    /// Reads the document of a request and makes the store do what it says.
    pub(super) async fn pass_on_document<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        request: DocumentRequest,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        call.admit(record).await?;
        let document = self.read_document(call, &request, record).await?;
        let DocumentRequest { outgoing, rewriter, document: kind, .. } = request;
        let answer = match kind {
            Document::Delete(grant) => {
                let judged = multi_delete::judge(Deletion::parse(&document)?, call.mapping, &grant);
                drop(document);
                let slot = call.state.session.slot();
                return self.delete(judged, &outgoing, rewriter, slot, record).await;
            }
            Document::Complete(dialect) => {
                let completion = Completion::parse(&document, dialect)?;
                drop(document);
                self.complete(&outgoing, &completion, call.state, record).await?
            }
            Document::Tagging => {
                let outgoing = outgoing.with_document(Tagging::parse(&document)?.document());
                self.send_document(&outgoing, call.state.session.slot(), record).await?
            }
        };
        Ok(Served { answer, rewriter })
    }

    async fn read_document<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        request: &DocumentRequest,
        record: &mut AccessRecord,
    ) -> Result<Bytes, Refusal> {
        let patience = self.generation.limits.response_timeout;
        let memory = record.memory(self.memory(), Use::Documents);
        let (payload, fields) = (&request.payload, call.request().fields());
        document::read(request.kind(), call.upload, payload, fields, patience, memory).await
    }

    /// Sends a document of Scopegate's own.
    pub(super) async fn send_document(
        &self,
        outgoing: &WithDocument,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<StoreAnswer, Refusal> {
        let WithDocument { request, document } = outgoing;
        let held = || {
            let upload = Upload::new(Full::new(document.clone()));
            upload.set_length(document.len() as u64);
            upload
        };
        match self.exchange(request, &held(), slot, record).await {
            // MinIO reads a document before it looks at the session. This one is ours and can be sent again.
            Err(refusal) if refusal.rule == Rule::SessionReplaced => {
                self.exchange(request, &held(), slot, record).await
            }
            answer => answer,
        }
    }

    /// Has the store delete what is allowed, and answers with both: its results and the refusals.
    async fn delete(
        &self,
        judged: Judged,
        outgoing: &Outgoing,
        rewriter: Option<Box<Rewriter>>,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        let Judged { groups, mut refused } = judged;
        let answer = match &*groups {
            [] => return Ok(StoreAnswer::of_document(multi_delete::result(&refused)).into()),
            [only] => {
                self.send_document(&outgoing.with_document(only.document.clone()), slot, record).await?
            }
            groups => {
                let (answer, failed) = self.delete_groups(groups, outgoing, slot, record).await?;
                refused.insert_str(0, &failed);
                answer
            }
        };
        let rewriter = rewriter.map(|rewriter| rewriter.with_more(refused.into()));
        Ok(Served { answer, rewriter })
    }

    /// Deletes group after group, all of them within the time that one request may take. A group that takes too long is
    /// left for the next one; any other failure is the end. Keys that are left are errors of the result, unless nothing
    /// was deleted: then the first failure is the answer.
    async fn delete_groups(
        &self,
        groups: &[Group],
        outgoing: &Outgoing,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<(StoreAnswer, String), Refusal> {
        let patience = self.generation.limits.response_timeout;
        let deadline = Instant::now() + patience;
        let (mut merged, mut head, mut first) = (Merged::default(), None, None);
        let mut left = groups.iter();
        while let Some(group) = left.next() {
            let until = deadline.min(Instant::now() + patience / SLOW_GROUPS);
            let stop = match timeout_at(until, self.delete_group(group, outgoing, slot, record)).await {
                Ok(Ok((parts, answer))) if merged.add(&answer).is_ok() => {
                    head.get_or_insert(parts);
                    continue;
                }
                Ok(Ok(_)) => {
                    Stop::Refused(Refusal::new(Rule::Upstream, "the store's answer is no DeleteResult"))
                }
                Ok(Err(stop)) => stop,
                Err(_) => Stop::Slow,
            };
            let (code, message) = stop.code_and_message();
            merged.fail(group, &code, &message);
            if !matches!(stop, Stop::Slow) || Instant::now() >= deadline {
                left.by_ref().for_each(|group| merged.fail(group, &code, &message));
            }
            first.get_or_insert(stop);
        }
        let (document, failed) = merged.finish();
        match (head, first) {
            (None, Some(stop)) => stop.answer().map(|answer| (answer, String::new())),
            (Some(head), _) => Ok((StoreAnswer::Buffered(Box::new(head), document.into()), failed)),
            (None, None) => Ok((StoreAnswer::of_document(document), failed)),
        }
    }

    /// Deletes one group, and reads the result.
    async fn delete_group(
        &self,
        group: &Group,
        outgoing: &Outgoing,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<(Parts, String), Stop> {
        let outgoing = outgoing.with_document(group.document.clone());
        let answer = self.send_document(&outgoing, slot, record).await?;
        let StoreAnswer::Streaming(answer) = answer else { return Err(Stop::Answered(Box::new(answer))) };
        let (parts, body) = answer.into_parts();
        let reading = read_whole(body, MAX_RESULT, self.generation.limits.stall_timeout);
        let body = reading.await.map_err(|error| {
            record.note(&error);
            Refusal::new(Rule::Upstream, "the store's answer broke off")
        })?;
        if parts.status != StatusCode::OK {
            return Err(Stop::Answered(Box::new(StoreAnswer::Buffered(Box::new(parts), body))));
        }
        Ok((parts, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Why a group is not deleted.
enum Stop {
    /// It took too long: a key of it may be locked.
    Slow,
    Refused(Refusal),
    /// The store said no, in its words.
    Answered(Box<StoreAnswer>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Stop {
    fn answer(self) -> Result<StoreAnswer, Refusal> {
        match self {
            Self::Slow => Err(too_slow()),
            Self::Refused(refusal) => Err(refusal),
            Self::Answered(answer) => Ok(*answer),
        }
    }

    fn code_and_message(&self) -> (String, String) {
        let of = |refusal: &Refusal| (refusal.rule.code().to_owned(), refusal.message.clone());
        match self {
            Self::Slow => of(&too_slow()),
            Self::Refused(refusal) => of(refusal),
            Self::Answered(answer) => match &**answer {
                StoreAnswer::Buffered(_, body) => code_and_message(&String::from_utf8_lossy(body)),
                StoreAnswer::Streaming(_) => code_and_message(""),
            },
        }
    }
}

fn too_slow() -> Refusal {
    let why = "the store has not said in time that these keys are deleted: one of them may be in use, look again later";
    Refusal::new(Rule::UpstreamTimeout, why)
}
