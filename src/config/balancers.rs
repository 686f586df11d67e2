//! Reads `proxy_protocol` and `forwarded` of a listener: which load balancers may say whose connections and requests they
//! pass on.

use super::accounts::is_provable;
use super::reader::{At, Reader};
use super::schema::{FORWARDED, PROXY_PROTOCOL};
use super::source::Span;
use super::table::Table;
use super::value::parse_network;
use super::{Environment, ListenAddress, ProxyProtocol};
use crate::identify::forwarded::ForwardedHeaders;
use crate::identify::peers::TrustedPeers;
use http::HeaderName;
use ipnet::IpNet;
use proxy_protocol::{Version, Versions};

/// Maximum number of networks and users in `from`.
const MAX_PEERS: usize = 10_000;

/// Headers that tell something else than where a request comes from.
const OTHERS: [&str; 12] = [
    "authorization",
    "connection",
    "cookie",
    "date",
    "expect",
    "host",
    "origin",
    "range",
    "referer",
    "te",
    "transfer-encoding",
    "user-agent",
];

/// Reads `proxy_protocol`. Returns `None` if it has a mistake.
pub(super) fn read_proxy_protocol(
    listener: &Table<'_>,
    address: Option<&ListenAddress>,
    environment: &dyn Environment,
) -> Option<ProxyProtocol> {
    let table = listener.table("proxy_protocol", &PROXY_PROTOCOL);
    let peers = Peers { listener: address, may_name_hops: false, environment };
    let from = peers.read(&table);
    table.require(
        "versions",
        "write those that the load balancer sends: versions = [\"v2\"], or [\"v1\", \"v2\"]",
    );
    let versions = read_versions(&table);
    table.finish();
    Some(ProxyProtocol { from: from?, versions: versions? })
}

fn read_versions(table: &Table<'_>) -> Option<Versions> {
    let list = table.strings("versions")?;
    let read = |text: &At<&str>| match text.value {
        "v1" => Some(Version::V1),
        "v2" => Some(Version::V2),
        _ => {
            table.reader().wrong(*text, "is not a version of the PROXY protocol", "write \"v1\" or \"v2\"");
            None
        }
    };
    // Collected first, so that every mistake is noted.
    let versions: Vec<Option<Version>> = list.value.iter().map(read).collect();
    let versions: Vec<Version> = versions.into_iter().collect::<Option<_>>()?;
    match *versions {
        [only] => Some(Versions::Only(only)),
        [one, other] if one != other => Some(Versions::Both),
        [] => {
            table.reader().error(list.span, "versions is empty", "write \"v1\", \"v2\" or both");
            None
        }
        _ => {
            table.reader().error(list.span, "a version is listed twice", "remove one");
            None
        }
    }
}

/// Reads `forwarded`. Returns `None` if it has a mistake.
pub(super) fn read_forwarded(
    listener: &Table<'_>,
    address: Option<&ListenAddress>,
    environment: &dyn Environment,
) -> Option<ForwardedHeaders> {
    let table = listener.table("forwarded", &FORWARDED);
    let peers = Peers { listener: address, may_name_hops: true, environment };
    let from = peers.read(&table);
    table.require("header", "write the header that the load balancer sets: header = \"X-Forwarded-For\"");
    let address = read_header(&table, "header");
    let scheme = table.span_of("scheme").map(|_| read_header(&table, "scheme").ok_or(())).transpose();
    if let (Some(one), Ok(Some(other))) = (&address, &scheme)
        && one == other
    {
        let help =
            "header names the client's address, and scheme whether it used TLS, as X-Forwarded-Proto does";
        table.reader().error(table.span_of("scheme"), "header and scheme are the same header", help);
        return None;
    }
    table.finish();
    Some(ForwardedHeaders { address: address?, scheme: scheme.ok()?, from: from? })
}

fn read_header(table: &Table<'_>, key: &'static str) -> Option<Box<str>> {
    table.parsed(key, "is not a header that a load balancer can set", |text| {
        let name = HeaderName::from_bytes(text.as_bytes())
            .map_err(|_| "write the name of a header without a colon, such as \"X-Forwarded-For\"")?;
        let name = name.as_str();
        if name == "forwarded" {
            return Err(
                "Forwarded (RFC 7239) is written in another way: let the load balancer set X-Forwarded-For",
            );
        }
        if OTHERS.contains(&name)
            || ["content-", "if-", "sec-", "x-amz-"].iter().any(|start| name.starts_with(start))
        {
            return Err("this header tells something else: write one that only the load balancer sets");
        }
        Ok(name.into())
    })
}

/// How the `from` of a listener is read.
struct Peers<'e> {
    /// The listener's address, if it has no mistake.
    listener: Option<&'e ListenAddress>,
    /// Whether networks at a unix socket mean further load balancers, through which the request came.
    may_name_hops: bool,
    environment: &'e dyn Environment,
}

impl Peers<'_> {
    fn read(&self, table: &Table<'_>) -> Option<TrustedPeers> {
        let reader = table.reader();
        let example = if self.is_unix() { "from = [\"uid:1000\"]" } else { "from = [\"10.0.0.0/8\"]" };
        table.require("from", format!("write the peers that are load balancers: {example}"));
        let list = table.strings("from")?;
        let count = list.value.len();
        if !(1..=MAX_PEERS).contains(&count) {
            let message = format!("from has {count} entries; 1 to {MAX_PEERS} are allowed");
            reader.error(list.span, message, format!("write the peers that are load balancers: {example}"));
            return None;
        }
        let (mut networks, mut users, mut failed) = (Vec::new(), Vec::new(), false);
        for text in list.value {
            match text.value.strip_prefix("uid:") {
                Some(user) => match self.read_user(text, user, reader) {
                    Some(user) => users.push(user),
                    None => failed = true,
                },
                None => match self.read_network(text, reader) {
                    Some(network) => networks.push(network),
                    None => failed = true,
                },
            }
        }
        if self.is_unix() && users.is_empty() && !failed {
            let message = "from names no user, and the peers of a unix socket have no address";
            reader.error(list.span, message, "add the user of the load balancer: \"uid:1000\"");
            return None;
        }
        let peers = TrustedPeers::new(&networks, users);
        warn_of_everyone(&peers, list.span, reader);
        (!failed).then_some(peers)
    }

    fn is_unix(&self) -> bool {
        matches!(self.listener, Some(ListenAddress::Unix(_)))
    }

    fn read_network(&self, text: At<&str>, reader: &Reader<'_>) -> Option<IpNet> {
        if self.is_unix() && !self.may_name_hops {
            reader.wrong(
                text,
                "is not a peer of a unix socket",
                "write the user of the load balancer: \"uid:1000\"",
            );
            return None;
        }
        text.parse_with(reader, "is not a network", parse_network)
    }

    fn read_user(&self, text: At<&str>, user: &str, reader: &Reader<'_>) -> Option<u32> {
        if matches!(self.listener, Some(ListenAddress::Tcp(_))) {
            let help = "write a network, such as \"10.0.0.0/8\", or let the listener be a unix socket";
            reader.wrong(text, "is for unix sockets", help);
            return None;
        }
        let is_number = user.bytes().all(|byte| byte.is_ascii_digit());
        let found = if is_number { user.parse().ok() } else { self.environment.user(user).ok() };
        let found = found.filter(|id| is_provable(*id));
        if found.is_none() {
            reader.wrong(
                text,
                "is not a user that a peer can prove to be",
                "write the number or the name of a user: \"uid:1000\"",
            );
        }
        found
    }
}

/// Warns about peers that include everyone.
fn warn_of_everyone(peers: &TrustedPeers, span: Span, reader: &Reader<'_>) {
    if peers.networks().networks().iter().any(|network| network.prefix_len() == 0) {
        let message =
            "from contains every address: every client that reaches the listener can claim any address";
        let help = "write the addresses of the load balancers alone";
        reader.warn(span, message, help);
    }
}

#[cfg(test)]
mod tests;
