//! Reads `tls` of a `[[listener]]`: the certificates that it shows, and the authorities of client certificates.

use super::reader::{At, Reader};
use super::schema::{CERTIFICATE, LISTENER_TLS};
use super::source::Span;
use super::table::Table;
use super::{Environment, ListenerTls};
use crate::net::tls_files::load_from;
use crate::net::wall_clock::WallClock;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tls::{ClientAuth, KeyPairFiles, Problem, ServerSettings, ServerTls};
use toml::de::DeValue;

/// Maximum number of certificates of a listener, and of files of authorities and of revocation lists.
const MAX_FILES: usize = 100;

/// The length from which a text with neither `.` nor `/` is not a path but a key.
const LONGEST_NAME: usize = 32;

const EXAMPLE: &str = "certificates = [{ chain = \"tls.crt\", key = \"tls.key\" }]";

/// The place in the configuration that names each file.
#[derive(Default)]
pub(super) struct Places(HashMap<PathBuf, Span>);

/// Reads the files of a listener's TLS. Returns `None` where files are not read.
///
/// # Errors
/// Lists everything that is wrong with the files.
pub(crate) fn load_tls(
    settings: &ServerSettings,
    environment: &dyn Environment,
) -> Result<Option<ServerTls>, Vec<Problem>> {
    load_from(&|path, kind| environment.tls_file(path, kind), |read| ServerTls::load(settings, read))
}

/// Reads the TLS of a listener, whose table is present. Returns `None` if it has a mistake.
pub(super) fn read_tls(listener: &Table<'_>, environment: &dyn Environment) -> Option<ListenerTls> {
    let table = listener.table("tls", &LISTENER_TLS);
    let mut places = Places::default();
    let certificates = read_certificates(&table, &mut places);
    let clients = read_clients(&table, &mut places);
    let http2 = table.boolean("http2").unwrap_or(true);
    let (reader, span) = (table.reader(), table.span());
    table.finish();
    let settings = ServerSettings { certificates: certificates?, clients: clients.ok()?, http2 };
    match load_tls(&settings, environment) {
        Ok(loaded) => {
            let now = WallClock::SYSTEM.now();
            for problem in loaded.iter().flat_map(|tls| tls.warnings(now)) {
                places.warn(problem, span, reader);
            }
            Some(ListenerTls { settings, loaded: loaded.map(Arc::new) })
        }
        Err(problems) => {
            for problem in problems {
                places.note(problem, span, reader);
            }
            None
        }
    }
}

fn read_certificates(table: &Table<'_>, places: &mut Places) -> Option<Vec<KeyPairFiles>> {
    table.require("certificates", format!("add {EXAMPLE}"));
    let span = table.span_of("certificates")?;
    let pairs = table.tables_named("certificates", &CERTIFICATE, "[{ chain, key }]");
    let (reader, count) = (table.reader(), pairs.len());
    // What is no list is noted already.
    table.get("certificates").filter(|value| matches!(value.get_ref(), DeValue::Array(_)))?;
    if !(1..=MAX_FILES).contains(&count) {
        let message = format!("certificates has {count} entries; 1 to {MAX_FILES} are allowed");
        reader.error(span, message, format!("write {EXAMPLE}"));
        return None;
    }
    let mut read: Vec<KeyPairFiles> = Vec::new();
    for pair in pairs {
        let pair = read_pair(pair, places)?;
        let is_like = |other: &KeyPairFiles| other.chain == pair.chain;
        if let Some(span) = places.of(&pair.chain).filter(|_| read.iter().any(is_like)) {
            let message = format!("the certificate {} is listed twice", pair.chain.display());
            reader.error(span, message, "remove one");
        }
        read.push(pair);
    }
    (read.len() == count).then_some(read)
}

/// Reads the files of a certificate.
pub(super) fn read_pair(pair: Table<'_>, places: &mut Places) -> Option<KeyPairFiles> {
    let chain = pair.required("chain", "\"tls.crt\", the certificate and those of its authorities");
    let key = pair.required("key", "\"tls.key\", the private key of the certificate");
    let reader = pair.reader();
    pair.finish();
    Some(KeyPairFiles { chain: places.path(chain?, reader)?, key: places.path(key?, reader)? })
}

/// A mistake that is noted.
pub(super) struct Noted;

fn read_clients(table: &Table<'_>, places: &mut Places) -> Result<Option<ClientAuth>, Noted> {
    let reader = table.reader();
    let authorities = read_paths(table, "client_ca", "clients.pem", places)?;
    let revocations = read_paths(table, "client_crl", "clients.crl", places)?;
    let is_required = table.word("client_certificate", &[("optional", false), ("required", true)]);
    let Some(authorities) = authorities else {
        for key in ["client_crl", "client_certificate"] {
            if let Some(span) = table.span_of(key) {
                let help = format!(
                    "name the authorities of client certificates: client_ca = [\"clients.pem\"], or remove {key}"
                );
                reader.error(span, format!("{key} has no meaning without client_ca"), help);
            }
        }
        return Ok(None);
    };
    let is_required = is_required.unwrap_or(true);
    Ok(Some(ClientAuth { authorities, revocations: revocations.unwrap_or_default(), is_required }))
}

/// Reads a list of paths. Returns `None` if the key is absent.
pub(super) fn read_paths(
    table: &Table<'_>,
    key: &'static str,
    example: &str,
    places: &mut Places,
) -> Result<Option<Vec<PathBuf>>, Noted> {
    let Some(span) = table.span_of(key) else { return Ok(None) };
    let list = table.strings(key).ok_or(Noted)?.value;
    let reader = table.reader();
    if !(1..=MAX_FILES).contains(&list.len()) {
        let message = format!("{key} has {} entries; 1 to {MAX_FILES} are allowed", list.len());
        reader.error(span, message, format!("write PEM files, such as {key} = [\"{example}\"]"));
        return Err(Noted);
    }
    let mut paths = Vec::new();
    for path in list {
        let at = places.path(path, reader).ok_or(Noted)?;
        if paths.contains(&at) {
            reader.wrong(path, &format!("is listed twice in {key}"), "remove one");
        }
        paths.push(at);
    }
    Ok(Some(paths))
}

/// Returns the sentence about a file, or about the settings as a whole.
fn message(file: &Path, what: &str) -> String {
    if file.as_os_str().is_empty() { format!("tls: {what}") } else { format!("{} {what}", file.display()) }
}

/// Returns whether a text looks like the content of a file that was pasted for its path.
fn is_content(text: &str) -> bool {
    text.contains("-----") || text.contains('\n') || text.len() >= LONGEST_NAME && !text.contains(['.', '/'])
}

impl Places {
    /// Reads a path, and notes its place.
    fn path(&mut self, text: At<&str>, reader: &Reader<'_>) -> Option<PathBuf> {
        if text.value.is_empty() {
            reader.error(text.span, "the path is empty", "write the path of a PEM file");
            return None;
        }
        if is_content(text.value) {
            let help = "write the path of a PEM file, and not its content";
            reader.error(text.span, "this is not a path, and is not shown: it may be a private key", help);
            return None;
        }
        let path = PathBuf::from(text.value);
        self.0.entry(path.clone()).or_insert(text.span);
        Some(path)
    }

    fn of(&self, path: &Path) -> Option<Span> {
        self.0.get(path).copied()
    }

    /// Notes what is wrong with a file at the place that names it.
    pub(super) fn note(&self, problem: Problem, default: Option<Span>, reader: &Reader<'_>) {
        let Problem { file, what, help } = problem;
        reader.error(self.of(&file).or(default), message(&file, &what), help);
    }

    /// Warns of a file at the place that names it.
    pub(super) fn warn(&self, problem: Problem, default: Option<Span>, reader: &Reader<'_>) {
        let Problem { file, what, help } = problem;
        reader.warn(self.of(&file).or(default), message(&file, &what), help);
    }
}
