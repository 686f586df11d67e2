//! Rejects requests that a browser sends on behalf of another site (CSRF, DNS rebinding), and keeps objects from running
//! with the rights of their readers.
//!
//! Every page that a user opens can reach a proxy on that user's loopback or private network. Two things give it away:
//!
//! - The `Host`. A page can choose it only by letting its own name resolve to the proxy's address (DNS rebinding). A `Host`
//!   that is an address or one of the listener's names was not rebound.
//! - The site that a request comes from. Browsers tell it by Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>) over
//!   TLS and to loopback, else by `Origin` and `Referer`. Programs send none of these.

mod confine;
mod cors;
mod overrides;
mod signs;
mod types;

pub(crate) use confine::{confine, let_run, make_personal, show_only_here};
pub(crate) use cors::{Cors, Origin, Origins, RequestHeaders, is_preflight, preflight};
pub(crate) use overrides::check_overrides;

use self::signs::{Signs, Site};
use crate::refusal::{Refusal, Rule};
use http::Method;
use http1::{Host, Request};

/// The names that a listener answers to, in addition to addresses and the names of loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    hosts: Vec<Box<str>>,
    domain: Option<Box<str>>,
}

impl AllowedHosts {
    /// Allows these names, and the domain with the buckets below it; all in lower case.
    pub fn new(hosts: Vec<Box<str>>, domain: Option<Box<str>>) -> Self {
        Self { hosts, domain }
    }

    /// Allows no name.
    pub const fn none() -> Self {
        Self { hosts: Vec::new(), domain: None }
    }

    /// Returns the domain below which a bucket is a host of its own.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Returns the origins of a listener with these names, for URLs with this scheme.
    pub(crate) fn over(&self, scheme: &str) -> OwnOrigins<'_> {
        OwnOrigins { hosts: self, is_secure: scheme == "https" }
    }

    /// Checks whether no name is allowed.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.domain.is_none()
    }

    fn admits(&self, host: &Host<'_>) -> bool {
        // Browsers treat 0.0.0.0 as loopback but send no Fetch Metadata to it. No client has a reason to use it.
        let is_address = host.address().is_some_and(|address| !address.to_canonical().is_unspecified());
        is_address || host.is_loopback() || self.names(host.name())
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

/// The origins of a listener's own pages: the names that it answers to, and whether its URLs begin with `https`. If that is not
/// known, they may nevertheless: something in front of Scopegate may end TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnOrigins<'h> {
    pub(crate) hosts: &'h AllowedHosts,
    is_secure: bool,
}

/// The pages whose requests a mapping serves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pages<'m> {
    /// The rules for pages of other origins.
    pub cors: Option<&'m Cors>,
    /// Whether browsers remember the login or the certificate of the mapping's clients, and add it to every request that
    /// any page sends.
    pub with_remembered_login: bool,
}

/// Checks that a request was not sent by a page of another site, unless the mapping's CORS rules name that site, and
/// that its response would not become a service worker. For a preflight, only the host is checked: [`preflight`]
/// answers it.
///
/// # Errors
/// When `Host` is not one of the listener's, when the request comes from another site, or when its response would
/// become a service worker.
pub(crate) fn check(own: OwnOrigins<'_>, pages: Pages<'_>, request: &Request) -> Result<(), Refusal> {
    let host = request.host();
    check_host(own.hosts, host.as_ref())?;
    if is_preflight(request) {
        return Ok(());
    }
    check_site(own, pages, host.as_ref(), &request.method, request.fields().iter())
}

/// Returns whether a browser may ask its user for a password in response to this request: the page in its address bar is
/// the listener's own. A page of another site, or of another port or name of this one, must not make it ask.
pub(crate) fn may_ask_for_password(own: OwnOrigins<'_>, request: &Request) -> bool {
    let signs = Signs::read(request.fields().iter());
    own.site(&signs, request.host().as_ref()) == Site::Own || signs.is_navigation()
}

/// Checks the fields of a request, from any HTTP implementation, like [`check`] without CORS rules.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_fields<'f>(
    allowed: &AllowedHosts,
    host: Option<Host<'_>>,
    method: &Method,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
) -> Result<(), Refusal> {
    check_host(allowed, host.as_ref())?;
    check_site(allowed.over("http"), Pages::default(), host.as_ref(), method, fields)
}

fn check_host(allowed: &AllowedHosts, host: Option<&Host<'_>>) -> Result<(), Refusal> {
    match host {
        Some(host) if !allowed.admits(host) => Err(foreign_host(host)),
        // HTTP/1.0 may leave it out. No browser speaks that.
        _ => Ok(()),
    }
}

impl OwnOrigins<'_> {
    fn site(self, signs: &Signs<'_>, host: Option<&Host<'_>>) -> Site {
        signs.site(host, self.is_secure, |name| self.hosts.names(name))
    }
}

fn check_site<'f>(
    own: OwnOrigins<'_>,
    pages: Pages<'_>,
    host: Option<&Host<'_>>,
    method: &Method,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
) -> Result<(), Refusal> {
    let signs = Signs::read(fields);
    if signs.is_service_worker() {
        let message = "objects are not served as service workers: a worker would outlive the object";
        return Err(Refusal::new(Rule::ServiceWorker, message));
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // Below a domain, each bucket is a host of the same site. The pages of one must not use a login at the others.
    let has_neighbours = pages.with_remembered_login && own.hosts.domain().is_some();
    let admitted = match own.site(&signs, host) {
        Site::Own => true,
        // Another port, or another name of the same listener: its pages may embed objects, which they cannot read.
        Site::Same if !has_neighbours => reads,
        // Following a link shows nothing to the page that has the link.
        Site::Same | Site::Other => reads && signs.is_navigation(),
    };
    if admitted || pages.cors.is_some_and(|cors| cors.admits(&signs, method)) {
        return Ok(());
    }
    let from = signs.said().map(|said| format!(" ({said})")).unwrap_or_default();
    let message = format!("requests sent by a page of another site are refused{from}");
    let help =
        "if pages of that site may send it, add their origin and the method to [mapping.cors] of the mapping";
    Err(Refusal::new(Rule::CrossSite, message).with_help(help))
}

fn foreign_host(host: &Host<'_>) -> Refusal {
    let message = format!(
        "this service does not answer to the host {:?}: use its address or one of its names",
        String::from_utf8_lossy(host.name())
    );
    Refusal::new(Rule::ForeignHost, message)
}

#[cfg(test)]
mod tests;
