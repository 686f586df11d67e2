//! `scopegate explain`: which mapping, which policy, and what would become of a request.

use super::{CommandError, print, serve};
use crate::browser::{self, AllowedHosts};
use crate::client::{Client, ListenerId};
use crate::config::{Config, Listener};
use crate::http1::{Fields, Host, Request};
use crate::list_uploads::Listing;
use crate::listing::{Plan, Step};
use crate::mapping::{self, Mapping};
use crate::operation::{Operation, SessionKind};
use crate::outgoing::{Outgoing, check_headers};
use crate::payload::Payload;
use crate::policy::{MAX_POLICY_BYTES, SessionPolicy};
use crate::presigned;
use crate::refusal::Refusal;
use crate::terminal::plain_lines;
use crate::virtual_host;
use clap::ArgGroup;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;

/// What `explain` is asked.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("who").required(true).args(["mapping", "from", "unix"]))]
#[command(after_help = "Examples:\n  scopegate explain --from 127.0.0.1 GET /tmp/media/hello.txt\n  \
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
    /// The listener it connects to; the first when not given
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// A header of the request, as in 'x-amz-copy-source: /tmp/media/a'; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The request's method
    #[arg(requires = "target")]
    pub method: Option<Method>,
    /// The request's path and query
    #[arg(value_name = "PATH")]
    pub target: Option<String>,
}

/// Prints the explanation.
///
/// # Errors
/// On a bad configuration (exit code 78) or a question that names what is not there (exit code 2).
pub fn run(args: &Args) -> Result<(), CommandError> {
    print(&plain_lines(&explain(&serve::load(&args.config)?, args)?))
}

fn explain(config: &Config, args: &Args) -> Result<String, CommandError> {
    let mut text = String::new();
    let mapping = match &args.mapping {
        Some(name) => config.mappings.iter().find(|mapping| *mapping.name == **name).ok_or_else(|| {
            let names: Vec<&str> = config.mappings.iter().map(|mapping| &*mapping.name).collect();
            CommandError::usage(format!("there is no mapping {name:?}; there are: {}", names.join(", ")))
        })?,
        None => match find_by_client(config, args, &mut text)? {
            Some(mapping) => mapping,
            None => return Ok(text),
        },
    };
    describe(mapping, &mut text);
    if let (Some(method), Some(target)) = (&args.method, &args.target) {
        let fields = fields(&args.header)?;
        let listener = config.listeners.get(find_listener(config, args)?);
        let told = |refusal| explain_host(refusal, mapping, listener, &fields);
        let verdict = match decide(mapping, listener, method, target, &fields).map_err(told) {
            Ok(allowed) => allowed,
            Err(refusal) => {
                let help = refusal.help().map(|help| format!("  help: {help}\n")).unwrap_or_default();
                format!(
                    "refused by rule {}: {} {}: {}\n{help}",
                    refusal.rule.name(),
                    refusal.rule.status().as_u16(),
                    refusal.rule.code(),
                    refusal.message
                )
            }
        };
        let _ = write!(text, "\n{method} {target}\n  {verdict}");
    }
    Ok(text)
}

fn find_by_client<'c>(
    config: &'c Config,
    args: &Args,
    text: &mut String,
) -> Result<Option<&'c Mapping>, CommandError> {
    let listener = find_listener(config, args)?;
    let client = Client::identify(args.from, ListenerId(listener));
    let at = config.listeners.get(listener).map_or("", |listener| &*listener.name);
    let _ = writeln!(text, "client {client} at listener {at:?}");
    let found = mapping::find(&config.mappings, &client);
    let passed = found.map_or(config.mappings.len(), |(index, _)| index);
    for mapping in config.mappings.iter().take(passed) {
        let _ = writeln!(text, "  mapping {:?} does not match", mapping.name);
    }
    if found.is_none() {
        text.push_str("  no mapping matches: every request is refused by rule no-mapping\n");
    }
    Ok(found.map(|(_, mapping)| mapping))
}

/// The place of the listener that is asked about.
fn find_listener(config: &Config, args: &Args) -> Result<usize, CommandError> {
    let Some(name) = &args.listener else { return Ok(0) };
    config.listeners.iter().position(|listener| *listener.name == **name).ok_or_else(|| {
        let names: Vec<&str> = config.listeners.iter().map(|listener| &*listener.name).collect();
        CommandError::usage(format!("there is no listener {name:?}; there are: {}", names.join(", ")))
    })
}

fn describe(mapping: &Mapping, text: &mut String) {
    let _ = writeln!(text, "mapping {:?}", mapping.name);
    for scope in &mapping.scopes {
        let seen = scope.view.as_ref().map(|view| format!(", seen at {}", view.mount())).unwrap_or_default();
        let _ = write!(text, "  {}/{} allows {}{seen}", scope.bucket, scope.prefix, scope.allow);
        if let Some(index) = &scope.index {
            let _ = write!(text, ", index {:?}", index.as_str());
        }
        if scope.site {
            text.push_str(", a site: browsers run its objects");
        }
        text.push('\n');
    }
    describe_policy("session policy", &mapping.policy, text);
    if let Some(policy) = mapping.policy_of(SessionKind::Uploads) {
        describe_policy("session policy for lists of multipart uploads", &policy, text);
    }
}

fn describe_policy(what: &str, policy: &SessionPolicy, text: &mut String) {
    let _ = writeln!(text, "{what} ({} of {MAX_POLICY_BYTES} bytes)", policy.size());
    let pretty = serde_json::from_str::<serde_json::Value>(policy.json())
        .and_then(|policy| serde_json::to_string_pretty(&policy))
        .unwrap_or_default();
    let _ = writeln!(text, "{pretty}");
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
    let domain = listener.and_then(|listener| listener.domain.as_deref());
    virtual_host::explain(refusal, domain, host, mapping.buckets())
}

/// The very steps of the proxy, up to the session.
fn decide(
    mapping: &Mapping,
    listener: Option<&Listener>,
    method: &Method,
    target: &str,
    fields: &Fields,
) -> Result<String, Refusal> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    // A fragment, which no request has, would be left out.
    let parsed = target.parse::<PathAndQuery>().ok().filter(|parsed| parsed.as_str() == target);
    let asked = parsed.clone().unwrap_or(PathAndQuery::from_static("/"));
    let request = Request::new(method.clone(), asked, fields.clone())?;
    let allowed = listener.map(AllowedHosts::of).unwrap_or_default();
    browser::check(&allowed, mapping.cors.as_deref(), &request)?;
    let presigned = presigned::with_headers_of_query(&request)?;
    let (request, fields) = match &presigned {
        Some(presigned) => (&**presigned, presigned.fields()),
        None => (&request, fields),
    };
    let domain = listener.and_then(|listener| listener.domain.as_deref());
    let path = virtual_host::path_style(domain, request.host(), path)?;
    if *method == Method::OPTIONS {
        return options(mapping, request, &path);
    }
    // What can be no URL is refused with what is wrong about it.
    let plan = if parsed.is_some() { Plan::of(mapping, request, &path)? } else { None };
    let Some(plan) = plan else { return ask(mapping, method, &path, query, fields) };
    let told = |method: &Method, path: &str, query: Option<&str>, fields: &Fields| {
        ask(mapping, method, path, query, fields).unwrap_or_else(|refusal| {
            format!("refused by rule {}: {}\n", refusal.rule.name(), refusal.message)
        })
    };
    let mut text = "answered in the first of these ways that finds something\n".to_owned();
    for step in &plan.steps {
        let (way, how) = match step {
            Step::AsAsked => ("as S3 would", told(method, &path, query, fields)),
            Step::Index(path) => ("with the index of the folder", told(method, path, None, fields)),
            Step::List(place, _) => {
                let (path, query) = place.request(&plan.position);
                ("with a list of the folder", told(&Method::GET, &path, Some(&query), &Fields::default()))
            }
            Step::Scopes(..) => {
                ("with the scopes below the folder, answered by Scopegate from the scopes", String::new())
            }
            Step::Redirect { .. } => ("with a redirect to the folder", String::new()),
        };
        let _ = writeln!(text, "  {way}");
        text.extend(how.lines().map(|line| format!("    {line}\n")));
    }
    Ok(text)
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
        explain(&config, &args).unwrap_or_else(|error| error.to_string())
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
        let cases: [(&[&str], &str); 22] = [
            (&["--mapping", "media-reader"], "tmp/media/ allows read,list"),
            (&["--mapping", "media"], "there are: media-reader"),
            (&["--from", "127.0.0.1"], "mapping \"media-reader\""),
            (&["--from", "10.0.0.1"], "no mapping matches"),
            (&["--unix"], "no mapping matches"),
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
        let told = explain(&config, &Line::try_parse_from(words).unwrap().args).unwrap();
        assert!(told.contains("allowed: Preflight, answered by Scopegate"), "{told}");
        assert!(told.contains("access-control-allow-methods: GET, HEAD"), "{told}");
    }
}
