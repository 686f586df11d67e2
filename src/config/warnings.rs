//! Warns about valid settings that are probably not intended.

mod credentials;

use super::reader::Reader;
use super::source::Span;
use super::{Config, Diagnostic, ListenAddress, Listener};
use crate::authorize::mapping::Mapping;
use crate::identify::matcher::{Condition, Demand};
use crate::sessions::refresh::mints_per_second_needed;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// MinIO's default names of root.
const ROOT_BY_DEFAULT: [&str; 2] = ["minioadmin", "minio"];

const ROOT: &str =
    "the issuer is root, or may do all that root may: everyone who reads its key owns the store";
const ROOT_HELP: &str = "make a user of its own with `mc admin user add`, with a policy that allows what the mappings need and \
                         no more (the README shows how)";

/// The places in the file that warnings refer to.
#[derive(Default)]
pub(super) struct Places {
    /// The listeners, in order.
    pub(super) listeners: Vec<Span>,
    /// The mappings, in order.
    pub(super) mappings: Vec<Span>,
    /// The address of the admin listener.
    pub(super) admin: Option<Span>,
    /// The issuer's access key.
    pub(super) access_key: Option<Span>,
    /// The limit `mints_per_second`.
    pub(super) mints_per_second: Option<Span>,
}

/// Returns the warning about an issuer that is root.
pub(crate) fn root() -> Diagnostic {
    Diagnostic::warning(ROOT, ROOT_HELP)
}

/// Notes all warnings about a valid configuration.
pub(super) fn check(config: &Config, places: &Places, reader: &Reader<'_>) {
    check_listeners(config, places, reader);
    check_sockets(config, places, reader);
    check_mappings(config, places, reader);
    check_admin(config, places, reader);
    check_mints(config, places, reader);
    credentials::check(config, places, reader);
    if ROOT_BY_DEFAULT.contains(&config.issuer.keys.access_key.reveal()) {
        reader.warn(places.access_key, ROOT, ROOT_HELP);
    }
}

/// Warns about listeners whose clients are in no mapping's networks.
fn check_listeners(config: &Config, places: &Places, reader: &Reader<'_>) {
    for (listener, span) in config.listeners.iter().zip(&places.listeners) {
        if config.mappings.iter().any(|mapping| can_match(mapping, listener)) {
            continue;
        }
        let origin = match listener.address {
            ListenAddress::Tcp(address) if address.ip().is_loopback() => "connect from this machine",
            _ => "connect from other machines",
        };
        let message = format!(
            "the listener {:?} on {} has no clients: they {origin}, and no mapping has a network that holds them",
            listener.name, listener.address
        );
        let help =
            "add their network to the client of a mapping, or let the listener listen on another address";
        reader.warn(*span, message, help);
    }
}

/// Warns about sockets that every user may connect to, and whose mapping takes each of them.
fn check_sockets(config: &Config, places: &Places, reader: &Reader<'_>) {
    for (listener, span) in config.listeners.iter().zip(&places.listeners) {
        let admits_all = |mapping: &&Mapping| {
            let demand = |condition: &Condition| condition.at(&listener.name, listener.facts());
            mapping.client.conditions().iter().all(|condition| demand(condition) == Demand::Nothing)
        };
        let Some(mapping) = config.mappings.iter().find(admits_all).filter(|_| listener.access.is_open())
        else {
            continue;
        };
        let message = format!(
            "every user of this machine may connect to the listener {:?}, and the mapping {:?} takes them all",
            listener.name, mapping.name
        );
        let help = "write mode = \"0660\" with a group, or let the client of the mapping have uid or gid";
        reader.warn(*span, message, help);
    }
}

/// Warns about mappings whose networks contain no client of any listener.
fn check_mappings(config: &Config, places: &Places, reader: &Reader<'_>) {
    for (mapping, span) in config.mappings.iter().zip(&places.mappings) {
        if config.listeners.iter().any(|listener| can_match(mapping, listener)) {
            continue;
        }
        let message = format!(
            "the mapping {:?} has no clients: none of its listeners is reached from its networks",
            mapping.name
        );
        let help = "a listener on 127.0.0.1 is reached from 127.0.0.0/8 alone, one on [::1] from ::1/128: correct network, or \
                    the listener's address";
        reader.warn(*span, message, help);
    }
}

/// Warns about an admin listener that all clients of a public listener can reach.
fn check_admin(config: &Config, places: &Places, reader: &Reader<'_>) {
    let Some(admin) = config.admin.as_ref().map(|admin| admin.address) else { return };
    let is_public = |mapping: &Mapping| {
        mapping.client.networks().is_some_and(|all| all.iter().any(|net| net.prefix_len() == 0))
    };
    let is_beside = |listener: &&Listener| match listener.address {
        ListenAddress::Tcp(address) => {
            !address.ip().is_loopback()
                && (admin.ip().is_unspecified() || admin.ip() == address.ip())
                && config.mappings.iter().any(|mapping| is_at(mapping, listener) && is_public(mapping))
        }
        ListenAddress::Unix(_) => false,
    };
    let beside = config.listeners.iter().find(is_beside);
    if let Some(listener) = beside.filter(|_| !admin.ip().is_loopback()) {
        let message = format!(
            "the admin listener on {admin} is reached by everyone who reaches the listener {:?}, whose mapping takes clients \
             from anywhere: /metrics names mappings and nodes",
            listener.name
        );
        let help = "let [admin] listen on loopback or on a private address, or keep others out with a firewall or a network \
                    policy";
        reader.warn(places.admin, message, help);
    }
}

/// Warns if `mints_per_second` is too low to refresh the sessions of all mappings at once.
fn check_mints(config: &Config, places: &Places, reader: &Reader<'_>) {
    let rate = |mapping: &Mapping| mints_per_second_needed(most_sessions(mapping), mapping.duration);
    let (limit, needed) = (config.limits.mints_per_second, config.mappings.iter().map(rate).sum::<f64>());
    if needed <= f64::from(limit) {
        return;
    }
    let (mappings, sessions) =
        (config.mappings.len(), config.mappings.iter().map(most_sessions).sum::<usize>());
    let message = format!(
        "limits.mints_per_second is {limit}, which is too few if all sessions are in use: the {sessions} sessions of \
         {mappings} mappings take {needed:.1} a second"
    );
    let help = format!(
        "write mints_per_second = {:.0} in [limits], or more, if the store can take it, or have sessions live longer, such as \
         session = \"1h\" in each [[mapping]], or share one, with sessions = \"one\"",
        needed.ceil()
    );
    reader.warn(places.mints_per_second, message, help);
}

/// Returns how many sessions a mapping has if all are in use.
fn most_sessions(mapping: &Mapping) -> usize {
    let identities = mapping.homes.as_ref().map_or(1, |homes| homes.identities().get());
    identities * mapping.of_longest_identity().session_kinds().count()
}

fn is_at(mapping: &Mapping, listener: &Listener) -> bool {
    mapping.client.listener().is_none_or(|wanted| *wanted == listener.name)
}

fn can_match(mapping: &Mapping, listener: &Listener) -> bool {
    let facts = listener.facts();
    mapping.client.can_match_at(&listener.name, facts)
        && match (&listener.address, mapping.client.networks()) {
            (_, None) => true,
            _ if facts.is_balanced => true,
            (ListenAddress::Unix(_), Some(_)) => false,
            (ListenAddress::Tcp(address), Some(networks)) => {
                let clients = clients_of(*address);
                let shares =
                    |one: &IpNet| clients.iter().any(|other| one.contains(other) || other.contains(one));
                networks.iter().any(shares)
            }
        }
}

/// Returns the networks of the clients that can reach an address. Only this machine can reach a loopback address.
fn clients_of(address: SocketAddr) -> Vec<IpNet> {
    let loopback = Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8).unwrap_or_default();
    match address.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => vec![loopback.into()],
        IpAddr::V4(_) => vec![Ipv4Net::default().into()],
        IpAddr::V6(ip) if ip.is_loopback() => vec![IpNet::from(address.ip())],
        // An IPv6 socket accepts IPv4 clients as well.
        IpAddr::V6(_) => vec![Ipv4Net::default().into(), Ipv6Net::default().into()],
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
        config.warnings().iter().map(|warning| warning.message.clone()).collect()
    }

    const NETWORK: &str = "network = [\"127.0.0.0/8\", \"::1/128\"]";

    #[test]
    fn the_example_has_no_warnings() {
        assert_eq!(warned(&[]), Vec::<String>::new());
    }

    #[test]
    fn warns_of_a_loopback_listener_whose_mappings_match_other_networks() {
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
    fn warns_of_a_socket_that_is_open_to_every_user() {
        let told = |mode: &str| {
            let address = format!("\"unix:/run/s3.sock\"\n{mode}\n");
            warned(&[("\"127.0.0.1:8080\"   ", &address), (&format!("{NETWORK}, "), "")])
        };
        let open = told("mode = \"0666\"");
        assert!(open.len() == 1 && open[0].contains("mapping \"media-reader\" takes them all"), "{open:?}");
        let uid = (&*format!("{NETWORK}, "), "uid = 1000, ");
        let open = ("\"127.0.0.1:8080\"   ", "\"unix:/run/s3.sock\"\nmode = \"0666\"\n");
        assert_eq!(warned(&[open, uid]), [""; 0], "only one user is admitted");
        for shut in ["", "mode = \"0660\"", "mode = \"0600\"\nowner = \"app\""] {
            assert_eq!(told(shut), [""; 0], "{shut}");
        }
    }

    #[test]
    fn warns_of_an_admin_listener_that_every_client_reaches() {
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
    fn warns_of_the_default_name_of_root() {
        struct Root;
        impl crate::config::Environment for Root {
            fn variable(
                &self,
                _: &str,
            ) -> Result<crate::sigv4::secret::Secret, crate::net::guarded::ReadError> {
                Ok(crate::sigv4::secret::Secret::new("minioadmin".into()))
            }
            fn file(
                &self,
                _: &std::path::Path,
            ) -> Result<crate::sigv4::secret::Secret, crate::net::guarded::ReadError> {
                Ok(crate::sigv4::secret::Secret::new("hush".into()))
            }
        }
        let config = Config::parse(EXAMPLE, &Root).unwrap();
        let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
        assert_eq!(
            (&warning.message, warning.place.as_ref().map(|place| place.line)),
            (&root().message, Some(14))
        );
    }

    /// Returns a configuration with `count` mappings that have these rights and one further key.
    fn many(count: usize, allow: &str, key: &str) -> String {
        let limits = "[limits]\nmints_per_second = 1\n";
        let head = EXAMPLE.split("[[mapping]]").next().unwrap().to_owned() + limits;
        let mapping = |index: usize| {
            format!(
                "[[mapping]]\nname = \"m{index}\"\nclient = {{ network = \"127.{}.{}.1\" }}\n{key}\n\
                 [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"a/\"\nallow = {allow}\n",
                index / 256,
                index % 256
            )
        };
        head + &(0..count).map(mapping).collect::<String>()
    }

    #[test]
    fn warns_of_more_sessions_than_mints_can_keep_alive() {
        let warned = |source: &str| {
            let config = Config::parse(source, &Fake).unwrap();
            config
                .warnings()
                .iter()
                .map(|told| format!("{} | {}", told.message, told.help))
                .collect::<Vec<_>>()
        };
        // One mint a second for sessions that are refreshed after 630 seconds on average.
        let (read, both) = ("[\"read\"]", "[\"write\", \"list\"]");
        let one = "sessions = \"one\"";
        assert_eq!(warned(&many(630, read, one)), [""; 0]);
        let told = warned(&many(631, read, one));
        assert!(told[0].contains("mints_per_second is 1, which is too few"), "{told:?}");
        assert!(told[0].contains("write mints_per_second = 2 in [limits]"), "{told:?}");
        assert_eq!(warned(&many(631, read, "session = \"1h\"\nsessions = \"one\"")), [""; 0]);
        assert_eq!(warned(&many(315, both, one)), [""; 0], "two sessions each");
        let told = warned(&many(316, both, one));
        assert!(told[0].contains("the 632 sessions of 316 mappings take 1.0 a second"), "{told:?}");
        assert_eq!(warned(&many(315, read, "")), [""; 0], "two sessions each: get and other");
        assert_eq!(warned(&many(316, read, "")).len(), 1);
        assert_eq!(warned(&many(126, both, "")), [""; 0], "five sessions each");
        assert_eq!(warned(&many(127, both, "")).len(), 1);
        let config = Config::parse(&many(631, read, ""), &Fake).unwrap();
        let place = config.warnings()[0].place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (18, 20));
    }
}
