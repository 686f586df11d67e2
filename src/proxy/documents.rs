//! Requests with a document as their body: it is read whole, checked, and written again for the store.

use super::call::Call;
use super::decision::{Document, DocumentRequest};
use super::reply::Served;
use super::{Account, ClientBody, Proxy};
use crate::answer::rewrite::Rewriter;
use crate::bounds::memory::Use;
use crate::outgoing::document::{self, Completion, Tagging};
use crate::outgoing::multi_delete::{self, Deletion, Group, Judged, Merged, code_and_message};
use crate::outgoing::request::Outgoing;
use crate::refusal::{Refusal, Rule};
use crate::s3::xml;
use crate::store::{StoreResponse, broke_off};
use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use http1::body::read_whole;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Maximum size of a group's result, in bytes: a key takes up to 6 KiB with its markup.
const MAX_RESULT: usize = multi_delete::GROUP * 8 * 1024;

/// The number of groups that can time out on a locked key within the total time.
const SLOW_GROUPS: u32 = 4;

impl Proxy {
    /// Reads the document of a request, and asks the store to carry it out.
    pub(super) async fn pass_on_document<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        request: DocumentRequest,
    ) -> Result<Served, Refusal> {
        call.account.admit().await?;
        let document = self.read_document(call, &request).await?;
        let DocumentRequest { outgoing, rewriter, document: kind, .. } = request;
        let answer = match kind {
            Document::Delete(grant) => {
                let judged = multi_delete::judge(Deletion::parse(&document)?, call.mapping, &grant);
                drop(document);
                return self.delete(judged, &outgoing, rewriter, call.account).await;
            }
            Document::Complete(dialect) => {
                let completion = Completion::parse(&document, dialect)?;
                drop(document);
                self.complete(&outgoing, &completion, call.account).await?
            }
            Document::Tagging => {
                let outgoing = outgoing.with_document(Tagging::parse(&document)?.document());
                self.store.send_document(&outgoing, call.account.sessions(), call.account.trace).await?
            }
        };
        let rewriter = rewriter.map(|rewriter| rewriter.over(call.client.scheme()));
        Ok(Served { answer, rewriter })
    }

    async fn read_document<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        request: &DocumentRequest,
    ) -> Result<Bytes, Refusal> {
        let patience = self.generation.limits.response_timeout;
        let hold = |bytes| call.account.grow_to(Use::Documents, bytes);
        let (payload, fields) = (&request.payload, call.request().fields());
        document::read(request.kind(), call.upload, payload, fields, patience, hold).await
    }

    /// Asks the store to complete an upload, in a separate task. The store continues if the client leaves, so the
    /// upload must hold its turn until the store responds.
    async fn complete(
        &self,
        outgoing: &Outgoing,
        completion: &Completion,
        account: Account<'_>,
    ) -> Result<StoreResponse, Refusal> {
        let turn = account.site.completions.turn(completion.parts(), self.limits().queue_timeout).await?;
        let outgoing = outgoing.with_document(completion.document());
        let (store, sessions, trace) =
            (self.store.clone(), Arc::clone(account.sessions()), account.trace.aside());
        let (done, coming) = oneshot::channel();
        tokio::task::spawn_local(async move {
            let answer = store.send_document(&outgoing, &sessions, &trace).await;
            drop(turn);
            // The client may have left.
            let _ = done.send(answer);
        });
        let failed = |_| Refusal::new(Rule::Internal, "the upload could not be completed");
        coming.await.map_err(failed)?
    }

    /// Asks the store to delete the allowed keys, and responds with its results and the refusals.
    async fn delete(
        &self,
        judged: Judged,
        outgoing: &Outgoing,
        rewriter: Option<Box<Rewriter>>,
        account: Account<'_>,
    ) -> Result<Served, Refusal> {
        let Judged { groups, mut refused } = judged;
        let answer = match &*groups {
            [] => return Ok(StoreResponse::of_document(multi_delete::result(&refused)).into()),
            [only] => {
                self.store
                    .send_document(
                        &outgoing.with_document(only.document.clone()),
                        account.sessions(),
                        account.trace,
                    )
                    .await?
            }
            groups => {
                let (answer, mut failed) = self.delete_groups(groups, outgoing, account).await?;
                failed.append(&refused);
                refused = failed;
                answer
            }
        };
        let rewriter = rewriter.map(|rewriter| rewriter.with_more(refused.into_fragment().into()));
        Ok(Served { answer, rewriter })
    }

    /// Deletes one group after the other, within the time of one request. A group that times out is skipped, and any
    /// other failure ends the deletion. The remaining keys are errors in the result. If nothing was deleted, the
    /// response is the first failure.
    async fn delete_groups(
        &self,
        groups: &[Group],
        outgoing: &Outgoing,
        account: Account<'_>,
    ) -> Result<(StoreResponse, xml::Document), Refusal> {
        let patience = self.generation.limits.response_timeout;
        let deadline = Instant::now() + patience;
        let (mut merged, mut head, mut first) = (Merged::default(), None, None);
        let mut left = groups.iter();
        while let Some(group) = left.next() {
            let until = deadline.min(Instant::now() + patience / SLOW_GROUPS);
            let stop = match timeout_at(until, self.delete_group(group, outgoing, account)).await {
                Ok(Ok((parts, answer))) if merged.add(&answer).is_ok() => {
                    head.get_or_insert(parts);
                    continue;
                }
                Ok(Ok(_)) => {
                    Stop::Refused(Refusal::new(Rule::Upstream, "the store's answer is not a DeleteResult"))
                }
                Ok(Err(stop)) => stop,
                Err(_) => Stop::Slow,
            };
            if let Stop::Refused(refusal) = &stop {
                account.trace.survived(refusal.cause());
            }
            let (code, message) = stop.code_and_message();
            merged.fail(group, &code, &message);
            if !matches!(stop, Stop::Slow) || Instant::now() >= deadline {
                left.by_ref().for_each(|group| merged.fail(group, &code, &message));
            }
            first.get_or_insert(stop);
        }
        let (document, failed) = merged.finish();
        match (head, first) {
            (None, Some(stop)) => stop.answer().map(|answer| (answer, xml::Document::fragment())),
            (Some(head), _) => Ok((StoreResponse::Buffered(Box::new(head), document.into()), failed)),
            (None, None) => Ok((StoreResponse::of_document(document), failed)),
        }
    }

    /// Asks the store to delete one group, and reads the result.
    async fn delete_group(
        &self,
        group: &Group,
        outgoing: &Outgoing,
        account: Account<'_>,
    ) -> Result<(Parts, String), Stop> {
        let outgoing = outgoing.with_document(group.document.clone());
        let answer = self.store.send_document(&outgoing, account.sessions(), account.trace).await?;
        let StoreResponse::Streaming(answer) = answer else { return Err(Stop::Answered(Box::new(answer))) };
        let (parts, body) = answer.into_parts();
        let reading = read_whole(body, MAX_RESULT, self.generation.limits.stall_timeout);
        let body = reading.await.map_err(|error| broke_off(&error))?;
        if parts.status != StatusCode::OK {
            return Err(Stop::Answered(Box::new(StoreResponse::Buffered(Box::new(parts), body))));
        }
        Ok((parts, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// The reason why a group was not deleted.
enum Stop {
    /// It timed out: one of its keys may be locked.
    Slow,
    Refused(Refusal),
    /// The store refused it.
    Answered(Box<StoreResponse>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Stop {
    fn answer(self) -> Result<StoreResponse, Refusal> {
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
                StoreResponse::Buffered(_, body) => code_and_message(&String::from_utf8_lossy(body)),
                StoreResponse::Streaming(_) => code_and_message(""),
            },
        }
    }
}

fn too_slow() -> Refusal {
    let why = "the store did not confirm in time that these keys are deleted: one may be in use, list them again later";
    Refusal::new(Rule::UpstreamTimeout, why)
}
