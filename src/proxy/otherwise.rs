//! Requests that are not passed on as they come.

use super::documents::Documented;
use super::{Asked, ClientBody, FromStore, Proxy, Served, Wanted};
use crate::access::AccessRecord;
use crate::list_buckets;
use crate::mapping::Grant;
use crate::outgoing;
use crate::refusal::Refusal;
use crate::response;

/// Why a request is not passed on as one.
pub(super) enum Otherwise<'a> {
    Refused(Refusal),
    /// It is answered from the scopes.
    Buckets(Box<Grant<'a>>),
    /// It is answered from what the store lists, filtered.
    Uploads(Box<Grant<'a>>),
    /// Its body is a document, which is read first.
    Document(Box<Documented<'a>>),
}

impl From<Refusal> for Otherwise<'_> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Proxy {
    /// Answers with the buckets of the mapping's scopes.
    pub(super) async fn list_buckets<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        grant: Grant<'_>,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        outgoing::check_headers(grant.spec(), wanted.fields)?;
        asked.pass_over_body().await?;
        asked.admit(record).await?;
        let document = list_buckets::document(asked.mapping, grant.query())?;
        Ok((own(document), None))
    }
}

/// A document of our own, where the store has no say.
pub(super) fn own(document: String) -> FromStore {
    let (parts, body) = response::own_document(document);
    FromStore::Read(Box::new(parts), body)
}
