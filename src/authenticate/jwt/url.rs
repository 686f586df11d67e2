//! URLs of key sets and discovery documents.

use crate::net::endpoint::Endpoint;
use http::Uri;
use std::fmt;
use std::net::IpAddr;

/// The path of a discovery document below its issuer (`OpenID` Connect Discovery, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
const PLAIN: &str = "plain HTTP is for loopback addresses only: everyone who can change the response can forge tokens. \
                     Write https://";

/// The URL of a document. It uses TLS, or its host is a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyUrl {
    endpoint: Endpoint,
    target: Box<str>,
}

impl KeyUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Returns what is wrong and how to correct it.
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        let help = "write a URL such as https://id.example.test/keys";
        if url.contains('#') || !url.is_ascii() {
            return Err(help);
        }
        let uri: Uri = url.parse().map_err(|_| help)?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or(help)?;
        if authority.as_str().contains('@') {
            return Err("the URL holds a user or password: name a file with a bearer token in bearer_file");
        }
        let endpoint = Endpoint::parse(&format!("{scheme}://{authority}")).map_err(|_| help)?;
        if !endpoint.tls() && !is_loopback(endpoint.host()) {
            return Err(PLAIN);
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self { endpoint, target: target.into() })
    }

    /// Returns the URL of the discovery document of `issuer`.
    ///
    /// # Errors
    /// Returns what is wrong and how to correct it.
    pub(crate) fn of_discovery(issuer: &str) -> Result<Self, &'static str> {
        if issuer.contains('?') {
            return Err("discovery needs an issuer that is a URL without a query; name the keys in jwks");
        }
        Self::parse(&format!("{}{WELL_KNOWN}", issuer.strip_suffix('/').unwrap_or(issuer)))
    }

    /// Returns the URL that a redirect from this one names, if it has the same origin.
    pub(super) fn redirected(&self, location: &str) -> Option<Self> {
        let next = if location.starts_with('/') && !location.starts_with("//") {
            Self::parse(&format!("{}{location}", self.endpoint)).ok()?
        } else {
            Self::parse(location).ok()?
        };
        self.has_origin_of(&next).then_some(next)
    }

    /// Returns whether both have the same scheme, host and port.
    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
    }

    /// Returns whether a document at this URL may name `other`: not if that gives up TLS.
    pub(super) fn may_name(&self, other: &Self) -> bool {
        other.endpoint.tls() || !self.endpoint.tls()
    }

    /// Returns the endpoint.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the path and query.
    pub(super) fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.endpoint, self.target)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_use_tls_or_a_loopback_address() {
        for (url, shown) in [
            ("https://id.example.test/keys?a=b", "https://id.example.test/keys?a=b"),
            ("https://id.example.test", "https://id.example.test/"),
            ("http://127.0.0.1:81/keys", "http://127.0.0.1:81/keys"),
            ("http://[::1]:81/", "http://[::1]:81/"),
            ("http://localhost/", "http://localhost/"),
        ] {
            assert_eq!(KeyUrl::parse(url).map(|url| url.to_string()).as_deref(), Ok(shown), "{url}");
        }
        assert_eq!(KeyUrl::parse("http://id.example.test/keys"), Err(PLAIN));
        assert_eq!(KeyUrl::parse("http://localhost.example.test/"), Err(PLAIN));
        assert_eq!(KeyUrl::parse("http://10.0.0.1/"), Err(PLAIN));
        for bad in [
            "",
            "keys",
            "/keys",
            "ftp://a/",
            "https://u:p@a/",
            "https://a/#b",
            "https://a:0/",
            "https://é/",
            "file:///a",
        ] {
            assert!(KeyUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_discovery_document_is_below_the_issuer() {
        let of = |issuer| KeyUrl::of_discovery(issuer).unwrap().to_string();
        assert_eq!(of("https://a/"), "https://a/.well-known/openid-configuration");
        assert_eq!(of("https://a/realms/b"), "https://a/realms/b/.well-known/openid-configuration");
        assert!(KeyUrl::of_discovery("corp").is_err() && KeyUrl::of_discovery("https://a/?b").is_err());
    }

    #[test]
    fn redirects_stay_at_their_origin() {
        let url = KeyUrl::parse("https://a/keys").unwrap();
        let to = |location: &str| url.redirected(location).map(|next| next.to_string());
        assert_eq!(to("/other?x").as_deref(), Some("https://a/other?x"));
        assert_eq!(to("https://a/other").as_deref(), Some("https://a/other"));
        for away in
            ["https://b/keys", "http://a/keys", "//b/keys", "https://a:444/", "keys", "https://a@b/", ""]
        {
            assert_eq!(to(away), None, "{away}");
        }
    }

    #[test]
    fn documents_do_not_give_up_tls() {
        let [secure, plain] = ["https://a/", "http://127.0.0.1/"].map(|url| KeyUrl::parse(url).unwrap());
        assert!(secure.may_name(&secure) && plain.may_name(&secure) && plain.may_name(&plain));
        assert!(!secure.may_name(&plain));
    }
}
