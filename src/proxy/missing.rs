//! What is done where nothing was found: a redirect to a folder, a site's own error page, a way back.

use super::browse::{NoBody, Outcome, finds_nothing, made};
use super::exchange::is_short;
use super::{Asked, ClientBody, FromStore, Given, Proxy, Wanted};
use crate::access::AccessRecord;
use crate::listing::{Plan, place};
use crate::mapping::Mapping;
use crate::refusal::Rule;
use crate::representation::{BY_ACCEPT, FOR_ONE_CLIENT, Representation, is_s3_client};
use crate::response::Made;
use crate::upload::Upload;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use http1::{Fields, Request};

/// The headers of an error page that would speak of what was asked for.
const OF_THE_OBJECT: [header::HeaderName; 5] =
    [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES, header::CACHE_CONTROL, header::EXPIRES];

/// The most folders above a path that are looked at for a way back.
const MAX_LOOKED_AT: usize = 16;

impl Proxy {
    /// Answers a request that found nothing: with a redirect to the folder of this name, with the error page of the site, or as
    /// before.
    pub(super) async fn instead<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        outcome: Outcome,
        record: &mut AccessRecord,
    ) -> Outcome {
        if let Ok(Given::Store((FromStore::Streaming(answer), _))) = &outcome
            && !is_short(answer)
        {
            // It is no error document of S3's, and goes on as it comes.
            return outcome;
        }
        let plan = Plan::of_missing(asked.mapping, asked.request, asked.path);
        let page = wants_error_page(asked.request, &outcome)
            .then(|| place::error_page(asked.mapping, asked.path))
            .flatten();
        if plan.is_none() && page.is_none() && !is_for_an_icon(asked.request) {
            return outcome;
        }
        let outcome = self.whole(outcome, record).await;
        if let Some(plan) = plan {
            let operation = record.operation();
            let redirected = self.browse(asked, &plan, record).await;
            // A failure on the way leaves what was found out before.
            if matches!(redirected, Ok(Given::Made(_))) {
                return redirected;
            }
            record.is_about(operation);
        }
        if let Some(path) = page
            && let Some(page) = self.error_page(asked, &path, record).await
        {
            return Ok(page);
        }
        match outcome {
            Err(_) if is_for_an_icon(asked.request) => {
                let body = Made::Whole(Bytes::new());
                Ok(Given::Made(made(Representation::Text, StatusCode::NOT_FOUND, body)))
            }
            outcome => outcome,
        }
    }

    /// Gets the error page of a site, at this path.
    async fn error_page<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        path: &str,
        record: &mut AccessRecord,
    ) -> Option<Given> {
        let operation = record.operation();
        let fields = Fields::default();
        let wanted = Wanted { method: &Method::GET, path, query: None, fields: &fields };
        let upload = Upload::new(NoBody::new());
        let answer = self.ask(&asked.without_body(&upload), &wanted, record).await;
        record.is_about(operation);
        match answer {
            Ok((FromStore::Streaming(mut answer), _)) if answer.status == StatusCode::OK => {
                answer.status = StatusCode::NOT_FOUND;
                for name in OF_THE_OBJECT {
                    answer.fields.remove(name.as_str());
                }
                // Programs get an error in XML, and the object may be there a moment later.
                answer.fields.insert(header::VARY, BY_ACCEPT);
                answer.fields.insert(header::CACHE_CONTROL, FOR_ONE_CLIENT);
                Some(Given::Page(Box::new(answer)))
            }
            answer => {
                // It is not there either. What came is read, so that its connection serves again.
                let _read = self.whole(answer.map(Given::Store), record).await;
                None
            }
        }
    }

    /// Returns a relative reference from a request's path to the nearest folder that its client may see.
    pub(super) fn way_back(mapping: &Mapping, path: &str, request: &Request) -> Option<String> {
        let shown = request.target.path();
        let hidden = path.len().checked_sub(shown.len())?;
        let ends: Vec<usize> = shown.match_indices('/').map(|(at, _)| at + 1).rev().collect();
        let is_itself = |end: usize| end == shown.len();
        let mut above = ends.iter().copied().enumerate().filter(|(_, end)| !is_itself(*end));
        let found = above.by_ref().take(MAX_LOOKED_AT).find(|(_, end)| {
            path.get(..hidden + end).is_some_and(|folder| place::is_visible_encoded(mapping, folder))
        });
        let root = || ends.len().checked_sub(1).filter(|_| hidden == 0 && shown != "/");
        let steps = found.map(|(steps, _)| steps).or_else(root)?;
        Some(if steps == 0 { "./".to_owned() } else { "../".repeat(steps) })
    }
}

/// Whether an outcome is looked at once more: nothing was found, or nothing that the client may have.
pub(super) fn is_missing(outcome: &Outcome) -> bool {
    match outcome {
        Err(refusal) => {
            matches!(
                refusal.rule,
                Rule::OutsideScope | Rule::RightNotGranted | Rule::NoSuchFolder | Rule::BadTarget
            )
        }
        Ok(_) => finds_nothing(outcome),
    }
}

/// Whether a browser found nothing, and so is shown the site's error page.
fn wants_error_page(request: &Request, outcome: &Outcome) -> bool {
    let is_missing = match outcome {
        Ok(Given::Store((from, _))) => from.status() == StatusCode::NOT_FOUND,
        Ok(Given::Made(_) | Given::Page(_)) => false,
        Err(refusal) => refusal.rule == Rule::NoSuchFolder,
    };
    is_missing
        && request.method == Method::GET
        && Representation::of_error(request.fields(), request.target.query()) == Representation::Html
}

/// Whether a request is one that browsers and crawlers make by themselves, for a file that need not be there.
fn is_for_an_icon(request: &Request) -> bool {
    let path = request.target.path();
    let is_one = matches!(path, "/favicon.ico" | "/robots.txt")
        || path.strip_prefix("/apple-touch-icon").is_some_and(|rest| rest.len() < 32 && !rest.contains('/'));
    is_one && matches!(request.method, Method::GET | Method::HEAD) && !is_s3_client(request.fields())
}
