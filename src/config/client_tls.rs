//! Reads the settings of TLS towards servers: the authorities to trust, the certificate to show and the name to expect.

use super::Environment;
use super::reader::At;
use super::source::Span;
use super::table::Table;
use crate::net::connect::{CertificateFiles, FileKind, FollowedTls, Part, TlsMistake, TlsSettings};
use crate::net::endpoint::Endpoint;
use rustls::pki_types::ServerName;
use std::path::{Path, PathBuf};

/// Maximum number of files of authorities.
const MAX_AUTHORITIES: usize = 100;

/// Settings, and the places of the files that they name.
#[derive(Default)]
pub(super) struct ReadTls {
    pub(super) settings: TlsSettings,
    authorities: Vec<Span>,
    chain: Option<Span>,
    key: Option<Span>,
}

/// Reads `tls = { ... }` of a section whose endpoints are these. Without the key, endpoints with TLS trust the machine's
/// authorities. Returns `None` after a mistake.
pub(super) fn read_tls(
    section: &Table<'_>,
    endpoints: &[Endpoint],
    environment: &dyn Environment,
) -> Option<FollowedTls> {
    let Some(span) = section.span_of("tls") else {
        let has_tls = endpoints.iter().any(Endpoint::tls);
        return Some(if has_tls { FollowedTls::of_machine() } else { FollowedTls::none() });
    };
    let table = section.table("tls", "tls");
    if !table.is_present() {
        return None;
    }
    let read = read_keys(&table);
    table.finish();
    if let Some(plain) = endpoints.iter().find(|endpoint| !endpoint.tls()) {
        let help = format!("write it as https://{}, or remove tls", plain.authority());
        section.reader().error(span, format!("tls is given, and the endpoint {plain} does not use it"), help);
    }
    load(read?, section, environment)
}

/// Reads `ca`, `certificate` and `server_name`. Returns `None` after a mistake.
pub(super) fn read_keys(table: &Table<'_>) -> Option<ReadTls> {
    let authorities = read_authorities(table);
    let certificate = read_certificate(table);
    let server_name = match table.string("server_name") {
        None => table.span_of("server_name").is_none().then_some(None),
        Some(name) => {
            let parsed =
                name.parse_with(table.reader(), "is not a name that a certificate can have", |name| {
                    ServerName::try_from(name.to_owned()).map_err(
                        |_| "write a DNS name or an address, without scheme and port: \"minio.internal\"",
                    )
                });
            parsed.map(Some)
        }
    };
    let (authorities, certificate) = (authorities?, certificate?);
    let (chain, key) = certificate.unzip();
    let files = chain.zip(key).map(|(chain, key)| CertificateFiles { chain: path(chain), key: path(key) });
    Some(ReadTls {
        settings: TlsSettings {
            ca: authorities.iter().map(|file| path(*file)).collect(),
            certificate: files,
            server_name: server_name?,
        },
        authorities: authorities.iter().map(|file| file.span).collect(),
        chain: chain.map(|file| file.span),
        key: key.map(|file| file.span),
    })
}

fn path(file: At<&str>) -> PathBuf {
    PathBuf::from(file.value)
}

fn read_authorities<'t>(table: &Table<'t>) -> Option<Vec<At<&'t str>>> {
    let Some(list) = table.strings("ca") else { return table.span_of("ca").is_none().then(Vec::new) };
    let count = list.value.len();
    if !(1..=MAX_AUTHORITIES).contains(&count) || list.value.iter().any(|path| path.value.is_empty()) {
        let help = "write PEM files of authorities, such as ca = [\"/etc/scopegate/ca.pem\"]; \
                    without ca, those that this machine trusts count";
        table.reader().error(list.span, format!("ca has {count} entries, or an empty one"), help);
        return None;
    }
    Some(list.value)
}

type Pair<'t> = (At<&'t str>, At<&'t str>);

fn read_certificate<'t>(table: &Table<'t>) -> Option<Option<Pair<'t>>> {
    if table.span_of("certificate").is_none() {
        return Some(None);
    }
    let files = table.table("certificate", "certificate");
    let named = |key, example| {
        let file = files.required(key, example)?;
        if file.value.is_empty() {
            files.reader().error(file.span, format!("{key} is empty"), format!("write {key} = {example}"));
        }
        Some(file).filter(|file| !file.value.is_empty())
    };
    let chain = named("chain", "\"/etc/scopegate/client.crt\"");
    let key = named("key", "\"/etc/scopegate/client.key\"");
    files.finish();
    chain.zip(key).map(Some)
}

/// Reads the files that settings name, so that mistakes in them are noted before anything starts.
pub(super) fn load(read: ReadTls, table: &Table<'_>, environment: &dyn Environment) -> Option<FollowedTls> {
    let ReadTls { settings, authorities, chain, key } = read;
    let read = |path: &Path, kind| match kind {
        FileKind::Public => environment.certificates(path),
        FileKind::Private => environment.private_key(path),
    };
    let note = |mistakes: Vec<TlsMistake>| {
        for TlsMistake { part, message, help } in mistakes {
            let (name, span) = match part {
                Part::Authorities(number) => ("ca", authorities.get(number).copied()),
                Part::Chain => ("chain", chain),
                Part::Key => ("key", key),
            };
            table.reader().error(span.or(table.span()), format!("{name}: {message}"), help);
        }
    };
    FollowedTls::load(settings, &read).map_err(note).ok()
}
