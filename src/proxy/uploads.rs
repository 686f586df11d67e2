//! Lists multipart uploads: requests them with a separate session, filters them to the scopes, and writes a new list.

use super::call::Call;
use super::decision::UploadList;
use super::reply::Served;
use super::{Account, ClientBody, Proxy};
use crate::authorize::list_uploads::{Listing, Marker, Question, Reader, Selection};
use crate::authorize::operations::grammar::Dialect;
use crate::bounds::memory::Use;
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::refusal::{Refusal, Rule};
use crate::store::pool::Download;
use crate::store::retry::Attempts;
use crate::store::{StoreResponse, broke_off};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Maximum size of a list from one node, in bytes: several hundred thousand uploads.
const MAX_LIST: usize = 256 << 20;

/// The number of requests that can time out within the total time, so that one hanging node leaves time for the
/// others.
const SLOW_NODES: u32 = 4;

/// A page that is being filled.
struct Page<'a> {
    listing: Listing,
    selection: Selection,
    account: Account<'a>,
}

/// The store's response to one request.
enum ListReply {
    /// A list, with the marker of the next one.
    List(Option<Marker>),
    /// A response to pass on unchanged.
    Other(StoreResponse),
}

/// The outcome of all requests for a page.
enum PageReply {
    /// The store sent at least one list.
    Page,
    /// A response to pass on unchanged.
    Other(StoreResponse),
}

impl Proxy {
    /// Responds with the multipart uploads in the mapping's scopes.
    pub(super) async fn list_uploads<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        list: UploadList,
    ) -> Result<Served, Refusal> {
        let UploadList { listing, rewriter } = list;
        call.pass_over_body().await?;
        let account = call.account;
        account.admit().await?;
        let _turn = account.site.completions.turn_to_list(self.limits().queue_timeout).await?;
        let selection = Selection::new(&listing);
        let mut page = Page { listing, selection, account };
        let gathering = async {
            match page.listing.dialect() {
                Dialect::Minio => self.ask_each_node(&mut page).await,
                Dialect::S3 => self.ask_page_by_page(&mut page).await,
            }
        };
        match timeout(self.limits().response_timeout, gathering).await.map_err(|_| too_slow())?? {
            PageReply::Other(answer) => Ok(Served { answer, rewriter }),
            PageReply::Page => {
                let Page { listing, selection, .. } = page;
                let held = selection.bytes();
                let document = listing.page(selection);
                account.grow_to(Use::Pages, held + document.len())?;
                Ok(StoreResponse::of_document(document).into())
            }
        }
    }

    /// Asks every node of MinIO, because each lists only the uploads that began through it. The uploads of a node
    /// that is down are omitted: it forgets them when it restarts.
    async fn ask_each_node(&self, page: &mut Page<'_>) -> Result<PageReply, Refusal> {
        let (mut has_list, mut failed) = (false, None);
        let patience = self.limits().response_timeout / SLOW_NODES;
        for attempts in self.store.pool().each_node() {
            for question in page.listing.questions() {
                let asking = self.ask_for_uploads(page, &question, attempts.clone());
                match timeout(patience, asking).await.unwrap_or_else(|_| Err(too_slow())) {
                    Ok(ListReply::List(_)) => has_list = true,
                    Ok(ListReply::Other(answer)) => _ = failed.get_or_insert(Ok(answer)),
                    // The other nodes would fail in the same way.
                    Err(refusal) if matches!(refusal.rule, Rule::NoSession | Rule::MemoryFull) => {
                        return Err(refusal);
                    }
                    Err(refusal) => {
                        page.account.trace.survived(refusal.cause());
                        failed.get_or_insert(Err(refusal));
                    }
                }
            }
        }
        match failed {
            Some(failed) if !has_list => failed.map(PageReply::Other),
            _ => Ok(PageReply::Page),
        }
    }

    /// Asks a store other than MinIO, scope by scope and page by page, until the client's page is full.
    async fn ask_page_by_page(&self, page: &mut Page<'_>) -> Result<PageReply, Refusal> {
        for mut question in page.listing.questions() {
            while !page.selection.is_truncated() {
                match self.ask_for_uploads(page, &question, Attempts::default()).await? {
                    ListReply::Other(answer) => return Ok(PageReply::Other(answer)),
                    ListReply::List(None) => break,
                    ListReply::List(Some(next)) => {
                        let next = question.from(next);
                        if next == question {
                            return Err(invalid_list("its next page begins where it began"));
                        }
                        question = next;
                    }
                }
            }
        }
        Ok(PageReply::Page)
    }

    async fn ask_for_uploads(
        &self,
        page: &mut Page<'_>,
        question: &Question,
        attempts: Attempts,
    ) -> Result<ListReply, Refusal> {
        let outgoing = Outgoing::list_of_uploads(&page.listing, question);
        let (sessions, trace) = (page.account.sessions(), page.account.trace);
        match self.store.exchange_with(&outgoing, &Upload::nothing(), sessions, attempts, trace).await? {
            StoreResponse::Streaming(answer) if answer.status == StatusCode::OK => {
                self.read_list(answer.body, page).await.map(ListReply::List)
            }
            other => Ok(ListReply::Other(other)),
        }
    }

    /// Reads a list as it arrives, and keeps only the entries of the client's page.
    async fn read_list(&self, mut body: Download, page: &mut Page<'_>) -> Result<Option<Marker>, Refusal> {
        let (mut reader, mut length) = (Reader::default(), 0);
        let patience = self.limits().stall_timeout;
        let Page { listing, selection, account, .. } = page;
        while let Some(frame) = timeout(patience, body.frame()).await.map_err(|_| too_slow())? {
            let frame = frame.map_err(|error| broke_off(&error))?;
            let data = frame.into_data().unwrap_or_default();
            length += data.len();
            if length > MAX_LIST {
                return Err(invalid_list("it is larger than 256 MiB"));
            }
            let taking = reader.feed(&data, |upload| {
                if let Some(entry) = listing.entry(upload) {
                    selection.offer(entry);
                }
            });
            taking.map_err(invalid_list)?;
            account.grow_to(Use::Pages, selection.bytes())?;
            // Reading a long list must not delay other requests.
            yield_now().await;
        }
        reader.finish().map_err(invalid_list)
    }
}

fn too_slow() -> Refusal {
    let why = "the store did not list its multipart uploads in time: try again";
    Refusal::new(Rule::UpstreamTimeout, why)
}

fn invalid_list(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Rule::Upstream, why.to_string())
}
