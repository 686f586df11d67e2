//! A web page must not use a client's corner: the attacks that a browser would carry out for it.
//!
//! A proxy on loopback is reachable from every page that its user opens. A page of another site cannot make the
//! browser send a `Host` of its own choice, unless its own name resolves to this machine (DNS rebinding), and the
//! browser itself says when a request comes from another site (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>).

use crate::client::Client;
use crate::http1::{Host, Request};
use crate::refusal::{Refusal, Rule};
use http::Method;
use http::header::{HOST, ORIGIN};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The hosts that a listener answers to besides addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    hosts: Vec<Box<str>>,
    domain: Option<Box<str>>,
}

impl AllowedHosts {
    /// These names, and the domain with the buckets below it; all in lower case.
    pub fn new(hosts: Vec<Box<str>>, domain: Option<Box<str>>) -> Self {
        Self { hosts, domain }
    }

    /// No host.
    pub const fn none() -> Self {
        Self { hosts: Vec::new(), domain: None }
    }

    fn admits(&self, host: &Host<'_>, client: &Client) -> bool {
        let Some(from) = client.address() else { return true };
        if host.is_loopback() || self.names(host.name()) {
            return true;
        }
        // From elsewhere an address proves that no name was rebound; without any host configured, names pass too.
        !from.is_loopback() && (host.address().is_some() || (self.hosts.is_empty() && self.domain.is_none()))
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

/// Refuses what a page of another site had a browser send.
///
/// # Errors
/// When the host is none of ours, or the request comes from another site.
pub fn check(allowed: &AllowedHosts, client: &Client, request: &Request) -> Result<(), Refusal> {
    // HTTP/1.0, which no browser speaks, may leave it out.
    if let Some(host) = request.host()
        && !allowed.admits(&host, client)
    {
        let message = format!(
            "the host {:?} is not one of this listener's: ask for it by its address, or add the name to the \
             listener's hosts",
            String::from_utf8_lossy(host.name())
        );
        return Err(Refusal::new(Rule::ForeignHost, message));
    }
    if is_cross_site(request) {
        return Err(Refusal::new(
            Rule::CrossSite,
            "a page of another site may not have a browser send requests here",
        ));
    }
    Ok(())
}

/// Browsers ask before they send PUT or DELETE for another site (CORS, which is off here), but send forms unasked.
fn is_cross_site(request: &Request) -> bool {
    let fields = request.fields();
    if fields.all(SEC_FETCH_SITE).any(|site| site.eq_ignore_ascii_case(b"cross-site")) {
        return true;
    }
    if request.method != Method::POST {
        return false;
    }
    let Some(origin) = fields.get(ORIGIN.as_str()) else { return false };
    let of_origin = origin.split(|byte| *byte == b'/').next_back().unwrap_or_default();
    fields.get(HOST.as_str()).is_none_or(|host| !host.eq_ignore_ascii_case(of_origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ListenerId;
    use http::uri::PathAndQuery;
    use http::{HeaderName, HeaderValue};

    fn refused(
        from: Option<&str>,
        allowed: &AllowedHosts,
        method: &Method,
        fields: &[(HeaderName, &str)],
    ) -> Option<Rule> {
        let client = Client::identify(from.map(|address| address.parse().unwrap()), ListenerId(0));
        let fields = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        let request = Request::new(method.clone(), PathAndQuery::from_static("/"), fields.collect()).unwrap();
        check(allowed, &client, &request).err().map(|refusal| refusal.rule)
    }

    #[test]
    fn hosts() {
        let none = AllowedHosts::default();
        let some = AllowedHosts { hosts: vec!["s3.test".into()], domain: Some("b.test".into()) };
        let (local, remote) = (Some("127.0.0.1"), Some("10.0.0.9"));
        for (from, allowed, host, good) in [
            (local, &none, "127.0.0.1:8080", true),
            (local, &none, "localhost", true),
            (local, &none, "[::1]:80", true),
            (Some("::1"), &none, "LocalHost.:80", true),
            (local, &none, "evil.test", false),
            (local, &none, "10.0.0.1", false),
            (local, &none, "127.0.0.1.evil.test", false),
            (local, &some, "s3.test", true),
            (local, &some, "S3.TEST.:9", true),
            (local, &some, "b.test", true),
            (local, &some, "tmp.b.test:80", true),
            (local, &some, "evilb.test", false),
            (local, &some, "s3.test.evil.test", false),
            (remote, &none, "evil.test", true),
            (remote, &some, "evil.test", false),
            (remote, &some, "10.0.0.1:80", true),
            (None, &none, "anything", true),
        ] {
            let rule = refused(from, allowed, &Method::GET, &[(HOST, host)]);
            assert_eq!(rule, (!good).then_some(Rule::ForeignHost), "{from:?} {host}");
        }
        assert_eq!(refused(local, &none, &Method::GET, &[]), None);
    }

    #[test]
    fn sites() {
        let none = AllowedHosts::default();
        let site = || HeaderName::from_static("sec-fetch-site");
        let here = (HOST, "localhost:8080");
        for (method, fields, good) in [
            (Method::GET, vec![(site(), "cross-site")], false),
            (Method::PUT, vec![(site(), "Cross-Site")], false),
            (Method::GET, vec![(site(), "same-origin")], true),
            (Method::GET, vec![(site(), "same-origin"), (site(), "cross-site")], false),
            (Method::GET, vec![(site(), "none")], true),
            (Method::GET, vec![(ORIGIN, "https://evil.test")], true),
            (Method::PUT, vec![(ORIGIN, "https://evil.test")], true),
            (Method::POST, vec![(ORIGIN, "https://evil.test")], false),
            (Method::POST, vec![(ORIGIN, "null")], false),
            (Method::POST, vec![(ORIGIN, "http://localhost:8080")], true),
            (Method::POST, vec![], true),
        ] {
            let fields = [vec![here.clone()], fields].concat();
            let rule = refused(Some("127.0.0.1"), &none, &method, &fields);
            assert_eq!(rule, (!good).then_some(Rule::CrossSite), "{method} {fields:?}");
        }
    }
}
