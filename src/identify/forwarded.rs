//! The headers by which load balancers that speak HTTP say whose request they pass on, such as `X-Forwarded-For`.

use crate::identify::client::{Client, Connection, Source};
use crate::identify::peers::TrustedPeers;
use crate::refusal::{Refusal, Rule};
use http1::{Fields, visible};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The maximum number of addresses in the header of a request.
const MAX_ENTRIES: usize = 32;

/// The headers of a listener that name the client, and the peers that may send them. From all others they mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedHeaders {
    /// The header with the addresses that the request came through, in lower case.
    pub address: Box<str>,
    /// The header with the scheme that the client used, in lower case, if there is one.
    pub scheme: Option<Box<str>>,
    /// The load balancers.
    pub from: TrustedPeers,
}

impl ForwardedHeaders {
    /// Returns the client of a request that arrived on a connection.
    ///
    /// # Errors
    /// When a load balancer sent a header that does not tell the client.
    pub fn client<'c>(&self, connection: &'c Connection, fields: &Fields) -> Result<Client<'c>, Refusal> {
        let client = Client::of_connection(connection);
        if !self.from.trust_sender(connection) {
            return Ok(client);
        }
        let client = match self.address_in(fields)? {
            Some(address) => client.forwarded(address),
            None => client,
        };
        Ok(match self.scheme_in(fields)? {
            Some(scheme) => client.over_scheme(scheme),
            None => client,
        })
    }

    /// Returns the client's address: from the right, the first that is not a load balancer's. Everything to its left is what
    /// the client itself claims.
    fn address_in(&self, fields: &Fields) -> Result<Option<IpAddr>, Refusal> {
        let lines: Vec<&[u8]> = fields.all(&self.address).collect();
        let count = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).count();
        if count > MAX_ENTRIES {
            let message =
                format!("{} has {count} addresses: at most {MAX_ENTRIES} are accepted", self.address);
            return Err(Refusal::new(Rule::BadForwarded, message));
        }
        let mut found = None;
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            let address = parse(entry.trim_ascii()).ok_or_else(|| self.not_an_address(entry))?;
            found = Some(address);
            if !self.from.trust_address(address) {
                break;
            }
        }
        Ok(found)
    }

    fn not_an_address(&self, entry: &[u8]) -> Refusal {
        let shown: String = String::from_utf8_lossy(entry.trim_ascii()).chars().take(60).collect();
        let message =
            format!("{} holds {shown:?}, which is not an address with an optional port", self.address);
        Refusal::new(Rule::BadForwarded, message)
    }

    fn scheme_in(&self, fields: &Fields) -> Result<Option<&'static str>, Refusal> {
        let Some(name) = &self.scheme else { return Ok(None) };
        let mut values = fields.all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(b"http"), None) => Ok(Some("http")),
            (Some(b"https"), None) => Ok(Some("https")),
            _ => {
                let message = format!("{name} is neither \"http\" nor \"https\"");
                Err(Refusal::new(Rule::BadForwarded, message))
            }
        }
    }
}

/// Returns the client of a request at a listener with these headers, if it has any.
///
/// # Errors
/// When a load balancer sent a header that does not tell the client, or connects on its own behalf: a health check
/// belongs to no client.
pub(crate) fn client_of<'c>(
    headers: Option<&ForwardedHeaders>,
    connection: &'c Connection,
    fields: &Fields,
) -> Result<Client<'c>, Refusal> {
    if connection.source() == Source::Unknown {
        let message = "this connection names no client: the load balancer made it on its own behalf";
        let help = "a health check may expect status 403, or ask /readyz of the admin listener instead";
        return Err(Refusal::new(Rule::NoMapping, message).with_help(help));
    }
    headers
        .map_or_else(|| Ok(Client::of_connection(connection)), |headers| headers.client(connection, fields))
}

/// Parses an address with an optional port. An IPv6 address with a port is in brackets.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = visible(entry)?;
    let v6 = |text: &str| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let v4 = |text: &str| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    let address = if let Some(rest) = entry.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let is_valid = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        v6(inner).filter(|_| is_valid)
    } else if let Some((address, port)) = entry.split_once(':').filter(|(_, port)| !port.contains(':')) {
        v4(address).filter(|_| is_port(port))
    } else {
        v4(entry).or_else(|| v6(entry))
    };
    address.map(|address| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::client::tests::{connection, listener};
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn headers() -> ForwardedHeaders {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        ForwardedHeaders {
            address: "x-forwarded-for".into(),
            scheme: Some("x-forwarded-proto".into()),
            from: TrustedPeers::new(&networks, vec![1000]),
        }
    }

    fn fields(lines: &[(&str, &[u8])]) -> Fields {
        let field = |(name, value): &(&str, &[u8])| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap())
        };
        lines.iter().map(field).collect()
    }

    /// Returns the address that these lines name, sent by a load balancer.
    fn told(lines: &[&str]) -> Result<Option<String>, Rule> {
        let lines: Vec<(&str, &[u8])> =
            lines.iter().map(|line| ("x-forwarded-for", line.as_bytes())).collect();
        let balancer = connection(Some("10.0.0.1"), listener("main"));
        let client = headers().client(&balancer, &fields(&lines)).map_err(|refusal| refusal.rule)?;
        assert_eq!(client.connection().peer_address(), balancer.peer_address());
        Ok(client
            .address()
            .filter(|address| *address != IpAddr::from([10, 0, 0, 1]))
            .map(|it| it.to_string()))
    }

    #[test]
    fn the_client_is_the_first_address_from_the_right_that_is_no_load_balancer() {
        for (lines, client) in [
            (&["203.0.113.9"][..], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9"], Some("203.0.113.9")),
            (&["1.1.1.1,203.0.113.9"], Some("203.0.113.9")),
            (&["1.1.1.1 \t,\t 203.0.113.9 "], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9, 10.0.0.2, fd00::7"], Some("203.0.113.9")),
            (&["1.1.1.1", "203.0.113.9", "10.0.0.2"], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9", "10.0.0.3, 10.0.0.2"], Some("203.0.113.9")),
            (&["10.0.0.9, 10.0.0.2"], Some("10.0.0.9")),
            (&["203.0.113.9:51234"], Some("203.0.113.9")),
            (&["2001:db8::9"], Some("2001:db8::9")),
            (&["[2001:db8::9]"], Some("2001:db8::9")),
            (&["[2001:DB8::9]:51234"], Some("2001:db8::9")),
            (&["::ffff:203.0.113.9"], Some("203.0.113.9")),
            (&["203.0.113.9, ::ffff:10.0.0.2"], Some("203.0.113.9")),
            (&["203.0.113.9, [fd00::1]:80, 10.0.0.2:80"], Some("203.0.113.9")),
            // What the client claims is not read.
            (&["unknown, _x, , 1.1.1.1%, 203.0.113.9"], Some("203.0.113.9")),
            (&["unknown", "", "203.0.113.9"], Some("203.0.113.9")),
            (&[], None),
        ] {
            assert_eq!(told(lines), Ok(client.map(ToOwned::to_owned)), "{lines:?}");
        }
    }

    #[test]
    fn an_entry_that_is_no_address_is_refused_before_the_client_is_found() {
        for entry in [
            "",
            " ",
            "unknown",
            "_x",
            "_gazonk:1",
            "a.test",
            "203.0.113",
            "203.0.113.9.1",
            "0203.0.113.9",
            "203.0.113.9:",
            "203.0.113.9:x",
            "203.0.113.9:+1",
            "203.0.113.9:65536",
            "203.0.113.9/32",
            "203.0.113.9 1.1.1.1",
            "203.0.113.9;1.1.1.1",
            "[203.0.113.9]",
            "[2001:db8::9",
            "2001:db8::9]",
            "[2001:db8::9]x",
            "[2001:db8::9]:",
            "[2001:db8::9]:65536",
            "fe80::1%eth0",
            "[fe80::1%eth0]",
            "\"203.0.113.9\"",
            "for=203.0.113.9",
        ] {
            for lines in [&[entry][..], &["203.0.113.9", entry, "10.0.0.2"], &["203.0.113.9", entry]] {
                assert_eq!(told(lines), Err(Rule::BadForwarded), "{lines:?}");
            }
            let one_line = format!("203.0.113.9, {entry}, 10.0.0.2");
            assert_eq!(told(&[&one_line]), Err(Rule::BadForwarded), "{one_line}");
            assert_eq!(told(&[entry, "203.0.113.9"]), Ok(Some("203.0.113.9".into())), "{entry}");
        }
        assert!(parse(b"203.0.113.9\xff").is_none());
    }

    #[test]
    fn at_most_32_entries_are_accepted() {
        let lines = |count| vec!["10.0.0.2"; count].join(",");
        assert_eq!(told(&[&lines(31), "203.0.113.9"]), Ok(Some("203.0.113.9".into())));
        assert_eq!(told(&[&lines(32), "203.0.113.9"]), Err(Rule::BadForwarded));
        assert_eq!(told(&["203.0.113.9", &lines(32)]), Err(Rule::BadForwarded));
        assert_eq!(told(&[&",".repeat(32)]), Err(Rule::BadForwarded));
    }

    #[test]
    fn others_cannot_choose_their_address() {
        use crate::identify::client::PeerUser;
        let said = fields(&[("x-forwarded-for", b"203.0.113.9"), ("x-forwarded-proto", b"https")]);
        let malformed = fields(&[("x-forwarded-for", b"unknown"), ("x-forwarded-proto", b"x")]);
        let claimed: IpAddr = "203.0.113.9".parse().unwrap();
        let tcp = |address| connection(Some(address), listener("main"));
        let unix = |uid| Connection::unix(Some(PeerUser { uid, gid: 0 }), listener("main"));
        let proxied = |address: &str| Source::Proxied(address.parse().unwrap());
        for (connection, is_trusted) in [
            (tcp("10.0.0.1"), true),
            (tcp("11.0.0.1"), false),
            (tcp("127.0.0.1"), false),
            (unix(1000), true),
            (unix(1001), false),
            (tcp("11.0.0.1").from_source(proxied("10.0.0.1")), true),
            (tcp("10.0.0.1").from_source(proxied("11.0.0.1")), false),
        ] {
            let client = headers().client(&connection, &said).unwrap();
            let address = if is_trusted { Some(claimed) } else { connection.address() };
            let scheme = if is_trusted { "https" } else { "http" };
            assert_eq!((client.address(), client.scheme()), (address, scheme), "{connection:?}");
            assert_eq!(headers().client(&connection, &malformed).is_err(), is_trusted, "{connection:?}");
            assert_eq!(client_of(None, &connection, &said).unwrap().address(), connection.address());
        }
    }

    #[test]
    fn a_health_check_is_no_client_whatever_its_headers_say() {
        let check = connection(Some("10.0.0.1"), listener("main")).from_source(Source::Unknown);
        let said = fields(&[("x-forwarded-for", b"203.0.113.9")]);
        for headers in [None, Some(&headers())] {
            assert_eq!(client_of(headers, &check, &said).unwrap_err().rule, Rule::NoMapping);
        }
    }

    #[test]
    fn the_scheme_is_http_or_https() {
        let balancer = connection(Some("10.0.0.1"), listener("main"));
        let scheme = |lines: &[&[u8]]| {
            let lines: Vec<(&str, &[u8])> = lines.iter().map(|line| ("x-forwarded-proto", *line)).collect();
            headers().client(&balancer, &fields(&lines)).map(|client| client.scheme()).map_err(|it| it.rule)
        };
        assert_eq!(
            (scheme(&[b"https"]), scheme(&[b"http"]), scheme(&[])),
            (Ok("https"), Ok("http"), Ok("http"))
        );
        for bad in [&[&b"ftp"[..]][..], &[b"HTTPS"], &[b""], &[b"https, http"], &[b"https", b"http"]] {
            assert_eq!(scheme(bad), Err(Rule::BadForwarded), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_read_in_every_form(ip in any::<IpAddr>(), port in any::<u16>()) {
            let plain = ip.to_string();
            let with_port = std::net::SocketAddr::new(ip, port).to_string();
            for text in [plain, with_port] {
                prop_assert_eq!(parse(text.as_bytes()), Some(ip.to_canonical()), "{}", text);
            }
        }

        #[test]
        fn no_header_panics(value in "[0-9a-f.:,\\[\\] %_-]{0,80}") {
            let _ = told(&[&value]);
        }
    }
}
