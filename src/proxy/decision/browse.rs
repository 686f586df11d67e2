//! Decides on the ways to respond to a client that follows links: one way for each step of a [`Plan`].

use super::{Forward, Incoming, Redirect, Route, S3Request};
use crate::answer::listing::{Above, Form, Place, Plan, Position, Selection, Step};
use crate::authorize::mapping::Mapping;
use crate::refusal::{Refusal, Rule};
use http::Method;

/// The ways to respond to a request, tried in order until one finds something.
#[derive(Debug)]
pub(crate) struct Browse {
    /// The names that a list contains, and their order.
    pub(crate) selection: Selection,
    /// Whether the query names the form of the response.
    pub(crate) is_format_named: bool,
    /// The ways, at least one of which is not refused.
    pub(crate) ways: Vec<Way>,
}

/// One way to respond.
#[derive(Debug)]
pub(crate) enum Way {
    /// Respond as S3 does.
    AsSent(Box<Route>),
    /// Send the index of the folder.
    Index(Box<Route>),
    /// List the names in a folder. `first` requests the first page.
    List { place: Place, form: Form, query: String, first: Box<Forward> },
    /// List the scopes below a folder.
    Scopes(Above, Form),
    /// Redirect to the folder.
    Redirect(Redirect),
    /// This way is refused. The next one may still be tried: see [`may_try_next`].
    Refused(&'static str, Box<Refusal>),
}

/// Descriptions of the ways, for people.
const AS_SENT: &str = "as S3 would";
const INDEX: &str = "with the index of the folder";
const LIST: &str = "with a list of the folder";
const SCOPES: &str = "with the scopes below the folder, answered by Scopegate from the scopes";
const REDIRECT: &str = "with a redirect to the folder";

impl Browse {
    /// Decides on each step of a plan.
    ///
    /// # Errors
    /// If every way is refused, returns the refusal that ends the search, or else the first one.
    pub(super) fn of(mapping: &Mapping, incoming: &Incoming<'_>, plan: Plan) -> Result<Self, Refusal> {
        let Plan { selection, is_format_named, steps } = plan;
        let mut ways = Vec::with_capacity(steps.len());
        for step in steps {
            let way = Way::of(mapping, incoming, step, &selection.position);
            let is_last = matches!(&way, Way::Refused(_, refusal) if !may_try_next(refusal));
            ways.push(way);
            if is_last {
                break;
            }
        }
        if ways.iter().any(|way| !matches!(way, Way::Refused(..))) {
            return Ok(Self { selection, is_format_named, ways });
        }
        let mut refusals = ways.into_iter().filter_map(|way| match way {
            Way::Refused(_, refusal) => Some(*refusal),
            _ => None,
        });
        let first = refusals.next();
        let last = refusals.last().filter(|refusal| !may_try_next(refusal));
        Err(last.or(first).unwrap_or_else(no_such_folder))
    }
}

impl Way {
    fn of(mapping: &Mapping, incoming: &Incoming<'_>, step: Step, position: &Position) -> Self {
        let request = incoming.request();
        let route = |sent: &S3Request<'_>| Route::of(mapping, request, sent).map(Box::new);
        let (name, way) = match step {
            Step::AsAsked => (AS_SENT, route(&incoming.as_sent()).map(Self::AsSent)),
            Step::Index(path) => {
                let index = S3Request { path: &path, query: None, ..incoming.as_sent() };
                (INDEX, route(&index).map(Self::Index))
            }
            Step::List(place, form) => {
                let (path, query) = place.request(position);
                let first = Forward::for_client(mapping, request, &Method::GET, &path, Some(&query));
                let list = |first| Self::List { place, form, query, first: Box::new(first) };
                (LIST, first.map(list))
            }
            Step::Scopes(above, form) => (SCOPES, Ok(Self::Scopes(above, form))),
            Step::Redirect { to, needs } => {
                let redirect = Redirect::of(mapping, request, &to, needs);
                (REDIRECT, redirect.map(Self::Redirect).ok_or_else(no_such_folder))
            }
        };
        way.unwrap_or_else(|refusal| Self::Refused(name, Box::new(refusal)))
    }

    /// Returns the description of the way, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::AsSent(_) => AS_SENT,
            Self::Index(_) => INDEX,
            Self::List { .. } => LIST,
            Self::Scopes(..) => SCOPES,
            Self::Redirect(_) => REDIRECT,
            Self::Refused(name, _) => name,
        }
    }
}

/// Returns whether to try the next way after a refusal: the client may have access to something else. Any other
/// refusal concerns the request as a whole and ends the search.
pub(crate) fn may_try_next(refusal: &Refusal) -> bool {
    matches!(refusal.rule, Rule::RightNotGranted | Rule::NoSuchFolder)
}

/// Returns the refusal of a folder that contains nothing.
pub(crate) fn no_such_folder() -> Refusal {
    Refusal::new(Rule::NoSuchFolder, "there is no folder with this name")
}
