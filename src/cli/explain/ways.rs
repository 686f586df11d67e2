//! Describes in words how the proxy answers a request.

use crate::authorize::list_uploads::Listing;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::{SessionKind, Spec};
use crate::authorize::rights::Rights;
use crate::outgoing::document::Kind;
use crate::outgoing::payload::Payload;
use crate::outgoing::request::Outgoing;
use crate::proxy::decision::{self, Action, Decision, DocumentRequest, First, Forward, Route, RouteKind};
use crate::refusal::Refusal;
use crate::s3::operation::Operation;
use http::header::ALLOW;
use std::fmt::Write;

/// A way in which the proxy responds to a request.
#[derive(Debug)]
pub(super) struct Way {
    /// The name of the way, if there are several.
    pub(super) how: Option<&'static str>,
    /// A description of the response, or the refusal.
    pub(super) ruling: Result<String, Refusal>,
    /// The operation of the response, if it is one of S3.
    pub(super) operation: Option<Operation>,
    /// The kind of the session that signs the request to the store, if there is one.
    pub(super) session: Option<SessionKind>,
}

impl Way {
    fn local(how: &'static str) -> Self {
        Self { how: Some(how), ruling: Ok(String::new()), operation: None, session: None }
    }

    fn refused(how: &'static str, refusal: Refusal) -> Self {
        let operation = refusal.operation;
        Self { how: Some(how), ruling: Err(refusal), operation, session: None }
    }
}

/// Describes a decision on a request of this mapping's client.
pub(super) fn of(mapping: &Mapping, decision: &Decision<'_>) -> Vec<Way> {
    match &decision.action {
        Action::Route(route) => vec![of_route(mapping, route, None)],
        Action::Options(options) => {
            let operation = Some(options.operation);
            vec![Way { how: None, ruling: Ok(of_options(options)), operation, session: None }]
        }
        Action::Browse(browse) => browse.ways.iter().map(|way| of_way(mapping, way)).collect(),
        Action::Fallback(refused) => {
            let (refusal, fallback) = &**refused;
            let mut ways = vec![Way::refused("as S3 would", refusal.clone())];
            ways.extend(fallback.redirect.as_ref().map(|redirect| Way::local(redirected(redirect))));
            if fallback.page.is_some() {
                ways.push(Way::local("with the error page of the site, if it has one"));
            }
            if fallback.is_icon {
                let how = "with an empty 404, since browsers and crawlers ask for this file on their own";
                ways.push(Way::local(how));
            }
            ways
        }
    }
}

fn of_way(mapping: &Mapping, way: &decision::Way) -> Way {
    use decision::Way as W;
    match way {
        W::AsSent(route) | W::Index(route) => of_route(mapping, route, Some(way.name())),
        W::List { first, .. } => of_list(mapping, first, way.name()),
        W::Scopes(..) => Way::local(way.name()),
        W::Redirect(redirect) => Way::local(redirected(redirect)),
        W::Refused(how, refusal) => Way::refused(how, (**refusal).clone()),
    }
}

/// Describes a redirect to a folder.
const fn redirected(redirect: &decision::Redirect) -> &'static str {
    if redirect.needs.is_empty() {
        "with a redirect to the folder"
    } else {
        "with a redirect to the folder, if it is there"
    }
}

fn of_options(options: &decision::Options) -> String {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    if options.operation == Operation::Options {
        let methods = options.headers.get(ALLOW).map(text).unwrap_or_default();
        return format!("answered by Scopegate: the methods supported here are {methods}\n");
    }
    let mut told = format!("allowed: {}, answered by Scopegate\n", options.operation.name());
    for (name, value) in &options.headers {
        let _ = writeln!(told, "    {name}: {}", text(value));
    }
    told
}

fn of_route(mapping: &Mapping, route: &Route, how: Option<&'static str>) -> Way {
    let is_asked = !matches!(route.kind, RouteKind::ListBuckets(_));
    let session = is_asked.then(|| mapping.session_for(route.spec, route.needs));
    let mut text = allowed(route.spec, (route.needs, route.source_needs), session);
    match &route.kind {
        RouteKind::Forward(forward) => push_forward(forward, &mut text),
        RouteKind::ListBuckets(_) => text.push_str("  answered by Scopegate from the scopes\n"),
        RouteKind::ListUploads(list) => push_uploads(&list.listing, &mut text),
        RouteKind::Document(request) => push_document(route.spec, request, &mut text),
    }
    Way { how, ruling: Ok(text), operation: Some(route.spec.operation), session }
}

/// Describes a list of a folder, which Scopegate makes from the store's lists.
fn of_list(mapping: &Mapping, first: &Forward, how: &'static str) -> Way {
    let session = Some(mapping.session_for(first.spec, first.spec.needs()));
    let mut text = allowed(first.spec, (first.spec.needs(), None), session);
    push_forward(first, &mut text);
    Way { how: Some(how), ruling: Ok(text), operation: Some(first.spec.operation), session }
}

/// Describes what an operation needs, and the source of a copy in addition.
fn allowed(spec: &Spec, needs: (Rights, Option<Rights>), session: Option<SessionKind>) -> String {
    let (needs, source_needs) = needs;
    let mut text = format!("allowed: {}, which needs: {needs}", spec.operation.name());
    if let Some(needs) = source_needs {
        let _ = write!(text, "; for the source of the copy: {needs}");
    }
    text.push('\n');
    if let Some(kind) = session {
        let judged = spec.each.unwrap_or(spec);
        let _ = write!(text, "  signed with the session {kind}, which needs: {}", actions(judged, needs));
        if let Some((row, needs)) = spec.source.zip(source_needs) {
            let _ = write!(text, "; for the source of the copy: {}", actions(row, needs));
        }
        text.push('\n');
    }
    text
}

fn actions(spec: &Spec, needs: Rights) -> String {
    spec.actions_with(needs).collect::<Vec<_>>().join(", ")
}

fn push_forward(forward: &Forward, text: &mut String) {
    match &forward.first {
        Some(First::SourceSize(source)) => {
            let _ = writeln!(text, "  first requests the size of the source: {}", line(source));
        }
        Some(First::Object(_)) => {
            text.push_str(
                "  first requests the state of the object, because the store cannot evaluate these conditions\n",
            );
        }
        None => {}
    }
    if matches!(forward.outgoing.payload(), Payload::Held(_)) {
        text.push_str("  the body is held first, in memory or as parts of a multipart upload\n");
    }
    push_sent(&forward.outgoing, text);
}

fn push_uploads(listing: &Listing, text: &mut String) {
    text.push_str("  filtered to the scopes, because the session can list all uploads of the bucket\n");
    for question in listing.questions() {
        push_sent(&Outgoing::list_of_uploads(listing, &question), text);
    }
}

fn push_document(spec: &Spec, request: &DocumentRequest, text: &mut String) {
    let most = match request.kind() {
        Kind::Delete | Kind::Complete => "2 MiB",
        Kind::Tagging => "64 KiB",
    };
    let _ = writeln!(text, "  its body is read first, at most {most}, and written again for the store");
    if let Some(each) = spec.each {
        let _ = writeln!(text, "  each key of its body is judged as {} of it", each.operation.name());
    }
    push_sent(&request.outgoing, text);
}

fn push_sent(outgoing: &Outgoing, text: &mut String) {
    let _ = writeln!(text, "  sent as {}", line(outgoing));
    for (name, value) in outgoing.headers() {
        let _ = writeln!(text, "    {name}: {}", value.to_str().unwrap_or("(not ASCII)"));
    }
}

fn line(outgoing: &Outgoing) -> String {
    let question = if outgoing.query().is_empty() { "" } else { "?" };
    format!("{} {}{question}{}", outgoing.method(), outgoing.path(), outgoing.query())
}
