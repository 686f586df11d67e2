//! A request.

use super::host::Measures;
use super::{Fields, Host, Malformed, Reason};
use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, or `*`.
    pub target: PathAndQuery,
    fields: Fields,
    host: Option<Measures>,
}

impl Request {
    /// A request with these fields.
    ///
    /// # Errors
    /// When `Host` is there, and is not one host.
    pub fn new(method: Method, target: PathAndQuery, fields: Fields) -> Result<Self, Malformed> {
        let mut hosts = fields.all(HOST.as_str());
        let host = match (hosts.next(), hosts.next()) {
            (None, _) => None,
            (Some(host), None) => Some(read_host(host)?),
            (Some(_), Some(_)) => return Err(Malformed::new(Reason::InvalidHost, ONE_HOST)),
        };
        drop(hosts);
        Ok(Self { method, target, fields, host })
    }

    /// Every field. `Host` is one host, if it is there, which the target named if it named one.
    #[inline]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The same request with other fields, of which `Host` is the same.
    #[must_use]
    pub fn with_fields(&self, fields: Fields) -> Self {
        Self { method: self.method.clone(), target: self.target.clone(), fields, host: self.host }
    }

    /// Returns the scheme by which the client reached the proxy, as URLs spell it. No listener speaks TLS.
    pub const fn scheme(&self) -> &'static str {
        "http"
    }

    /// The host that it is for, which HTTP/1.0 may leave out.
    #[inline]
    pub fn host(&self) -> Option<Host<'_>> {
        Host::measured(self.fields.get(HOST.as_str())?, self.host?)
    }

    pub(crate) fn is_for(&mut self, authority: Bytes) -> Result<(), Malformed> {
        let no_host = |_| Malformed::new(Reason::InvalidHost, "the target's host is not one");
        self.host = Some(read_host(&authority)?);
        self.fields.insert(HOST, HeaderValue::from_maybe_shared(authority).map_err(no_host)?);
        Ok(())
    }
}

fn read_host(text: &[u8]) -> Result<Measures, Malformed> {
    Host::parse(text).map(|host| host.measures()).map_err(|why| Malformed::new(Reason::InvalidHost, why))
}

pub(crate) const ONE_HOST: &str = "a request has exactly one Host header";
