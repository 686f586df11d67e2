//! Endpoints: the addresses of the store's nodes and of its STS.

use std::fmt;

/// A base URL without a path: `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    tls: bool,
    host: Box<str>,
    port: u16,
}

impl Endpoint {
    /// Reads a URL. The port defaults to 80 or 443.
    ///
    /// # Errors
    /// Returns what is wrong and how to correct it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: http::Uri = url.parse().map_err(|_| "not a URL: write it as http://host:9000")?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("an endpoint begins with http:// or https://"),
        };
        let authority = uri.authority().ok_or("an endpoint names a host, as in http://host:9000")?;
        if authority.as_str().contains('@') {
            return Err("an endpoint holds no user or password: keys belong in [issuer]");
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("an endpoint has no path: write http://host:9000 alone");
        }
        let port = match authority.port() {
            None if authority.as_str().ends_with(':') => {
                return Err("an endpoint's port is missing after ':'");
            }
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.as_u16(),
        };
        if authority.host().is_empty() || port == 0 {
            return Err("an endpoint names a host and a port other than 0");
        }
        Ok(Self { tls, host: authority.host().into(), port })
    }

    /// Returns whether it uses TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Returns the host's name or address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of `Host`, without a port that is the scheme's default (RFC 9110, section 4.2.3).
    pub fn authority(&self) -> String {
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// A node's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeIndex(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let cases = [
            ("http://127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1", 9000),
            ("http://minio.example/", "minio.example", "minio.example", 80),
            ("https://minio.example", "minio.example", "minio.example", 443),
            ("https://minio.example:80", "minio.example:80", "minio.example", 80),
            ("http://[::1]:9000", "[::1]:9000", "::1", 9000),
        ];
        for (url, authority, host, port) in cases {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(
                (&*endpoint.authority(), endpoint.host(), endpoint.port()),
                (authority, host, port),
                "{url}"
            );
        }
        for bad in [
            "",
            "127.0.0.1:9000",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://u:p@a",
            "http://",
            "http://a:0",
            "http://a:",
            // Logs show endpoints without escapes.
            "http://a\"b:9000",
            "http://a\\b:9000",
            "http://a\u{7}b:9000",
            "http://\u{e9}:9000",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
