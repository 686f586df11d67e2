//! Answers for people: tries the ways of a [`Plan`] in turn, asks for lists page by page, writes errors in their form.

use super::{Asked, ClientBody, FromStore, Given, Proxy, Served, Wanted};
use crate::access::AccessRecord;
use crate::listing::html::FolderPage;
use crate::listing::index::Index;
use crate::listing::page::MAX_PAGE_BYTES;
use crate::listing::rows::Rows;
use crate::listing::scopes::{self, Viewer};
use crate::listing::{Above, Form, Needs, Page, Pages, Place, Plan, Position, Step, pages};
use crate::memory::{Payer, Use};
use crate::panics::contain;
use crate::refusal::{Refusal, Rule};
use crate::representation::error::ErrorDocument;
use crate::representation::{BY_ACCEPT, Representation, is_s3_client};
use crate::response::{ERROR_CODE, Made};
use crate::rewrite::Rewriter;
use crate::s3_error;
use crate::s3_error::read_error_body;
use crate::s3_operation::Operation;
use crate::upload::Upload;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Empty;
use http1::body::{BoxError, Unread, read_within};
use http1::{Fields, Request};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// The body of a request that is made for a list.
pub(super) type NoBody = Empty<Bytes>;

/// What is made of a page takes as much memory: the page in its client's view, its rows, and their text.
const COPIES: usize = 4;

/// What came of one way to answer.
pub(super) type Outcome = Result<Given, Refusal>;

/// What a request for a page came to.
enum Paged {
    /// A page, with the memory that it takes.
    Page(Page, usize),
    /// The store's own answer is the answer.
    Other(Served),
}

impl Proxy {
    /// Answers in the first way of a plan that finds something. If none does, the answer is that of the first that the store
    /// answered, else of the first.
    pub(super) async fn browse<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        plan: &Plan,
        record: &mut AccessRecord,
    ) -> Outcome {
        asked.pass_over_body().await?;
        let mut kept: Option<(Outcome, Option<Operation>)> = None;
        for step in &plan.steps {
            let outcome = self.take(asked, plan, step, record).await;
            if !finds_nothing(&outcome) {
                return outcome;
            }
            if kept.as_ref().is_none_or(|(kept, _)| kept.is_err() && outcome.is_ok()) {
                kept = Some((self.whole(outcome, record).await, record.operation()));
            }
        }
        let (outcome, operation) = kept.unwrap_or_else(|| (Err(nothing()), None));
        record.is_about(operation);
        outcome
    }

    /// Reads an answer to its end, so that its connection serves again.
    pub(super) async fn whole(&self, outcome: Outcome, record: &mut AccessRecord) -> Outcome {
        match outcome {
            Ok(Given::Store((from, rewriter))) => {
                self.read(from, record).await.map(|from| Given::Store((from, rewriter)))
            }
            other => other,
        }
    }

    async fn take<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        plan: &Plan,
        step: &Step,
        record: &mut AccessRecord,
    ) -> Outcome {
        match step {
            Step::AsAsked => self.ask(asked, &asked.wanted(), record).await.map(Given::Store),
            Step::Index(path) => {
                let wanted = Wanted { path, query: None, ..asked.wanted() };
                self.ask(asked, &wanted, record).await.map(Given::Store)
            }
            Step::List(place, form) => {
                let upload = Upload::new(NoBody::new());
                let asked = asked.without_body(&upload);
                self.list(&asked, (plan, place), *form, record).await
            }
            Step::Scopes(above, form) => self.list_scopes(asked, plan, above, *form, record).await,
            Step::Redirect { to, needs } => {
                let upload = Upload::new(NoBody::new());
                let operation = record.operation();
                let is_there = self.is_there(&asked.without_body(&upload), needs, record).await;
                record.is_about(operation);
                if is_there? { redirect(to) } else { Err(nothing()) }
            }
        }
    }

    /// Whether a folder has one of the things that show that it is there.
    async fn is_there(
        &self,
        asked: &Asked<'_, NoBody>,
        needs: &[Needs],
        record: &mut AccessRecord,
    ) -> Result<bool, Refusal> {
        for needed in needs {
            let found = match needed {
                Needs::Index(path) => {
                    let fields = Fields::default();
                    let wanted = Wanted { method: &Method::HEAD, path, query: None, fields: &fields };
                    self.ask(asked, &wanted, record).await.map(|(answer, _)| answer.status().is_success())
                }
                Needs::Name(place) => {
                    let page =
                        self.page(asked, place, (place.request_of_one(), &Position::Start), record).await;
                    page.map(|page| {
                        matches!(page, Paged::Page(page, _) if page.has_marker || !page.entries.is_empty())
                    })
                }
            };
            match found {
                Ok(false) => {}
                Err(refusal) if refusal.rule == Rule::RightNotGranted => {}
                found => return found,
            }
        }
        Ok(needs.is_empty())
    }

    async fn list_scopes<B>(
        &self,
        asked: &Asked<'_, B>,
        plan: &Plan,
        above: &Above,
        form: Form,
        record: &mut AccessRecord,
    ) -> Outcome {
        record.granted(Operation::ListBuckets);
        asked.admit(record).await?;
        let is_host = asked.path != asked.request.target.path();
        let viewer = Viewer { mapping: asked.mapping, is_host, is_format_named: plan.is_format_named };
        let text = scopes::write(above, form, viewer);
        record.memory(&self.shared.memory, Use::Pages).grow_to(text.len())?;
        Ok(Given::Made(made(form.representation(), StatusCode::OK, Made::Whole(text.into()))))
    }

    async fn list(
        &self,
        asked: &Asked<'_, NoBody>,
        (plan, place): (&Plan, &Place),
        form: Form,
        record: &mut AccessRecord,
    ) -> Outcome {
        let from = (place.request(&plan.position), &plan.position);
        let (page, bytes) = match self.page(asked, place, from, record).await? {
            Paged::Page(page, bytes) => (page, bytes),
            Paged::Other(answer) => return Ok(Given::Store(answer)),
        };
        let is_bare = page.entries.is_empty() && !page.has_marker && plan.position == Position::Start;
        if is_bare && !place.is_whole(asked.mapping) {
            return Err(nothing());
        }
        record.granted(Operation::ListObjectsV2);
        let rows = match form {
            Form::Json => Rows::Json,
            Form::Text => Rows::Text,
            Form::Index => Rows::Index(Index {
                below: place.below().to_owned(),
                has_parent: place.has_parent(asked.mapping),
                kept: if plan.is_format_named { "?format=html" } else { "" },
            }),
            Form::Page => {
                let (position, is_format_named) = (&plan.position, plan.is_format_named);
                return self.list_page(
                    asked,
                    FolderPage { place, position, page: &page, is_format_named },
                    record,
                );
            }
        };
        let body = if asked.request.method == Method::HEAD {
            Made::Nothing
        } else {
            let shown = place.shown();
            let further = page.token.is_some().then(|| self.further_pages(asked, place, (record, bytes)));
            Made::Pages(Pages::new(rows, &shown, page, further))
        };
        Ok(Given::Made(made(form.representation(), StatusCode::OK, body)))
    }

    /// Answers with one page for a browser.
    fn list_page(
        &self,
        asked: &Asked<'_, NoBody>,
        listed: FolderPage<'_>,
        record: &mut AccessRecord,
    ) -> Outcome {
        let text = listed.write(asked.mapping, asked.request);
        record.memory(&self.shared.memory, Use::Pages).grow_to(text.len())?;
        let mut answer = made(Representation::Html, StatusCode::OK, Made::Whole(text.into()));
        if let Some(next) = listed.next()
            && let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\""))
        {
            answer.headers_mut().insert(header::LINK, link);
        }
        Ok(Given::Made(answer))
    }

    /// Asks for the pages behind the first, each when it is wanted.
    fn further_pages(
        &self,
        asked: &Asked<'_, NoBody>,
        place: &Place,
        (record, first): (&AccessRecord, usize),
    ) -> impl FnMut(Position) -> pages::PendingPage + use<> {
        // The request has memory for its first page, which is used for each later page in turn. This is what a longer
        // one takes besides.
        let payer = Payer::Client(record.client());
        let held = Rc::new(RefCell::new(self.shared.memory.share(payer, Use::Pages)));
        let (proxy, place) = (self.clone(), Rc::new(place.clone()));
        let state = Arc::clone(asked.state);
        let (upload, account) = (Rc::clone(asked.upload), record.aside());
        let request = Rc::new(asked.request.clone());
        move |position| {
            let (proxy, place, upload) = (proxy.clone(), Rc::clone(&place), Rc::clone(&upload));
            let (request, held) = (Rc::clone(&request), Rc::clone(&held));
            let (state, mut record) = (Arc::clone(&state), account.aside());
            let coming = async move {
                let path = request.target.path();
                let mapping = &state.mapping;
                let asked = Asked { mapping, state: &state, upload: &upload, request: &request, path };
                let from = (place.request(&position), &position);
                match proxy.page(&asked, &place, from, &mut record).await {
                    Ok(Paged::Page(page, bytes)) => {
                        match held.borrow_mut().grow_to(bytes.saturating_sub(first)) {
                            Ok(()) => Ok(page),
                            Err(refusal) => Err(refusal.to_string().into()),
                        }
                    }
                    Ok(Paged::Other(answer)) => {
                        Err(format!("the store answered {} to a further page", answer.0.status()).into())
                    }
                    Err(refusal) => Err(match record.noted() {
                        Some(note) => format!("{refusal}: {note}").into(),
                        None => refusal.to_string().into(),
                    }),
                }
            };
            Box::pin(async move {
                let mut page = None;
                contain(pin!(async { page = Some(coming.await) })).await;
                page.unwrap_or_else(|| Err("a further page failed inside".into()))
            })
        }
    }

    /// Asks for a page as its client would, with this path and query, and reads it.
    async fn page(
        &self,
        asked: &Asked<'_, NoBody>,
        place: &Place,
        ((path, query), position): ((String, String), &Position),
        record: &mut AccessRecord,
    ) -> Result<Paged, Refusal> {
        let fields = Fields::default();
        let wanted = Wanted { method: &Method::GET, path: &path, query: Some(&query), fields: &fields };
        let (answer, rewriter) = match self.ask(asked, &wanted, record).await? {
            (FromStore::Streaming(answer), rewriter) if answer.status.is_success() => (answer, rewriter),
            other => return Ok(Paged::Other(other)),
        };
        let patience = self.generation.limits.stall_timeout;
        let memory = record.memory(&self.shared.memory, Use::Pages);
        let body = read_within(answer.body, MAX_PAGE_BYTES, patience, |bytes| memory.grow_to(bytes)).await;
        let page = body.map_err(|unread| match unread {
            Unread::Refused(refusal) => refusal,
            Unread::Failed(error) => broke_off(&error.into(), record),
        })?;
        let bytes = page.len().saturating_mul(COPIES);
        record.memory(&self.shared.memory, Use::Pages).grow_to(bytes)?;
        let page = in_its_view(page, rewriter)?;
        match Page::parse(&page, place.below(), position) {
            Ok(page) => Ok(Paged::Page(page, bytes)),
            Err(error) => Err(Refusal::new(Rule::Upstream, error.to_string())),
        }
    }

    /// Writes an error of the store's in the form that a request asks for. `back` leads to a folder that the client may
    /// see.
    pub(super) async fn worded(
        &self,
        given: Given,
        request: &Request,
        back: Option<&str>,
        record: &mut AccessRecord,
    ) -> Outcome {
        let form = Representation::of_error(request.fields(), request.target.query());
        let from = match given {
            Given::Store(served) => served,
            given @ (Given::Made(_) | Given::Page(_)) => return Ok(given),
        };
        let (mut from, rewriter) = from;
        if form == Representation::S3 || request.method == Method::HEAD {
            if matches!(request.method, Method::GET | Method::HEAD) && !is_s3_client(request.fields()) {
                from.insert(header::VARY, BY_ACCEPT);
            }
            return Ok(Given::Store((from, rewriter)));
        }
        let (mut parts, body) = match self.read(from, record).await? {
            FromStore::Read(parts, body) => (parts, body),
            bare @ FromStore::Streaming(_) => return Ok(Given::Store((bare, rewriter))),
        };
        let concerned = rewriter.filter(|rewriter| rewriter.concerns(parts.status));
        let body = in_its_view(body, concerned)?;
        let xml = String::from_utf8_lossy(&body);
        let Some(code) = s3_error::element(&xml, "Code") else {
            return Ok(Given::Store((FromStore::Read(parts, body), None)));
        };
        let message = s3_error::element(&xml, "Message").unwrap_or_default();
        parts.headers.remove(ERROR_CODE);
        let mapping = record.mapping_name();
        let request_id = record.request_id();
        let document = ErrorDocument {
            status: parts.status,
            code: &code,
            message: &message,
            help: None,
            rule: None,
            mapping: mapping.as_deref(),
            path: request.target.path(),
            request_id: request_id.as_str(),
            back,
        };
        let body = document.body(form);
        form.describe(&mut parts.headers);
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
        Ok(Given::Made(Box::new(Response::from_parts(*parts, Made::Whole(body)))))
    }

    /// Reads the body of an error to its end.
    async fn read(&self, from: FromStore, record: &mut AccessRecord) -> Result<FromStore, Refusal> {
        match from {
            FromStore::Streaming(answer) if !answer.body.is_end_stream() => {
                let (parts, body) = answer.into_parts();
                let body = read_error_body(body, self.generation.limits.stall_timeout).await;
                Ok(FromStore::Read(Box::new(parts), body.map_err(|error| broke_off(&error, record))?))
            }
            other => Ok(other),
        }
    }
}

/// A store's document with the names that its client knows.
fn in_its_view(document: Bytes, rewriter: Option<Box<Rewriter>>) -> Result<Bytes, Refusal> {
    let Some(rewriter) = rewriter else { return Ok(document) };
    let rewritten = rewriter.rewrite(&document).map(Bytes::from);
    rewritten.map_err(|error| Refusal::new(Rule::Upstream, error.to_string()))
}

/// Whether another way may be tried: there is nothing, or nothing that may be had.
pub(super) fn finds_nothing(outcome: &Outcome) -> bool {
    match outcome {
        Ok(Given::Store((from, _))) => from.status() == StatusCode::NOT_FOUND,
        Ok(Given::Made(_) | Given::Page(_)) => false,
        Err(refusal) => matches!(refusal.rule, Rule::RightNotGranted | Rule::NoSuchFolder),
    }
}

fn nothing() -> Refusal {
    Refusal::new(Rule::NoSuchFolder, "there is no folder of this name")
}

fn broke_off(error: &BoxError, record: &mut AccessRecord) -> Refusal {
    record.note(error);
    Refusal::new(Rule::Upstream, "the store's answer broke off")
}

pub(super) fn made(form: Representation, status: StatusCode, body: Made) -> Box<Response<Made>> {
    let mut response = Box::new(Response::new(body));
    *response.status_mut() = status;
    form.describe(response.headers_mut());
    response
}

fn redirect(to: &str) -> Outcome {
    let target = HeaderValue::from_str(to)
        .map_err(|_| Refusal::new(Rule::BadTarget, "the query cannot be written in a header"))?;
    let mut response = made(Representation::Text, StatusCode::FOUND, Made::Whole(Bytes::new()));
    response.headers_mut().insert(header::LOCATION, target);
    Ok(Given::Made(response))
}
