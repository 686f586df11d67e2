//! Requests.

use super::host::HostOffsets;
use super::{Fields, Host, Malformed, Reason, Repeated};
use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Version};

/// A request without its body.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and query, or `*`.
    pub target: PathAndQuery,
    /// The version of HTTP that it arrived in, for logs: its meaning is the same in all.
    pub version: Version,
    fields: Fields,
    host: Option<HostOffsets>,
}

impl Request {
    /// Makes a request of HTTP/1.1.
    ///
    /// # Errors
    /// When `Host` is repeated or not a host. It may be missing.
    pub fn new(method: Method, target: PathAndQuery, fields: Fields) -> Result<Self, Malformed> {
        let host = fields.only(HOST.as_str());
        let host = host.map_err(|Repeated| Malformed::new(Reason::InvalidHost, ONE_HOST))?;
        let host = host.map(read_host).transpose()?;
        Ok(Self { method, target, version: Version::HTTP_11, fields, host })
    }

    /// Returns the fields. `Host` occurs at most once, is valid, and is the host of the target if that names one.
    #[inline]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Returns the request with other fields, whose `Host` must be the same.
    #[must_use]
    pub fn with_fields(&self, fields: Fields) -> Self {
        Self {
            method: self.method.clone(),
            target: self.target.clone(),
            version: self.version,
            fields,
            host: self.host,
        }
    }

    /// Returns whether it says which host it is for.
    #[inline]
    pub(crate) fn has_host(&self) -> bool {
        self.host.is_some()
    }

    /// Returns the host that the request is for, which HTTP/1.0 may leave out.
    #[inline]
    pub fn host(&self) -> Option<Host<'_>> {
        Host::at_offsets(self.fields.get(HOST.as_str())?, self.host?)
    }

    /// Replaces `Host` by the host of the target.
    pub(crate) fn set_host(&mut self, authority: Bytes) -> Result<(), Malformed> {
        let no_host = |_| Malformed::new(Reason::InvalidHost, "the target names an invalid host");
        self.host = Some(read_host(&authority)?);
        self.fields.insert(HOST, HeaderValue::from_maybe_shared(authority).map_err(no_host)?);
        Ok(())
    }
}

fn read_host(text: &[u8]) -> Result<HostOffsets, Malformed> {
    Host::parse(text).map(|host| host.offsets()).map_err(|why| Malformed::new(Reason::InvalidHost, why))
}

pub(crate) const ONE_HOST: &str = "a request must have exactly one Host header";
