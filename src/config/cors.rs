//! `[mapping.cors]`: which web pages may use what a mapping grants.

use super::ListenAddress;
use super::listeners::Listeners;
use super::reader::{At, Reader, Table};
use crate::browser::{Cors, Origin, Origins, RequestHeaders};
use crate::matcher::Matcher;
use crate::operation::TABLE;
use crate::rights::{Right, Rights};
use crate::verb::{Verb, Verbs};
use http::{HeaderName, HeaderValue};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Most entries of each list.
const MAX_ENTRIES: usize = 100;
/// How long browsers may remember the answer to a preflight: they themselves stop at a day at most.
const MAX_AGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
const DEFAULT_MAX_AGE: Duration = Duration::from_hours(1);

/// What the rest of the mapping says that matters here.
pub(super) struct Around<'a> {
    /// Its clients.
    pub(super) client: &'a Matcher,
    /// The rights of all its scopes.
    pub(super) rights: Rights,
    /// Where its clients connect.
    pub(super) listeners: &'a Listeners,
}

/// Reads the section of a mapping, if it has one.
pub(super) fn read_cors(
    mapping: &Table<'_>,
    reader: &Reader<'_>,
    around: Option<&Around<'_>>,
) -> Option<Box<Cors>> {
    let table = mapping.table(reader, "cors", "[mapping.cors]");
    if !table.is_present() {
        return None;
    }
    let origins = read_origins(&table, reader);
    let methods = read_methods(&table, reader, around);
    let headers = read_headers(&table, reader);
    let credentials = table.boolean(reader, "credentials").unwrap_or(false);
    let expose = read_exposed(&table, reader, credentials);
    let max_age = table.duration(reader, "max_age", MAX_AGE).unwrap_or(DEFAULT_MAX_AGE);
    table.finish(reader);
    let (origins, methods) = (origins?, methods?);
    if origins.value == Origins::Any {
        check_any(origins.offset, reader, methods, credentials, around);
    }
    let cors = Cors::new(origins.value, methods, headers, max_age);
    let cors = if credentials { cors.with_credentials() } else { cors };
    Some(Box::new(match expose {
        Some(expose) => cors.exposing(expose),
        None => cors,
    }))
}

/// The entries of a list of 1 to [`MAX_ENTRIES`] different ones.
fn entries<'t>(table: &Table<'t>, reader: &Reader<'_>, key: &'static str) -> Option<At<Vec<At<&'t str>>>> {
    let list = table.strings(reader, key)?;
    if list.value.is_empty() || list.value.len() > MAX_ENTRIES {
        let help = format!("write 1 to {MAX_ENTRIES}, or leave {key} out for the default");
        reader.error(list.offset, format!("{key} has {} entries", list.value.len()), help);
        return None;
    }
    for (index, entry) in list.value.iter().enumerate() {
        if list.value.iter().take(index).any(|earlier| earlier.value.eq_ignore_ascii_case(entry.value)) {
            reader.error(entry.offset, format!("{:?} is there twice", entry.value), "remove one");
        }
    }
    Some(list)
}

fn read_origins(table: &Table<'_>, reader: &Reader<'_>) -> Option<At<Origins>> {
    if table.get("origins").is_none() {
        let help = "name the pages that are meant: origins = [\"https://app.example.org\"]";
        reader.error(table.offset(), "[mapping.cors] has no \"origins\"", help);
        return None;
    }
    let At { value: list, offset } = entries(table, reader, "origins")?;
    if let Some(any) = list.iter().find(|origin| origin.value == "*") {
        if list.len() > 1 {
            reader.error(
                any.offset,
                "\"*\" beside other origins",
                "it is every origin: remove it or the others",
            );
        }
        return Some(At { value: Origins::Any, offset: any.offset });
    }
    let read = |text: At<&str>| {
        let wrong = |why| reader.error(text.offset, format!("{:?} is no origin of a page", text.value), why);
        Origin::parse(text.value).map_err(wrong).ok()
    };
    let count = list.len();
    let origins: Vec<Origin> = list.into_iter().filter_map(read).collect();
    (origins.len() == count).then_some(At { value: Origins::Named(origins), offset })
}

fn read_methods(table: &Table<'_>, reader: &Reader<'_>, around: Option<&Around<'_>>) -> Option<Verbs> {
    if table.get("methods").is_none() {
        return Some([Verb::Get, Verb::Head].into_iter().collect());
    }
    let mut verbs = Verbs::default();
    for At { value, offset } in entries(table, reader, "methods")?.value {
        let Some(verb) = Verb::named(value) else {
            let help = match value {
                "OPTIONS" => "remove it: preflights are always answered".to_owned(),
                _ => format!("write some of: {}", Verbs::ALL.list()),
            };
            reader.error(offset, format!("{value:?} is no method of S3's"), help);
            return None;
        };
        if around.is_some_and(|around| !can_use(verb, around.rights)) {
            let message =
                format!("pages may send {value}, and no scope of the mapping allows anything by it");
            reader.error(offset, message, "add the right to allow of a scope, or remove the method");
        }
        verbs = verbs.with(verb);
    }
    Some(verbs)
}

/// Whether anything that a method does needs one of these rights alone.
fn can_use(verb: Verb, rights: Rights) -> bool {
    TABLE.iter().any(|row| row.method == verb && rights.has(row.right))
}

fn read_headers(table: &Table<'_>, reader: &Reader<'_>) -> RequestHeaders {
    let Some(list) = entries(table, reader, "headers") else { return RequestHeaders::Any };
    if list.value.iter().any(|name| name.value == "*") {
        return RequestHeaders::Any;
    }
    let read = |name: &At<&str>| {
        let whole = name.value.strip_suffix('*').unwrap_or(name.value);
        if HeaderName::from_bytes(whole.as_bytes()).is_err() {
            let help = "write names of headers, as in [\"range\", \"x-amz-*\"]; a * ends a name";
            reader.error(name.offset, format!("{:?} is no name of a header", name.value), help);
        }
        name.value.to_ascii_lowercase().into()
    };
    RequestHeaders::Named(list.value.iter().map(read).collect())
}

fn read_exposed(table: &Table<'_>, reader: &Reader<'_>, credentials: bool) -> Option<HeaderValue> {
    let list = entries(table, reader, "expose")?;
    for name in &list.value {
        match name.value {
            "*" if credentials => {
                let help = "name the headers, or leave expose out";
                reader.error(name.offset, "\"*\" means nothing where requests carry credentials", help);
            }
            "*" => {}
            other if HeaderName::from_bytes(other.as_bytes()).is_ok() => {}
            other => {
                let help = "write names of headers, as in [\"ETag\", \"x-amz-meta-title\"], or \"*\"";
                reader.error(name.offset, format!("{other:?} is no name of a header"), help);
            }
        }
    }
    let names: Vec<&str> = list.value.iter().map(|name| name.value).collect();
    HeaderValue::try_from(names.join(", ")).ok()
}

/// Notes where `*` would give every web page what only some people may have.
fn check_any(
    offset: usize,
    reader: &Reader<'_>,
    methods: Verbs,
    credentials: bool,
    around: Option<&Around<'_>>,
) {
    if credentials {
        let help = "browsers do not accept it: name the origins";
        reader.error(offset, "origins = \"*\" with credentials", help);
    }
    if methods.iter().any(|verb| !matches!(verb, Verb::Get | Verb::Head)) {
        let help = "name the origins, or leave methods at GET and HEAD";
        reader.error(offset, "origins = \"*\" would let every web page write", help);
    }
    if around.is_some_and(|around| !is_public(around)) {
        let help = "name the origins. \"*\" is for what anyone may read: a mapping for all networks, as in \
                    network = [\"0.0.0.0/0\", \"::/0\"], on a listener that is not loopback's";
        let message = "origins = \"*\" would let every web page read what only clients of some networks may";
        reader.error(offset, message, help);
    }
}

/// Whether anyone at all can be a client, so that a page learns nothing that its own server could not ask for.
fn is_public(around: &Around<'_>) -> bool {
    let networks = around.client.networks();
    let everyone = networks.is_none_or(|networks| networks.iter().any(|network| network.prefix_len() == 0));
    let is_local = |address: &ListenAddress| matches!(address, ListenAddress::Tcp(address) if address.ip().is_loopback());
    let wanted = around.client.listener();
    let mut reached = around
        .listeners
        .list
        .iter()
        .map(|listener| &listener.value)
        .filter(|listener| wanted.is_none_or(|wanted| *wanted == listener.name));
    everyone && !reached.all(|listener| is_local(&listener.address))
}

/// The rights of all scopes of a mapping.
pub(super) fn rights_of<'s>(allowed: impl Iterator<Item = &'s Rights>) -> Rights {
    let allowed: Vec<&Rights> = allowed.collect();
    Right::ALL.into_iter().filter(|right| allowed.iter().any(|rights| rights.has(*right))).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake, mistakes};

    /// The mistakes in the example with this section and these rights.
    fn wrong(section: &str, allow: &str) -> Vec<String> {
        let text = format!("{EXAMPLE}[mapping.cors]\n{section}\n");
        mistakes(&text.replace("[\"read\", \"list\"]", allow))
    }

    #[test]
    fn a_section_is_read() {
        for section in [
            "origins = \"https://a.example\"",
            "origins = [\"https://a.example\", \"http://localhost:3000\", \"https://*.example.org\"]\n\
             methods = [\"GET\", \"HEAD\"]\nheaders = [\"Range\", \"x-amz-*\"]\nexpose = [\"ETag\", \"*\"]\n\
             max_age = \"0s\"",
            "origins = \"https://a.example\"\nheaders = \"*\"\ncredentials = true\nexpose = \"x-amz-meta-a\"",
        ] {
            assert_eq!(wrong(section, "[\"read\"]"), Vec::<String>::new(), "{section}");
        }
        assert_eq!(wrong("origins = \"https://a.example\"\nmethods = [\"PUT\"]", "[\"write\"]"), [""; 0]);
        let text = format!("{EXAMPLE}[mapping.cors]\norigins = \"https://a.example\"");
        let mapping = Config::parse(&text, &Fake).unwrap().mappings.remove(0);
        assert_eq!(mapping.cors.unwrap().methods().list(), "GET, HEAD");
        assert!(Config::parse(EXAMPLE, &Fake).unwrap().mappings[0].cors.is_none(), "off when left out");
    }

    #[test]
    fn each_mistake_has_its_place_and_help() {
        let cases: [(&str, &str); 22] = [
            ("", "26:1 [mapping.cors] has no \"origins\" | name the pages"),
            ("origins = []", "27:11 origins has 0 entries"),
            ("origins = 1", "27:11 origins is of type integer"),
            ("origins = \"null\"", "27:11 \"null\" is no origin of a page | every sandboxed page"),
            ("origins = \"https://a.example/\"", "no path: write \"https://a.example\""),
            ("origins = [\"https://a.example\", \"https://A.example\"]", "is there twice"),
            ("origins = [\"*\", \"https://a.example\"]", "27:12 \"*\" beside other origins"),
            ("origins = \"*\"", "27:11 origins = \"*\" would let every web page read"),
            ("origins = \"*\"\nmethods = \"PUT\"", "27:11 origins = \"*\" would let every web page write"),
            ("origins = \"*\"\ncredentials = true", "27:11 origins = \"*\" with credentials"),
            ("origins = \"https://a.example\"\nmethods = [\"get\"]", "28:12 \"get\" is no method of S3's"),
            ("origins = \"https://a.example\"\nmethods = [\"OPTIONS\"]", "preflights are always answered"),
            ("origins = \"https://a.example\"\nmethods = [\"PATCH\"]", "GET, HEAD, PUT, POST, DELETE"),
            ("origins = \"https://a.example\"\nmethods = [\"GET\", \"GET\"]", "28:19 \"GET\" is there twice"),
            (
                "origins = \"https://a.example\"\nmethods = [\"PUT\"]",
                "28:12 pages may send PUT, and no scope",
            ),
            ("origins = \"https://a.example\"\nmethods = []", "methods has 0 entries"),
            ("origins = \"https://a.example\"\nheaders = [\"a b\"]", "28:12 \"a b\" is no name of a header"),
            ("origins = \"https://a.example\"\nexpose = [\"a*b,\"]", "\"a*b,\" is no name of a header"),
            (
                "origins = \"https://a.example\"\nexpose = \"*\"\ncredentials = true",
                "28:10 \"*\" means nothing where requests carry credentials",
            ),
            ("origins = \"https://a.example\"\nmax_age = \"2d\"", "28:11 max_age = \"2d\" is not a duration"),
            ("origins = \"https://a.example\"\norigin = 1", "unknown key \"origin\" in [mapping.cors]"),
            ("origins = \"https://a.example\"\ncredentials = 1", "credentials is of type integer"),
        ];
        for (section, expected) in cases {
            let wrong = wrong(section, "[\"read\", \"list\"]");
            assert!(wrong.iter().any(|mistake| mistake.contains(expected)), "{section}: {wrong:#?}");
        }
    }

    #[test]
    fn every_origin_is_for_what_anyone_may_read() {
        let any = |network: &str, address: &str| {
            let text = format!("{EXAMPLE}[mapping.cors]\norigins = \"*\"\n");
            mistakes(
                &text
                    .replace("\"127.0.0.0/8\", \"::1/128\"", network)
                    .replace("address = \"127.0.0.1:8080\"", address),
            )
        };
        let (public, loopback) = ("address = \"0.0.0.0:8080\"", "address = \"127.0.0.1:8080\"");
        assert_eq!(any("\"0.0.0.0/0\"", public), [""; 0]);
        assert_eq!(any("\"10.0.0.0/8\", \"::/0\"", public), [""; 0]);
        assert_eq!(any("\"10.0.0.0/8\"", public).len(), 1);
        assert_eq!(any("\"0.0.0.0/0\"", loopback).len(), 1, "a page's visitor is on this machine");
    }
}
