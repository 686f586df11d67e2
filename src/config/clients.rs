//! Reads the `client` of a mapping: the conditions on its clients.

use super::Environment;
use super::account::Account;
use super::accounts::read_accounts;
use super::certificates::read_certificate;
use super::listeners::Listeners;
use super::reader::{At, Reader};
use super::schema::{CLAIM, CLIENT, CLIENT_JWT};
use super::source::Span;
use super::spelling::nearest;
use super::table::Table;
use super::value::parse_network;
use crate::identify::client::ListenerName;
use crate::identify::identity::Names;
use crate::identify::matcher::{ClaimCondition, ClaimTest, Condition, JwtCondition, Matcher};
use serde_json::Value;
use std::cell::Cell;
use toml::Spanned;
use toml::de::DeValue;

/// Maximum number of networks in a mapping.
const MAX_NETWORKS: usize = 1000;
/// Maximum number of names, claims or service accounts in a condition.
const MAX_NAMES: usize = 1000;
/// Maximum number of segments in the path of a claim.
const MAX_PATH: usize = 8;

/// The names that the configuration declares, one list for each kind.
#[derive(Default)]
pub(super) struct Declared {
    /// Users.
    pub(super) users: NameList,
    /// Bearer tokens.
    pub(super) tokens: NameList,
    /// Ids of local access keys.
    pub(super) keys: NameList,
    /// Issuers of JWTs.
    pub(super) issuers: NameList,
}

/// The declared names of one kind.
#[derive(Default)]
pub(super) struct NameList {
    /// The names without a mistake.
    pub(super) names: Vec<Box<str>>,
    /// Whether there may be other names: an entry has a mistake, or a file declares names as well.
    pub(super) is_open: bool,
}

/// Reads `client`. Returns `None` if it has a mistake.
pub(super) fn read_client(
    table: &Table<'_>,
    listeners: &Listeners,
    declared: &Declared,
    environment: &dyn Environment,
) -> Option<Matcher> {
    let example = "client = { network = [\"127.0.0.0/8\", \"::1/128\"] }";
    table.require("client", format!("say which clients it is for: {example}"));
    let client = table.table("client", &CLIENT);
    if !client.is_present() {
        return None;
    }
    let (reader, span) = (client.reader(), client.span());
    let failed = Cell::new(false);
    let mut conditions = Vec::new();
    let mut add = |is_given: bool, condition: Option<Condition>| {
        failed.set(failed.get() || (is_given && condition.is_none()));
        conditions.extend(condition);
    };
    let given = |key| client.span_of(key).is_some();
    let networks = client.strings("network").and_then(|list| read_networks(list, reader));
    add(given("network"), networks.map(Condition::Network));
    let listener = client.string("listener").and_then(|name| find_listener(name, reader, listeners));
    add(given("listener"), listener.map(Condition::Listener));
    let uids = read_accounts(&client, "uid", Account::User, environment);
    add(given("uid"), uids.map(Condition::Uid));
    let gids = read_accounts(&client, "gid", Account::Group, environment);
    add(given("gid"), gids.map(Condition::Gid));
    add(given("certificate"), read_certificate(&client).map(Condition::Certificate));
    let names = |key, kind: &'static str, list: &NameList| read_names(&client, key, kind, list);
    add(given("user"), names("user", "a user", &declared.users).map(Condition::User));
    add(given("token"), names("token", "a token", &declared.tokens).map(Condition::Token));
    add(given("key"), names("key", "a key", &declared.keys).map(Condition::Key));
    let jwt = read_jwt(&client, &declared.issuers);
    add(given("jwt"), jwt.map(Condition::Jwt));
    client.finish();
    if failed.get() {
        return None;
    }
    if conditions.is_empty() {
        let help = "for every client, write client = { network = [\"0.0.0.0/0\", \"::/0\"] }";
        reader.error(span, "client has no condition and would match every client", help);
        return None;
    }
    check_schemes(&conditions, span, reader)?;
    Some(Matcher::new(conditions))
}

/// Notes conditions of which a request can only ever meet one: it carries one credential.
fn check_schemes(conditions: &[Condition], span: Option<Span>, reader: &Reader<'_>) -> Option<()> {
    let mut with_credentials = conditions.iter().filter(|condition| condition.scheme().is_some());
    let (Some(first), Some(second)) = (with_credentials.next(), with_credentials.next()) else {
        return Some(());
    };
    let message = format!(
        "client has both {} and {}, and a request carries one credential: no client can match",
        first.name(),
        second.name()
    );
    reader.error(span, message, "make a mapping for each of them");
    None
}

fn read_networks(list: At<Vec<At<&str>>>, reader: &Reader<'_>) -> Option<Vec<ipnet::IpNet>> {
    let count = list.value.len();
    if !(1..=MAX_NETWORKS).contains(&count) {
        let message = format!("network has {count} entries; 1 to {MAX_NETWORKS} are allowed");
        reader.error(list.span, message, "write networks, such as \"10.0.0.0/8\" or \"::1/128\"");
        return None;
    }
    let read = |text: At<&str>| text.parse_with(reader, "is not a network", parse_network);
    let networks: Vec<Option<ipnet::IpNet>> = list.value.into_iter().map(read).collect();
    networks.into_iter().collect()
}

fn find_listener(name: At<&str>, reader: &Reader<'_>, listeners: &Listeners) -> Option<ListenerName> {
    let found = listeners.find(name.value);
    // If a listener has a mistake, the name may be that listener's.
    if let Some(all) = listeners.all().filter(|_| found.is_none()) {
        let names: Vec<&str> = all.iter().map(|listener| &*listener.value.name).collect();
        let help = nearest(name.value, &names).map_or_else(
            || format!("the listeners are: {}", names.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
        reader.wrong(name, "is not the name of a listener", help);
    }
    found.map(|listener| listener.name.clone())
}

/// Reads a list of declared names, or `"*"` alone for all of them.
fn read_names(client: &Table<'_>, key: &'static str, kind: &str, list: &NameList) -> Option<Names> {
    let reader = client.reader();
    let names = client.strings(key)?;
    let count = names.value.len();
    if !(1..=MAX_NAMES).contains(&count) {
        let message = format!("{key} has {count} entries; 1 to {MAX_NAMES} are allowed");
        reader.error(
            names.span,
            message,
            format!("write names, such as {key} = [\"...\"], or [\"*\"] for any"),
        );
        return None;
    }
    if list.names.is_empty() && !list.is_open {
        let message = format!("the configuration declares no {key}");
        reader.error(names.span, message, format!("add a section [[{key}]]"));
        return None;
    }
    if let [only] = &names.value[..]
        && only.value == "*"
    {
        return Some(Names::Any);
    }
    let mut found = Vec::with_capacity(count);
    for name in names.value {
        if name.value == "*" {
            reader.error(name.span, "\"*\" is any name, so the others have no effect", "write \"*\" alone");
        } else if !list.is_open && !list.names.iter().any(|one| **one == *name.value) {
            let known: Vec<&str> = list.names.iter().map(|name| &**name).collect();
            let help = nearest(name.value, &known).map_or_else(
                || format!("declare it in a section [[{key}]]"),
                |near| format!("did you mean {near:?}?"),
            );
            reader.wrong(name, &format!("is not the name of {kind}"), help);
        } else {
            found.push(name.value.into());
            continue;
        }
        return None;
    }
    Some(Names::Of(found))
}

fn read_jwt(client: &Table<'_>, issuers: &NameList) -> Option<JwtCondition> {
    let table = client.table("jwt", &CLIENT_JWT);
    if !table.is_present() {
        return None;
    }
    let reader = table.reader();
    let issuer = table.required("issuer", "\"...\", the name of a [[jwt]]");
    if let Some(issuer) = issuer
        && !issuers.is_open
        && !issuers.names.iter().any(|name| **name == *issuer.value)
    {
        let known: Vec<&str> = issuers.names.iter().map(|name| &**name).collect();
        let help = nearest(issuer.value, &known).map_or_else(
            || "declare it in a section [[jwt]]".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        reader.wrong(issuer, "is not the name of a [[jwt]]", help);
        return None;
    }
    let accounts = read_service_accounts(&table);
    let claims: Vec<Option<ClaimCondition>> =
        table.tables("claims", &CLAIM).into_iter().map(read_claim).collect();
    let too_many = claims.len() > MAX_NAMES;
    if too_many {
        table.error(format!("claims has {} entries", claims.len()), format!("write at most {MAX_NAMES}"));
    }
    table.finish();
    let claims: Option<Vec<ClaimCondition>> = claims.into_iter().collect();
    (!too_many).then_some(())?;
    Some(JwtCondition { issuer: issuer?.value.into(), claims: claims?, service_accounts: accounts? })
}

fn read_service_accounts(table: &Table<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let Some(list) = table.strings("service_account") else {
        return table.span_of("service_account").is_none().then(Vec::new);
    };
    if !(1..=MAX_NAMES).contains(&list.value.len()) {
        let message =
            format!("service_account has {} entries; 1 to {MAX_NAMES} are allowed", list.value.len());
        table.reader().error(list.span, message, "write namespace and name, such as \"data/reader\"");
        return None;
    }
    let parse = |text: &str| {
        let is_name = |name: &str| {
            (1..=253).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        };
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok((namespace.into(), name.into()))
            }
            _ => Err("write namespace and name, such as \"data/reader\""),
        }
    };
    let read = |text: At<&str>| text.parse_with(table.reader(), "is not a service account", parse);
    let accounts: Vec<Option<(Box<str>, Box<str>)>> = list.value.into_iter().map(read).collect();
    accounts.into_iter().collect()
}

fn read_claim(table: Table<'_>) -> Option<ClaimCondition> {
    let reader = table.reader();
    let example = "{ path = [\"groups\"], has = \"data\" }";
    table.require("path", format!("write a claim as {example}"));
    let path = table.strings("path");
    if let Some(path) = &path
        && (!(1..=MAX_PATH).contains(&path.value.len())
            || path.value.iter().any(|name| name.value.is_empty()))
    {
        let message =
            format!("path has {} names; 1 to {MAX_PATH} that are not empty are allowed", path.value.len());
        reader.error(
            path.span,
            message,
            "write each name from the outermost object to the claim, such as [\"realm_access\", \"roles\"]",
        );
        return None;
    }
    let is = table.get("is").map(|value| read_scalar(value, &table, "is"));
    let has = table.get("has").map(|value| read_scalar(value, &table, "has"));
    let starts = table.string("starts");
    let span = table.span();
    table.finish();
    let test = match (is, has, starts) {
        (Some(value), None, None) => ClaimTest::Is(value?),
        (None, Some(value), None) => ClaimTest::Has(value?),
        (None, None, Some(text)) if text.value.ends_with('/') => ClaimTest::Starts(text.value.into()),
        (None, None, Some(text)) => {
            let help = "a prefix ends at a whole segment, so that \"team-a/\" does not match \"team-ab\"";
            reader.wrong(text, "does not end in '/'", help);
            return None;
        }
        _ => {
            reader.error(
                span,
                "a claim needs exactly one of is, has and starts",
                format!("write it as {example}"),
            );
            return None;
        }
    };
    let path = path?.value.into_iter().map(|name| name.value.into()).collect();
    Some(ClaimCondition { path, test })
}

fn read_scalar(value: &Spanned<DeValue<'_>>, table: &Table<'_>, key: &str) -> Option<Value> {
    let number = |text: &str| text.parse::<i64>().ok().map(Value::from);
    let scalar = match value.get_ref() {
        DeValue::String(text) => Some(Value::from(&**text)),
        DeValue::Boolean(is) => Some(Value::from(*is)),
        DeValue::Integer(integer) => number(integer.as_str()),
        _ => None,
    };
    if scalar.is_none() {
        let message = format!("{key} is neither a string, a boolean nor a whole number");
        table.reader().error(Span::from(value.span()), message, "write the value that the claim must have");
    }
    scalar
}
