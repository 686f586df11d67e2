//! Parses a configuration: reads every table, then checks the relations between them.

use super::clients::Declared;
use super::issuer::read_issuer;
use super::jwt::read_jwt;
use super::keys::read_keys;
use super::limits::read_limits;
use super::listeners::{read_admin, read_listeners};
use super::log::read_log;
use super::mappings::read_mappings;
use super::reader::Reader;
use super::schema::{ADMIN, ISSUER, LIMITS, LOG, ROOT, Section, TRACES, UPSTREAM};
use super::table::Table;
use super::tokens::read_tokens;
use super::traces::read_traces;
use super::upstream::read_upstream;
use super::users::read_users;
use super::warnings::{self, Places};
use super::{Config, Diagnostic, Environment, Listener, homes, reach};
use crate::authenticate::keys::Keys;
use std::sync::Arc;

pub(super) fn parse(source: &str, environment: &dyn Environment) -> Result<Config, Vec<Diagnostic>> {
    let reader = Reader::new(source);
    let root = reader.parse();
    let root = Table::root(root.get_ref(), &ROOT, &reader);
    let config = read_root(&root, environment);
    root.finish();
    let config = config.filter(|_| reader.is_clean()).map(|(config, places)| {
        warnings::check(&config, &places, &reader);
        config
    });
    let (mistakes, warnings) = reader.into_diagnostics();
    config.map(|config| Config { warnings, ..config }).ok_or(mistakes)
}

fn read_root(root: &Table<'_>, environment: &dyn Environment) -> Option<(Config, Places)> {
    let listeners = read_listeners(root, environment);
    let admin = root.table("admin", &ADMIN);
    let mut places = Places { admin: admin.span_of("address"), ..Places::default() };
    let admin = read_admin(admin, &listeners.list);
    let upstream = read_upstream(required(root, "upstream", &UPSTREAM), environment);
    let store = upstream.as_ref().map(|upstream| upstream.store).unwrap_or_default();
    let issuer = required(root, "issuer", &ISSUER);
    places.access_key = issuer.span_of("access_key");
    let issuer = read_issuer(issuer, upstream.as_ref(), environment);
    let (jwt, issuers) = read_jwt(root, environment);
    let (users, user_names) = read_users(root, environment);
    let (tokens, token_names) = read_tokens(root, environment);
    let mut declared = Declared { users: user_names, tokens: token_names, issuers, ..Declared::default() };
    let keys = read_keys(root, environment, &mut declared);
    let mappings = read_mappings(root, store, &listeners, &declared, environment);
    let limits = root.table("limits", &LIMITS);
    places.mints_per_second = limits.span_of("mints_per_second");
    let (limits, workers) = read_limits(limits);
    let log = read_log(root.table("log", &LOG));
    let traces = read_traces(root.table("traces", &TRACES), environment);
    if let Some((mappings, listeners)) = mappings.as_deref().zip(listeners.all()) {
        reach::check(mappings, listeners, root.reader());
        homes::check(mappings, root.reader());
    }
    let mappings = mappings?;
    places.listeners = listeners.list.iter().map(|listener| listener.span).collect();
    places.mappings = mappings.iter().map(|mapping| mapping.span).collect();
    let listeners: Vec<Listener> = listeners.list.into_iter().map(|listener| listener.value).collect();
    let upstream = upstream?;
    let strict = listeners.iter().filter(|listener| listener.refuses_unknown_keys);
    let strict = strict.map(|listener| listener.name.clone()).collect();
    let keys = Arc::new(Keys::new(keys, Arc::clone(&upstream.region), strict));
    let mappings = mappings.into_iter().map(|mapping| mapping.value).collect();
    let warnings = Vec::new();
    let config = Config {
        listeners,
        admin,
        upstream,
        issuer: issuer?,
        jwt: jwt?,
        keys,
        users: users?,
        tokens: tokens?,
        mappings,
        limits,
        workers,
        log,
        traces: traces.ok()?,
        warnings,
    };
    Some((config, places))
}

fn required<'t>(root: &Table<'t>, key: &'static str, section: &'static Section) -> Table<'t> {
    let (table, name) = (root.table(key, section), section.name);
    if root.get(key).is_none() {
        root.error_missing(
            format!("there is no {name}"),
            format!("add a section {name}; proxy.toml shows one"),
        );
    }
    table
}
