//! Clients: facts about a connection, and the identity of the client that sends a request over it.

mod listener;

pub use listener::ListenerRegistry;
pub(crate) use listener::{ClientCertificates, ListenerFacts, ListenerId, ListenerName, ListenerRef};

use crate::identify::certificate::Certificate;
use crate::identify::identity::Identity;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Facts about an accepted connection. They hold for all its requests and are known before the first.
///
/// They are not an identity: several clients may send requests over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    peer: Peer,
    source: Source,
    tls: Option<Arc<Tls>>,
    listener: ListenerRef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Tcp(IpAddr),
    /// A unix socket, with the user of the peer if the kernel reports it.
    Unix(Option<PeerUser>),
}

/// The user of the process that connected to a unix socket (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUser {
    /// The user id.
    pub uid: u32,
    /// The id of the primary group.
    pub gid: u32,
}

/// The origin of a connection: the peer itself, or what a load balancer in front says in a PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The peer is the client.
    #[default]
    Peer,
    /// A PROXY header names this address.
    Proxied(IpAddr),
    /// A PROXY header names no address: `LOCAL` or `UNKNOWN`. No network contains such a client.
    Unknown,
}

/// Facts about a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The version, as logs show it: `1.2` or `1.3`.
    pub version: &'static str,
    /// The server name that the client asked for (SNI), in lower case.
    pub server_name: Option<Box<str>>,
    /// The client certificate, which an authority of the listener vouches for.
    pub certificate: Option<Arc<Certificate>>,
}

impl Connection {
    /// Describes a TCP connection from `address`.
    pub fn tcp(address: IpAddr, listener: ListenerRef) -> Self {
        // A dual-stack socket reports the IPv4 client a.b.c.d as ::ffff:a.b.c.d.
        Self::new(Peer::Tcp(address.to_canonical()), listener)
    }

    /// Describes a connection to a unix socket from a process of `user`, where the kernel reports one.
    pub fn unix(user: Option<PeerUser>, listener: ListenerRef) -> Self {
        Self::new(Peer::Unix(user), listener)
    }

    fn new(peer: Peer, listener: ListenerRef) -> Self {
        Self { peer, source: Source::Peer, tls: None, listener }
    }

    /// Adds what a PROXY header says.
    #[must_use]
    pub fn from_source(self, source: Source) -> Self {
        let source = match source {
            Source::Proxied(address) => Source::Proxied(address.to_canonical()),
            other => other,
        };
        Self { source, ..self }
    }

    /// Adds what a TLS handshake showed.
    #[must_use]
    pub fn over_tls(self, tls: Tls) -> Self {
        Self { tls: Some(Arc::new(tls)), ..self }
    }

    /// Returns the address of a TCP peer, which is a load balancer if there is one in front.
    pub fn peer_address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Tcp(address) => Some(address),
            Peer::Unix(_) => None,
        }
    }

    /// Returns the peer, as logs show it: its address, or `unix`.
    pub fn peer(&self) -> impl fmt::Display {
        self.peer
    }

    /// Returns the address that the connection comes from: that of a PROXY header, or of the TCP peer.
    pub fn address(&self) -> Option<IpAddr> {
        match self.source {
            Source::Peer => self.peer_address(),
            Source::Proxied(address) => Some(address),
            Source::Unknown => None,
        }
    }

    /// Returns what a PROXY header says.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns the user at the other end of a unix socket.
    pub fn user(&self) -> Option<PeerUser> {
        match self.peer {
            Peer::Tcp(_) => None,
            Peer::Unix(user) => user,
        }
    }

    /// Returns the facts about TLS. `None` for a plain connection.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_deref()
    }

    /// Returns the client certificate.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.tls.as_deref()?.certificate.as_ref()
    }

    /// Returns the scheme of URLs that reach the proxy over such a connection.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Returns whether nobody on the network between the peer and this process can read or change what is sent: TLS, a
    /// unix socket or loopback.
    pub fn is_confidential(&self) -> bool {
        self.tls.is_some() || self.peer_address().is_none_or(|address| address.is_loopback())
    }

    /// Returns the listener that accepted the connection.
    pub fn listener(&self) -> &ListenerRef {
        &self.listener
    }

    /// Returns the key under which the connection and its memory are counted.
    pub fn key(&self) -> ClientKey {
        match (self.address(), self.peer) {
            (Some(address), _) | (None, Peer::Tcp(address)) => ClientKey::of_address(address),
            (None, Peer::Unix(user)) => ClientKey::User(user.map(|user| user.uid)),
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            Source::Proxied(address) => address.fmt(f),
            Source::Peer | Source::Unknown => self.peer.fmt(f),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(_) => f.write_str("unix"),
        }
    }
}

/// The client that sends a request: its connection, its address if a load balancer forwarded the request, and the
/// identity that the request's credentials prove.
#[derive(Clone, Debug)]
pub struct Client<'c> {
    connection: &'c Connection,
    /// The address that a trusted load balancer's header names.
    forwarded: Option<IpAddr>,
    /// The scheme that a trusted load balancer's header names.
    scheme: Option<&'static str>,
    identity: Option<Arc<Identity>>,
}

impl<'c> Client<'c> {
    /// Returns the client as far as the connection alone identifies it.
    pub fn of_connection(connection: &'c Connection) -> Self {
        Self { connection, forwarded: None, scheme: None, identity: None }
    }

    /// Returns a client that proved this identity over the connection.
    pub fn proved(connection: &'c Connection, identity: Arc<Identity>) -> Self {
        Self::of_connection(connection).identified(identity)
    }

    /// Adds the address that a trusted load balancer's header names.
    #[must_use]
    pub fn forwarded(self, address: IpAddr) -> Self {
        Self { forwarded: Some(address.to_canonical()), ..self }
    }

    /// Adds the scheme that a trusted load balancer's header names.
    #[must_use]
    pub fn over_scheme(self, scheme: &'static str) -> Self {
        Self { scheme: Some(scheme), ..self }
    }

    /// Adds the identity that the request's credentials prove.
    #[must_use]
    pub fn identified(self, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// Returns the connection that the request arrived on.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Returns the address of the client: that of a trusted header, or that of its connection.
    pub fn address(&self) -> Option<IpAddr> {
        self.forwarded.or_else(|| self.connection.address())
    }

    /// Returns the scheme of URLs that reach the proxy from where the client is.
    pub fn scheme(&self) -> &'static str {
        self.scheme.unwrap_or_else(|| self.connection.scheme())
    }

    /// Returns whether a load balancer names the client's address.
    pub fn is_named(&self) -> bool {
        self.forwarded.is_some() || matches!(self.connection.source(), Source::Proxied(_))
    }

    /// Returns whether no mapping is for the client: its load balancer does not know who it is.
    pub fn is_unknown(&self) -> bool {
        self.connection.source() == Source::Unknown
    }

    /// Returns the identity that the client proved by credentials.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// Returns the key under which the client's requests are counted.
    pub fn key(&self) -> ClientKey {
        self.forwarded.map_or_else(|| self.connection.key(), ClientKey::of_address)
    }
}

/// The unit that limits are divided among: requests, connections and memory are counted by it.
///
/// It comes from the peer's address or user, so that a client cannot choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKey {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address: a host can use any address of its /64.
    V6(u64),
    /// The user of a unix socket's peer.
    User(Option<u32>),
    /// An identity with a prefix of its own, by its number in its mapping.
    Identity(u64),
}

impl ClientKey {
    /// Returns the key of an address.
    pub fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the listener of this name, registered alone.
    pub(crate) fn listener(name: &str) -> ListenerRef {
        ListenerRegistry::default().register(&name.into())
    }

    /// Returns a connection from this address, or over a unix socket.
    pub(crate) fn connection(address: Option<&str>, listener: ListenerRef) -> Connection {
        match address {
            Some(address) => Connection::tcp(address.parse().unwrap(), listener),
            None => Connection::unix(None, listener),
        }
    }

    /// Returns the connection over TLS, with this client certificate.
    pub(crate) fn with_certificate(
        connection: Connection,
        certificate: Option<Arc<Certificate>>,
    ) -> Connection {
        connection.over_tls(Tls { version: "1.3", server_name: None, certificate })
    }

    #[test]
    fn ipv6_clients_are_counted_by_their_64_bit_network_and_unix_clients_by_user() {
        let key = |address: &str| connection(Some(address), listener("a")).key();
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::9"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        let user =
            |uid: Option<u32>| Connection::unix(uid.map(|uid| PeerUser { uid, gid: 5 }), listener("a")).key();
        assert!(user(Some(1)) != user(Some(2)) && user(None) != user(Some(0)));
    }

    #[test]
    fn peers_and_the_addresses_that_they_claim_are_kept_apart() {
        let loopback = connection(Some("127.0.0.1"), listener("a"));
        let claimed: IpAddr = "203.0.113.9".parse().unwrap();
        let proxied = loopback.clone().from_source(Source::Proxied(claimed));
        assert_eq!((proxied.address(), proxied.peer_address()), (Some(claimed), loopback.peer_address()));
        assert_eq!(
            (proxied.key(), proxied.to_string().as_str()),
            (ClientKey::of_address(claimed), "203.0.113.9")
        );
        assert!(proxied.is_confidential(), "the peer decides, and not what it says");
        let unknown = loopback.clone().from_source(Source::Unknown);
        assert_eq!((unknown.address(), unknown.key()), (None, loopback.key()));
        let client = Client::of_connection(&loopback).forwarded(claimed);
        assert_eq!((client.address(), client.key()), (Some(claimed), ClientKey::of_address(claimed)));
        assert_eq!(Client::of_connection(&loopback).key(), loopback.key());
    }
}
