//! From TOML to [`Config`], noting every mistake on the way.

use super::issuer::read_issuer;
use super::limits::read_limits;
use super::listeners::{check_free, read_hosts, read_listeners};
use super::mappings::read_mappings;
use super::reader::{At, Reader, Table};
use super::{
    Admin, Config, Diagnostic, Environment, ListenAddress, Listener, Log, LogFormat, LogLevel, Upstream,
    reach,
};
use crate::browser::AllowedHosts;
use crate::endpoint::Endpoint;
use crate::mapping::Mapping;
use crate::operation::grammar::Dialect;
use std::net::SocketAddr;
use toml::de::DeTable;

pub(super) fn parse(source: &str, environment: &dyn Environment) -> Result<Config, Vec<Diagnostic>> {
    let reader = Reader::new(source);
    let (root, errors) = DeTable::parse_recoverable(source);
    note_syntax(&errors, &reader);
    let root = Table::new(root.get_ref(), "the file", 0);
    let config = read_root(&root, &reader, environment);
    root.finish(&reader);
    match (config, reader.into_diagnostics()) {
        (Some(config), diagnostics) if diagnostics.is_empty() => Ok(config),
        (_, diagnostics) => Err(diagnostics),
    }
}

/// Notes what is no TOML.
pub(super) fn note_syntax(errors: &[toml::de::Error], reader: &Reader<'_>) {
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        // The message names what TOML expected; the line itself may hold a secret and is not shown.
        reader.error(offset, format!("not TOML: {}", error.message()), "see https://toml.io for the syntax");
    }
}

fn read_root(root: &Table<'_>, reader: &Reader<'_>, environment: &dyn Environment) -> Option<Config> {
    let listeners = read_listeners(root, reader);
    let admin = read_admin(root.table(reader, "admin", "[admin]"), reader, &listeners.list);
    let upstream = read_upstream(require(root, reader, "upstream", "[upstream]"), reader);
    let issuer = read_issuer(require(root, reader, "issuer", "[issuer]"), reader, environment);
    let (mappings, sound) = read_mappings(root, reader, &listeners);
    let (limits, workers) = read_limits(root.table(reader, "limits", "[limits]"), reader);
    let log = read_log(root.table(reader, "log", "[log]"), reader);
    if sound && listeners.sound {
        reach::check(&mappings, &listeners.list, reader);
    }
    let listeners = listeners.list.into_iter().map(|listener| listener.value).collect();
    let upstream = upstream?;
    let dialect = upstream.store;
    let mappings = mappings.into_iter().map(|mapping| Mapping { dialect, ..mapping.value }).collect();
    Some(Config { listeners, admin, upstream, issuer: issuer?, mappings, limits, workers, log })
}

fn require<'t>(root: &Table<'t>, reader: &Reader<'_>, key: &'static str, name: &'static str) -> Table<'t> {
    let table = root.table(reader, key, name);
    if root.get(key).is_none() {
        reader.error(0, format!("there is no {name}"), format!("add a section {name}; proxy.toml shows one"));
    }
    table
}

pub(super) fn read_name<'t>(table: &Table<'t>, reader: &Reader<'_>) -> Option<At<&'t str>> {
    let name = table.required(reader, "name", "\"...\"")?;
    let good = (1..=64).contains(&name.value.len())
        && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !good {
        reader.wrong(name, "is not usable as a name", "write 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    }
    good.then_some(name)
}

fn read_admin(table: Table<'_>, reader: &Reader<'_>, listeners: &[At<Listener>]) -> Option<Admin> {
    let address = table.required(reader, "address", "\"127.0.0.1:9180\"").and_then(|text| {
        let help = "write an address and a port, as in \"127.0.0.1:9180\"";
        let address: SocketAddr = text
            .value
            .parse()
            .map_err(|_| reader.wrong(text, "is not an address to listen on", help))
            .ok()?;
        check_free(&ListenAddress::Tcp(address), text.offset, listeners, reader);
        Some(address)
    });
    let hosts = AllowedHosts::new(read_hosts(&table, reader), None);
    table.finish(reader);
    Some(Admin { address: address?, hosts })
}

fn read_upstream(table: Table<'_>, reader: &Reader<'_>) -> Option<Upstream> {
    let example = "[\"http://127.0.0.1:9000\"]";
    let endpoints = table.strings(reader, "endpoints");
    if table.is_present() && table.get("endpoints").is_none() {
        reader.error(table.offset(), "[upstream] has no \"endpoints\"", format!("add endpoints = {example}"));
    }
    if let Some(At { value, offset }) = &endpoints
        && value.is_empty()
    {
        reader.error(*offset, "endpoints is empty", format!("name every node, as in endpoints = {example}"));
    }
    let endpoints = endpoints.map(|list| {
        let mut nodes: Vec<Endpoint> = Vec::new();
        for url in list.value {
            match endpoint(url, reader) {
                Some(node) if nodes.contains(&node) => {
                    reader.error(url.offset, format!("the endpoint {node} is there twice"), "remove one");
                }
                node => nodes.extend(node),
            }
        }
        nodes
    });
    let region = read_region(&table, reader);
    let store = read_word(&table, reader, "store", &[("minio", Dialect::Minio), ("s3", Dialect::S3)]);
    table.finish(reader);
    Some(Upstream { endpoints: endpoints?, region: region.into(), store: store.unwrap_or_default() })
}

pub(super) fn endpoint(url: At<&str>, reader: &Reader<'_>) -> Option<Endpoint> {
    let wrong = |help| {
        if url.value.contains('@') {
            // What is before it may be a password.
            reader.error(url.offset, "not an endpoint", help);
        } else {
            reader.wrong(url, "is not an endpoint", help);
        }
    };
    Endpoint::parse(url.value).map_err(wrong).ok()
}

fn read_region<'t>(table: &Table<'t>, reader: &Reader<'_>) -> &'t str {
    let Some(region) = table.string(reader, "region") else { return "us-east-1" };
    let good = (1..=64).contains(&region.value.len())
        && region.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !good {
        reader.wrong(region, "is not usable as a region", "write the server's region, as in \"us-east-1\"");
    }
    region.value
}

pub(super) fn read_word<T: Copy>(
    table: &Table<'_>,
    reader: &Reader<'_>,
    key: &'static str,
    words: &[(&str, T)],
) -> Option<T> {
    let word = table.string(reader, key)?;
    let found = words.iter().find(|(name, _)| *name == word.value).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let help = format!("write one of: {}", names.join(", "));
        reader.wrong(word, &format!("is not a value of {key}"), help);
    }
    found
}

fn read_log(table: Table<'_>, reader: &Reader<'_>) -> Log {
    let default = Log::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug]
        .map(|level| (level.as_str(), level));
    let log = Log {
        format: read_word(&table, reader, "format", &formats).unwrap_or(default.format),
        level: read_word(&table, reader, "level", &levels).unwrap_or(default.level),
        access: table.boolean(reader, "access").unwrap_or(default.access),
    };
    table.finish(reader);
    log
}
