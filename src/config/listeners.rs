//! Reads `[[listener]]` and `[admin]`: the addresses to listen on, and the hosts that are accepted.

use super::account::Account;
use super::accounts::read_account;
use super::balancers::{read_forwarded, read_proxy_protocol};
use super::reader::{At, Reader};
use super::schema::LISTENER;
use super::source::Span;
use super::table::Table;
use super::tls::read_tls;
use super::value::{parse_domain, parse_host, parse_listen_address, parse_mode};
use super::{Admin, Environment, ListenAddress, Listener, SocketAccess};
use crate::identify::browser::AllowedHosts;
use std::collections::HashSet;
use std::net::SocketAddr;

/// Maximum number of hosts of a listener.
const MAX_HOSTS: usize = 1000;

/// The listeners without a mistake.
pub(super) struct Listeners {
    pub(super) list: Vec<At<Listener>>,
    /// Whether no listener had a mistake. If one had, an unknown name may be that listener's.
    pub(super) are_complete: bool,
}

impl Listeners {
    pub(super) fn find(&self, name: &str) -> Option<&Listener> {
        self.list.iter().map(|listener| &listener.value).find(|listener| *listener.name == *name)
    }

    /// Returns all listeners. Returns `None` if one has a mistake.
    pub(super) fn all(&self) -> Option<&[At<Listener>]> {
        self.are_complete.then_some(&self.list)
    }
}

pub(super) fn read_listeners(root: &Table<'_>, environment: &dyn Environment) -> Listeners {
    let tables = root.tables("listener", &LISTENER);
    if tables.is_empty() {
        root.error_missing("there is no [[listener]]", "add one: [[listener]] with name and address");
    }
    let count = tables.len();
    let mut listeners = Listeners { list: Vec::new(), are_complete: false };
    for table in tables {
        let listener = read_listener(table, &listeners, environment);
        listeners.list.extend(listener);
    }
    listeners.are_complete = listeners.list.len() == count;
    listeners
}

fn read_listener(
    table: Table<'_>,
    others: &Listeners,
    environment: &dyn Environment,
) -> Option<At<Listener>> {
    let reader = table.reader();
    let name = table.name();
    if let Some(name) = name.filter(|name| others.find(name.value).is_some()) {
        let message = format!("another listener has the name {:?}", name.value);
        reader.error(name.span, message, "give each listener its own name");
    }
    let hosts =
        AllowedHosts::new(read_hosts(&table), table.parsed("domain", "is not a domain", parse_domain));
    let address = table.required("address", "\"127.0.0.1:8080\"").and_then(|text| {
        let address = text.parse_with(reader, "is not an address to listen on", parse_listen_address)?;
        check_free(&address, text.span, &others.list, reader);
        Some(address)
    });
    let access = read_access(&table, address.as_ref(), environment);
    let proxy_protocol = table.span_of("proxy_protocol");
    let proxy_protocol = proxy_protocol
        .map(|_| read_proxy_protocol(&table, address.as_ref(), environment).ok_or(()))
        .transpose();
    let forwarded = table.span_of("forwarded");
    let forwarded =
        forwarded.map(|_| read_forwarded(&table, address.as_ref(), environment).ok_or(())).transpose();
    let refuses_unknown_keys =
        table.word("unknown_keys", &[("ignore", false), ("refuse", true)]).unwrap_or(false);
    let tls = table.span_of("tls").map(|_| read_tls(&table, environment));
    let span = table.span();
    table.finish();
    let tls = match tls {
        Some(read) => Some(read?),
        None => None,
    };
    let listener = Listener {
        name: name?.value.into(),
        address: address?,
        hosts,
        refuses_unknown_keys,
        proxy_protocol: proxy_protocol.ok()?,
        forwarded: forwarded.ok()?,
        access,
        tls,
    };
    Some(At { value: listener, span: span? })
}

/// Reads who may connect to a unix socket.
fn read_access(
    table: &Table<'_>,
    address: Option<&ListenAddress>,
    environment: &dyn Environment,
) -> SocketAccess {
    let mode = table.parsed("mode", "is not the mode of a socket", parse_mode);
    let owner = read_account(table, "owner", Account::User, environment);
    let group = read_account(table, "group", Account::Group, environment);
    if let Some(ListenAddress::Tcp(address)) = address {
        for key in ["mode", "owner", "group"] {
            if let Some(span) = table.span_of(key) {
                let message = format!("{key} is for unix sockets, and the listener's address is {address}");
                let help = format!(
                    "remove {key}, or let the listener have an address such as \"unix:/run/scopegate/s3.sock\""
                );
                table.reader().error(span, message, help);
            }
        }
    }
    SocketAccess { mode, owner, group }
}

pub(super) fn read_admin(table: Table<'_>, listeners: &[At<Listener>]) -> Option<Admin> {
    let reader = table.reader();
    let address = table.required("address", "\"127.0.0.1:9180\"").and_then(|text| {
        let parse =
            |text: &str| text.parse().map_err(|_| "write an address and a port, such as \"127.0.0.1:9180\"");
        let address: SocketAddr = text.parse_with(reader, "is not an address to listen on", parse)?;
        check_free(&ListenAddress::Tcp(address), text.span, listeners, reader);
        Some(address)
    });
    let hosts = AllowedHosts::new(read_hosts(&table), None);
    table.finish();
    Some(Admin { address: address?, hosts })
}

/// Notes an address that another listener already has. Listeners with port 0 never conflict.
fn check_free(address: &ListenAddress, span: Span, others: &[At<Listener>], reader: &Reader<'_>) {
    let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
    let taken = others.iter().find(|other| other.value.address == *address);
    if let Some(other) = taken.filter(|_| !any_port) {
        let message = format!("the listener {:?} already has this address", other.value.name);
        reader.error(span, message, "choose another port or path");
    }
}

fn read_hosts(table: &Table<'_>) -> Vec<Box<str>> {
    let reader = table.reader();
    let Some(list) = table.strings("hosts") else { return Vec::new() };
    if list.value.len() > MAX_HOSTS {
        let message = format!("hosts has {} entries; at most {MAX_HOSTS} are allowed", list.value.len());
        reader.error(list.span, message, "list fewer, or use names below one domain");
        return Vec::new();
    }
    let mut hosts = Vec::new();
    let mut seen = HashSet::new();
    for text in list.value {
        let Some(host) = text.parse_with(reader, "is not a host", parse_host) else { continue };
        if !seen.insert(host.clone()) {
            reader.error(text.span, format!("the host {host:?} is listed twice"), "remove one");
        }
        hosts.push(host);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{EXAMPLE, Fake, mistakes};
    use crate::config::{Config, SocketAccess};

    /// Returns the example with this address and these lines of its listener.
    fn listening(address: &str, lines: &str) -> String {
        let listener = format!("address = \"{address}\"\n{lines}\n");
        let everyone = EXAMPLE.replace("network = [\"127.0.0.0/8\", \"::1/128\"], ", "");
        everyone.replacen("address = \"127.0.0.1:8080\"", &listener, 1)
    }

    #[test]
    fn a_unix_socket_has_a_mode_an_owner_and_a_group() {
        let source = listening("unix:/run/s3.sock", "mode = \"0660\"\nowner = \"app\"\ngroup = \"storage\"");
        let listener = Config::parse(&source, &Fake).unwrap().listeners.remove(0);
        let access = SocketAccess { mode: Some(0o660), owner: Some(1000), group: Some(2000) };
        assert_eq!(listener.access, access);
        assert_eq!(access.to_string(), "mode 0660, owner 1000, group 2000");
        let source = listening("unix:/run/s3.sock", "");
        let listener = Config::parse(&source, &Fake).unwrap().listeners.remove(0);
        assert_eq!(listener.access, SocketAccess::default());
    }

    #[test]
    fn each_mistake_in_the_access_has_its_place_and_help() {
        for (address, lines, told) in [
            ("unix:/run/s", "mode = \"0444\"", "4:8 \"0444\" is not the mode of a socket | connecting needs"),
            (
                "unix:/run/s",
                "mode = \"rw-rw----\"",
                "4:8 \"rw-rw----\" is not the mode of a socket | write three",
            ),
            ("unix:/run/s", "mode = 0o660", "4:8 mode is of type integer | mode is a string"),
            ("unix:@s", "", "3:11 \"unix:@s\" is not an address to listen on | every process may connect"),
            (
                "127.0.0.1:1",
                "mode = \"0660\"",
                "4:8 mode is for unix sockets, and the listener's address is 127.0.0.1:1",
            ),
            ("127.0.0.1:1", "owner = 0", "4:9 owner is for unix sockets"),
            ("[::1]:1", "group = 0", "4:9 group is for unix sockets"),
        ] {
            let found = mistakes(&listening(address, lines));
            assert!(found.len() == 1 && found[0].starts_with(told), "{address} {lines}: {found:?}");
        }
    }
}
