//! The peers that a listener trusts to say which client they pass on: the load balancers in front of it.

use crate::identify::client::{Connection, Source};
use ipnet::IpNet;
use std::net::IpAddr;

/// A set of networks. A lookup is a binary search: the size of the set hardly matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSet {
    /// Disjoint and in ascending order.
    networks: Box<[IpNet]>,
}

impl NetworkSet {
    /// Makes the set of these networks.
    pub fn new(networks: &[IpNet]) -> Self {
        let mut networks = IpNet::aggregate(&networks.to_vec());
        networks.sort_unstable();
        Self { networks: networks.into() }
    }

    /// Checks whether one of the networks contains an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let after = self.networks.partition_point(|network| network.network() <= address);
        after.checked_sub(1).and_then(|at| self.networks.get(at)).is_some_and(|it| it.contains(&address))
    }

    /// Returns the networks, merged where they overlap or adjoin.
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }
}

/// Peers in these networks, and processes of these users at unix sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    networks: NetworkSet,
    users: Box<[u32]>,
}

impl TrustedPeers {
    /// Trusts peers in these networks and of these users.
    pub fn new(networks: &[IpNet], users: Vec<u32>) -> Self {
        Self { networks: NetworkSet::new(networks), users: users.into() }
    }

    /// Checks whether the process at the other end of the socket is trusted.
    pub fn trust_peer(&self, connection: &Connection) -> bool {
        match connection.peer_address() {
            Some(address) => self.trust_address(address),
            None => connection.user().is_some_and(|user| self.users.contains(&user.uid)),
        }
    }

    /// Checks whether the sender of a connection's requests is trusted: the source that its PROXY header names, or else the
    /// peer.
    pub fn trust_sender(&self, connection: &Connection) -> bool {
        match connection.source() {
            Source::Peer => self.trust_peer(connection),
            Source::Proxied(address) => self.trust_address(address),
            Source::Unknown => false,
        }
    }

    /// Checks whether an address is that of a trusted peer.
    pub fn trust_address(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    /// Returns the trusted networks.
    pub fn networks(&self) -> &NetworkSet {
        &self.networks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::client::PeerUser;
    use crate::identify::client::tests::{connection, listener};
    use proptest::prelude::*;

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_set_contains_what_one_of_its_networks_contains(
            nets in proptest::collection::vec((0_u32..64, 26_u8..=32), 0..12),
            v6 in proptest::collection::vec((0_u128..64, 122_u8..=128), 0..6),
            address in 0_u32..80,
        ) {
            let v4 = nets.into_iter().map(|(bits, length)| {
                IpNet::new(IpAddr::V4(bits.into()), length).unwrap().trunc()
            });
            let v6 = v6.into_iter().map(|(bits, length)| {
                IpNet::new(IpAddr::V6(bits.into()), length).unwrap().trunc()
            });
            let all: Vec<IpNet> = v4.chain(v6).collect();
            let set = NetworkSet::new(&all);
            for address in [IpAddr::V4(address.into()), IpAddr::V6(u128::from(address).into())] {
                prop_assert_eq!(set.contains(address), all.iter().any(|net| net.contains(&address)));
            }
        }
    }

    #[test]
    fn the_sender_is_the_source_of_a_proxy_header_and_the_peer_is_the_kernels() {
        let peers = TrustedPeers::new(&networks(&["10.0.0.0/8", "fd00::/8"]), vec![1000]);
        let at = |address| connection(address, listener("main"));
        let unix = |uid| Connection::unix(Some(PeerUser { uid, gid: 0 }), listener("main"));
        let proxied = |address: &str| Source::Proxied(address.parse().unwrap());
        for (connection, peer, sender) in [
            (at(Some("10.1.2.3")), true, true),
            (at(Some("::ffff:10.1.2.3")), true, true),
            (at(Some("fd00::1")), true, true),
            (at(Some("11.0.0.1")), false, false),
            (at(Some("10.1.2.3")).from_source(proxied("11.0.0.1")), true, false),
            (at(Some("11.0.0.1")).from_source(proxied("::ffff:10.0.0.1")), false, true),
            (at(Some("10.1.2.3")).from_source(Source::Unknown), true, false),
            (unix(1000), true, true),
            (unix(1001), false, false),
            (Connection::unix(None, listener("main")), false, false),
        ] {
            assert_eq!(peers.trust_peer(&connection), peer, "{connection:?}");
            assert_eq!(peers.trust_sender(&connection), sender, "{connection:?}");
        }
        assert!(!TrustedPeers::default().trust_peer(&at(Some("127.0.0.1"))));
    }
}
