//! Responds to clients that follow links: tries the ways of a [`Browse`] in turn, lists folders page by page, and
//! formats errors.

use super::call::Call;
use super::decision::{Browse, Forward, Way, may_try_next, no_such_folder};
use super::reply::{Outcome, Reply, Served};
use super::{Account, ClientBody, Proxy, fallback};
use crate::answer::listing::html::FolderPage;
use crate::answer::listing::index::Index;
use crate::answer::listing::order::Sorted;
use crate::answer::listing::page::MAX_PAGE_BYTES;
use crate::answer::listing::rows::Rows;
use crate::answer::listing::scopes::{self, Viewer};
use crate::answer::listing::{Above, Form, Page, Pages, Place, Position, Selection, pages};
use crate::answer::representation::error::ErrorDocument;
use crate::answer::representation::html::content_security_policy;
use crate::answer::representation::{BY_ACCEPT, Representation, is_s3_client};
use crate::answer::response::{LocalBody, local};
use crate::answer::rewrite::Rewriter;
use crate::bounds::holdings::Holdings;
use crate::bounds::memory::{Payer, Use};
use crate::proxy::generation::Site;
use crate::refusal::{Refusal, Rule};
use crate::s3::error as s3_error;
use crate::s3::error::read_error_body;
use crate::s3::operation::Operation;
use crate::store::response_fields::ERROR_CODE;
use crate::store::{StoreResponse, broke_off};
use crate::telemetry::panics::catch_panic;
use crate::trace::Trace;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::Body;
use http1::Request;
use http1::body::{Unread, read_within};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// The memory of a page relative to its XML: it is held as sent, in the client's view, as rows, and as text.
const COPIES: usize = 4;

/// The store's response to a request for a page.
pub(super) enum PageResponse {
    /// A page, with the bytes of memory that it takes.
    Page(Page, usize),
    /// A response other than a page.
    Other(Served),
}

impl PageResponse {
    /// Returns whether the page's folder contains anything.
    pub(super) fn has_names(&self) -> bool {
        matches!(self, Self::Page(page, _) if page.has_marker || !page.entries.is_empty())
    }
}

/// The names of a list, or the store's error about one of its pages.
pub(super) enum Gathered {
    /// The names that the list shows, and how they were sorted.
    Names(Page, Sorted),
    /// A response other than a page.
    Other(Served),
}

/// A list of a folder.
struct List<'b> {
    place: Place,
    form: Form,
    selection: &'b Selection,
    is_format_named: bool,
}

impl Proxy {
    /// Responds in the first way that finds something. If none does, the response is the store's first one, or else
    /// the first refusal.
    pub(super) async fn browse<B: ClientBody>(&self, call: &Call<'_, B>, browse: Browse) -> Outcome {
        call.pass_over_body().await?;
        let Browse { selection, is_format_named, ways } = browse;
        let mut kept: Option<(Outcome, Option<Operation>)> = None;
        for way in ways {
            let outcome = match way {
                Way::List { place, form, query, first } => {
                    let list = List { place, form, selection: &selection, is_format_named };
                    self.list(call, list, (&query, *first)).await
                }
                Way::Scopes(above, form) => self.list_scopes(call, &above, (form, is_format_named)).await,
                way => self.take_way(call, way).await,
            };
            if !finds_nothing(&outcome) {
                return outcome;
            }
            if kept.as_ref().is_none_or(|(kept, _)| kept.is_err() && outcome.is_ok()) {
                kept = Some((self.buffered(outcome).await, call.account.trace.operation()));
            }
        }
        let (outcome, operation) = kept.unwrap_or_else(|| (Err(no_such_folder()), None));
        call.account.trace.is_about(operation);
        outcome
    }

    /// Reads a response to its end, so that its connection can serve again.
    pub(super) async fn buffered(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Ok(Reply::Store(Served { answer, rewriter })) => {
                let answer = self.read(answer).await?;
                Ok(Reply::Store(Served { answer, rewriter }))
            }
            other => other,
        }
    }

    /// Carries out a way that is not a list.
    async fn take_way<B: ClientBody>(&self, call: &Call<'_, B>, way: Way) -> Outcome {
        match way {
            Way::AsSent(route) | Way::Index(route) => self.run(call, *route).await.map(Reply::Store),
            Way::Redirect(redirect) => self.redirect(call, redirect).await,
            Way::Refused(_, refusal) => {
                if let Some(operation) = refusal.operation {
                    call.account.trace.routed(operation, call.request().target.query());
                }
                Err(*refusal)
            }
            Way::List { .. } | Way::Scopes(..) => Err(no_such_folder()),
        }
    }

    async fn list_scopes<B>(
        &self,
        call: &Call<'_, B>,
        above: &Above,
        (form, is_format_named): (Form, bool),
    ) -> Outcome {
        call.account.trace.is_about(Some(Operation::ListBuckets));
        call.account.admit().await?;
        let is_host = call.incoming.path() != call.request().target.path();
        let text = scopes::write(above, form, Viewer { mapping: call.mapping, is_host, is_format_named });
        call.account.grow_to(Use::Pages, text.len())?;
        Ok(Reply::Local(local(form.representation(), StatusCode::OK, LocalBody::Whole(text.into()))))
    }

    async fn list<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        list: List<'_>,
        (query, first): (&str, Forward),
    ) -> Outcome {
        let List { place, form, selection, .. } = &list;
        call.account.trace.routed(Operation::ListObjectsV2, Some(query));
        let (page, bytes) = match self.page(call.account, place, first, &selection.position, 0).await? {
            PageResponse::Page(page, bytes) => (page, bytes),
            PageResponse::Other(answer) => return Ok(Reply::Store(answer)),
        };
        let is_bare = page.entries.is_empty() && !page.has_marker && selection.position == Position::Start;
        if is_bare && !place.is_whole(call.mapping) {
            return Err(no_such_folder());
        }
        if !selection.is_sorted() {
            return self.write_list(call, list, (page, bytes), None);
        }
        match self.sort(call, (place, *form), (page, bytes), selection).await? {
            Gathered::Names(page, sorted) => self.write_list(call, list, (page, bytes), Some(&sorted)),
            Gathered::Other(answer) => Ok(Reply::Store(answer)),
        }
    }

    /// Writes a list that begins with a page, in the form that the client asks for.
    fn write_list<B>(
        &self,
        call: &Call<'_, B>,
        list: List<'_>,
        (page, bytes): (Page, usize),
        sorted: Option<&Sorted>,
    ) -> Outcome {
        let List { place, form, selection, is_format_named } = list;
        let rows = match form {
            Form::Json => Rows::Json,
            Form::Text => Rows::Text,
            Form::Index => Rows::Index(Index {
                below: place.below().to_owned(),
                has_parent: place.has_parent(call.mapping),
                kept: if is_format_named { "?format=html" } else { "" },
            }),
            Form::Page => {
                let listed = FolderPage { place: &place, selection, page: &page, sorted, is_format_named };
                return Self::list_page(call, listed);
            }
        };
        let body = if call.request().method == Method::HEAD {
            LocalBody::Nothing
        } else {
            let shown = place.shown();
            let client = call.request();
            let further =
                page.token.is_some().then(|| self.further_pages(client, place, (call.account, bytes)));
            LocalBody::Pages(Pages::new(rows, &shown, page, further))
        };
        Ok(Reply::Local(local(form.representation(), StatusCode::OK, body)))
    }

    /// Responds with one page for a browser.
    fn list_page<B>(call: &Call<'_, B>, listed: FolderPage<'_>) -> Outcome {
        let text = listed.write(call.mapping, call.request(), call.client.scheme());
        call.account.grow_to(Use::Pages, text.len())?;
        let mut answer = local(Representation::Html, StatusCode::OK, LocalBody::Whole(text.into()));
        let policy = content_security_policy(listed.powers(call.mapping));
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        if let Some(next) = listed.next()
            && let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\""))
        {
            answer.headers_mut().insert(header::LINK, link);
        }
        Ok(Reply::Local(answer))
    }

    /// Returns a function that requests further pages, each when the client is ready for it.
    fn further_pages(
        &self,
        request: &Request,
        place: Place,
        (account, first): (Account<'_>, usize),
    ) -> impl FnMut(Position) -> pages::PendingPage + use<> {
        // The request holds the memory of the first page, and each later page reuses it. This share holds what a
        // larger page needs in addition.
        let payer = Payer::Client(account.holdings.client());
        let held = Rc::new(RefCell::new(self.shared.memory.share(payer, Use::Pages)));
        let (proxy, place) = (self.clone(), Rc::new(place));
        let (site, trace) = (Arc::clone(account.site), account.trace.aside());
        let holdings = account.holdings.aside();
        let request = Rc::new(request.clone());
        move |position| {
            let (proxy, place, site) = (proxy.clone(), Rc::clone(&place), Arc::clone(&site));
            let (request, held) = (Rc::clone(&request), Rc::clone(&held));
            let (trace, holdings) = (trace.aside(), holdings.aside());
            let coming = async move {
                let asked = proxy.further_page((&request, &site), &place, &position, (&trace, &holdings));
                match asked.await {
                    Ok(PageResponse::Page(page, bytes)) => {
                        let grown = held.borrow_mut().grow_to(bytes.saturating_sub(first));
                        grown.map(|()| page).map_err(|refusal| refusal.to_string().into())
                    }
                    Ok(PageResponse::Other(served)) => {
                        Err(format!("the store answered {} to a further page", served.answer.status()).into())
                    }
                    Err(refusal) => Err(match refusal.cause() {
                        Some(note) => format!("{refusal}: {note}").into(),
                        None => refusal.to_string().into(),
                    }),
                }
            };
            Box::pin(async move {
                let mut page = None;
                catch_panic(pin!(async { page = Some(coming.await) })).await;
                page.unwrap_or_else(|| Err("internal error while a further page was read".into()))
            })
        }
    }

    /// Decides on the request for a further page as if the client had sent it, and sends it.
    async fn further_page(
        &self,
        (request, site): (&Request, &Arc<Site>),
        place: &Place,
        position: &Position,
        (trace, holdings): (&Trace, &Holdings),
    ) -> Result<PageResponse, Refusal> {
        let (path, query) = place.request(position);
        let list = Forward::for_client(&site.mapping, request, &Method::GET, &path, Some(&query))?;
        let account = Account { site, trace, holdings, memory: &self.shared.memory };
        self.page(account, place, list, position, 0).await
    }

    /// Requests a page from the store and parses it. `kept` is the memory of earlier pages in bytes.
    pub(super) async fn page(
        &self,
        account: Account<'_>,
        place: &Place,
        list: Forward,
        position: &Position,
        kept: usize,
    ) -> Result<PageResponse, Refusal> {
        let served = self.forward_bare(account, list).await?;
        let (answer, rewriter) = match served {
            Served { answer: StoreResponse::Streaming(answer), rewriter } if answer.status.is_success() => {
                (answer, rewriter)
            }
            other => return Ok(PageResponse::Other(other)),
        };
        let patience = self.generation.limits.stall_timeout;
        let hold = |bytes: usize| account.grow_to(Use::Pages, bytes.saturating_add(kept));
        let body = read_within(answer.body, MAX_PAGE_BYTES, patience, hold).await;
        let page = body.map_err(|unread| match unread {
            Unread::Refused(refusal) => refusal,
            Unread::Failed(error) => broke_off(&error),
        })?;
        let bytes = page.len().saturating_mul(COPIES);
        account.grow_to(Use::Pages, bytes.saturating_add(kept))?;
        let page = rewritten(page, rewriter)?;
        match Page::parse(&page, place.below(), position) {
            Ok(page) => Ok(PageResponse::Page(page, bytes)),
            Err(error) => Err(Refusal::new(Rule::Upstream, error.to_string())),
        }
    }

    /// Puts an error of the store into the form that the client asks for.
    pub(super) async fn localize_error<B>(&self, call: &Call<'_, B>, reply: Reply) -> Outcome {
        let request = call.request();
        let form = Representation::of_error(request.fields(), request.target.query());
        let Reply::Store(Served { answer: mut from, rewriter }) = reply else { return Ok(reply) };
        if form == Representation::S3 || request.method == Method::HEAD {
            if matches!(request.method, Method::GET | Method::HEAD) && !is_s3_client(request.fields()) {
                from.insert(header::VARY, BY_ACCEPT);
            }
            return Ok(Reply::Store(Served { answer: from, rewriter }));
        }
        let (mut parts, body) = match self.read(from).await? {
            StoreResponse::Buffered(parts, body) => (parts, body),
            bare @ StoreResponse::Streaming(_) => {
                return Ok(Reply::Store(Served { answer: bare, rewriter }));
            }
        };
        let concerned = rewriter.filter(|rewriter| rewriter.concerns(parts.status));
        let body = rewritten(body, concerned)?;
        let xml = String::from_utf8_lossy(&body);
        let Some(code) = s3_error::element(&xml, "Code") else {
            return Ok(Reply::Store(StoreResponse::Buffered(parts, body).into()));
        };
        let message = s3_error::element(&xml, "Message").unwrap_or_default();
        parts.headers.remove(ERROR_CODE);
        let back = fallback::way_back(call.mapping, call.incoming.path(), request);
        let request_id = call.account.trace.request_id();
        let document = ErrorDocument {
            status: parts.status,
            code: &code,
            message: &message,
            help: None,
            rule: None,
            mapping: Some(&*call.mapping.name),
            path: request.target.path(),
            request_id: request_id.as_str(),
            back: back.as_deref(),
        };
        let body = document.body(form);
        form.describe(&mut parts.headers);
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
        Ok(Reply::Local(Box::new(Response::from_parts(*parts, LocalBody::Whole(body)))))
    }

    /// Reads the body of an error to its end.
    async fn read(&self, from: StoreResponse) -> Result<StoreResponse, Refusal> {
        match from {
            StoreResponse::Streaming(answer) if !answer.body.is_end_stream() => {
                let (parts, body) = answer.into_parts();
                let body = read_error_body(body, self.generation.limits.stall_timeout).await;
                Ok(StoreResponse::Buffered(Box::new(parts), body.map_err(|error| broke_off(&error))?))
            }
            other => Ok(other),
        }
    }
}

/// Puts the client's names into a document of the store.
fn rewritten(document: Bytes, rewriter: Option<Box<Rewriter>>) -> Result<Bytes, Refusal> {
    let Some(rewriter) = rewriter else { return Ok(document) };
    let rewritten = rewriter.rewrite(&document).map(Bytes::from);
    rewritten.map_err(|error| Refusal::new(Rule::Upstream, error.to_string()))
}

/// Returns whether to try the next way.
fn finds_nothing(outcome: &Outcome) -> bool {
    match outcome {
        Ok(Reply::Store(served)) => served.answer.status() == StatusCode::NOT_FOUND,
        Ok(Reply::Local(_) | Reply::Page(_)) => false,
        Err(refusal) => may_try_next(refusal),
    }
}
