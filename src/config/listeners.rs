//! `[[listener]]`: where clients connect, and what they may call it.

use super::parse::read_name;
use super::reader::{At, Reader, Table};
use super::value::{parse_domain, parse_host, parse_listen_address};
use super::{ListenAddress, Listener};
use crate::browser::AllowedHosts;

/// Most hosts of a listener.
const MAX_HOSTS: usize = 1000;

/// The listeners that could be read, and whether those are all.
pub(super) struct Listeners {
    pub(super) list: Vec<At<Listener>>,
    pub(super) sound: bool,
}

pub(super) fn read_listeners(root: &Table<'_>, reader: &Reader<'_>) -> Listeners {
    let tables = root.tables(reader, "listener", "[[listener]]");
    if tables.is_empty() {
        reader.error(0, "there is no [[listener]]", "add one: [[listener]] with name and address");
    }
    let count = tables.len();
    let mut listeners: Vec<At<Listener>> = Vec::new();
    for table in tables {
        let offset = table.offset();
        let name = read_name(&table, reader);
        if let Some(name) = &name
            && listeners.iter().any(|other| *other.value.name == *name.value)
        {
            reader.error(
                name.offset,
                format!("the listener {:?} is there twice", name.value),
                "give each its own name",
            );
        }
        let hosts = AllowedHosts::new(read_hosts(&table, reader), read_domain(&table, reader));
        let address = table.required(reader, "address", "\"127.0.0.1:8080\"").and_then(|text| {
            let address = parse_listen_address(text.value)
                .map_err(|help| reader.wrong(text, "is not an address to listen on", help))
                .ok()?;
            check_free(&address, text.offset, &listeners, reader);
            Some(address)
        });
        table.finish(reader);
        if let (Some(name), Some(address)) = (name, address) {
            listeners.push(At { value: Listener { name: name.value.into(), address, hosts }, offset });
        }
    }
    Listeners { sound: listeners.len() == count, list: listeners }
}

/// Notes an address that another listener has. Port 0 takes another port each time.
pub(super) fn check_free(
    address: &ListenAddress,
    offset: usize,
    others: &[At<Listener>],
    reader: &Reader<'_>,
) {
    let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
    let taken = others.iter().find(|other| other.value.address == *address);
    if let Some(other) = taken.filter(|_| !any_port) {
        let message = format!("the listener {:?} has this address already", other.value.name);
        reader.error(offset, message, "choose another port or path");
    }
}

pub(super) fn read_hosts(table: &Table<'_>, reader: &Reader<'_>) -> Vec<Box<str>> {
    let Some(list) = table.strings(reader, "hosts") else { return Vec::new() };
    if list.value.len() > MAX_HOSTS {
        reader.error(list.offset, format!("hosts has more than {MAX_HOSTS} entries"), "use fewer");
    }
    let mut hosts: Vec<Box<str>> = Vec::new();
    for host in list.value {
        match parse_host(host.value) {
            Ok(name) if hosts.contains(&name) => {
                reader.error(host.offset, format!("the host {name:?} is there twice"), "remove one");
            }
            Ok(name) => hosts.push(name),
            Err(help) => reader.wrong(host, "is not a host", help),
        }
    }
    hosts
}

fn read_domain(table: &Table<'_>, reader: &Reader<'_>) -> Option<Box<str>> {
    let domain = table.string(reader, "domain")?;
    parse_domain(domain.value).map_err(|help| reader.wrong(domain, "is not a domain", help)).ok()
}
