//! The settings of traces as types.

use crate::net::connect::FollowedTls;
use crate::net::endpoint::Endpoint;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::time::Duration;

/// The settings of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Where they are sent.
    pub(crate) collector: Collector,
    /// Which requests are traced.
    pub(crate) sampling: Sampling,
    /// The name of this service in traces.
    pub(crate) service_name: Box<str>,
    /// Whether the store learns of traces.
    pub(crate) propagate: bool,
    /// The largest number of requests whose spans wait to be sent.
    pub(crate) queue: usize,
}

/// The collector of traces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Collector {
    pub(crate) endpoint: Endpoint,
    pub(crate) target: PathAndQuery,
    pub(crate) tls: FollowedTls,
    /// A header that authorises this process. Its value is marked as sensitive.
    pub(crate) authorization: Option<(HeaderName, HeaderValue)>,
    /// The time for one attempt.
    pub(crate) timeout: Duration,
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// The fraction of the requests without a parent.
    pub(crate) fraction: f64,
    /// The traces of clients that are continued in each second. `None` ignores their traces.
    pub(crate) parents: Option<u64>,
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.endpoint, self.target)
    }
}
