//! Decides on fallbacks for a path without an object: a redirect to the folder of that name, or a site's error page.

use super::{Forward, Incoming};
use crate::answer::listing::{Needs, Place, Plan, Step, place};
use crate::answer::representation::{Representation, is_s3_client};
use crate::authorize::mapping::Mapping;
use http::{HeaderValue, Method};
use http1::Request;

/// The responses to try, in this order, when a request finds nothing.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) redirect: Option<Redirect>,
    /// The request for the site's error page.
    pub(crate) page: Option<Box<Forward>>,
    /// Whether browsers request this file on their own. They get an empty 404.
    pub(crate) is_icon: bool,
}

/// A redirect to a folder.
#[derive(Debug)]
pub(crate) struct Redirect {
    /// A relative reference.
    pub(crate) to: HeaderValue,
    /// The evidence that the folder exists, one piece of which suffices. Empty if it is known to exist.
    pub(crate) needs: Vec<Need>,
}

/// Evidence that a folder exists, with the request that finds it.
#[derive(Debug)]
pub(crate) enum Need {
    Index(Box<Forward>),
    Name(Place, Box<Forward>),
}

impl Fallback {
    /// Returns the fallback of a request, if it has one. `found_nothing` says that the object does not exist.
    /// Otherwise the client may not learn whether it exists, and gets no error page.
    pub(crate) fn of(mapping: &Mapping, incoming: &Incoming<'_>, found_nothing: bool) -> Option<Self> {
        let request = incoming.request();
        let redirect = Plan::of_missing(mapping, request, incoming.path())
            .and_then(|plan| plan.steps.into_iter().next())
            .and_then(|step| match step {
                Step::Redirect { to, needs } => Redirect::of(mapping, request, &to, needs),
                _ => None,
            });
        let page = (found_nothing && shows_pages(request))
            .then(|| place::error_page(mapping, incoming.path()))
            .flatten()
            .and_then(|path| Forward::for_client(mapping, request, &Method::GET, &path, None).ok());
        let is_icon = is_for_an_icon(request);
        (redirect.is_some() || page.is_some() || is_icon).then(|| Self {
            redirect,
            page: page.map(Box::new),
            is_icon,
        })
    }
}

impl Redirect {
    /// Decides on a redirect. Returns `None` if the client may request no evidence that the folder exists.
    pub(super) fn of(mapping: &Mapping, request: &Request, to: &str, needs: Vec<Needs>) -> Option<Self> {
        let to = HeaderValue::from_str(to).ok()?;
        let is_known = needs.is_empty();
        let needs: Vec<Need> =
            needs.into_iter().filter_map(|need| Need::of(mapping, request, need)).collect();
        (is_known || !needs.is_empty()).then_some(Self { to, needs })
    }
}

impl Need {
    fn of(mapping: &Mapping, request: &Request, need: Needs) -> Option<Self> {
        let asked = |method, path: &str, query| {
            Forward::for_client(mapping, request, &method, path, query).ok().map(Box::new)
        };
        match need {
            Needs::Index(path) => asked(Method::HEAD, &path, None).map(Self::Index),
            Needs::Name(place) => {
                let (path, query) = place.request_of_one();
                asked(Method::GET, &path, Some(&query)).map(|forward| Self::Name(place, forward))
            }
        }
    }
}

/// Returns whether a request comes from a browser, which gets error pages.
fn shows_pages(request: &Request) -> bool {
    request.method == Method::GET
        && Representation::of_error(request.fields(), request.target.query()) == Representation::Html
}

/// Returns whether browsers and crawlers make this request on their own, for a file that need not exist.
fn is_for_an_icon(request: &Request) -> bool {
    let path = request.target.path();
    let is_icon = matches!(path, "/favicon.ico" | "/robots.txt")
        || path.strip_prefix("/apple-touch-icon").is_some_and(|rest| rest.len() < 32 && !rest.contains('/'));
    is_icon && matches!(request.method, Method::GET | Method::HEAD) && !is_s3_client(request.fields())
}
