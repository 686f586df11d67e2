//! The configuration as types.

use super::diagnostic::Diagnostic;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::grammar::Dialect;
use crate::bounds::limits::Limits;
use crate::identify::browser::AllowedHosts;
use crate::identify::client::ListenerName;
use crate::net::endpoint::Endpoint;
use crate::sigv4::secret::Credentials;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// A configuration. Only [`Config::parse`] makes one, so every one is without mistakes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The listeners for clients; at least one.
    pub listeners: Vec<Listener>,
    /// The listener for health and metrics.
    pub admin: Option<Admin>,
    /// The store.
    pub upstream: Upstream,
    /// The user from whose rights sessions are cut.
    pub issuer: Issuer,
    /// The mappings of clients to scopes, in the order in which they are tried; at least one.
    pub mappings: Vec<Mapping>,
    /// Bounds on what peers control.
    pub limits: Limits,
    /// Threads that serve requests. By default there is one for each core.
    pub workers: Option<NonZeroUsize>,
    /// The settings of the log.
    pub log: Log,
    pub(super) warnings: Vec<Diagnostic>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, unique.
    pub name: ListenerName,
    /// The address it listens on.
    pub address: ListenAddress,
    /// The names that it answers to, and the domain below which each bucket is a host.
    pub hosts: AllowedHosts,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The names that it answers to.
    pub hosts: AllowedHosts,
}

impl Listener {
    /// Returns whether other machines reach it, and have only an address to reach it by.
    pub fn is_nameless(&self) -> bool {
        let remote = matches!(self.address, ListenAddress::Tcp(address) if !address.ip().is_loopback());
        remote && self.hosts.is_empty()
    }
}

impl Admin {
    /// Returns whether other machines reach it, and have only an address to reach it by.
    pub fn is_nameless(&self) -> bool {
        !self.address.ip().is_loopback() && self.hosts.is_empty()
    }
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port. Port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its nodes; at least one.
    pub endpoints: Vec<Endpoint>,
    /// The region that requests are signed for.
    pub region: Arc<str>,
    /// The kind of store.
    pub store: Dialect,
}

/// The user from whose rights sessions are cut.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The endpoint of STS, if the store's nodes do not serve it.
    pub endpoint: Option<Endpoint>,
    /// The keys.
    pub keys: Credentials,
    /// The role to assume, for stores that need one.
    pub role_arn: Option<String>,
}

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// The least important lines that are logged.
    pub level: LogLevel,
    /// Whether each request has a line.
    pub access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: LogLevel::Info, access: true }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The importance of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something may stop working.
    Warn,
    /// What the proxy does.
    Info,
    /// How the proxy does it.
    Debug,
}

impl LogLevel {
    /// Returns its name in a configuration.
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
    /// Returns the warnings about it, in the order of the file.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Returns the endpoints that STS is asked at, in order.
    pub fn sts(&self) -> &[Endpoint] {
        self.issuer.endpoint.as_ref().map_or(&self.upstream.endpoints, std::slice::from_ref)
    }

    /// Returns every endpoint that the proxy connects to: the nodes, and that of STS if it has its own.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.upstream.endpoints.iter().chain(&self.issuer.endpoint)
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
