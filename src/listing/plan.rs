//! Decides how a request that no S3 client wrote is answered: with an index, a list, the way to a scope, or a redirect.

use super::above::Above;
use super::form::Form;
use super::place::{Place, Position, is_visible};
use crate::mapping::Mapping;
use crate::names::check_key;
use crate::operation::is_of_s3;
use crate::refusal::{Refusal, Rule};
use crate::representation::{FORMAT, Representation, is_rclone, is_s3_client};
use crate::target::{Query, decode_path, encode_path};
use http::Method;
use http::header::ACCEPT;
use http1::Request;

/// The query parameter of the position where a list begins.
const AFTER: &str = "after";

/// A way to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// As S3 would.
    AsAsked,
    /// With the index of the folder, the object at this path.
    Index(String),
    /// With the names in a folder.
    List(Place, Form),
    /// With the scopes below a folder.
    Scopes(Above, Form),
    /// By sending the client to the path with a slash at its end.
    Redirect {
        /// A relative reference to the folder.
        to: String,
        /// What the folder must have, one of these; nothing where it is known to be there.
        needs: Vec<Needs>,
    },
}

/// What shows that a folder is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The object at this path, which is its index.
    Index(String),
    /// A name in it.
    Name(Place),
}

/// The ways to answer a request. A way is tried where those before it find nothing, or nothing that the mapping lets its
/// clients have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where a list begins.
    pub position: Position,
    /// Whether the query names the form.
    pub is_format_named: bool,
    /// The ways, in the order in which they are tried; one or more.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Returns the plan for a request, whose `path` has the bucket in it. None where it is answered as S3 would, at first.
    /// In a box, since few requests have one.
    ///
    /// # Errors
    /// When a list is asked for in a form or from a position that there is not.
    pub fn of(mapping: &Mapping, request: &Request, path: &str) -> Result<Option<Box<Self>>, Refusal> {
        let has_slash = path.ends_with('/');
        let is_short = path.bytes().filter(|b| *b == b'/').count() == 1;
        // This is all that the many requests for objects cost.
        if !(has_slash || is_short || mapping.may_be_mount(path))
            || !matches!(request.method, Method::GET | Method::HEAD)
        {
            return Ok(None);
        }
        if is_s3_client(request.fields()) || !is_query_ours(request.target.query()) {
            return Ok(None);
        }
        let place = place(mapping, request, path);
        if !has_slash && !place.as_ref().is_some_and(Place::is_top) {
            return Ok(None);
        }
        let query = request.target.query();
        let named = Representation::named(query)?;
        let position = position(place.as_ref(), query)?;
        let is_of_s3 = named.is_none() && means_something_to_s3(mapping, request, path, place.as_ref());
        let form = Form::of(request, named).filter(|_| !is_of_s3);
        let steps = if has_slash {
            of_folder(mapping, request, path, place, form)
        } else {
            of_bucket(mapping, request, place, form)
        };
        let plan = Self { position, is_format_named: named.is_some(), steps };
        Ok((plan.steps != [Step::AsAsked]).then(|| Box::new(plan)))
    }

    /// Returns the redirect for a path without a slash at its end where no object was found: to the folder of this name, if there
    /// is one. `path` has the bucket in it.
    pub fn of_missing(mapping: &Mapping, request: &Request, path: &str) -> Option<Box<Self>> {
        let fields = request.fields();
        if path.ends_with('/')
            || !matches!(request.method, Method::GET | Method::HEAD)
            || is_s3_client(fields)
            || !is_query_ours(request.target.query())
        {
            return None;
        }
        let place = place(mapping, request, path);
        // Both clients of rclone take a redirected HEAD for an object.
        let is_of_s3 = means_something_to_s3(mapping, request, path, place.as_ref());
        let to_folder = || if is_of_s3 { None } else { redirect(mapping, place, request, path) };
        let redirect = without_dots(request).or_else(to_folder)?;
        Some(Box::new(Self { position: Position::Start, is_format_named: false, steps: vec![redirect] }))
    }
}

fn place(mapping: &Mapping, request: &Request, path: &str) -> Option<Place> {
    let place = Place::of(mapping, path)?;
    Some(if path == request.target.path() { place } else { place.of_host() })
}

/// Whether a request may be an S3 client's that shows by nothing what it is: for the list of buckets, or for a bucket.
///
/// Programs that follow links nearly all send `Accept`. rclone sends none, whatever it is used for: its S3 client asks for
/// all buckets and for a bucket without a slash at its end, its other one for folders.
fn means_something_to_s3(mapping: &Mapping, request: &Request, path: &str, place: Option<&Place>) -> bool {
    let has_slash = path.ends_with('/');
    if is_rclone(request.fields()) {
        return !has_slash || place.is_none();
    }
    let is_bucket = |place: &Place| place.is_top() && (!has_slash || place.is_listed(mapping));
    !request.fields().has(ACCEPT.as_str()) && place.map_or(path == "/", is_bucket)
}

/// The ways to answer a path with a slash at its end.
fn of_folder(
    mapping: &Mapping,
    request: &Request,
    path: &str,
    place: Option<Place>,
    form: Option<Form>,
) -> Vec<Step> {
    let above = || decoded(path).and_then(|path| Above::of(mapping, &path));
    let Some(place) = place else {
        let scopes = form.and_then(|form| above().map(|above| Step::Scopes(above, form)));
        return vec![scopes.unwrap_or(Step::AsAsked)];
    };
    let mut steps = Vec::new();
    if !asks_for_a_list(request.target.query()) {
        steps.extend(place.index(mapping).map(|index| Step::Index(place.object(index))));
    }
    match form {
        None => steps.push(Step::AsAsked),
        Some(form) if place.is_listed(mapping) => {
            steps.push(Step::List(place, form));
            // An object whose key ends in a slash may be all that there is.
            steps.extend((form == Form::Index).then_some(Step::AsAsked));
        }
        Some(form) => match above() {
            Some(above) => steps.push(Step::Scopes(above, form)),
            None if form == Form::Index => steps.extend([Step::AsAsked, Step::List(place, form)]),
            None => steps.push(Step::List(place, form)),
        },
    }
    steps
}

/// The ways to answer a path that stands for a bucket, without a slash at its end.
fn of_bucket(mapping: &Mapping, request: &Request, place: Option<Place>, form: Option<Form>) -> Vec<Step> {
    let Some((place, form)) = place.zip(form) else {
        return vec![Step::AsAsked];
    };
    let path = place.path();
    if form.has_links() {
        let is_there = is_visible(mapping, &path);
        let to = reference(&path, request.target.query());
        return vec![if is_there { Step::Redirect { to, needs: Vec::new() } } else { Step::AsAsked }];
    }
    match Above::of(mapping, &path).filter(|_| !place.is_listed(mapping)) {
        Some(above) => vec![Step::Scopes(above, form)],
        None => vec![Step::List(place, form)],
    }
}

/// The redirect to the folder of a path without a slash at its end, if the mapping's clients may know whether it is there.
fn redirect(mapping: &Mapping, place: Option<Place>, request: &Request, path: &str) -> Option<Step> {
    let folder = decoded(path)? + "/";
    let to = reference(&folder, request.target.query());
    let is_scope = |place: &Place| place.is_whole(mapping) && is_visible(mapping, &folder);
    if Above::of(mapping, &folder).is_some() || place.as_ref().is_some_and(is_scope) {
        return Some(Step::Redirect { to, needs: Vec::new() });
    }
    let place = place?;
    let index = place.index(mapping).map(|index| Needs::Index(place.object(index)));
    let name = place.is_listed(mapping).then(|| Needs::Name(place.clone()));
    let needs: Vec<Needs> = index.into_iter().chain(name).collect();
    (!needs.is_empty()).then_some(Step::Redirect { to, needs })
}

/// The redirect for a path with a segment `.`, which means nothing in a URL. rclone sends one before a name with `:`.
fn without_dots(request: &Request) -> Option<Step> {
    let (_, rest) = request.target.path().rsplit_once("/./")?;
    let rest = decode_path(&format!("/{rest}")).ok()?.into_owned();
    check_key(&rest).ok()?;
    let query = request.target.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(Step::Redirect { to: encode_path(&rest) + &query, needs: Vec::new() })
}

/// A path decoded. None where a slash is encoded, since relative references would lead elsewhere.
fn decoded(path: &str) -> Option<String> {
    if path.contains("%2F") || path.contains("%2f") {
        return None;
    }
    Some(format!("/{}", decode_path(path).ok()?))
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

fn position(place: Option<&Place>, query: Option<&str>) -> Result<Position, Refusal> {
    let bad = |why| Refusal::new(Rule::BadTarget, format!("{AFTER}: {why}"));
    let query = Query::parse(query).map_err(|bad_target| bad(bad_target.0))?;
    match query.get(AFTER) {
        None | Some("") => Ok(Position::Start),
        Some(name) => {
            check_key(&format!("{}{name}", place.map_or("", Place::below))).map_err(bad)?;
            Ok(Position::After(name.to_owned()))
        }
    }
}

/// A reference to a folder, given its decoded path, from the folder above: proxies in front, which may show other paths, need
/// not know of it.
fn reference(folder: &str, query: Option<&str>) -> String {
    let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let mut to = format!("{}/", encode_path(name));
    if let Some(query) = query {
        to.extend(["?", query]);
    }
    to
}
