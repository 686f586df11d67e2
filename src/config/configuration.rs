//! The configuration as types.

use super::diagnostic::Diagnostic;
use super::trace_settings::Traces;
use crate::authenticate::jwt::JwtSettings;
use crate::authenticate::keys::Keys;
use crate::authenticate::passwords::UserList;
use crate::authenticate::tokens::TokenList;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::grammar::Dialect;
use crate::bounds::limits::Limits;
use crate::identify::browser::AllowedHosts;
use crate::identify::client::{ClientCertificates, ListenerFacts, ListenerName};
use crate::identify::forwarded::ForwardedHeaders;
use crate::identify::peers::TrustedPeers;
use crate::net::connect::FollowedTls;
use crate::net::endpoint::Endpoint;
use crate::sigv4::secret::Credentials;
use proxy_protocol::Versions;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use tls::{ServerSettings, ServerTls};

/// A valid configuration. Only [`Config::parse`] makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The listeners for clients. There is at least one.
    pub listeners: Vec<Listener>,
    /// The listener for health and metrics.
    pub admin: Option<Admin>,
    /// The store.
    pub upstream: Upstream,
    /// The user that mints the sessions. A session has a part of its rights.
    pub issuer: Issuer,
    /// The issuers of JWTs.
    pub(crate) jwt: Vec<JwtSettings>,
    /// The access keys that Scopegate alone knows.
    pub(crate) keys: Arc<Keys>,
    /// The users of HTTP Basic.
    pub(crate) users: UserList,
    /// The bearer tokens.
    pub(crate) tokens: TokenList,
    /// The mappings of clients to scopes, in matching order. There is at least one.
    pub mappings: Vec<Mapping>,
    /// Bounds on what peers control.
    pub limits: Limits,
    /// The number of worker threads. By default there is one for each core.
    pub workers: Option<NonZeroUsize>,
    /// The settings of the log.
    pub log: Log,
    /// The settings of traces, if requests are traced.
    pub traces: Option<Traces>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The unique name.
    pub name: ListenerName,
    /// The address to listen on.
    pub address: ListenAddress,
    /// The hosts that it accepts, and the domain below which each bucket has a host.
    pub hosts: AllowedHosts,
    /// Whether it refuses signatures of unknown access keys. Otherwise they count as no credentials.
    pub refuses_unknown_keys: bool,
    /// The load balancers whose connections begin with a PROXY header. Other peers may not connect then.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The headers by which load balancers name the client of a request.
    pub forwarded: Option<ForwardedHeaders>,
    /// Who may connect to its unix socket.
    pub access: SocketAccess,
    /// Its TLS. Without it, it speaks plain HTTP.
    pub tls: Option<ListenerTls>,
}

/// The TLS of a listener.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// The files, and what they are for.
    pub settings: ServerSettings,
    /// What the files say. `None` where they are not read.
    pub loaded: Option<Arc<ServerTls>>,
}

impl PartialEq for ListenerTls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for ListenerTls {}

/// The PROXY headers that a listener demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// The peers that send them.
    pub from: TrustedPeers,
    /// The accepted versions.
    pub versions: Versions,
}

/// The permissions of a unix socket: who may connect to it. The system decides on what is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketAccess {
    /// The permission bits. Connecting needs the right to write.
    pub mode: Option<u32>,
    /// The id of the owner.
    pub owner: Option<u32>,
    /// The id of the group.
    pub group: Option<u32>,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The hosts that it accepts.
    pub hosts: AllowedHosts,
}

impl Listener {
    /// Returns the scheme of URLs that reach the listener.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Returns whether other machines can reach the listener, but only by an address.
    pub fn is_nameless(&self) -> bool {
        let remote = matches!(self.address, ListenAddress::Tcp(address) if !address.ip().is_loopback());
        remote && self.hosts.is_empty()
    }

    /// Returns what conditions on clients must know of the listener.
    pub fn facts(&self) -> ListenerFacts {
        let asks = self.tls.as_ref().and_then(|tls| tls.settings.clients.as_ref());
        let certificates = match asks.map(|clients| clients.is_required) {
            None => ClientCertificates::Never,
            Some(false) => ClientCertificates::Optional,
            Some(true) => ClientCertificates::Required,
        };
        ListenerFacts {
            is_unix: matches!(self.address, ListenAddress::Unix(_)),
            is_balanced: self.proxy_protocol.is_some() || self.forwarded.is_some(),
            certificates,
        }
    }
}

impl SocketAccess {
    /// Returns whether every user of this machine may connect.
    pub fn is_open(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o002 != 0)
    }

    /// Returns these permissions, and those of `other` where none is set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            mode: self.mode.or(other.mode),
            owner: self.owner.or(other.owner),
            group: self.group.or(other.group),
        }
    }
}

impl fmt::Display for SocketAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = [
            self.mode.map(|mode| format!("mode {mode:04o}")),
            self.owner.map(|owner| format!("owner {owner}")),
            self.group.map(|group| format!("group {group}")),
        ];
        f.write_str(&shown.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Admin {
    /// Returns whether other machines can reach the listener, but only by an address.
    pub fn is_nameless(&self) -> bool {
        !self.address.ip().is_loopback() && self.hosts.is_empty()
    }
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port. With port 0 the system chooses a free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The store's nodes. There is at least one.
    pub endpoints: Vec<Endpoint>,
    /// TLS towards the nodes.
    pub(crate) tls: FollowedTls,
    /// The region for signing requests.
    pub region: Arc<str>,
    /// The kind of store.
    pub store: Dialect,
}

/// The user that mints the sessions. A session has a part of its rights.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The endpoint of STS, unless the store's nodes serve it.
    pub endpoint: Option<Endpoint>,
    /// TLS towards STS.
    pub(crate) tls: FollowedTls,
    /// The keys.
    pub keys: Credentials,
    /// The role to assume, for stores that need one.
    pub role_arn: Option<String>,
}

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The format of the log.
    pub format: LogFormat,
    /// The least important level to log.
    pub level: LogLevel,
    /// The requests that get a line.
    pub access: AccessLog,
    /// The form of clients' identities in these lines.
    pub identity: IdentityForm,
}

/// The requests that get a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// All.
    All,
    /// Those that change something or are refused.
    Audit,
    /// None.
    Off,
}

/// The lines of requests: which there are, and how they show identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Whether only requests get one that change something or are refused.
    pub only_audit: bool,
    /// The form of clients' identities.
    pub identity: IdentityForm,
}

impl Log {
    /// Returns the lines of requests, if there are any.
    pub(crate) fn lines(&self) -> Option<Lines> {
        let only_audit = self.access == AccessLog::Audit;
        (self.access != AccessLog::Off).then_some(Lines { only_audit, identity: self.identity })
    }
}

/// The form in which the log shows the identities of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityForm {
    /// By name.
    #[default]
    Name,
    /// As a hash, which is the same for a client until the process ends.
    Hash,
    /// Not at all.
    Off,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LogLevel::Info,
            access: AccessLog::All,
            identity: IdentityForm::default(),
        }
    }
}

/// A format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may fail soon.
    Warn,
    /// An action of the proxy.
    Info,
    /// Details of an action.
    Debug,
}

impl LogLevel {
    /// Returns the name of the level in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Config {
    /// Returns the warnings about the configuration, in the order of the file.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Returns whether the clients of a listener show certificates.
    pub(crate) fn certificates_at(&self, listener: &ListenerName) -> ClientCertificates {
        let found = self.listeners.iter().find(|one| one.name == *listener);
        found.map(|listener| listener.facts().certificates).unwrap_or_default()
    }

    /// Returns the endpoints of STS, in the order in which they are tried.
    pub fn sts(&self) -> &[Endpoint] {
        self.issuer.endpoint.as_ref().map_or(&self.upstream.endpoints, std::slice::from_ref)
    }

    /// Returns the endpoints of STS and the TLS towards them.
    pub(crate) fn sts_servers(&self) -> (&[Endpoint], &FollowedTls) {
        (self.sts(), &self.issuer.tls)
    }

    /// Returns every endpoint that the proxy connects to, with its TLS: the nodes, the endpoints of STS, and the collector of
    /// traces.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&Endpoint, &FollowedTls)> {
        let nodes = self.upstream.endpoints.iter().map(|endpoint| (endpoint, &self.upstream.tls));
        let collector = self.traces.iter().map(|traces| (&traces.collector.endpoint, &traces.collector.tls));
        nodes.chain(self.sts().iter().map(|endpoint| (endpoint, &self.issuer.tls))).chain(collector)
    }

    /// Continues the states of TLS of the configuration before, where the settings are the same.
    pub(crate) fn succeed_tls(&mut self, old: &Self) {
        let is_shared = self.issuer.tls.is(&self.upstream.tls);
        self.upstream.tls = self.upstream.tls.clone().succeeding(&old.upstream.tls);
        self.issuer.tls = if is_shared {
            self.upstream.tls.clone()
        } else {
            self.issuer.tls.clone().succeeding(&old.issuer.tls)
        };
        if let (Some(traces), Some(old)) = (&mut self.traces, &old.traces) {
            traces.collector.tls = traces.collector.tls.clone().succeeding(&old.collector.tls);
        }
    }

    /// Returns the states of TLS towards servers by the section that configures them. STS may share that of the nodes.
    pub(crate) fn tls(&self) -> impl Iterator<Item = (&'static str, &FollowedTls)> {
        let own = Some(&self.issuer.tls).filter(|tls| !tls.is(&self.upstream.tls));
        let of_traces = self.traces.as_ref().map(|traces| ("traces.tls", &traces.collector.tls));
        let of_issuer = own.map(|tls| ("issuer.tls", tls));
        [("upstream.tls", &self.upstream.tls)].into_iter().chain(of_issuer).chain(of_traces)
    }
}

impl Upstream {
    /// Returns the nodes and the TLS towards them.
    pub(crate) fn servers(&self) -> (&[Endpoint], &FollowedTls) {
        (&self.endpoints, &self.tls)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
