//! `[[mapping]]`: clients, scopes and rights.

use super::cors;
use super::listeners::Listeners;
use super::mounts;
use super::parse::{read_name, read_word};
use super::reader::{At, Reader, Table, nearest};
use super::value::parse_network;
use crate::client::ListenerName;
use crate::mapping::{Mapping, MintWhen};
use crate::matcher::{Condition, Matcher};
use crate::names::{BucketName, ErrorPage, IndexName, Prefix};
use crate::operation::grammar::Dialect;
use crate::policy::{MAX_POLICY_BYTES, SessionPolicy};
use crate::rights::{Right, Rights};
use crate::s3_limits::MAX_OBJECT;
use crate::scope::Scope;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Most mappings, scopes of a mapping and networks of a client.
const MAX_MAPPINGS: usize = 10_000;
const MAX_SCOPES: usize = 64;
const MAX_NETWORKS: usize = 1000;
/// MinIO takes sessions of 15 minutes and more; other stores end at 12 hours.
const SESSION: RangeInclusive<Duration> = Duration::from_mins(15)..=Duration::from_hours(12);

/// The mappings, and whether all of them could be read.
pub(super) fn read_mappings(
    root: &Table<'_>,
    reader: &Reader<'_>,
    listeners: &Listeners,
) -> (Vec<At<Mapping>>, bool) {
    let tables = root.tables(reader, "mapping", "[[mapping]]");
    if tables.is_empty() {
        reader.error(0, "there is no [[mapping]]", "add one: without a mapping every client is refused");
    }
    if tables.len() > MAX_MAPPINGS {
        reader.error(0, format!("there are more than {MAX_MAPPINGS} mappings"), "use fewer");
        return (Vec::new(), false);
    }
    let count = tables.len();
    let mut mappings: Vec<At<Mapping>> = Vec::new();
    for table in tables {
        let offset = table.offset();
        if let Some(mapping) = read_mapping(table, reader, listeners) {
            if mappings.iter().any(|other| other.value.name == mapping.name) {
                let message = format!("the mapping {:?} is there twice", mapping.name);
                reader.error(offset, message, "give each its own name");
            }
            mappings.push(At { value: mapping, offset });
        }
    }
    let sound = mappings.len() == count;
    (mappings, sound)
}

fn read_mapping(table: Table<'_>, reader: &Reader<'_>, listeners: &Listeners) -> Option<Mapping> {
    let offset = table.offset();
    let name = read_name(&table, reader);
    let client = read_client(&table, reader, listeners);
    let duration = table.duration(reader, "session", SESSION).unwrap_or(*SESSION.start());
    let mint = read_word(&table, reader, "mint", &[("lazy", MintWhen::Lazy), ("start", MintWhen::Start)]);
    let scopes = read_scopes(&table, reader);
    let around = client.as_ref().zip(scopes.as_ref()).map(|(client, scopes)| cors::Around {
        client,
        rights: cors::rights_of(scopes.iter().map(|scope| &scope.allow)),
        listeners,
    });
    let cors = cors::read_cors(&table, reader, around.as_ref());
    table.finish(reader);
    let (name, client, scopes) = (name?, client?, scopes?);
    let policy = SessionPolicy::compile(&scopes);
    if policy.size() > MAX_POLICY_BYTES {
        let message =
            format!("the session policy has {} bytes, MinIO takes {MAX_POLICY_BYTES}", policy.size());
        let help = "give scopes that lie beside each other one prefix above them, shorten prefixes, or have scopes \
                    allow the same rights, which share a statement. A client that needs them all can also connect to \
                    two listeners, with a mapping of its own for each";
        reader.error(offset, message, help);
    }
    Some(Mapping {
        name: name.value.into(),
        client,
        scopes,
        policy,
        duration,
        mint: mint.unwrap_or_default(),
        dialect: Dialect::default(),
        cors,
    })
}

fn read_client(table: &Table<'_>, reader: &Reader<'_>, listeners: &Listeners) -> Option<Matcher> {
    let example = "client = { network = [\"127.0.0.0/8\", \"::1/128\"] }";
    let client = table.table(reader, "client", "client");
    if !client.is_present() {
        if table.get("client").is_none() {
            reader.error(
                table.offset(),
                "[[mapping]] has no \"client\"",
                format!("say who is meant: {example}"),
            );
        }
        return None;
    }
    let offset = client.offset();
    let networks = client.strings(reader, "network");
    let listener = client.string(reader, "listener");
    client.finish(reader);
    if networks.is_none() && listener.is_none() {
        let help = "to mean everyone, write client = { network = [\"0.0.0.0/0\", \"::/0\"] }";
        reader.error(offset, "client has no matcher and would match everyone", help);
        return None;
    }
    let networks = match networks {
        Some(list) if list.value.is_empty() || list.value.len() > MAX_NETWORKS => {
            reader.error(
                list.offset,
                format!("network has {} entries, and 1 to {MAX_NETWORKS} are allowed", list.value.len()),
                format!("write {example}"),
            );
            return None;
        }
        Some(list) => {
            Some(list.value.into_iter().map(|text| network(text, reader)).collect::<Option<Vec<_>>>()?)
        }
        None => None,
    };
    let listener = match listener {
        Some(name) => Some(find_listener(name, reader, listeners)?),
        None => None,
    };
    let networks = networks.map(Condition::Network);
    Some(Matcher::new(networks.into_iter().chain(listener.map(Condition::Listener)).collect()))
}

fn network(text: At<&str>, reader: &Reader<'_>) -> Option<ipnet::IpNet> {
    parse_network(text.value).map_err(|help| reader.wrong(text, "is not a network", help)).ok()
}

fn find_listener(name: At<&str>, reader: &Reader<'_>, listeners: &Listeners) -> Option<ListenerName> {
    let found = listeners.list.iter().find(|listener| *listener.value.name == *name.value);
    // The name may be that of a listener which has a mistake of its own.
    if found.is_none() && listeners.sound {
        let names: Vec<&str> = listeners.list.iter().map(|listener| &*listener.value.name).collect();
        let help = nearest(name.value, &names).map_or_else(
            || format!("there are: {}", names.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
        reader.wrong(name, "is not the name of a listener", help);
    }
    found.map(|listener| listener.value.name.clone())
}

fn read_scopes(table: &Table<'_>, reader: &Reader<'_>) -> Option<Vec<Scope>> {
    let tables = table.tables(reader, "scope", "[[mapping.scope]]");
    if tables.is_empty() {
        let help = "add [[mapping.scope]] with bucket, prefix and allow below the mapping";
        reader.error(table.offset(), format!("a mapping has 1 to {MAX_SCOPES} scopes"), help);
        return None;
    }
    if tables.len() > MAX_SCOPES {
        let help = "give scopes that lie beside each other one prefix above them, or use a mapping for each listener";
        let message = format!("a mapping has 1 to {MAX_SCOPES} scopes, and this one has {}", tables.len());
        reader.error(table.offset(), message, help);
        return None;
    }
    let count = tables.len();
    let scopes: Vec<At<Scope>> = tables.into_iter().filter_map(|table| read_scope(table, reader)).collect();
    mounts::check(&scopes, reader);
    (scopes.len() == count).then(|| scopes.into_iter().map(|scope| scope.value).collect())
}

fn read_scope(table: Table<'_>, reader: &Reader<'_>) -> Option<At<Scope>> {
    let offset = table.offset();
    let bucket = table.required(reader, "bucket", "\"...\"").and_then(|name| {
        BucketName::parse(name.value).map_err(|why| reader.wrong(name, "is not a bucket", why)).ok()
    });
    let prefix =
        table.required(reader, "prefix", "\"media/\" (or \"\" for the whole bucket)").and_then(|prefix| {
            Prefix::parse_typed(prefix.value).map_err(|why| reader.wrong(prefix, "is not a prefix", why)).ok()
        });
    let allow = read_rights(&table, reader);
    let max_object_size = read_size(&table, reader);
    let mount = mounts::read_mount(&table, reader);
    let index = read_index(&table, reader, allow);
    let error_page = read_error_page(&table, reader, allow);
    let site = read_site(&table, reader, allow);
    table.finish(reader);
    let mut scope = Scope::new(bucket?, prefix?, allow?);
    scope.max_object_size = max_object_size;
    scope.site = site.unwrap_or(index.is_some());
    scope.index = index;
    scope.error_page = error_page;
    Some(match mount {
        Some(mount) => At { value: scope.mounted(mount.value), offset: mount.offset },
        None => At { value: scope, offset },
    })
}

fn read_size(table: &Table<'_>, reader: &Reader<'_>) -> Option<u64> {
    let help = "write a size from 1B to 5TiB, as in \"100MiB\" or \"5GiB\"";
    table.size(reader, "max_object_size", 1..=MAX_OBJECT, help).map(|size| size.value)
}

fn read_index(table: &Table<'_>, reader: &Reader<'_>, allow: Option<Rights>) -> Option<IndexName> {
    let name = table.string(reader, "index")?;
    if allow.is_some_and(|allow| !allow.has(Right::Read)) {
        reader.error(name.offset, "index without the right to read it", "add \"read\" to allow");
    }
    IndexName::parse(name.value).map_err(|why| reader.wrong(name, "is not an index", why)).ok()
}

fn read_error_page(table: &Table<'_>, reader: &Reader<'_>, allow: Option<Rights>) -> Option<ErrorPage> {
    let key = table.string(reader, "error_page")?;
    if allow.is_some_and(|allow| !allow.has(Right::Read)) {
        reader.error(key.offset, "error_page without the right to read it", "add \"read\" to allow");
    }
    ErrorPage::parse(key.value).map_err(|why| reader.wrong(key, "is not an error page", why)).ok()
}

fn read_site(table: &Table<'_>, reader: &Reader<'_>, allow: Option<Rights>) -> Option<bool> {
    let site = table.boolean(reader, "site")?;
    if site && allow.is_some_and(|allow| !allow.has(Right::Read)) {
        let offset = table.get("site").map_or(table.offset(), |value| value.span().start);
        reader.error(offset, "site without the right to read it", "add \"read\" to allow");
    }
    Some(site)
}

fn read_rights(table: &Table<'_>, reader: &Reader<'_>) -> Option<Rights> {
    let names = Right::ALL.map(Right::name);
    let help = format!("name what is allowed, of: {}", names.join(", "));
    let Some(list) = table.strings(reader, "allow") else {
        if table.get("allow").is_none() {
            reader.error(table.offset(), "[[mapping.scope]] has no \"allow\"", help);
        }
        return None;
    };
    let mut rights = Rights::default();
    for name in &list.value {
        let At { value, offset } = name;
        match Right::parse(value) {
            Some(right) if rights.has(right) => {
                reader.error(*offset, format!("{value:?} is there twice"), "remove one");
            }
            Some(right) => rights = rights.with(right),
            None => {
                let help =
                    nearest(value, &names).map_or(help.clone(), |near| format!("did you mean {near:?}?"));
                reader.wrong(*name, "is not a right", help);
            }
        }
    }
    if rights == Rights::default().with(Right::Versions) {
        let help = "name what may be done with old versions too: read, list, write or delete";
        reader.error(list.offset, "\"versions\" alone allows nothing", help);
    } else if rights.is_empty() && list.value.is_empty() {
        reader.error(list.offset, "allow is empty", help);
    }
    (!rights.is_empty()).then_some(rights)
}
