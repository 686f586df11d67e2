//! What is asked for and is not one request to the store as well.

use super::{Asked, ClientBody, FromStore, Proxy, Served, Wanted};
use crate::access::AccessRecord;
use crate::body::Upload;
use crate::list_buckets;
use crate::mapping::Grant;
use crate::multi_delete::{self, Deletion, Judged};
use crate::outgoing::{self, Outgoing};
use crate::payload::Payload;
use crate::refusal::{Refusal, Rule};
use crate::response;
use crate::rewrite::Rewriter;
use crate::session_table::Slot;
use http_body_util::Full;

/// Why a request is not passed on as one.
pub(super) enum Otherwise<'a> {
    Refused(Refusal),
    /// It is answered from the scopes.
    Buckets(Box<Grant<'a>>),
    /// What it holds is judged first.
    Deletion(Box<(Grant<'a>, Payload)>),
}

impl From<Refusal> for Otherwise<'_> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Proxy {
    /// Answers with the buckets of the mapping's scopes.
    pub(super) async fn list_buckets<B>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        grant: Grant<'_>,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        outgoing::check_headers(grant.spec(), wanted.fields)?;
        asked.admit(record).await?;
        let document = list_buckets::document(asked.mapping, grant.query())?;
        Ok((own(document), None))
    }

    /// Reads what is to be deleted, and judges each key.
    pub(super) async fn delete_objects<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        grant: Grant<'_>,
        payload: Payload,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        outgoing::check_headers(grant.spec(), wanted.fields)?;
        asked.admit(record).await?;
        let patience = self.generation.limits.response_timeout;
        let document = multi_delete::read(asked.upload, &payload, wanted.fields, patience).await?;
        let judged = multi_delete::judge(&Deletion::parse(&document)?, asked.mapping, &grant);
        let (rewriter, slot) = (grant.rewriter(asked.request), asked.state.session.slot());
        self.delete(judged, grant, rewriter, slot, record).await
    }

    /// Has the store delete what is allowed, and answers with both: its result and the refusals.
    async fn delete(
        &self,
        judged: Judged,
        grant: Grant<'_>,
        rewriter: Option<Box<Rewriter>>,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        let Some(document) = judged.document else {
            return Ok((own(judged.result()), None));
        };
        let outgoing = Outgoing::of_document(grant, &document);
        let held = || {
            let upload = Upload::new(Full::new(document.clone()));
            upload.set_length(document.len() as u64);
            upload
        };
        let mut answer = self.exchange(&outgoing, &held(), slot, record).await;
        // MinIO reads a document before it looks at the session. This one is ours and can be sent again.
        if answer.as_ref().is_err_and(|refusal| refusal.rule == Rule::SessionReplaced) {
            answer = self.exchange(&outgoing, &held(), slot, record).await;
        }
        let rewriter = rewriter.map(|rewriter| rewriter.with_more(judged.refused.into()));
        Ok((answer?, rewriter))
    }
}

/// A document of our own, where the store has no say.
fn own(document: String) -> FromStore {
    let (parts, body) = response::own_document(document);
    FromStore::Read(Box::new(parts), body)
}
