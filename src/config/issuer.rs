//! `[issuer]`: secrets that are named, never written.

use super::reader::{Reader, Table};
use super::{Environment, Issuer, parse};
use crate::secret::{Credentials, Secret};
use std::path::Path;
use toml::de::DeValue;

pub(super) fn read_issuer(
    table: Table<'_>,
    reader: &Reader<'_>,
    environment: &dyn Environment,
) -> Option<Issuer> {
    let endpoint = table.string(reader, "endpoint").and_then(|url| parse::endpoint(url, reader));
    let role_arn = table.string(reader, "role_arn").map(|role| role.value.to_owned());
    let access_key = read_secret(&table, reader, environment, "access_key");
    let secret_key = read_secret(&table, reader, environment, "secret_key");
    table.finish(reader);
    Some(Issuer {
        endpoint,
        role_arn,
        keys: Credentials { access_key: access_key?, secret_key: secret_key? },
    })
}

/// A secret is named, never written: not even a mistyped one may stand in a message.
fn read_secret(
    table: &Table<'_>,
    reader: &Reader<'_>,
    environment: &dyn Environment,
    key: &'static str,
) -> Option<Secret> {
    let help = format!(
        "write {key} = {{ env = \"NAME\" }}, {{ file = \"/run/secrets/...\" }} or {{ credential = \"NAME\" }} (systemd)"
    );
    let Some(value) = table.get(key) else {
        if table.is_present() {
            reader.error(table.offset(), format!("[issuer] has no {key:?}"), help);
        }
        return None;
    };
    let offset = value.span().start;
    let DeValue::Table(source) = value.get_ref() else {
        let what =
            "is written in the open: more people and programs read a configuration than should read a secret";
        reader.error(offset, format!("{key} {what}"), help);
        return None;
    };
    let source = Table::new(source, if key == "access_key" { "access_key" } else { "secret_key" }, offset);
    let [variable, file, credential] = ["env", "file", "credential"].map(|kind| source.string(reader, kind));
    source.finish(reader);
    let read = match (variable, file, credential) {
        (Some(name), None, None) => environment.variable(name.value),
        (None, Some(path), None) => environment.file(Path::new(path.value)),
        (None, None, Some(name)) if is_credential_name(name.value) => environment.credential(name.value),
        (None, None, Some(name)) => {
            let help = "write the name alone, as in LoadCredential=NAME:/path";
            reader.wrong(name, "is not the name of a credential", help);
            return None;
        }
        _ => {
            reader.error(offset, format!("{key} names not exactly one of env, file and credential"), help);
            return None;
        }
    };
    match read {
        Ok(secret) if secret.is_empty() => {
            reader.error(offset, format!("{key} is empty"), "put the key into what is named here");
            None
        }
        Ok(secret) => Some(secret),
        Err(failed) => {
            reader.error(offset, format!("{key}: {}", failed.message), failed.help);
            None
        }
    }
}

/// Whether systemd takes a name for a credential: it is that of a file in one folder.
fn is_credential_name(name: &str) -> bool {
    let is_printable = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
    (1..=255).contains(&name.len()) && is_printable && !matches!(name, "." | "..")
}
