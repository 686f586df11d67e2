//! Reads references to secrets. The file says where they are and never contains them.

use super::Environment;
use super::mask::is_place;
use super::reader::quoted;
use super::schema::SECRET;
use super::source::Span;
use super::table::Table;
use crate::net::guarded::ReadError;
use crate::sigv4::secret::Secret;
use std::path::Path;
use toml::de::DeValue;

/// A secret, with the file that the configuration says it is in.
pub(super) struct FoundSecret {
    pub(super) secret: Secret,
    pub(super) file: Option<Box<Path>>,
}

/// Reads the secret that a key refers to.
pub(super) fn read_secret(
    table: &Table<'_>,
    key: &'static str,
    environment: &dyn Environment,
) -> Option<Secret> {
    find_secret(table, key, environment).map(|found| found.secret)
}

/// Reads the secret that a key refers to. Messages never quote the key's value, or a name that
/// does not look like one: it may be the secret itself.
pub(super) fn find_secret(
    table: &Table<'_>,
    key: &'static str,
    environment: &dyn Environment,
) -> Option<FoundSecret> {
    let reader = table.reader();
    let help = format!(
        "write {key} = {{ env = \"NAME\" }}, {{ file = \"/run/secrets/...\" }} or {{ credential = \"NAME\" }} (systemd)"
    );
    table.require(key, &*help);
    let value = table.get(key)?;
    let span = Span::from(value.span());
    let DeValue::Table(entries) = value.get_ref() else {
        let message = format!("{key} is in plain text: put it in an environment variable or a file");
        reader.error(span, message, help);
        return None;
    };
    let source = table.inner(entries, &SECRET, key, span);
    let kinds = ["env", "file", "credential"].map(|kind| source.string(kind));
    source.finish();
    let (kind, name, secret) = match kinds {
        [Some(name), None, None] => ("env", name, environment.variable(name.value)),
        [None, Some(path), None] => ("file", path, environment.file(Path::new(path.value))),
        [None, None, Some(name)] => ("credential", name, credential(name.value, environment)),
        _ => {
            reader.error(span, format!("{key} needs exactly one of env, file and credential"), help);
            return None;
        }
    };
    match secret {
        Ok(secret) if secret.is_empty() => {
            reader.error(
                span,
                format!("{key} is empty"),
                "write the key into the variable, file or credential that is named here",
            );
            None
        }
        Ok(secret) => {
            let file = (kind == "file").then(|| Path::new(name.value).into());
            Some(FoundSecret { secret, file })
        }
        Err(_) if !is_place(kind, name.value) => {
            let message =
                format!("{key}: its {kind} cannot be read, and is not shown: it may be the key itself");
            reader.error(span, message, help);
            None
        }
        Err(ReadError { message, help }) => {
            reader.error(span, format!("{key}: {message}"), help);
            None
        }
    }
}

fn credential(name: &str, environment: &dyn Environment) -> Result<Secret, ReadError> {
    if is_credential_name(name) {
        return environment.credential(name);
    }
    Err(ReadError {
        message: format!("{} is not the name of a credential", quoted(name)),
        help: "write the name alone, as in LoadCredential=NAME:/path".to_owned(),
    })
}

/// Returns whether systemd accepts a name for a credential, which is a file in one folder.
fn is_credential_name(name: &str) -> bool {
    let is_printable = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
    (1..=255).contains(&name.len()) && is_printable && !matches!(name, "." | "..")
}
