//! Responds when nothing was found: with a redirect to a folder, a site's error page, or a link back.

use super::call::Call;
use super::decision::{Fallback, Forward, Need, Redirect, may_fall_back};
use super::reply::Outcome;
use super::reply::{Reply, Served};
use super::{Account, ClientBody, Proxy};
use crate::answer::listing::{Position, place};
use crate::answer::representation::{BY_ACCEPT, FOR_ONE_CLIENT, Representation};
use crate::answer::response::{LocalBody, local};
use crate::authorize::mapping::Mapping;
use crate::refusal::{Refusal, Rule};
use crate::store::{StoreResponse, is_short};
use bytes::Bytes;
use http::{StatusCode, header};
use http1::Request;

/// The headers of an error page that would seem to describe the requested object.
const OF_THE_OBJECT: [header::HeaderName; 5] =
    [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES, header::CACHE_CONTROL, header::EXPIRES];

/// Maximum number of folders above a path that are tried for the link back.
const MAX_LOOKED_AT: usize = 16;

/// Returns the fallback of a request whose outcome is that nothing was found.
pub(super) fn after<B>(call: &Call<'_, B>, outcome: &Outcome) -> Option<Fallback> {
    let found_nothing = match outcome {
        Ok(Reply::Store(Served { answer, .. })) if answer.status() == StatusCode::NOT_FOUND => {
            // A long response is not an S3 error document, and is streamed unchanged.
            if matches!(answer, StoreResponse::Streaming(answer) if !is_short(answer)) {
                return None;
            }
            true
        }
        Err(refusal) if may_fall_back(refusal) => refusal.rule == Rule::NoSuchFolder,
        _ => return None,
    };
    Fallback::of(call.mapping, call.incoming, found_nothing)
}

impl Proxy {
    /// Responds with the first part of a fallback that finds something, or else with the original outcome.
    pub(super) async fn fall_back<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        outcome: Outcome,
        fallback: Fallback,
    ) -> Outcome {
        let Fallback { redirect, page, is_icon } = fallback;
        let (trace, outcome) = (call.account.trace, self.buffered(outcome).await);
        if let Err(Refusal { operation: Some(operation), .. }) = &outcome {
            trace.routed(*operation, call.request().target.query());
        }
        let operation = trace.operation();
        if let Some(redirect) = redirect {
            let redirected = self.redirect(call, redirect).await;
            trace.is_about(operation);
            // If the redirect fails, the original outcome remains.
            match redirected {
                Ok(reply) => return Ok(reply),
                Err(refusal) => trace.survived(refusal.cause()),
            }
        }
        if let Some(page) = page {
            let page = self.error_page(call.account, *page).await;
            trace.is_about(operation);
            if let Some(page) = page {
                return Ok(page);
            }
        }
        match outcome {
            Err(_) if is_icon => {
                let body = LocalBody::Whole(Bytes::new());
                Ok(Reply::Local(local(Representation::Text, StatusCode::NOT_FOUND, body)))
            }
            outcome => outcome,
        }
    }

    /// Redirects to a folder, if it exists.
    pub(super) async fn redirect<B: ClientBody>(&self, call: &Call<'_, B>, redirect: Redirect) -> Outcome {
        let Redirect { to, needs } = redirect;
        call.pass_over_body().await?;
        let mut is_there = needs.is_empty();
        for need in needs {
            is_there = self.has(call.account, need).await?;
            if is_there {
                break;
            }
        }
        if !is_there {
            return Err(super::decision::no_such_folder());
        }
        let body = LocalBody::Whole(Bytes::new());
        let mut response = local(Representation::Text, StatusCode::FOUND, body);
        response.headers_mut().insert(header::LOCATION, to);
        Ok(Reply::Local(response))
    }

    /// Asks the store for evidence that a folder exists.
    async fn has(&self, account: Account<'_>, need: Need) -> Result<bool, Refusal> {
        match need {
            Need::Index(head) => {
                let served = self.forward_bare(account, *head).await?;
                Ok(served.answer.status().is_success())
            }
            Need::Name(place, list) => {
                let page = self.page(account, &place, *list, &Position::Start, 0).await?;
                Ok(page.has_names())
            }
        }
    }

    /// Requests a site's error page.
    async fn error_page(&self, account: Account<'_>, page: Forward) -> Option<Reply> {
        match self.forward_bare(account, page).await {
            Ok(Served { answer: StoreResponse::Streaming(mut answer), .. })
                if answer.status == StatusCode::OK =>
            {
                answer.status = StatusCode::NOT_FOUND;
                for name in OF_THE_OBJECT {
                    answer.fields.remove(name.as_str());
                }
                // Other clients get the error as XML, and the object may exist a moment later.
                answer.fields.insert(header::VARY, BY_ACCEPT);
                answer.fields.insert(header::CACHE_CONTROL, FOR_ONE_CLIENT);
                Some(Reply::Page(Box::new(answer)))
            }
            answer => {
                // There is no error page. Reading the response to its end frees its connection.
                if let Err(refusal) = self.buffered(answer.map(Reply::Store)).await {
                    account.trace.survived(refusal.cause());
                }
                None
            }
        }
    }
}

/// Returns a relative reference from a request's path to the nearest folder that its client may see. `path` contains
/// the bucket.
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
