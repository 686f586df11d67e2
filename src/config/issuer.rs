//! Reads `[issuer]`: the keys that sessions are minted with. The file says where they are and never contains them.

use super::client_tls::read_tls;
use super::secrets::read_secret;
use super::table::Table;
use super::upstream::read_endpoint;
use super::{Environment, Issuer, Upstream};
use crate::net::connect::FollowedTls;
use crate::sigv4::secret::Credentials;

/// Reads the section. Without `tls`, STS is reached as the store is.
pub(super) fn read_issuer(
    table: Table<'_>,
    upstream: Option<&Upstream>,
    environment: &dyn Environment,
) -> Option<Issuer> {
    let endpoint = table.string("endpoint").and_then(|url| read_endpoint(url, table.reader()));
    let role_arn = table.string("role_arn").map(|role| role.value.to_owned());
    let access_key = read_secret(&table, "access_key", environment);
    let secret_key = read_secret(&table, "secret_key", environment);
    let of_store = upstream.map(|upstream| &*upstream.endpoints).unwrap_or_default();
    let endpoints = endpoint.as_ref().map_or(of_store, std::slice::from_ref);
    let inherited = upstream.map(|upstream| &upstream.tls).filter(|tls| !tls.is_none());
    let tls = match inherited {
        Some(tls) if table.span_of("tls").is_none() => Some(FollowedTls::clone(tls)),
        _ => read_tls(&table, endpoints, environment),
    };
    table.finish();
    Some(Issuer {
        endpoint,
        tls: tls?,
        role_arn,
        keys: Credentials { access_key: access_key?, secret_key: secret_key? },
    })
}
