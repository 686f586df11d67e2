//! Reads the settings of TLS towards servers: the authorities to trust, the certificate to show and the name to expect.

use super::Environment;
use super::schema::{CERTIFICATE, CLIENT_TLS};
use super::table::Table;
use super::tls::{Places, read_pair, read_paths};
use crate::net::connect::{FollowedTls, TlsSettings};
use crate::net::endpoint::Endpoint;
use crate::net::wall_clock::WallClock;
use rustls::pki_types::ServerName;

/// Settings, and the places of the files that they name.
pub(super) struct ReadTls {
    pub(super) settings: TlsSettings,
    places: Places,
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
    let table = section.table("tls", &CLIENT_TLS);
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
    let mut places = Places::default();
    let ca = read_paths(table, "ca", "ca.pem", &mut places);
    let certificate = match table.span_of("certificate") {
        None => Some(None),
        Some(_) => read_pair(table.table("certificate", &CERTIFICATE), &mut places).map(Some),
    };
    let server_name = read_server_name(table);
    let is_wrong = server_name.is_none() && table.span_of("server_name").is_some();
    let ca = ca.ok()?.unwrap_or_default();
    let settings = TlsSettings { ca, certificate: certificate?, server_name };
    if is_wrong {
        return None;
    }
    Some(ReadTls { settings, places })
}

fn read_server_name(table: &Table<'_>) -> Option<ServerName<'static>> {
    table.parsed("server_name", "is not a name that a certificate can have", |name| {
        ServerName::try_from(name.to_owned())
            .map_err(|_| "write a DNS name or an address, without scheme and port: \"minio.internal\"")
    })
}

/// Reads the files that settings name, so that mistakes in them are noted before anything starts.
pub(super) fn load(read: ReadTls, table: &Table<'_>, environment: &dyn Environment) -> Option<FollowedTls> {
    let ReadTls { settings, places } = read;
    let (span, reader) = (table.span(), table.reader());
    match FollowedTls::load(settings, &|path, kind| environment.tls_file(path, kind)) {
        Ok(tls) => {
            if let Some(problem) = tls.warning(WallClock::SYSTEM.now()) {
                places.warn(problem, span, reader);
            }
            Some(tls)
        }
        Err(problems) => {
            for problem in problems {
                places.note(problem, span, reader);
            }
            None
        }
    }
}
