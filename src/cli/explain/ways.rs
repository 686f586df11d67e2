//! Describes in words how the proxy answers a request.

use crate::authorize::list_uploads::Listing;
use crate::authorize::operations::Spec;
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
}

impl Way {
    fn open(how: &'static str, ruling: String) -> Self {
        Self { how: Some(how), ruling: Ok(ruling) }
    }
}

/// Describes a decision.
pub(super) fn of(decision: &Decision<'_>) -> Vec<Way> {
    let only = |text| vec![Way { how: None, ruling: Ok(text) }];
    match &decision.action {
        Action::Route(route) => only(of_route(route)),
        Action::Options(options) => only(of_options(options)),
        Action::Browse(browse) => browse.ways.iter().map(of_way).collect(),
        Action::Fallback(refused) => {
            let (refusal, fallback) = &**refused;
            let mut ways = vec![Way { how: Some("as S3 would"), ruling: Err(refusal.clone()) }];
            ways.extend(
                fallback.redirect.as_ref().map(|redirect| Way::open(redirected(redirect), String::new())),
            );
            if fallback.page.is_some() {
                ways.push(Way::open("with the error page of the site, if it has one", String::new()));
            }
            if fallback.is_icon {
                let how = "with an empty 404, since browsers and crawlers ask for this file on their own";
                ways.push(Way::open(how, String::new()));
            }
            ways
        }
    }
}

fn of_way(way: &decision::Way) -> Way {
    use decision::Way as W;
    match way {
        W::AsSent(route) | W::Index(route) => Way::open(way.name(), of_route(route)),
        W::List { first, .. } => Way::open(way.name(), of_list(first)),
        W::Scopes(..) => Way::open(way.name(), String::new()),
        W::Redirect(redirect) => Way::open(redirected(redirect), String::new()),
        W::Refused(how, refusal) => Way { how: Some(how), ruling: Err((**refusal).clone()) },
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

fn of_route(route: &Route) -> String {
    let mut text = allowed(route.spec, route.needs);
    match &route.kind {
        RouteKind::Forward(forward) => push_forward(forward, &mut text),
        RouteKind::ListBuckets(_) => text.push_str("  answered by Scopegate from the scopes\n"),
        RouteKind::ListUploads(list) => push_uploads(&list.listing, &mut text),
        RouteKind::Document(request) => push_document(route.spec, request, &mut text),
    }
    text
}

/// Describes a list of a folder, which Scopegate makes from the store's lists.
fn of_list(first: &Forward) -> String {
    let mut text = allowed(first.spec, first.spec.needs());
    push_forward(first, &mut text);
    text
}

fn allowed(spec: &Spec, needs: Rights) -> String {
    let mut text = format!("allowed: {}, which needs: {needs}\n", spec.operation.name());
    let actions: Vec<&str> = spec.actions_with(needs).collect();
    if !actions.is_empty() {
        let _ = writeln!(text, "  the session needs: {}", actions.join(", "));
    }
    text
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
    text.push_str("  requested with a session that can only list uploads, and filtered to the scopes\n");
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
