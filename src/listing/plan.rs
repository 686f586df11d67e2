//! What a request that no S3 client wrote may be answered with.

use super::place::{Place, Position};
use crate::http1::Request;
use crate::mapping::Mapping;
use crate::operation::is_of_s3;
use crate::refusal::{Refusal, Rule};
use crate::representation::{FORMAT, Representation, is_s3_client};
use crate::scope::check_key;
use crate::target::{Query, encode_path};
use http::Method;
use http::header::ACCEPT;

/// The query parameter of the position where a page begins.
const AFTER: &str = "after";

/// A way to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// As S3 would.
    AsAsked,
    /// With the index of the folder, the object at this path.
    Index(String),
    /// With a list.
    List(Representation),
    /// By sending the client to the folder, if there is an object at this path.
    Redirect {
        /// A relative reference to the folder.
        to: String,
        /// The object that must be there, if one must.
        needs: Option<String>,
    },
}

/// The ways to answer a request. Each but the first is gone where the one before finds nothing, or nothing that the
/// mapping lets its clients have; if none finds anything, the first says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The folder.
    pub place: Place,
    /// Where its list begins.
    pub position: Position,
    /// Whether the query names the form.
    pub is_format_named: bool,
    /// The ways, in the order in which they are tried; one or more.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan for a request, whose `path` has the bucket in it; none where it is to be answered as S3 would and in
    /// no other way. In a box, since few requests have one.
    ///
    /// # Errors
    /// When a list is asked for in a form or from a position that there is not.
    pub fn of(mapping: &Mapping, request: &Request, path: &str) -> Result<Option<Box<Self>>, Refusal> {
        let is_folder = path.ends_with('/');
        let is_short = path.bytes().filter(|b| *b == b'/').count() == 1;
        // This is all that the many requests for objects cost.
        if !(is_folder || is_short || mapping.has_index())
            || !matches!(request.method, Method::GET | Method::HEAD)
        {
            return Ok(None);
        }
        if is_s3_client(request.fields()) || !is_query_ours(request.target.query()) {
            return Ok(None);
        }
        let Some(place) = Place::of(mapping, path) else { return Ok(None) };
        if is_folder || place.is_top() {
            Self::of_folder(place, is_folder, mapping, request)
        } else {
            Ok(Self::of_object(place, mapping, request))
        }
    }

    fn of_folder(
        place: Place,
        has_slash: bool,
        mapping: &Mapping,
        request: &Request,
    ) -> Result<Option<Box<Self>>, Refusal> {
        let query = request.target.query();
        let named = Representation::named(query)?;
        let position = position(&place, query)?;
        let mut steps = Vec::new();
        if has_slash && !asks_for_a_list(query) {
            steps.extend(place.index(mapping).map(|index| Step::Index(place.object(index))));
        }
        match named.unwrap_or_else(|| Representation::of(request.fields())) {
            Representation::S3 if place.is_top() => steps.push(Step::AsAsked),
            // What people use says that it takes anything; S3 clients that do not sign say nothing.
            Representation::S3 if request.fields().has(ACCEPT.as_str()) => {
                steps.extend([Step::AsAsked, Step::List(Representation::Text)]);
            }
            Representation::S3 => steps.push(Step::AsAsked),
            Representation::Html if !has_slash => {
                steps.push(Step::Redirect { to: reference(&place, query), needs: None });
            }
            form => steps.push(Step::List(form)),
        }
        let plan = Self { place, position, is_format_named: named.is_some(), steps };
        Ok((plan.steps != [Step::AsAsked]).then(|| Box::new(plan)))
    }

    /// A path without a slash at its end is an object's, and where there is none, may be that of a folder with an index.
    fn of_object(place: Place, mapping: &Mapping, request: &Request) -> Option<Box<Self>> {
        if asks_for_a_list(request.target.query()) {
            return None;
        }
        let index = place.index(mapping)?;
        let redirect = Step::Redirect {
            to: reference(&place, request.target.query()),
            needs: Some(place.object(index)),
        };
        let steps = vec![Step::AsAsked, redirect];
        Some(Box::new(Self { place, position: Position::Start, is_format_named: false, steps }))
    }
}

/// Whether a query has no parameters but those of lists for people and those that mean nothing to S3.
fn is_query_ours(query: Option<&str>) -> bool {
    match query {
        None | Some("") => true,
        Some(text) => {
            let is_ours = |name: &str| matches!(name, FORMAT | AFTER) || !is_of_s3(name);
            Query::parse(query).is_ok_and(|query| query.names().all(is_ours)) && !text.contains("Amz-")
        }
    }
}

/// Whether a query, of which all is ours, asks for a list in a form or from a position.
fn asks_for_a_list(query: Option<&str>) -> bool {
    Query::parse(query).is_ok_and(|query| query.has(FORMAT) || query.has(AFTER))
}

fn position(place: &Place, query: Option<&str>) -> Result<Position, Refusal> {
    let bad = |why| Refusal::new(Rule::BadTarget, format!("{AFTER}: {why}"));
    let query = Query::parse(query).map_err(|bad_target| bad(bad_target.0))?;
    match query.get(AFTER) {
        None | Some("") => Ok(Position::Start),
        Some(name) => {
            check_key(&format!("{}{name}", place.below())).map_err(bad)?;
            Ok(Position::After(name.to_owned()))
        }
    }
}

/// A reference from the folder above: proxies in front, which may show other paths, need not know of it.
fn reference(place: &Place, query: Option<&str>) -> String {
    let shown = place.shown();
    let name = shown.trim_matches('/').rsplit('/').next().unwrap_or_default();
    let mut to = format!("./{}/", encode_path(name));
    if let Some(query) = query {
        to.extend(["?", query]);
    }
    to
}
