//! Warnings: what a configuration may say and its author hardly means.

use super::{Config, ListenAddress, Listener};
use crate::mapping::Mapping;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, SocketAddr};

/// The access keys that MinIO gives root where nobody chose others.
const ROOT_BY_DEFAULT: [&str; 2] = ["minioadmin", "minio"];

/// Something that works and is hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is doubtful.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Config {
    /// Returns every warning.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = unmatched(&self.listeners, &self.mappings);
        warnings.extend(self.public_admin());
        if ROOT_BY_DEFAULT.contains(&self.issuer.keys.access_key.reveal()) {
            warnings.push(root());
        }
        warnings
    }

    /// Warns of an admin listener that the same strangers reach who are clients.
    fn public_admin(&self) -> Option<Warning> {
        let admin = self.admin.as_ref()?.address;
        let is_everyone = |mapping: &Mapping| {
            mapping.client.networks().is_some_and(|all| all.iter().any(|net| net.prefix_len() == 0))
        };
        let reached = |listener: &&Listener| match listener.address {
            ListenAddress::Tcp(address) => {
                !address.ip().is_loopback()
                    && (admin.ip().is_unspecified() || admin.ip() == address.ip())
                    && self.mappings.iter().any(|mapping| is_at(mapping, listener) && is_everyone(mapping))
            }
            ListenAddress::Unix(_) => false,
        };
        let open = self.listeners.iter().find(reached);
        open.filter(|_| !admin.ip().is_loopback()).map(|listener| Warning {
            message: format!(
                "the admin listener on {admin} is reached by everyone who reaches the listener {:?}, whose mapping takes \
                 clients from anywhere: /metrics names mappings and nodes",
                listener.name
            ),
            help: "have [admin] listen on loopback or on a private address, or keep others out with a firewall or a \
                   network policy"
                .to_owned(),
        })
    }
}

/// The warning of an issuer that is root.
pub fn root() -> Warning {
    Warning {
        message: "the issuer is root, or may do all that root may: everyone who reads its key owns the store".to_owned(),
        help: "make a user of its own with `mc admin user add`, whose policy allows what the mappings need and no more \
               (the README shows how)"
            .to_owned(),
    }
}

fn is_at(mapping: &Mapping, listener: &Listener) -> bool {
    mapping.client.listener().is_none_or(|wanted| *wanted == listener.name)
}

/// Returns the networks that clients of an address come from: those of a loopback address from this machine.
fn clients_of(address: SocketAddr) -> Vec<IpNet> {
    let loopback = Ipv4Net::new(std::net::Ipv4Addr::new(127, 0, 0, 0), 8).unwrap_or_default();
    match address.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => vec![loopback.into()],
        IpAddr::V4(_) => vec![Ipv4Net::default().into()],
        IpAddr::V6(ip) if ip.is_loopback() => vec![IpNet::from(address.ip())],
        // Sockets of IPv6 take clients of IPv4 as well.
        IpAddr::V6(_) => vec![Ipv4Net::default().into(), Ipv6Net::default().into()],
    }
}

/// Warns of listeners and mappings whose networks have no client in common.
fn unmatched(listeners: &[Listener], mappings: &[Mapping]) -> Vec<Warning> {
    let can_match = |mapping: &Mapping, listener: &Listener| {
        is_at(mapping, listener)
            && match (&listener.address, mapping.client.networks()) {
                (_, None) => true,
                (ListenAddress::Unix(_), Some(_)) => false,
                (ListenAddress::Tcp(address), Some(networks)) => {
                    let clients = clients_of(*address);
                    let shares =
                        |one: &IpNet| clients.iter().any(|other| one.contains(other) || other.contains(one));
                    networks.iter().any(shares)
                }
            }
    };
    let lonely =
        listeners.iter().filter(|listener| !mappings.iter().any(|mapping| can_match(mapping, listener)));
    let lonely = lonely.map(|listener| Warning {
        message: format!(
            "the listener {:?} on {} has no clients: {}, and no mapping has a network that they are in",
            listener.name,
            listener.address,
            origin(&listener.address)
        ),
        help: "add their network to the client of a mapping, or have the listener listen on another address"
            .to_owned(),
    });
    let unused =
        mappings.iter().filter(|mapping| !listeners.iter().any(|listener| can_match(mapping, listener)));
    let unused = unused.map(|mapping| Warning {
        message: format!(
            "the mapping {:?} has no clients: its networks and those from which its listeners are reached have nothing \
             in common",
            mapping.name
        ),
        help: "a listener on 127.0.0.1 is reached from 127.0.0.0/8 alone, one on [::1] from ::1/128: correct network, \
               or the listener's address"
            .to_owned(),
    });
    lonely.chain(unused).collect()
}

fn origin(address: &ListenAddress) -> &'static str {
    match address {
        ListenAddress::Tcp(address) if address.ip().is_loopback() => "they come from this machine alone",
        _ => "they come from elsewhere",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{EXAMPLE, Fake};

    fn warned(changes: &[(&str, &str)]) -> Vec<String> {
        let source = changes.iter().fold(EXAMPLE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let config = Config::parse(&source, &Fake).unwrap();
        config.warnings().into_iter().map(|warning| warning.message).collect()
    }

    const NETWORK: &str = "network = [\"127.0.0.0/8\", \"::1/128\"]";

    #[test]
    fn the_example_has_none() {
        assert_eq!(warned(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_loopback_listener_whose_mappings_match_other_networks_is_told() {
        let told = warned(&[(NETWORK, "network = \"10.0.0.0/8\"")]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("listener \"sidecar\" on 127.0.0.1:8080 has no clients"), "{told:?}");
        assert!(told[1].contains("mapping \"media-reader\" has no clients"), "{told:?}");
        for (address, network, count) in [
            ("127.0.0.1:8080", "::1/128", 2),
            ("[::1]:8080", "127.0.0.0/8", 2),
            ("[::1]:8080", "::/0", 0),
            ("127.0.0.1:8080", "127.0.0.5/32", 0),
            ("10.0.0.1:8080", "fd00::/8", 2),
            ("[::]:8080", "10.0.0.0/8", 0),
            ("0.0.0.0:8080", "10.0.0.0/8", 0),
        ] {
            let network = format!("network = \"{network}\"");
            let told = warned(&[("127.0.0.1:8080", address), (NETWORK, &network)]);
            assert_eq!(told.len(), count, "{address} {network}: {told:?}");
        }
        assert_eq!(warned(&[(&format!("{NETWORK}, "), "")]).len(), 0, "everyone at the listener");
    }

    #[test]
    fn an_admin_listener_that_strangers_reach_is_told() {
        let everyone = (NETWORK, "network = [\"0.0.0.0/0\"]");
        let listener = ("127.0.0.1:8080", "0.0.0.0:8080");
        for (changes, count) in [
            (vec![everyone, listener, ("127.0.0.1:9180", "0.0.0.0:9180")], 1),
            (vec![everyone, listener, ("127.0.0.1:9180", "[::]:9180")], 1),
            (vec![everyone, listener], 0),
            (vec![everyone, listener, ("127.0.0.1:9180", "10.0.0.1:9180")], 0),
            (vec![everyone, ("127.0.0.1:8080", "10.0.0.1:8080"), ("127.0.0.1:9180", "10.0.0.1:9180")], 1),
            (vec![listener, ("127.0.0.1:9180", "0.0.0.0:9180")], 0),
            (vec![everyone, ("127.0.0.1:9180", "0.0.0.0:9180")], 0),
        ] {
            let told = warned(&changes);
            assert_eq!(told.len(), count, "{changes:?}: {told:?}");
            assert!(told.iter().all(|told| told.contains("/metrics names mappings")), "{told:?}");
        }
    }

    #[test]
    fn roots_own_name_is_told() {
        struct Root;
        impl crate::config::Environment for Root {
            fn variable(&self, _: &str) -> Result<crate::secret::Secret, crate::config::Failed> {
                Ok(crate::secret::Secret::new("minioadmin".into()))
            }
            fn file(&self, _: &std::path::Path) -> Result<crate::secret::Secret, crate::config::Failed> {
                Ok(crate::secret::Secret::new("hush".into()))
            }
        }
        let told = Config::parse(EXAMPLE, &Root).unwrap().warnings();
        assert_eq!(told, [root()]);
    }
}
