//! Protects clients from what their browsers can be made to do: rejects requests that a browser sends on behalf of
//! another site (CSRF, DNS rebinding), and keeps objects from running with the rights of their readers.
//!
//! A proxy on a private network or on loopback is reachable from every page that its user opens. Such a page cannot make
//! the browser send a `Host` of its own choice, unless its own name resolves to this machine (DNS rebinding): a `Host`
//! that is an address, or one of the listener's names, was not rebound. From which site a request comes the browser says
//! itself: by Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>) over TLS and to loopback, else by `Origin` and
//! `Referer`. Programs send none of these.

mod confine;
mod cors;
mod overrides;
mod signs;
mod types;

pub use confine::{confine, let_run};
pub use cors::{Cors, EXPOSED, Origin, Origins, RequestHeaders, is_preflight, preflight};
pub use overrides::check_overrides;

use self::signs::{Signs, Site};
use crate::config::Listener;
use crate::http1::{Host, Request};
use crate::refusal::{Refusal, Rule};
use http::Method;

/// The names that a listener answers to, besides addresses and the names of loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    hosts: Vec<Box<str>>,
    domain: Option<Box<str>>,
}

impl AllowedHosts {
    /// Those of a listener.
    pub fn of(listener: &Listener) -> Self {
        Self::new(listener.hosts.clone(), listener.domain.clone())
    }

    /// These names, and the domain with the buckets below it; all in lower case.
    pub fn new(hosts: Vec<Box<str>>, domain: Option<Box<str>>) -> Self {
        Self { hosts, domain }
    }

    /// No name.
    pub const fn none() -> Self {
        Self { hosts: Vec::new(), domain: None }
    }

    /// Returns the domain below which the names of buckets are hosts.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    fn admits(&self, host: &Host<'_>) -> bool {
        // Browsers take 0.0.0.0 for loopback and send no Fetch Metadata to it. Nothing has that address.
        let is_address = host.address().is_some_and(|address| !address.to_canonical().is_unspecified());
        host.is_loopback() || is_address || self.names(host.name())
    }

    fn names(&self, name: &[u8]) -> bool {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let below = |domain: &str| {
            let start = name.len().checked_sub(domain.len());
            let (bucket, end) = start.and_then(|at| name.split_at_checked(at)).unwrap_or_default();
            end.eq_ignore_ascii_case(domain.as_bytes()) && (bucket.is_empty() || bucket.ends_with(b"."))
        };
        self.hosts.iter().any(|host| host.as_bytes().eq_ignore_ascii_case(name))
            || self.domain.as_deref().is_some_and(below)
    }
}

/// Checks that no page of another site made a browser send a request, but for those that the mapping's rules name, and
/// that it asks for no service worker. A preflight is only checked for its host: [`preflight`] answers it.
///
/// # Errors
/// When `Host` is not one of the listener's, the request comes from another site, or its answer would become a service
/// worker.
pub fn check(allowed: &AllowedHosts, cors: Option<&Cors>, request: &Request) -> Result<(), Refusal> {
    let host = request.host();
    check_host(allowed, host.as_ref())?;
    if is_preflight(request) {
        return Ok(());
    }
    check_site(allowed, cors, host.as_ref(), &request.method, request.fields().iter())
}

/// Does what [`check`] does for a request of any codec, given its parts, where no page of another origin is meant.
///
/// # Errors
/// As [`check`].
pub fn check_fields<'f>(
    allowed: &AllowedHosts,
    host: Option<Host<'_>>,
    method: &Method,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
) -> Result<(), Refusal> {
    check_host(allowed, host.as_ref())?;
    check_site(allowed, None, host.as_ref(), method, fields)
}

fn check_host(allowed: &AllowedHosts, host: Option<&Host<'_>>) -> Result<(), Refusal> {
    match host {
        Some(host) if !allowed.admits(host) => Err(foreign_host(host)),
        // HTTP/1.0, which no browser speaks, may leave it out.
        _ => Ok(()),
    }
}

fn check_site<'f>(
    allowed: &AllowedHosts,
    cors: Option<&Cors>,
    host: Option<&Host<'_>>,
    method: &Method,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
) -> Result<(), Refusal> {
    let signs = Signs::read(fields);
    if signs.is_service_worker() {
        let message = "an object is not given to a browser as a service worker: it would outlive the object";
        return Err(Refusal::new(Rule::ServiceWorker, message));
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let admitted = match signs.site(host, |name| allowed.names(name)) {
        Site::Own => true,
        // Another port, or another name of the same listener: its page may show what it cannot read.
        Site::Same => reads,
        // A link leads here, and shows nothing to the page that it is on.
        Site::Other => reads && signs.is_navigation(),
    };
    if admitted || cors.is_some_and(|cors| cors.admits(&signs, method)) {
        return Ok(());
    }
    let from = signs.said().map(|said| format!(" ({said})")).unwrap_or_default();
    let message = format!("requests sent by a page of another site are refused{from}");
    let help = "name the page's origin in [mapping.cors] of the mapping, and the method, if its pages may";
    Err(Refusal::new(Rule::CrossSite, message).with_help(help))
}

fn foreign_host(host: &Host<'_>) -> Refusal {
    let message = format!(
        "this service does not answer to the host {:?}: ask by its address or by a name that it has",
        String::from_utf8_lossy(host.name())
    );
    Refusal::new(Rule::ForeignHost, message)
}

#[cfg(test)]
mod tests;
