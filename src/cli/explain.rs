//! `scopegate explain`: which mapping a client gets, and what becomes of a request.

mod report;

pub(super) use report::Explanation;

use super::{CommandError, print, serve};
use crate::browser::{self, AllowedHosts};
use crate::client::{Client, Connection, ListenerRegistry};
use crate::config::{Config, ListenAddress, Listener, WithoutSecrets};
use crate::list_buckets;
use crate::list_uploads::Listing;
use crate::listing::{Needs, Plan, Step};
use crate::mapping::{self, Mapping};
use crate::outgoing::{Outgoing, check_headers};
use crate::payload::Payload;
use crate::presigned;
use crate::refusal::Refusal;
use crate::s3_operation::Operation;
use crate::terminal::plain_lines;
use crate::virtual_host;
use clap::ArgGroup;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use http1::{Fields, Host, Request};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// What `explain` is asked.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("who").required(true).args(["mapping", "from", "unix"]))]
#[command(after_help = "Secrets of the configuration are not read.\n\n\
    Exit codes: 0 allowed, or as --expect says; 3 refused; 1 not as --expect says; 2 wrong usage; 78 bad configuration\n\n\
    Examples:\n  scopegate explain --from 127.0.0.1 GET /tmp/media/hello.txt\n  \
    scopegate explain --from 127.0.0.1 --expect refused PUT /tmp/media/hello.txt\n  \
    scopegate explain --mapping media-reader GET '/tmp?list-type=2&prefix=media/'")]
pub struct Args {
    /// The configuration
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// Explain this mapping
    #[arg(long, value_name = "NAME")]
    pub mapping: Option<String>,
    /// Explain what a client from this address gets
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// Explain what a client of a unix socket gets
    #[arg(long)]
    pub unix: bool,
    /// The listener it connects to; the mapping's own or the first when not given
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// A header of the request, as in 'x-amz-copy-source: /tmp/media/a'; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Fail with exit code 1 unless the answer is this one
    #[arg(long, value_enum)]
    pub expect: Option<Expected>,
    /// Write the answer as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Also print the policy of the mapping's sessions
    #[arg(long)]
    pub policy: bool,
    /// The request's method
    #[arg(requires = "target")]
    pub method: Option<Method>,
    /// The request's path and query
    #[arg(value_name = "PATH")]
    pub target: Option<String>,
}

/// What a request is expected to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expected {
    /// The request is passed on, or answered by Scopegate
    Allowed,
    /// The request is refused
    Refused,
}

/// A client, and what it asks.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) who: Who<'q>,
    /// The name of the listener that it connects to.
    pub(super) listener: Option<&'q str>,
    /// Method, path and headers, where a request is asked about.
    pub(super) request: Option<(&'q Method, &'q str, Fields)>,
}

/// The client that is asked about.
#[derive(Debug)]
pub(super) enum Who<'q> {
    /// One that has this mapping.
    Mapping(&'q str),
    /// One from this address, or of a unix socket.
    Client(Option<IpAddr>),
}

/// A way in which a request is answered.
#[derive(Debug)]
pub(super) struct Way {
    /// Which way it is, where there are several.
    pub(super) how: Option<&'static str>,
    pub(super) ruling: Ruling,
}

/// What is done, for people, or the refusal.
pub(super) type Ruling = Result<String, Refusal>;

/// Prints the explanation.
///
/// # Errors
/// On a bad configuration (exit code 78), a question that names what is not there (exit code 2), a refusal (exit code 3),
/// and an answer that is not the expected one (exit code 1).
pub fn run(args: &Args) -> Result<(), CommandError> {
    let config = serve::load_with(&args.config, &WithoutSecrets)?;
    let question = question(args)?;
    let explanation = explain(&config, &question)?;
    print(&if args.json {
        explanation.json(args.policy)
    } else {
        plain_lines(&explanation.text(args.policy)).into_owned()
    })?;
    match (args.expect, explanation.refusal()) {
        (None | Some(Expected::Allowed), None) | (Some(Expected::Refused), Some(_)) => Ok(()),
        (None, Some(_)) => Err(CommandError::refused()),
        (Some(Expected::Allowed), Some((rule, _))) => {
            Err(CommandError::failed(format!("expected allowed, and it is refused by rule {}", rule.name())))
        }
        (Some(Expected::Refused), None) => Err(CommandError::failed("expected refused, and it is allowed")),
    }
}

fn question(args: &Args) -> Result<Question<'_>, CommandError> {
    let who = args.mapping.as_deref().map_or(Who::Client(args.from), Who::Mapping);
    let request = match (&args.method, &args.target) {
        (Some(method), Some(target)) => Some((method, &**target, fields(&args.header)?)),
        _ => None,
    };
    Ok(Question { who, listener: args.listener.as_deref(), request })
}

/// Answers a question by the code that decides in the proxy.
///
/// # Errors
/// When it names a mapping or a listener that is not there.
pub(super) fn explain<'c>(
    config: &'c Config,
    question: &Question<'_>,
) -> Result<Explanation<'c>, CommandError> {
    let mut explanation = Explanation::default();
    let named = question.listener.map(|name| find_listener(config, name)).transpose()?;
    let (mapping, listener) = match question.who {
        Who::Mapping(name) => {
            let mapping = find_mapping(config, name)?;
            let own = mapping.client.listener();
            let own = own.and_then(|own| config.listeners.iter().find(|listener| listener.name == *own));
            (Some(mapping), named.or(own).or(config.listeners.first()))
        }
        Who::Client(address) => {
            let listener = named.or(config.listeners.first());
            let connection = listener.map(|listener| connection(address, listener));
            let client = connection.as_ref().map(Client::of_connection);
            let found = client.and_then(|client| mapping::find(&config.mappings, &client));
            let passed = found.map_or(config.mappings.len(), |(index, _)| index);
            let why = |mapping: &'c Mapping| {
                let why = client.map(|client| mapping.client.mismatches(&client).join("; "));
                (&*mapping.name, why.unwrap_or_default())
            };
            explanation.passed_over = config.mappings.iter().take(passed).map(why).collect();
            explanation.connection = connection;
            (found.map(|(_, mapping)| mapping), listener)
        }
    };
    explanation.mapping = mapping;
    if let Some((method, target, fields)) = &question.request {
        explanation.request = Some(format!("{method} {target}"));
        if let Some(mapping) = mapping {
            let told = |refusal| explain_host(refusal, mapping, listener, fields);
            explanation.decision = Some(decide(mapping, listener, method, target, fields).map_err(told));
        }
    }
    Ok(explanation)
}

fn find_mapping<'c>(config: &'c Config, name: &str) -> Result<&'c Mapping, CommandError> {
    config.mappings.iter().find(|mapping| *mapping.name == *name).ok_or_else(|| {
        let names: Vec<&str> = config.mappings.iter().map(|mapping| &*mapping.name).collect();
        CommandError::usage(format!("there is no mapping {name:?}; there are: {}", names.join(", ")))
    })
}

fn find_listener<'c>(config: &'c Config, name: &str) -> Result<&'c Listener, CommandError> {
    config.listeners.iter().find(|listener| *listener.name == *name).ok_or_else(|| {
        let names: Vec<&str> = config.listeners.iter().map(|listener| &*listener.name).collect();
        CommandError::usage(format!("there is no listener {name:?}; there are: {}", names.join(", ")))
    })
}

/// Returns the connection of a client from this address, or of a unix socket.
fn connection(address: Option<IpAddr>, listener: &Listener) -> Connection {
    let listener = ListenerRegistry::default().register(&listener.name);
    match address {
        Some(address) => Connection::tcp(address, listener),
        None => Connection::unix(None, listener),
    }
}

/// Returns the Host that a client sends which calls a listener by its address.
fn own_host(listener: Option<&Listener>) -> HeaderValue {
    let localhost = HeaderValue::from_static("localhost");
    let Some(ListenAddress::Tcp(address)) = listener.map(|listener| &listener.address) else {
        return localhost;
    };
    let mut address = *address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    HeaderValue::try_from(address.to_string()).unwrap_or(localhost)
}

fn fields(given: &[String]) -> Result<Fields, CommandError> {
    let field = |header: &String| {
        let bad = || CommandError::usage(format!("{header:?} is not a header: write 'name: value'"));
        let (name, value) = header.split_once(':').ok_or_else(bad)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad())?;
        Ok((name, HeaderValue::from_str(value.trim()).map_err(|_| bad())?))
    };
    given.iter().map(field).collect()
}

/// Says where the Host names a bucket that it cannot name at the listener.
fn explain_host(
    refusal: Refusal,
    mapping: &Mapping,
    listener: Option<&Listener>,
    fields: &Fields,
) -> Refusal {
    let host = fields.get(HOST.as_str()).and_then(|host| Host::parse(host).ok());
    let domain = listener.and_then(|listener| listener.hosts.domain());
    virtual_host::explain(refusal, domain, host, mapping.buckets())
}

/// Takes the steps of the proxy up to the session.
fn decide(
    mapping: &Mapping,
    listener: Option<&Listener>,
    method: &Method,
    target: &str,
    fields: &Fields,
) -> Result<Vec<Way>, Refusal> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    // A fragment, which no request has, would be left out.
    let parsed = target.parse::<PathAndQuery>().ok().filter(|parsed| parsed.as_str() == target);
    let asked = parsed.clone().unwrap_or(PathAndQuery::from_static("/"));
    let mut fields = fields.clone();
    if !fields.has(HOST.as_str()) {
        fields.insert(HOST, own_host(listener));
    }
    let fields = &fields;
    let request = Request::new(method.clone(), asked, fields.clone())?;
    let none = AllowedHosts::none();
    let allowed = listener.map_or(&none, |listener| &listener.hosts);
    browser::check(allowed, mapping.cors.as_deref(), &request)?;
    let presigned = presigned::with_headers_of_query(&request)?;
    let (request, fields) = match &presigned {
        Some(presigned) => (&**presigned, presigned.fields()),
        None => (&request, fields),
    };
    let domain = listener.and_then(|listener| listener.hosts.domain());
    let path = virtual_host::path_style(domain, request.host(), path)?;
    if *method == Method::OPTIONS {
        return Ok(vec![Way { how: None, ruling: Ok(options(mapping, request, &path)?) }]);
    }
    // What can be no URL is refused with what is wrong about it.
    let plan = if parsed.is_some() { Plan::of(mapping, request, &path)? } else { None };
    let Some(plan) = plan else {
        let as_asked = ask(mapping, method, &path, query, fields);
        let missing = parsed.and_then(|_| Plan::of_missing(mapping, request, &path));
        return match missing.and_then(|plan| plan.steps.into_iter().next()) {
            Some(Step::Redirect { needs, .. }) if as_asked.is_err() => Ok(vec![
                Way { how: Some("as S3 would"), ruling: as_asked },
                Way { how: Some(redirected(&needs)), ruling: Ok(String::new()) },
            ]),
            _ => Ok(vec![Way { how: None, ruling: Ok(as_asked?) }]),
        };
    };
    let told = |method: &Method, path: &str, query: Option<&str>, fields: &Fields| {
        ask(mapping, method, path, query, fields)
    };
    let mut ways = Vec::new();
    for step in &plan.steps {
        let (how, ruling) = match step {
            Step::AsAsked => ("as S3 would", told(method, &path, query, fields)),
            Step::Index(path) => ("with the index of the folder", told(method, path, None, fields)),
            Step::List(place, _) => {
                let (path, query) = place.request(&plan.position);
                ("with a list of the folder", told(&Method::GET, &path, Some(&query), &Fields::default()))
            }
            Step::Scopes(..) => {
                ("with the scopes below the folder, answered by Scopegate from the scopes", Ok(String::new()))
            }
            Step::Redirect { needs, .. } => (redirected(needs), Ok(String::new())),
        };
        ways.push(Way { how: Some(how), ruling });
    }
    Ok(ways)
}

/// Says how a redirect to a folder answers.
const fn redirected(needs: &[Needs]) -> &'static str {
    if needs.is_empty() {
        "with a redirect to the folder"
    } else {
        "with a redirect to the folder, if it is there"
    }
}

/// What Scopegate answers to `OPTIONS` itself.
fn options(mapping: &Mapping, request: &Request, path: &str) -> Result<String, Refusal> {
    if !browser::is_preflight(request) {
        let verbs = mapping.methods(path, request.target.query())?;
        return Ok(format!("answered by Scopegate: these can be used here: {}\n", verbs.list()));
    }
    let (_, headers) = browser::preflight(mapping.cors.as_deref(), request)?;
    let mut text = "allowed: Preflight, answered by Scopegate\n".to_owned();
    for (name, value) in &headers {
        let _ = writeln!(text, "    {name}: {}", value.to_str().unwrap_or_default());
    }
    Ok(text)
}

fn ask(
    mapping: &Mapping,
    method: &Method,
    path: &str,
    query: Option<&str>,
    fields: &Fields,
) -> Result<String, Refusal> {
    let grant = mapping.grant(method, path, query, fields)?;
    let spec = grant.spec();
    let mut text =
        format!("allowed: {}, which needs: {}\n", spec.operation.name(), spec.rights(grant.query()));
    let actions: Vec<&str> = spec.actions_of(grant.query()).collect();
    if !actions.is_empty() {
        let _ = writeln!(text, "  and of the store: {}", actions.join(", "));
    }
    if spec.operation == Operation::ListBuckets {
        check_headers(spec, fields)?;
        list_buckets::document(mapping, grant.query())?;
        text.push_str("  answered by Scopegate from the scopes\n");
        return Ok(text);
    }
    if spec.operation == Operation::ListMultipartUploads {
        check_headers(spec, fields)?;
        let asks =
            "  asked for with a session that lists uploads and does nothing else, filtered to the scopes\n";
        text.push_str(asks);
        for question in Listing::new(mapping, &grant).questions() {
            let outgoing = Outgoing::list_of_uploads(&grant, &question);
            let _ =
                writeln!(text, "  sent as {} {}?{}", outgoing.method(), outgoing.path(), outgoing.query());
        }
        return Ok(text);
    }
    let payload = Payload::classify(spec, fields)?;
    if let Some(each) = spec.each {
        let _ = writeln!(text, "  each key of its body is judged as {} of it", each.name());
    }
    let outgoing = Outgoing::rebuild(grant, fields, payload)?;
    let question = if outgoing.query().is_empty() { "" } else { "?" };
    let _ =
        writeln!(text, "  sent as {} {}{question}{}", outgoing.method(), outgoing.path(), outgoing.query());
    for (name, value) in outgoing.headers() {
        let _ = writeln!(text, "    {name}: {}", value.to_str().unwrap_or("(not ASCII)"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{EXAMPLE, Fake};
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn ask(words: &[&str]) -> String {
        let config = Config::parse(EXAMPLE, &Fake).unwrap();
        let args = Line::try_parse_from([&["explain"], words].concat()).unwrap().args;
        let told = question(&args).and_then(|question| Ok(explain(&config, &question)?.text(args.policy)));
        told.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn somebody_is_asked_about() {
        let missing = Line::try_parse_from(["explain", "GET", "/"]).map(|_| ()).unwrap_err().to_string();
        for option in ["--mapping", "--from", "--unix"] {
            assert!(missing.contains(option), "{missing}");
        }
        assert!(Line::try_parse_from(["explain", "--unix", "--from", "127.0.0.1"]).is_err());
    }

    #[test]
    fn answers() {
        let cases: [(&[&str], &str); 31] = [
            (&["--mapping", "media-reader"], "tmp/media/ allows read,list"),
            (&["--mapping", "media"], "there are: media-reader"),
            (&["--from", "127.0.0.1"], "mapping \"media-reader\""),
            (
                &["--from", "10.0.0.1"],
                "mapping \"media-reader\" does not match: network: 10.0.0.1 is not in 127.0.0.0/8, ::1/128\n  \
                 no mapping matches",
            ),
            (&["--unix"], "does not match: network: a client of a unix socket has no address\n"),
            (&["--mapping", "media-reader", "--policy"], "\"Action\": ["),
            (&["--from", "10.0.0.1", "GET", "/tmp/media/a"], "every request is refused by rule no-mapping"),
            (&["--from", "127.0.0.1", "-H", "x-minio-a: b", "GET", "/"], "refused by rule forbidden-header"),
            (&["--from", "127.0.0.1", "GET", "/?max-buckets=0"], "refused by rule bad-argument"),
            (
                &["--from", "127.0.0.1", "-H", "origin: http://evil.test", "POST", "/tmp?delete"],
                "refused by rule cross-site",
            ),
            (
                &["--from", "127.0.0.1", "-H", "origin: http://127.0.0.1:8080", "POST", "/tmp?delete"],
                "refused by rule right-not-granted",
            ),
            (
                &["--from", "127.0.0.1", "-H", "host: a", "-H", "host: b", "GET", "/tmp/media/a"],
                "refused by rule bad-host",
            ),
            (&["--from", "127.0.0.1", "--listener", "x"], "there are: sidecar"),
            (
                &["--from", "127.0.0.1", "GET", "/tmp/media/a b"],
                "allowed: GetObject, which needs: read\n  and of the store: s3:GetObject\n  sent as GET /tmp/media/a%20b\n",
            ),
            (
                &["--from", "127.0.0.1", "GET", "/tmp/other/a"],
                "refused by rule outside-scope: 403 AccessDenied: mapping \"media-reader\" does not cover this key\n  \
                 help: add a [[mapping.scope]]",
            ),
            (&["--from", "127.0.0.1", "GET", "/"], "answered by Scopegate from the scopes"),
            (
                &["--from", "127.0.0.1", "GET", "/tmp?uploads"],
                "does not grant ListMultipartUploads, which needs: list,write",
            ),
            (
                &["--from", "127.0.0.1", "GET", "/tmp?acl"],
                "refused by rule unknown-operation: 501 NotImplemented: GetBucketAcl",
            ),
            (&["--from", "127.0.0.1", "PUT", "/tmp/media/a"], "refused by rule right-not-granted"),
            (&["--from", "127.0.0.1", "GET", "/tmp/media"], "with a redirect to the folder"),
            (&["--from", "127.0.0.1", "GET", "//tmp/media/a"], "sent as GET /tmp/media/a\n"),
            (&["--from", "127.0.0.1", "OPTIONS", "/tmp/media/a"], "can be used here: GET, HEAD"),
            (&["--from", "127.0.0.1", "OPTIONS", "*"], "can be used here: GET, HEAD, PUT, POST, DELETE"),
            (
                &[
                    "--from",
                    "127.0.0.1",
                    "-H",
                    "origin: https://a.example",
                    "-H",
                    "access-control-request-method: GET",
                    "OPTIONS",
                    "/tmp/media/a",
                ],
                "help: add [mapping.cors] with origins = [\"https://a.example\"]",
            ),
            (
                &["--from", "127.0.0.1", "-H", "host: tmp.localhost", "GET", "/media/a"],
                "help: set domain = \"localhost\" at the listener",
            ),
            (
                &["--from", "127.0.0.1", "-H", "accept: text/html", "GET", "/tmp/media/"],
                "with a list of the folder\n    allowed: ListObjectsV2, which needs: list\n",
            ),
            (
                &["--from", "127.0.0.1", "-H", "accept: text/html", "GET", "/tmp/other/"],
                "with a list of the folder\n    refused by rule outside-scope: ",
            ),
            (
                &["--from", "127.0.0.1", "-H", "x-minio-a: b", "GET", "/tmp/media/a"],
                "refused by rule forbidden-header",
            ),
            (
                &["--from", "127.0.0.1", "-H", "host: evil.test", "GET", "/tmp/media/a"],
                "refused by rule foreign-host",
            ),
            (
                &["--from", "127.0.0.1", "-H", "sec-fetch-site: cross-site", "GET", "/tmp/media/a"],
                "refused by rule cross-site",
            ),
            (
                &["--from", "127.0.0.1", "-H", "service-worker: script", "GET", "/tmp/media/a"],
                "refused by rule service-worker",
            ),
        ];
        for (words, expected) in cases {
            let text = ask(words);
            assert!(text.contains(expected), "{words:?}: {text}");
        }
    }

    #[test]
    fn a_preflight_is_explained() {
        let text = format!("{EXAMPLE}[mapping.cors]\norigins = \"https://a.example\"\n");
        let config = Config::parse(&text, &Fake).unwrap();
        let words = [
            "explain",
            "--from",
            "127.0.0.1",
            "-H",
            "origin: https://a.example",
            "-H",
            "access-control-request-method: GET",
            "OPTIONS",
            "/tmp/media/a",
        ];
        let args = Line::try_parse_from(words).unwrap().args;
        let told = explain(&config, &question(&args).unwrap()).unwrap().text(false);
        assert!(told.contains("allowed: Preflight, answered by Scopegate"), "{told}");
        assert!(told.contains("access-control-allow-methods: GET, HEAD"), "{told}");
    }
}
