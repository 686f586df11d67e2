//! Reads `[issuer]`: the keys that sessions are minted with. The file says where they are and never contains them.

use super::secrets::read_secret;
use super::table::Table;
use super::upstream::read_endpoint;
use super::{Environment, Issuer};
use crate::sigv4::secret::Credentials;

pub(super) fn read_issuer(table: Table<'_>, environment: &dyn Environment) -> Option<Issuer> {
    let endpoint = table.string("endpoint").and_then(|url| read_endpoint(url, table.reader()));
    let role_arn = table.string("role_arn").map(|role| role.value.to_owned());
    let access_key = read_secret(&table, "access_key", environment);
    let secret_key = read_secret(&table, "secret_key", environment);
    table.finish();
    Some(Issuer {
        endpoint,
        role_arn,
        keys: Credentials { access_key: access_key?, secret_key: secret_key? },
    })
}
