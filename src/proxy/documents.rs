//! Operations whose body is a document: read whole, judged, and written again for the store.

use super::otherwise::own;
use super::{Asked, ClientBody, FromStore, Proxy, Served, Wanted};
use crate::access::AccessRecord;
use crate::document::{self, Completion, Kind, Tagging};
use crate::mapping::Grant;
use crate::memory::Use;
use crate::multi_delete::{self, Deletion, Group, Judged, Merged, code_and_message};
use crate::outgoing::{self, Outgoing, WithDocument};
use crate::payload::Payload;
use crate::refusal::{Refusal, Rule};
use crate::rewrite::Rewriter;
use crate::session_table::Slot;
use crate::upload::Upload;
use crate::xml::Document;
use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use http_body_util::Full;
use http1::body::read_whole;
use tokio::time::{Instant, timeout_at};

/// The most that is read of the store's result for a group: a key has up to 6 KiB with its markup.
const MAX_RESULT: usize = multi_delete::GROUP * 8 * 1024;

/// The number of groups that may wait for a locked key until all time is over.
const SLOW_GROUPS: u32 = 4;

/// A granted request whose body is a document.
pub(super) struct Documented<'a> {
    pub(super) kind: Kind,
    pub(super) grant: Grant<'a>,
    pub(super) payload: Payload,
}

impl Proxy {
    /// Reads the document of a request and has the store do what it says.
    pub(super) async fn pass_on_document<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        request: Documented<'_>,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        let Documented { kind, grant, payload } = request;
        match kind {
            Kind::Delete => self.delete_objects(asked, wanted, grant, payload, record).await,
            Kind::Complete => self.complete_upload(asked, wanted, grant, payload, record).await,
            Kind::Tagging => self.put_tagging(asked, wanted, grant, payload, record).await,
        }
    }

    async fn put_tagging<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        grant: Grant<'_>,
        payload: Payload,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        let rewriter = grant.rewriter(asked.request);
        // The document's size is not that of an object.
        let outgoing = Outgoing::rebuild(grant, wanted.fields, Payload::Empty)?;
        asked.admit(record).await?;
        let document = self.read_document(Kind::Tagging, asked, wanted, &payload, record).await?;
        let outgoing = outgoing.with_document(Tagging::parse(&document)?.document());
        Ok((self.send_document(&outgoing, asked.state.session.slot(), record).await?, rewriter))
    }

    async fn complete_upload<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        grant: Grant<'_>,
        payload: Payload,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        let rewriter = grant.rewriter(asked.request);
        let dialect = grant.dialect();
        // The document's size is not that of an object.
        let outgoing = Outgoing::rebuild(grant, wanted.fields, Payload::Empty)?;
        asked.admit(record).await?;
        let document = self.read_document(Kind::Complete, asked, wanted, &payload, record).await?;
        let completion = Completion::parse(&document, dialect)?;
        drop(document);
        Ok((self.complete(&outgoing, &completion, asked.state, record).await?, rewriter))
    }

    async fn read_document<B: ClientBody>(
        &self,
        kind: Kind,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        payload: &Payload,
        record: &mut AccessRecord,
    ) -> Result<Bytes, Refusal> {
        let patience = self.generation.limits.response_timeout;
        let memory = record.memory(self.memory(), Use::Documents);
        document::read(kind, asked.upload, payload, wanted.fields, patience, memory).await
    }

    /// Sends a document of Scopegate's own.
    pub(super) async fn send_document(
        &self,
        outgoing: &WithDocument,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<FromStore, Refusal> {
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

    /// Reads what is to be deleted, and judges each key.
    async fn delete_objects<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        grant: Grant<'_>,
        payload: Payload,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        outgoing::check_headers(grant.spec(), wanted.fields)?;
        asked.admit(record).await?;
        let document = self.read_document(Kind::Delete, asked, wanted, &payload, record).await?;
        let judged = multi_delete::judge(Deletion::parse(&document)?, asked.mapping, &grant);
        drop(document);
        let (rewriter, slot) = (grant.rewriter(asked.request), asked.state.session.slot());
        self.delete(judged, &Outgoing::bare(grant), rewriter, slot, record).await
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
            [] => return Ok((own(multi_delete::result(&refused)), None)),
            [only] => {
                self.send_document(&outgoing.with_document(only.document.clone()), slot, record).await?
            }
            groups => {
                let (answer, mut failed) = self.delete_groups(groups, outgoing, slot, record).await?;
                failed.append(&refused);
                refused = failed;
                answer
            }
        };
        let rewriter = rewriter.map(|rewriter| rewriter.with_more(refused.into_fragment().into()));
        Ok((answer, rewriter))
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
    ) -> Result<(FromStore, Document), Refusal> {
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
            (None, Some(stop)) => stop.answer().map(|answer| (answer, Document::fragment())),
            (Some(head), _) => Ok((FromStore::Read(Box::new(head), document.into()), failed)),
            (None, None) => Ok((own(document), failed)),
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
        let FromStore::Streaming(answer) = answer else { return Err(Stop::Answered(Box::new(answer))) };
        let (parts, body) = answer.into_parts();
        let reading = read_whole(body, MAX_RESULT, self.generation.limits.stall_timeout);
        let body = reading.await.map_err(|error| {
            record.note(&error);
            Refusal::new(Rule::Upstream, "the store's answer broke off")
        })?;
        if parts.status != StatusCode::OK {
            return Err(Stop::Answered(Box::new(FromStore::Read(Box::new(parts), body))));
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
    Answered(Box<FromStore>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Stop {
    fn answer(self) -> Result<FromStore, Refusal> {
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
                FromStore::Read(_, body) => code_and_message(&String::from_utf8_lossy(body)),
                FromStore::Streaming(_) => code_and_message(""),
            },
        }
    }
}

fn too_slow() -> Refusal {
    let why = "the store has not said in time that these keys are deleted: one of them may be in use, look again later";
    Refusal::new(Rule::UpstreamTimeout, why)
}
