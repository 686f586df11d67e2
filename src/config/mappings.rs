//! Reads `[[mapping]]`: scopes and rights.

use super::Environment;
use super::clients::{Declared, read_client};
use super::cors;
use super::homes;
use super::listeners::Listeners;
use super::mounts;
use super::reader::{At, Reader};
use super::schema::{MAPPING, SCOPE};
use super::source::Span;
use super::spelling::nearest;
use super::table::Table;
use crate::authorize::homes::HomeScope;
use crate::authorize::mapping::{Mapping, MintWhen};
use crate::authorize::operations::SessionPlan;
use crate::authorize::operations::grammar::Dialect;
use crate::authorize::policy::MAX_POLICY_BYTES;
use crate::authorize::rights::{Right, Rights};
use crate::authorize::scope::Scope;
use crate::identify::matcher::Matcher;
use crate::s3::names::{BucketName, ErrorPage, IndexName};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of mappings.
const MAX_MAPPINGS: usize = 10_000;
/// Maximum number of scopes in a mapping.
const MAX_SCOPES: usize = 64;
/// The bounds of `session`: MinIO's sessions last at least 15 minutes, those of other stores at most 12 hours.
const SESSION: Duration = Duration::from_mins(15);

/// Reads the mappings. Returns `None` if one of them has a mistake.
pub(super) fn read_mappings(
    root: &Table<'_>,
    store: Dialect,
    listeners: &Listeners,
    declared: &Declared,
    environment: &dyn Environment,
) -> Option<Vec<At<Mapping>>> {
    let tables = root.tables("mapping", &MAPPING);
    if tables.is_empty() {
        root.error_missing("there is no [[mapping]]", "add one: without a mapping every client is refused");
    }
    if tables.len() > MAX_MAPPINGS {
        let message = format!("there are {} mappings; at most {MAX_MAPPINGS} are allowed", tables.len());
        root.error(message, "let clients share a mapping, or divide them among several proxies");
        return None;
    }
    let mut names = HashSet::new();
    let read = |table: Table<'_>| {
        let name = table.string("name");
        if let Some(name) = name.filter(|name| !names.insert(name.value.to_owned())) {
            let message = format!("another mapping has the name {:?}", name.value);
            root.reader().error(name.span, message, "give each mapping its own name");
        }
        read_mapping(table, store, listeners, declared, environment)
    };
    // Collected first, so that the mistakes in all mappings are noted.
    let mappings: Vec<Option<At<Mapping>>> = tables.into_iter().map(read).collect();
    mappings.into_iter().collect()
}

fn read_mapping(
    table: Table<'_>,
    store: Dialect,
    listeners: &Listeners,
    declared: &Declared,
    environment: &dyn Environment,
) -> Option<At<Mapping>> {
    let (reader, span) = (table.reader(), table.span());
    let name = table.name();
    let client = read_client(&table, listeners, declared, environment);
    let duration = table.duration("session").unwrap_or(SESSION);
    let sessions = read_sessions(&table, store);
    let mint = table.word("mint", &[("lazy", MintWhen::Lazy), ("start", MintWhen::Start)]);
    let scopes = read_scopes(&table, client.as_ref());
    let context = client.as_ref().zip(scopes.as_ref()).map(|(client, scopes)| cors::CorsContext {
        client,
        rights: cors::rights_of(scopes.iter().map(|scope| &scope.scope.allow)),
        listeners,
    });
    let cors = cors::read_cors(&table, context.as_ref());
    let shared_cache = table.boolean("shared_cache").unwrap_or(false);
    let homes = homes::read_homes(&table, client.as_ref(), scopes.as_deref(), mint);
    table.finish();
    let (name, client, scopes) = (name?, client?, scopes?);
    let (scopes, homes) = match homes? {
        Some(homes) => (Vec::new(), Some(Arc::new(homes))),
        None => (scopes.into_iter().map(|scope| scope.scope).collect(), None),
    };
    let mapping = Mapping {
        name: name.value.into(),
        client: Arc::new(client),
        scopes,
        sessions,
        duration,
        mint: mint.unwrap_or_default(),
        dialect: store,
        cors,
        shared_cache,
        homes,
    };
    check_policies(&mapping, span, reader);
    Some(At { value: mapping, span: span? })
}

/// Reads how the operations of a mapping are divided among sessions.
fn read_sessions(table: &Table<'_>, store: Dialect) -> SessionPlan {
    let written = table.word("sessions", &[("split", SessionPlan::Split), ("one", SessionPlan::One)]);
    match (written, store) {
        (Some(SessionPlan::Split), Dialect::S3) => {
            let message = "sessions = \"split\" is for MinIO: other stores want further rights for some operations, such as \
                           the right to list for the 404 of an absent object";
            let help = "remove it, or write sessions = \"one\"";
            table.reader().error(table.span_of("sessions"), message, help);
            SessionPlan::One
        }
        (Some(plan), _) => plan,
        (None, Dialect::Minio) => SessionPlan::Split,
        (None, Dialect::S3) => SessionPlan::One,
    }
}

/// Notes a session policy that is too long.
fn check_policies(mapping: &Mapping, span: Option<Span>, reader: &Reader<'_>) {
    let longest = mapping.of_longest_identity();
    let sizes = longest.policies().map(|(kind, policy)| (policy.size(), kind));
    let Some((size, kind)) = sizes.max().filter(|(size, _)| *size > MAX_POLICY_BYTES) else { return };
    let names = if mapping.homes.is_some() { " with the longest names of identities" } else { "" };
    let message = format!(
        "the policy of the session {kind} has {size} bytes{names}; MinIO takes {MAX_POLICY_BYTES} at most"
    );
    let help = "give neighbouring scopes one prefix above them, shorten prefixes, or have scopes allow the same rights, which \
                share a statement. A client that needs them all can also connect to two listeners, with a mapping for each";
    reader.error(span, message, help);
}

fn read_scopes(table: &Table<'_>, client: Option<&Matcher>) -> Option<Vec<HomeScope>> {
    let tables = table.tables("scope", &SCOPE);
    let count = tables.len();
    if count == 0 {
        let help = "add [[mapping.scope]] with bucket, prefix and allow below the mapping";
        table.error("the mapping has no [[mapping.scope]]", help);
        return None;
    }
    if count > MAX_SCOPES {
        let help = "give neighbouring scopes one prefix above them, or use a mapping for each listener";
        table.error(format!("the mapping has {count} scopes; at most {MAX_SCOPES} are allowed"), help);
        return None;
    }
    let scopes: Vec<At<HomeScope>> =
        tables.into_iter().filter_map(|table| read_scope(table, client)).collect();
    mounts::check(&scopes, table.reader());
    (scopes.len() == count).then(|| scopes.into_iter().map(|scope| scope.value).collect())
}

fn read_scope(table: Table<'_>, client: Option<&Matcher>) -> Option<At<HomeScope>> {
    let (reader, span) = (table.reader(), table.span());
    let bucket = table
        .required("bucket", "\"...\"")
        .and_then(|name| name.parse_with(reader, "is not a bucket", BucketName::parse));
    let prefix = table
        .required("prefix", "\"media/\" (or \"\" for the whole bucket)")
        .and_then(|prefix| homes::read_prefix(prefix, client, reader));
    let allow = read_rights(&table);
    let max_object_size = table.size("max_object_size").map(|size| size.value);
    let mount = mounts::read_mount(&table);
    let index = table.parsed("index", "is not an index", IndexName::parse);
    let error_page = table.parsed("error_page", "is not an error page", ErrorPage::parse);
    let site = table.boolean("site");
    if allow.is_some_and(|allow| !allow.has(Right::Read)) {
        check_readable(&table, site);
    }
    table.finish();
    let (prefix, template) = prefix?;
    let mut scope = Scope::new(bucket?, prefix, allow?);
    scope.max_object_size = max_object_size;
    scope.site = site.unwrap_or(index.is_some());
    scope.index = index;
    scope.error_page = error_page;
    let (scope, span) = match mount {
        Some(mount) => (scope.mounted(mount.value), mount.span),
        None => (scope, span?),
    };
    Some(At { value: HomeScope { scope, template }, span })
}

/// Notes keys that have no effect in a scope without the right to read.
fn check_readable(scope: &Table<'_>, site: Option<bool>) {
    for key in ["index", "error_page", "site"] {
        let span = scope.span_of(key).filter(|_| key != "site" || site == Some(true));
        if span.is_some() {
            let message = format!("{key} needs the right to read, which the scope does not allow");
            scope.reader().error(span, message, "add \"read\" to allow");
        }
    }
}

fn read_rights(table: &Table<'_>) -> Option<Rights> {
    let reader = table.reader();
    let names = Right::ALL.map(Right::name);
    let help = format!("name what is allowed, of: {}", names.join(", "));
    table.require("allow", &*help);
    let list = table.strings("allow")?;
    let mut rights = Rights::default();
    for name in &list.value {
        match Right::parse(name.value) {
            Some(right) if rights.has(right) => {
                reader.wrong(*name, "is listed twice", "remove one");
            }
            Some(right) => rights = rights.with(right),
            None => {
                let near = nearest(name.value, &names);
                let help = near.map_or(help.clone(), |near| format!("did you mean {near:?}?"));
                reader.wrong(*name, "is not a right", help);
            }
        }
    }
    if rights == Rights::default().with(Right::Versions) {
        let help = "name what may be done with old versions too: read, list, write or delete";
        reader.error(list.span, "\"versions\" alone allows nothing", help);
    } else if list.value.is_empty() {
        reader.error(list.span, "allow is empty", help);
    }
    (!rights.is_empty()).then_some(rights)
}
