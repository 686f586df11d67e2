//! `scopegate explain`: shows which mapping a client gets and how the proxy decides on a request.

mod answered;
mod certificate;
mod credentials;
mod report;
mod request;
mod ways;

pub use answered::RequestId;
pub(super) use report::Explanation;
use request::{fields, request};
use ways::Way;

use super::{CommandError, print, serve};
use crate::authenticate::authenticator::Authenticator;
use crate::authorize::mapping::{self, Mapping};
use crate::config::{AsReadable, Caller, Config, Environment, Listener, Peer, WithoutSecrets};
use crate::identify::browser::AllowedHosts;
use crate::identify::client::{
    Client, ClientCertificates, Connection, ListenerRef, ListenerRegistry, PeerUser, Source, Tls,
};
use crate::identify::credentials::presented;
use crate::identify::identity::Identity;
use crate::net::terminal::plain_lines;
use crate::proxy::decision::decide;
use crate::proxy::gate;
use crate::refusal::Refusal;
use crate::s3::form::is_form_upload;
use clap::ArgGroup;
use http::Method;
use http1::{Fields, Request};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("who").required(true).multiple(true).args(["mapping", "from", "unix", "uid", "user", "token", "token_file", "key", "certificate", "request_id"]))]
#[command(after_help = "Secrets of the configuration are not read.\n\n\
    Exit codes: 0 allowed, or as --expect says; 3 refused; 1 not as --expect says; 2 wrong usage; 78 bad configuration\n\
    With --request-id: 0 explained; 1 not in the log; 2 wrong usage; 78 bad configuration\n\n\
    Examples:\n  scopegate explain --from 127.0.0.1 GET /tmp/media/hello.txt\n  \
    scopegate explain --from 127.0.0.1 --expect refused PUT /tmp/media/hello.txt\n  \
    scopegate explain --user alice GET /tmp/home/alice/\n  \
    scopegate explain --certificate client.crt GET /tmp/media/hello.txt\n  \
    scopegate explain --mapping media-reader GET '/tmp?list-type=2&prefix=media/'\n  \
    journalctl -u scopegate -o cat | scopegate explain --request-id 185D0B4F3A2C1E07")]
pub struct Args {
    /// The configuration
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// Explain what a client of this mapping gets
    #[arg(long, value_name = "NAME")]
    pub mapping: Option<String>,
    /// Explain what a client from this address gets; with credentials alone, it connects from this machine. With --unix or
    /// --uid, a load balancer at a unix socket names this address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "mapping")]
    pub from: Option<IpAddr>,
    /// Explain what a client of a unix socket gets
    #[arg(long, conflicts_with = "mapping")]
    pub unix: bool,
    /// Explain what a process with this user id gets, which connects to a unix socket
    #[arg(long, value_name = "ID", conflicts_with = "mapping")]
    pub uid: Option<u32>,
    /// The primary group id of that process; by default the same number
    #[arg(long, value_name = "ID", requires = "uid")]
    pub gid: Option<u32>,
    /// The client logs in as this user
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mapping", "token", "token_file", "key"])]
    pub user: Option<String>,
    /// The client sends the bearer token of this name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mapping", "token_file", "key"])]
    pub token: Option<String>,
    /// The client sends the bearer token or JWT in this file, which is verified as the proxy does
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mapping", "key"])]
    pub token_file: Option<PathBuf>,
    /// The client signs with the local access key of this id
    #[arg(long, value_name = "ID", conflicts_with = "mapping")]
    pub key: Option<String>,
    /// The client shows the certificate in this PEM file, the client's own first; its authorities are not checked
    #[arg(long, value_name = "FILE", conflicts_with = "mapping")]
    pub certificate: Option<PathBuf>,
    /// Explain the answered request with this id, from its line in the log, and judge it by the present configuration. The
    /// id is the x-amz-request-id of the response
    #[arg(long, value_name = "ID", conflicts_with_all = ["mapping", "from", "unix", "uid", "user", "token", "token_file", "key", "certificate", "listener", "expect", "method"])]
    pub request_id: Option<RequestId>,
    /// The log in which that line is, as text or JSON; - is stdin, as is the default
    #[arg(long, value_name = "FILE", requires = "request_id")]
    pub log: Option<PathBuf>,
    /// Listener that the client connects to; by default the mapping's own, else the first
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// A header of the request, as in 'x-amz-copy-source: /tmp/media/a'; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Exit with 1 unless this is the decision
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

/// The expected decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expected {
    /// The request is passed on, or answered by Scopegate
    Allowed,
    /// The request is refused
    Refused,
}

/// A question about a client and, optionally, one of its requests.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) who: Who<'q>,
    /// The refusal of its credentials, if they do not verify.
    pub(super) refused: Option<Refusal>,
    /// The name of the listener that it connects to.
    pub(super) listener: Option<&'q str>,
    /// Method, path and headers of the request, if the question is about one.
    pub(super) request: Option<(&'q Method, &'q str, Fields)>,
}

impl Question<'_> {
    /// Sets the result of verifying the client's credentials.
    fn bear(&mut self, verified: Result<Identity, Refusal>) {
        match (verified, &mut self.who) {
            (Ok(identity), Who::Client(caller)) => caller.identity = Some(identity),
            (Ok(_), Who::Mapping(_)) => {}
            (Err(refusal), _) => self.refused = Some(refusal),
        }
    }
}

/// The client in question.
#[derive(Debug)]
pub(super) enum Who<'q> {
    /// Any client of this mapping.
    Mapping(&'q str),
    /// A client with this connection and these credentials.
    Client(Caller),
}

/// Prints the explanation.
///
/// # Errors
/// Fails on a bad configuration (exit code 78), an unknown mapping or listener (exit code 2), a refusal (exit code
/// 3), and a decision other than the expected one (exit code 1).
pub fn run(args: &Args) -> Result<(), CommandError> {
    if let Some(id) = &args.request_id {
        return answered::run(args, id);
    }
    let environment: &dyn Environment = if args.token_file.is_some() { &AsReadable } else { &WithoutSecrets };
    let config = serve::load_with(&args.config, environment)?;
    let mut question = question(args)?;
    if let Some(path) = &args.token_file {
        question.bear(credentials::verify_file(&config, path)?);
    }
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
            Err(CommandError::failed(format!("expected allowed, but it is refused by rule {}", rule.name())))
        }
        (Some(Expected::Refused), None) => Err(CommandError::failed("expected refused, but it is allowed")),
    }
}

fn question(args: &Args) -> Result<Question<'_>, CommandError> {
    let certificate = args.certificate.as_deref().map(certificate::read).transpose()?.map(Arc::new);
    let who = match &args.mapping {
        Some(name) => Who::Mapping(name),
        None => Who::Client(Caller { certificate, ..caller(args) }),
    };
    let request = match (&args.method, &args.target) {
        (Some(method), Some(target)) => Some((method, &**target, fields(&args.header)?)),
        _ => None,
    };
    Ok(Question { who, refused: None, listener: args.listener.as_deref(), request })
}

fn caller(args: &Args) -> Caller {
    let user = args.uid.map(|uid| PeerUser { uid, gid: args.gid.unwrap_or(uid) });
    let peer = match args.from {
        Some(address) if args.unix || user.is_some() => Peer::Balancer(user, address),
        None if args.unix || user.is_some() => Peer::Unix(user),
        address => Peer::Address(address.unwrap_or(Ipv4Addr::LOCALHOST.into())),
    };
    let of = |name: &Option<String>, prove: fn(Box<str>) -> Identity| {
        name.as_deref().map(|name| prove(name.into()))
    };
    let identity = of(&args.user, Identity::User)
        .or_else(|| of(&args.token, Identity::Token))
        .or_else(|| of(&args.key, Identity::Key));
    Caller { peer, certificate: None, identity }
}

/// Answers a question.
///
/// # Errors
/// Fails if the question names an unknown mapping or listener.
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
            if mapping.homes.is_some() && question.request.is_some() {
                return Err(CommandError::usage(format!(
                    "each identity of the mapping {name:?} has its own prefix: say who sends the request, as in --user NAME"
                )));
            }
            (Some(Cow::Borrowed(mapping)), named.or(own).or(config.listeners.first()))
        }
        Who::Client(ref caller) => {
            if let Some(identity) = &caller.identity {
                credentials::check_declared(config, identity)?;
            }
            let listener = named.or_else(|| usual_listener(config, caller));
            check_balanced(listener, caller.peer)?;
            certificate::check_asked(caller, listener)?;
            explanation.rejected.clone_from(&question.refused);
            let request = question.request.as_ref();
            let is_form = request.is_some_and(|(method, _, fields)| is_form_upload(method, fields));
            let mapping = match (&explanation.rejected, listener) {
                (None, Some(listener)) => explanation.find(config, listener, caller, is_form),
                _ => None,
            };
            (mapping, listener)
        }
    };
    explanation.mapping = mapping;
    let Some((method, target, fields)) = &question.request else { return Ok(explanation) };
    explanation.request = Some(format!("{method} {target}"));
    let request = request(listener, method, target, fields);
    if let (Who::Client(caller), Some(listener), Ok(request)) = (&question.who, listener, &request) {
        match admit_page(config, listener, caller, request) {
            Ok(None) => {}
            Ok(Some(mapping)) => explanation.answer_preflight(mapping),
            Err(refusal) => {
                explanation.refuse_page(refusal);
                return Ok(explanation);
            }
        }
    }
    if let Some(mapping) = explanation.mapping.as_deref().filter(|_| explanation.homeless.is_none()) {
        explanation.decision = Some(request.and_then(|request| decide_as_proxy(mapping, listener, &request)));
    }
    Ok(explanation)
}

impl<'c> Explanation<'c> {
    /// Finds the mapping of a client, and notes what the conditions of each mapping up to it find. `is_form` says that the
    /// client uploads with a form.
    fn find(
        &mut self,
        config: &'c Config,
        listener: &Listener,
        caller: &Caller,
        is_form: bool,
    ) -> Option<Cow<'c, Mapping>> {
        let mut registry = registry(config);
        let connection = connection(caller, listener, registry.register(&listener.name));
        let client = match &caller.identity {
            Some(identity) => Client::proved(&connection, Arc::new(identity.clone())),
            None => Client::of_connection(&connection),
        };
        let found = mapping::find(&config.mappings, &client);
        let passed = found.map_or(config.mappings.len(), |(index, _)| index);
        let findings = |mapping: &'c Mapping| (&*mapping.name, mapping.client.findings(&client));
        self.passed_over = config.mappings.iter().take(passed).map(findings).collect();
        self.matched = found.map(|(_, mapping)| mapping.client.findings(&client)).unwrap_or_default();
        self.unmatched = found.is_none().then(|| authenticator(config, &registry).refuse(&client, is_form));
        self.turned_away = certificate::turned_away(caller, listener);
        self.client = Some((connection.clone(), caller.identity.clone()));
        let (_, mapping) = found?;
        Some(mapping.of_client(&client).unwrap_or_else(|refusal| {
            self.homeless = Some(refusal);
            Cow::Borrowed(mapping)
        }))
    }

    /// Notes that a mapping answers the request, which is a preflight, whatever client sends it.
    fn answer_preflight(&mut self, mapping: &'c Mapping) {
        *self = Self { client: self.client.take(), request: self.request.take(), ..Self::default() };
        self.mapping = Some(Cow::Borrowed(mapping));
    }

    /// Notes that the request is refused because of the page that sends it, whatever mapping its client has.
    fn refuse_page(&mut self, refusal: Refusal) {
        (self.turned_away, self.rejected, self.unmatched, self.homeless) = (None, None, None, None);
        self.decision = Some(Err(refusal));
    }
}

/// Registers the listeners of a configuration.
fn registry(config: &Config) -> ListenerRegistry {
    let mut registry = ListenerRegistry::default();
    for listener in &config.listeners {
        registry.register(&listener.name);
    }
    registry
}

fn authenticator(config: &Config, registry: &ListenerRegistry) -> Authenticator {
    let matchers = config.mappings.iter().map(|mapping| &*mapping.client);
    Authenticator::new(matchers, registry, |name| config.certificates_at(name))
}

/// Checks the page that sends a request as the proxy does before it verifies credentials. Returns the mapping of a preflight.
fn admit_page<'c>(
    config: &'c Config,
    listener: &Listener,
    caller: &Caller,
    request: &Request,
) -> Result<Option<&'c Mapping>, Refusal> {
    let mut registry = registry(config);
    let connection = connection(caller, listener, registry.register(&listener.name));
    let authenticator = authenticator(config, &registry);
    let proofs = authenticator.proofs(connection.listener().id());
    if proofs.are_none() {
        return Ok(None);
    }
    let client = Client::of_connection(&connection);
    let reachable = config.mappings.iter().filter(|mapping| mapping.client.could_admit(&client));
    let own = listener.hosts.over(listener.scheme());
    let refuse = || authenticator.refuse(&client, false);
    let mapping = gate::admit_page(reachable, &client, own, request, refuse)?;
    if mapping.is_none() && !proofs.schemes.is_empty() {
        // Two credentials, or one that cannot be read, are refused before any is verified.
        presented(request, proofs.schemes)?;
    }
    Ok(mapping)
}

/// Checks that a listener has load balancers, if one passes on the client.
fn check_balanced(listener: Option<&Listener>, peer: Peer) -> Result<(), CommandError> {
    match listener {
        Some(listener) if matches!(peer, Peer::Balancer(..)) && !listener.facts().is_balanced => {
            Err(CommandError::usage(format!(
                "clients of the listener {:?} have no address, because it has neither proxy_protocol nor forwarded",
                listener.name
            )))
        }
        _ => Ok(()),
    }
}

/// Returns the listener that a client connects to if it does not say: the first that it can reach, and that asks for its
/// certificate.
fn usual_listener<'c>(config: &'c Config, caller: &Caller) -> Option<&'c Listener> {
    let at_socket = !matches!(caller.peer, Peer::Address(_));
    let reaches = |listener: &&Listener| {
        let facts = listener.facts();
        let is_asked = caller.certificate.is_none() || facts.certificates != ClientCertificates::Never;
        facts.is_unix == at_socket && is_asked
    };
    config.listeners.iter().find(reaches).or(config.listeners.first())
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

fn connection(caller: &Caller, listener: &Listener, at: ListenerRef) -> Connection {
    let connection = match caller.peer {
        Peer::Address(address) => Connection::tcp(address, at),
        Peer::Unix(user) => Connection::unix(user, at),
        Peer::Balancer(user, address) => Connection::unix(user, at).from_source(Source::Proxied(address)),
    };
    if listener.tls.is_none() {
        return connection;
    }
    let certificate = caller.certificate.clone();
    connection.over_tls(Tls { version: "1.3", server_name: None, certificate })
}

/// Decides on a request as the proxy does.
fn decide_as_proxy(
    mapping: &Mapping,
    listener: Option<&Listener>,
    request: &Request,
) -> Result<Vec<Way>, Refusal> {
    let none = AllowedHosts::none();
    let own = listener.map_or(none.over("http"), |listener| listener.hosts.over(listener.scheme()));
    decide(mapping, own, request).map(|decision| ways::of(mapping, &decision))
}

#[cfg(test)]
mod agreement;

#[cfg(test)]
mod tests;
