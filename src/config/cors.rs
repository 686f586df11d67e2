//! Reads `[mapping.cors]`: which web pages of other origins may use a mapping.

use super::ListenAddress;
use super::listeners::Listeners;
use super::reader::{At, Reader};
use super::schema::CORS;
use super::source::Span;
use super::table::Table;
use crate::authorize::operations::TABLE;
use crate::authorize::rights::{Right, Rights};
use crate::identify::browser::{Cors, Origin, Origins, RequestHeaders};
use crate::identify::matcher::Matcher;
use crate::s3::verb::{Verb, Verbs};
use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// Maximum number of entries in each list.
const MAX_ENTRIES: usize = 100;
/// The bounds of `max_age`. Browsers cache a preflight's response for at most a day.
const DEFAULT_MAX_AGE: Duration = Duration::from_hours(1);

/// The settings of the mapping that CORS depends on.
pub(super) struct CorsContext<'a> {
    /// The mapping's clients.
    pub(super) client: &'a Matcher,
    /// The rights of all its scopes.
    pub(super) rights: Rights,
    /// The listeners that they connect to.
    pub(super) listeners: &'a Listeners,
}

/// Reads the CORS section of a mapping, if it has one. `context` is `None` if the rest of the mapping has a mistake.
pub(super) fn read_cors(mapping: &Table<'_>, context: Option<&CorsContext<'_>>) -> Option<Box<Cors>> {
    let table = mapping.table("cors", &CORS);
    if !table.is_present() {
        return None;
    }
    let origins = read_origins(&table);
    let methods = read_methods(&table, context);
    let headers = read_headers(&table);
    let credentials = table.boolean("credentials").unwrap_or(false);
    let expose = read_exposed(&table, credentials);
    let max_age = table.duration("max_age").unwrap_or(DEFAULT_MAX_AGE);
    table.finish();
    let (origins, methods) = (origins?, methods?);
    if origins.value == Origins::Any {
        check_any(origins.span, mapping.reader(), methods, credentials, context);
    }
    let cors = Cors::new(origins.value, methods, headers, max_age);
    let cors = if credentials { cors.with_credentials() } else { cors };
    Some(Box::new(match expose {
        Some(expose) => cors.exposing(expose),
        None => cors,
    }))
}

/// Reads a list of 1 to [`MAX_ENTRIES`] distinct entries.
fn entries<'t>(table: &Table<'t>, key: &'static str) -> Option<At<Vec<At<&'t str>>>> {
    let (reader, list) = (table.reader(), table.strings(key)?);
    if list.value.is_empty() || list.value.len() > MAX_ENTRIES {
        let message = format!("{key} has {} entries; 1 to {MAX_ENTRIES} are allowed", list.value.len());
        reader.error(list.span, message, format!("leave {key} out for the default"));
        return None;
    }
    for (index, entry) in list.value.iter().enumerate() {
        if list.value.iter().take(index).any(|earlier| earlier.value.eq_ignore_ascii_case(entry.value)) {
            reader.wrong(*entry, "is listed twice", "remove one");
        }
    }
    Some(list)
}

fn read_origins(table: &Table<'_>) -> Option<At<Origins>> {
    let reader = table.reader();
    table.require("origins", "name the origins of the pages: origins = [\"https://app.example.org\"]");
    let At { value: list, span } = entries(table, "origins")?;
    if let Some(any) = list.iter().find(|origin| origin.value == "*") {
        if list.len() > 1 {
            reader.error(
                any.span,
                "\"*\" beside other origins",
                "\"*\" is every origin: remove it or the others",
            );
        }
        return Some(At { value: Origins::Any, span: any.span });
    }
    let read = |text: At<&str>| text.parse_with(reader, "is not an origin", Origin::parse);
    let count = list.len();
    let origins: Vec<Origin> = list.into_iter().filter_map(read).collect();
    (origins.len() == count).then_some(At { value: Origins::Named(origins), span })
}

fn read_methods(table: &Table<'_>, context: Option<&CorsContext<'_>>) -> Option<Verbs> {
    if table.get("methods").is_none() {
        return Some([Verb::Get, Verb::Head].into_iter().collect());
    }
    let mut verbs = Verbs::default();
    for At { value, span } in entries(table, "methods")?.value {
        let Some(verb) = Verb::named(value) else {
            let help = match value {
                "OPTIONS" => "remove it: preflights are always answered".to_owned(),
                _ => format!("write some of: {}", Verbs::ALL.list()),
            };
            table.reader().wrong(At { value, span }, "is not a method of S3", help);
            return None;
        };
        if context.is_some_and(|context| !can_use(verb, context.rights)) {
            let message = format!("pages may send {value}, but no right of the mapping uses this method");
            table.reader().error(
                span,
                message,
                "add such a right to `allow` of a scope, or remove the method",
            );
        }
        verbs = verbs.with(verb);
    }
    Some(verbs)
}

/// Returns whether any operation with this method is covered by one of these rights alone.
fn can_use(verb: Verb, rights: Rights) -> bool {
    TABLE.iter().any(|row| row.method == verb && rights.has(row.right))
}

fn read_headers(table: &Table<'_>) -> RequestHeaders {
    let Some(list) = entries(table, "headers") else { return RequestHeaders::Any };
    if list.value.iter().any(|name| name.value == "*") {
        return RequestHeaders::Any;
    }
    let read = |name: &At<&str>| {
        let whole = name.value.strip_suffix('*').unwrap_or(name.value);
        if HeaderName::from_bytes(whole.as_bytes()).is_err() {
            let help = "write names of headers, such as [\"range\", \"x-amz-*\"]; a * ends a name";
            table.reader().wrong(*name, "is not the name of a header", help);
        }
        name.value.to_ascii_lowercase().into()
    };
    RequestHeaders::Named(list.value.iter().map(read).collect())
}

fn read_exposed(table: &Table<'_>, credentials: bool) -> Option<HeaderValue> {
    let (reader, list) = (table.reader(), entries(table, "expose")?);
    for name in &list.value {
        match name.value {
            "*" if credentials => {
                let help = "name the headers, or leave expose out";
                reader.error(name.span, "browsers ignore \"*\" where requests carry credentials", help);
            }
            "*" => {}
            other if HeaderName::from_bytes(other.as_bytes()).is_ok() => {}
            _ => {
                let help = "write names of headers, such as [\"ETag\", \"x-amz-meta-title\"], or \"*\"";
                reader.wrong(*name, "is not the name of a header", help);
            }
        }
    }
    let names: Vec<&str> = list.value.iter().map(|name| name.value).collect();
    HeaderValue::try_from(names.join(", ")).ok()
}

/// Notes an origin `*` that would let every web page write, or read data that is not public.
fn check_any(
    span: Span,
    reader: &Reader<'_>,
    methods: Verbs,
    credentials: bool,
    context: Option<&CorsContext<'_>>,
) {
    if credentials {
        let help = "browsers reject this combination: name the origins";
        reader.error(span, "origins = \"*\" cannot be combined with credentials", help);
    }
    if methods.iter().any(|verb| !matches!(verb, Verb::Get | Verb::Head)) {
        let help = "name the origins, or leave methods at GET and HEAD";
        reader.error(span, "origins = \"*\" would let every web page write", help);
    }
    if context.is_some_and(|context| !is_public(context)) {
        let help = "name the origins. \"*\" is for what anyone may read: a mapping for all networks, as in \
                    network = [\"0.0.0.0/0\", \"::/0\"], on a listener outside loopback";
        let message = "origins = \"*\" would let every web page read what is only for some clients";
        reader.error(span, message, help);
    }
}

/// Returns whether everyone can be a client. Then a page learns nothing that its own server could not request.
fn is_public(context: &CorsContext<'_>) -> bool {
    let networks = context.client.networks();
    let everyone = networks.is_none_or(|networks| networks.iter().any(|network| network.prefix_len() == 0));
    let is_local = |address: &ListenAddress| matches!(address, ListenAddress::Tcp(address) if address.ip().is_loopback());
    let wanted = context.client.listener();
    let mut reached = context
        .listeners
        .list
        .iter()
        .map(|listener| &listener.value)
        .filter(|listener| wanted.is_none_or(|wanted| *wanted == listener.name));
    everyone && context.client.is_by_address() && !reached.all(|listener| is_local(&listener.address))
}

/// Returns the rights of all scopes together.
pub(super) fn rights_of<'s>(allowed: impl Iterator<Item = &'s Rights>) -> Rights {
    let allowed: Vec<&Rights> = allowed.collect();
    Right::ALL.into_iter().filter(|right| allowed.iter().any(|rights| rights.has(*right))).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake, mistakes};

    /// Returns the mistakes in the example with this section and these rights.
    fn wrong(section: &str, allow: &str) -> Vec<String> {
        let text = format!("{EXAMPLE}[mapping.cors]\n{section}\n");
        mistakes(&text.replace("[\"read\", \"list\"]", allow))
    }

    #[test]
    fn reads_a_section() {
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
            ("", "26:1 [mapping.cors] has no \"origins\" | name the origins of the pages"),
            ("origins = []", "27:11 origins has 0 entries"),
            ("origins = 1", "27:11 origins is of type integer"),
            ("origins = \"null\"", "27:11 \"null\" is not an origin | every sandboxed page"),
            ("origins = \"https://a.example/\"", "no path: write \"https://a.example\""),
            ("origins = [\"https://a.example\", \"https://A.example\"]", "is listed twice"),
            ("origins = [\"*\", \"https://a.example\"]", "27:12 \"*\" beside other origins"),
            ("origins = \"*\"", "27:11 origins = \"*\" would let every web page read"),
            ("origins = \"*\"\nmethods = \"PUT\"", "27:11 origins = \"*\" would let every web page write"),
            (
                "origins = \"*\"\ncredentials = true",
                "27:11 origins = \"*\" cannot be combined with credentials",
            ),
            ("origins = \"https://a.example\"\nmethods = [\"get\"]", "28:12 \"get\" is not a method of S3"),
            ("origins = \"https://a.example\"\nmethods = [\"OPTIONS\"]", "preflights are always answered"),
            ("origins = \"https://a.example\"\nmethods = [\"PATCH\"]", "GET, HEAD, PUT, POST, DELETE"),
            (
                "origins = \"https://a.example\"\nmethods = [\"GET\", \"GET\"]",
                "28:19 \"GET\" is listed twice",
            ),
            (
                "origins = \"https://a.example\"\nmethods = [\"PUT\"]",
                "28:12 pages may send PUT, but no right",
            ),
            ("origins = \"https://a.example\"\nmethods = []", "methods has 0 entries"),
            (
                "origins = \"https://a.example\"\nheaders = [\"a b\"]",
                "28:12 \"a b\" is not the name of a header",
            ),
            ("origins = \"https://a.example\"\nexpose = [\"a*b,\"]", "\"a*b,\" is not the name of a header"),
            (
                "origins = \"https://a.example\"\nexpose = \"*\"\ncredentials = true",
                "28:10 browsers ignore \"*\" where requests carry credentials",
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
    fn any_origin_requires_a_public_mapping() {
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
        let unix = "address = \"unix:/run/s3.sock\"";
        let of_users = EXAMPLE
            .replace("network = [\"127.0.0.0/8\", \"::1/128\"]", "uid = 1000")
            .replace("address = \"127.0.0.1:8080\"", unix);
        assert_eq!(mistakes(&of_users), [""; 0]);
        let told = mistakes(&format!("{of_users}[mapping.cors]\norigins = \"*\"\n"));
        assert!(told.len() == 1 && told[0].contains("what is only for some clients"), "{told:?}");
    }
}
