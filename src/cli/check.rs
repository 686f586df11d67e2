//! `scopegate check`: reads a configuration as `serve` would. With `--live` it also tries it on the store.

mod account;
mod policy_tests;

use super::direct::{self, Direct};
use super::progress::Mappings;
use super::store::{MAX_CODE, MAX_MESSAGE, printable};
use super::{CommandError, print, print_coloured, serve, uploads};
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::SessionKind;
use crate::authorize::operations::grammar::Dialect;
use crate::authorize::policy::MAX_POLICY_BYTES;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::config::{Config, Diagnostic, Environment, SystemEnvironment, WithoutSecrets};
use crate::mint::StsMint;
use crate::net::connect::Trouble;
use crate::net::endpoint::Endpoint;
use crate::net::terminal::plain_lines;
use crate::s3::error as s3_error;
use crate::server::descriptors::{self, TooFew};
use crate::sessions::minting::{Mint, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::Session;
use crate::sigv4::amz_date::rfc3339;
use crate::store::judge::ABSENT_UPLOAD;
use crate::store::pool::SendError;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Warnings do not make it fail. The progress of live checks is shown on standard error if that is a terminal.\n\n\
    Exit codes: 0 good; 1 a live check or a test failed; 2 wrong usage; 78 bad configuration or bad file of tests\n\n\
    A file of tests:\n  [[test]]\n  from    = \"127.0.0.1\"\n  request = \"GET /tmp/other/secret.txt\"\n  \
    expect  = \"refused\""
)]
pub struct Args {
    /// The configuration
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// Also mint sessions for each mapping and try each scope; writes nothing to the store
    #[arg(long)]
    pub live: bool,
    /// Do not read the issuer's keys, which may exist only where the proxy runs
    #[arg(long, conflicts_with = "live")]
    pub without_secrets: bool,
    /// Also decide on the requests of a file with [[test]] tables, as `explain` does; may be repeated
    #[arg(long, value_name = "FILE")]
    pub tests: Vec<PathBuf>,
}

/// Checks a configuration, and prints a report.
///
/// # Errors
/// Fails on a bad configuration (exit code 78), or if a test or a live check fails (exit code 1).
pub fn run(args: &Args) -> Result<(), CommandError> {
    let environment: &dyn Environment =
        if args.without_secrets { &WithoutSecrets } else { &SystemEnvironment };
    let config = serve::load_with(&args.config, environment)?;
    print(&plain_lines(&summary(&config)))?;
    for warning in config.warnings().iter().chain(&machine_warnings(&config)) {
        print_warning(warning, args)?;
    }
    let mut failed = 0;
    for file in &args.tests {
        failed += policy_tests::run(&config, file)?;
    }
    if failed > 0 {
        return Err(CommandError::failed(format!("{failed} of the policy tests failed")));
    }
    if args.live { super::block_on(live(&config, args)) } else { Ok(()) }
}

const NAMELESS: &str = "    note: it has no hosts, so clients reach it by an address alone, such as http://10.0.0.7:8080\n    \
    help: name its other names in hosts = [\"s3.example.test\"]; other names are refused, because a page of another site\n    \
    can let its own name resolve to this machine\n";

fn summary(config: &Config) -> String {
    let mut text = String::from("configuration ok\n");
    for listener in &config.listeners {
        let tls = if listener.tls.is_some() { " with TLS" } else { "" };
        let _ = writeln!(text, "  listener {:?} on {}{tls}", listener.name, listener.address);
        if listener.is_nameless() {
            text.push_str(&NAMELESS.replace("http:", &format!("{}:", listener.scheme())));
        }
    }
    if let Some(admin) = &config.admin {
        let _ = writeln!(text, "  admin listener on {}", admin.address);
        if admin.is_nameless() {
            text.push_str(NAMELESS);
        }
    }
    for mapping in &config.mappings {
        let longest = mapping.of_longest_identity();
        let size = longest.policies().map(|(_, policy)| policy.size()).max().unwrap_or_default();
        let _ = writeln!(
            text,
            "  mapping {:?}, sessions {}, largest policy {size} of {MAX_POLICY_BYTES} bytes",
            mapping.name,
            names(longest.session_kinds())
        );
        if let Some(homes) = &mapping.homes {
            let _ =
                writeln!(text, "    sessions for each identity, for {} of them at once", homes.identities());
        }
        for (scope, prefix) in mapping.written_scopes() {
            let runs =
                if scope.site { ", a site: browsers run its objects with their reader's rights" } else { "" };
            let _ = writeln!(text, "    {}/{prefix} allows {}{runs}", scope.bucket, scope.allow);
        }
    }
    text
}

fn names(kinds: impl Iterator<Item = SessionKind>) -> String {
    kinds.map(SessionKind::name).collect::<Vec<_>>().join(", ")
}

/// MinIO's default time to wait for a reader that pauses.
const MINIO_IDLE: Duration = Duration::from_secs(30);

const PAUSES: &str = "  note: MinIO breaks off a download that pauses for its MINIO_IDLE_TIMEOUT (30s if it is not set), which is\n  \
    shorter than limits.stall_timeout; Scopegate then asks for the rest\n";

/// Returns warnings about this machine, if it lacks something that the configuration needs.
fn machine_warnings(config: &Config) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let connections = config.limits.connections;
    if let Some(TooFew { most, wanted }) = TooFew::of(connections) {
        let message = format!(
            "limits.connections is {connections}, which takes {wanted} file descriptors, and this process may have {most}"
        );
        warnings.push(Diagnostic::warning(message, descriptors::HELP));
    }
    for (_, tls) in config.tls() {
        let note = |note| Diagnostic::warning(note, "the other certificates are used");
        warnings.extend(tls.notes().into_iter().map(note));
        let missing = tls.missing_trust();
        warnings.extend(
            missing
                .map(|why| Diagnostic::warning(why, "`serve` does not start without trusted certificates")),
        );
    }
    warnings
}

fn print_warning(warning: &Diagnostic, args: &Args) -> Result<(), CommandError> {
    print_coloured(&format!("\n{}", warning.draw(&args.config)))
}

async fn live(config: &Config, args: &Args) -> Result<(), CommandError> {
    if let Some(why) = config.tls().find_map(|(_, tls)| tls.missing_trust()) {
        return Err(CommandError::failed(why));
    }
    let region = &config.upstream.region;
    let timeout = config.limits.mint_timeout;
    let role = config.issuer.role_arn.as_deref();
    let mint = StsMint::new(config.sts_servers(), region, &config.issuer.keys, role, timeout)
        .map_err(|error| CommandError::failed(error.to_string()))?;
    let mut wrong = 0;
    let mut nodes: Vec<&Endpoint> = config.upstream.endpoints.iter().collect();
    let progress = Mappings::new(config.mappings.len());
    for mapping in &config.mappings {
        progress.begin(&mapping.name);
        let report = try_mapping(config, mapping, &mint, &mut nodes, &progress)
            .await
            .unwrap_or_else(|problem| format!("  WRONG mapping {:?}: {problem}\n", mapping.name));
        wrong += report.matches("  WRONG").count();
        progress.beside(|| print(&plain_lines(&report)))?;
    }
    drop(progress);
    if config.limits.stall_timeout > MINIO_IDLE && config.upstream.store == Dialect::Minio {
        print(PAUSES)?;
    }
    // The configuration's own warnings already cover a default name of root.
    let is_new = |found: &Diagnostic| config.warnings().iter().all(|known| known.message != found.message);
    if let Some(warning) = account::warning(config).await.filter(is_new) {
        print_warning(&warning, args)?;
    }
    if wrong == 0 {
        return print("live ok\n");
    }
    Err(CommandError::failed(format!("{wrong} of the live checks failed")))
}

/// Tries the scopes of a mapping at each of these nodes, and describes the results. A node that cannot be reached is taken
/// out, so that it is reported and waited for once.
async fn try_mapping(
    config: &Config,
    written: &Mapping,
    mint: &StsMint,
    nodes: &mut Vec<&Endpoint>,
    progress: &Mappings,
) -> Result<String, String> {
    // The longest name tests the size of the policy as well. Nothing is written below it.
    let mapping = &*written.of_longest_identity();
    let now = SystemTime::now();
    let sessions = mint_common(config, mapping, mint, now).await?;
    let expires = sessions.values().map(Session::expiration).min().unwrap_or(now);
    let (name, kinds) = (&mapping.name, names(sessions.keys().copied()));
    let mut text = format!("  ok mapping {name:?}: sessions {kinds} until {}\n", rfc3339(expires));
    if expires.duration_since(now).is_ok_and(|life| life + Duration::from_mins(1) < mapping.duration) {
        text.push_str(
            "    note: they end sooner than asked: MINIO_STS_DURATION on the server, or this clock is ahead\n",
        );
    }
    let prefixes = written.written_scopes().map(|(_, prefix)| prefix);
    let scopes: Vec<_> = mapping.scopes.iter().zip(prefixes).collect();
    let mut reached = Vec::new();
    for endpoint in nodes.drain(..) {
        let told = |place: &str| progress.say(&format!("{name}: {place}"));
        match try_node(config, endpoint, (mapping, &scopes), &sessions, (&mut text, told)).await {
            Ok(()) => reached.push(endpoint),
            Err(why) => {
                _ = writeln!(text, "    WRONG {endpoint} {why}\n      all other checks of it are left out");
            }
        }
    }
    *nodes = reached;
    progress.say(&format!("{name}: lists of multipart uploads"));
    text.push_str(&uploads::try_lists(config, mapping, written, mint, nodes).await);
    Ok(text)
}

/// Tries the scopes of a mapping, with their prefixes as they are written, at one node, and adds the results to `text`.
///
/// # Errors
/// When the node cannot be reached.
async fn try_node(
    config: &Config,
    endpoint: &Endpoint,
    (mapping, scopes): (&Mapping, &[(&Scope, String)]),
    sessions: &BTreeMap<SessionKind, Session>,
    (text, tell): (&mut String, impl Fn(&str)),
) -> Result<(), String> {
    let direct =
        Direct::new(endpoint, &config.upstream.tls, &config.limits).map_err(|error| error.to_string())?;
    for (scope, prefix) in scopes {
        for (right, method, target) in probes(scope) {
            let place = format!("{}/{prefix} {} at {endpoint}", scope.bucket, right.name());
            tell(&place);
            match probe(&direct, mapping, sessions, &method, &target).await {
                Ok(()) => _ = writeln!(text, "    ok {place}"),
                Err(Problem::Answer(problem)) => _ = writeln!(text, "    WRONG {place}: {problem}"),
                Err(Problem::Unreachable(why)) => return Err(why),
            }
        }
    }
    Ok(())
}

/// Mints the sessions of a mapping that most clients use.
async fn mint_common(
    config: &Config,
    mapping: &Mapping,
    mint: &StsMint,
    now: SystemTime,
) -> Result<BTreeMap<SessionKind, Session>, String> {
    let mut sessions = BTreeMap::new();
    for (kind, policy) in mapping.policies().filter(|(kind, _)| kind.is_common()) {
        let request = MintRequest { name: mapping.name.to_string(), policy, duration: mapping.duration };
        let minted = mint.mint(&request, Reason::Missing).await.map_err(|error| match error.help() {
            Some(help) => format!("no session {kind}: {error}\n    help: {help}"),
            None => format!("no session {kind}: {error}"),
        })?;
        let session = Session::new(minted, Arc::clone(&config.upstream.region), now)
            .map_err(|_| "STS returned a token that cannot be a header".to_owned())?;
        sessions.insert(kind, session);
    }
    Ok(sessions)
}

/// Returns requests that change nothing and whose responses show whether the session has a right. `delete` has none,
/// because deleting a missing key writes a marker into a versioned bucket.
fn probes(scope: &Scope) -> Vec<(Right, Method, String)> {
    let path = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    // If the client sees the scope at a mount, the request uses the client's path.
    let (base, prefix) = match &scope.view {
        Some(view) => (view.mount().as_str().trim_matches('/'), ""),
        None => (scope.bucket.as_str(), scope.prefix.as_str()),
    };
    let base = if base.is_empty() { String::new() } else { format!("/{base}") };
    let absent = path(&format!("{prefix}scopegate-check-{:016x}", fastrand::u64(..)));
    let all = [
        (Right::List, Method::GET, format!("{base}/?list-type=2&max-keys=1&prefix={}", path(prefix))),
        (Right::Read, Method::GET, format!("{base}/{absent}")),
        // This names a part of an upload that does not exist.
        (Right::Write, Method::PUT, format!("{base}/{absent}?partNumber=1&uploadId={ABSENT_UPLOAD}")),
    ];
    all.into_iter().filter(|(right, ..)| scope.allow.has(*right)).collect()
}

/// The reason why a live check fails.
enum Problem {
    /// The node cannot be reached.
    Unreachable(String),
    /// It answers what it should not, or the request cannot be made.
    Answer(String),
}

impl From<String> for Problem {
    fn from(answer: String) -> Self {
        Self::Answer(answer)
    }
}

async fn probe(
    direct: &Direct,
    mapping: &Mapping,
    sessions: &BTreeMap<SessionKind, Session>,
    method: &Method,
    target: &str,
) -> Result<(), Problem> {
    let outgoing = direct::outgoing(mapping, method, target).map_err(|refusal| refusal.to_string())?;
    let kind = outgoing.session().map(|kind| mapping.sessions.kind_for(kind));
    let session =
        kind.and_then(|kind| sessions.get(&kind)).ok_or_else(|| "no session signs it".to_owned())?;
    let answer = direct.send(&outgoing, session).await.map_err(|error| {
        let help =
            direct::trouble(&error).map(|trouble| format!("\n      help: {trouble}")).unwrap_or_default();
        match error {
            SendError::Unreachable(error) => {
                Problem::Unreachable(format!("cannot be reached: {error}{help}"))
            }
            error => Problem::Answer(format!("{error}{help}")),
        }
    })?;
    let (status, is_bare) = (answer.status, answer.fields.iter().next().is_none());
    if status.is_success() {
        return Ok(());
    }
    let body = direct::error_body(answer).await;
    let code = s3_error::element(&body, "Code").unwrap_or_default();
    let message = s3_error::element(&body, "Message").unwrap_or_default();
    let (code, message) = (printable(&code, MAX_CODE), printable(&message, MAX_MESSAGE));
    if let Some(trouble) = Trouble::of_answer(status.as_u16(), is_bare, &body) {
        return Err(format!("status {}: {trouble}", status.as_u16()).into());
    }
    let problem = match &*code {
        "NoSuchKey" | "NoSuchUpload" => return Ok(()),
        "NoSuchBucket" => "NoSuchBucket: create the bucket, or correct it".to_owned(),
        "AccessDenied" => "AccessDenied: the issuer's own policy does not allow this".to_owned(),
        "RequestTimeTooSkewed" => "RequestTimeTooSkewed: set this machine's clock (NTP)".to_owned(),
        "AuthorizationHeaderMalformed" => {
            format!("AuthorizationHeaderMalformed: correct upstream.region ({message})")
        }
        _ => format!("{code} (status {}): {message}", status.as_u16()),
    };
    Err(problem.into())
}
