//! Plans the response to a request that does not come from an S3 client: an index, a list, the way down to a scope,
//! or a redirect.

use super::above::Above;
use super::form::Form;
use super::order::{AFTER, Selection};
use super::place::{Place, is_visible};
use crate::answer::representation::{FORMAT, Representation, is_rclone, is_s3_client};
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::is_of_s3;
use crate::refusal::Refusal;
use crate::s3::names::check_key;
use crate::s3::target::{Query, decode_path, encode_path};
use http::Method;
use http::header::ACCEPT;
use http1::Request;

/// One way to respond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Respond as S3 does.
    AsAsked,
    /// Send the folder's index, the object at this path.
    Index(String),
    /// List the names in a folder.
    List(Place, Form),
    /// List the scopes below a folder.
    Scopes(Above, Form),
    /// Redirect to the path with a trailing slash.
    Redirect {
        /// A relative reference to the folder.
        to: String,
        /// The folder exists if any of these does. Empty if it is known to exist.
        needs: Vec<Needs>,
    },
}

/// Evidence that a folder exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The object at this path, the folder's index.
    Index(String),
    /// Any name in the folder.
    Name(Place),
}

/// The ways to respond to a request. Each is tried if the ones before it found nothing, or nothing that the mapping
/// grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The names that a list contains, and their order.
    pub selection: Selection,
    /// Whether the query names the form.
    pub is_format_named: bool,
    /// The ways, in the order in which they are tried. Never empty.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Returns the plan for a request whose `path` contains the bucket. Returns `None` if the response is S3's own.
    /// The plan is boxed because few requests have one.
    ///
    /// # Errors
    /// When the query names an unknown form, position or order.
    pub(crate) fn of(mapping: &Mapping, request: &Request, path: &str) -> Result<Option<Box<Self>>, Refusal> {
        let has_slash = path.ends_with('/');
        let is_short = path.bytes().filter(|b| *b == b'/').count() == 1;
        // Requests for objects, the great majority, end here.
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
        let is_for_s3 = named.is_none() && may_come_from_s3_client(mapping, request, path, place.as_ref());
        let form = Form::of(request, named).filter(|_| !is_for_s3);
        let below = place.as_ref().map_or_else(String::new, |place| place.below().to_owned());
        let steps = if has_slash {
            folder_steps(mapping, request, path, place, form)
        } else {
            bucket_steps(mapping, request, place, form)
        };
        let selection = Selection::of(&below, query, are_lists(&steps))?;
        let plan = Self { selection, is_format_named: named.is_some(), steps };
        Ok((plan.steps != [Step::AsAsked]).then(|| Box::new(plan)))
    }

    /// Returns the redirect for a path without a trailing slash at which no object was found, to the folder of that
    /// name, if it may exist. `path` contains the bucket.
    pub(crate) fn of_missing(mapping: &Mapping, request: &Request, path: &str) -> Option<Box<Self>> {
        let fields = request.fields();
        if path.ends_with('/')
            || !matches!(request.method, Method::GET | Method::HEAD)
            || is_s3_client(fields)
            || !is_query_ours(request.target.query())
        {
            return None;
        }
        let place = place(mapping, request, path);
        // Both of rclone's clients mistake a redirected HEAD for an object.
        let is_for_s3 = may_come_from_s3_client(mapping, request, path, place.as_ref());
        let to_folder = || if is_for_s3 { None } else { redirect(mapping, place, request, path) };
        let redirect = without_dots(request).or_else(to_folder)?;
        Some(Box::new(Self { selection: Selection::ALL, is_format_named: false, steps: vec![redirect] }))
    }
}

/// Returns whether a list is the first that these steps find. The index page of a site may use any parameter.
fn are_lists(steps: &[Step]) -> bool {
    let is_index = |step: &Step| matches!(step, Step::Index(_));
    steps.iter().any(|step| matches!(step, Step::List(..))) && !steps.iter().any(is_index)
}

fn place(mapping: &Mapping, request: &Request, path: &str) -> Option<Place> {
    let place = Place::of(mapping, path)?;
    Some(if path == request.target.path() { place } else { place.of_host() })
}

/// Returns whether a request for `/` or for a bucket may come from an S3 client that does not identify itself.
///
/// Nearly all programs that follow links send `Accept`. rclone never does: its S3 client requests the list of
/// buckets, and buckets without a trailing slash; its HTTP client requests folders.
fn may_come_from_s3_client(mapping: &Mapping, request: &Request, path: &str, place: Option<&Place>) -> bool {
    let has_slash = path.ends_with('/');
    if is_rclone(request.fields()) {
        return !has_slash || place.is_none();
    }
    let is_bucket = |place: &Place| place.is_top() && (!has_slash || place.is_listed(mapping));
    !request.fields().has(ACCEPT.as_str()) && place.map_or(path == "/", is_bucket)
}

/// Returns the ways to respond to a path with a trailing slash.
fn folder_steps(
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
            // The path may be the key of an object.
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

/// Returns the ways to respond to a bucket's path without a trailing slash.
fn bucket_steps(mapping: &Mapping, request: &Request, place: Option<Place>, form: Option<Form>) -> Vec<Step> {
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

/// Returns the redirect to the folder of a path without a trailing slash, if the mapping's clients may learn whether
/// it exists.
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

/// Returns the redirect for a path with a segment `.`, which means nothing in a URL. rclone sends one before a name
/// with `:`.
fn without_dots(request: &Request) -> Option<Step> {
    let (_, rest) = request.target.path().rsplit_once("/./")?;
    let rest = decode_path(&format!("/{rest}")).ok()?.into_owned();
    check_key(&rest).ok()?;
    let query = request.target.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(Step::Redirect { to: encode_path(&rest) + &query, needs: Vec::new() })
}

/// Decodes a path. Returns `None` if it contains an encoded slash, because relative links would lead elsewhere.
fn decoded(path: &str) -> Option<String> {
    if path.contains("%2F") || path.contains("%2f") {
        return None;
    }
    Some(format!("/{}", decode_path(path).ok()?))
}

/// Returns whether all parameters of a query are those of lists for people, or unknown to S3.
fn is_query_ours(query: Option<&str>) -> bool {
    match query {
        None | Some("") => true,
        Some(text) => {
            let is_ours = |name: &str| matches!(name, FORMAT | AFTER) || !is_of_s3(name);
            Query::parse(query).is_ok_and(|query| query.names().all(is_ours)) && !text.contains("Amz-")
        }
    }
}

/// Returns whether such a query asks for a list in a form or from a position.
fn asks_for_a_list(query: Option<&str>) -> bool {
    Query::parse(query).is_ok_and(|query| query.has(FORMAT) || query.has(AFTER))
}

/// Returns a reference to a folder, given its decoded path, relative to the folder above. A relative reference also
/// works behind a proxy that changes paths.
fn reference(folder: &str, query: Option<&str>) -> String {
    let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let mut to = format!("{}/", encode_path(name));
    if let Some(query) = query {
        to.extend(["?", query]);
    }
    to
}
