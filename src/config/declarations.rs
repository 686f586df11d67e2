//! Reads the file that a key such as `users = { file = "users" }` names. It declares what sections could declare too, and
//! is read again when it changes.

use super::Environment;
use super::reader::At;
use super::schema::DECLARATIONS;
use super::table::Table;
use crate::net::guarded::ReadError;
use std::path::Path;
use std::sync::Arc;

/// A file and what it declares. `None` if it has a mistake.
pub(super) type Declarations<T> = Option<(Box<Path>, Arc<[T]>)>;

/// Reads the declarations of a file. Returns `None` if the key is absent.
pub(super) fn read_declarations<T>(
    root: &Table<'_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<Vec<T>, Vec<String>>,
    environment: &dyn Environment,
) -> Option<At<Declarations<T>>> {
    let span = root.span_of(key)?;
    let table = root.table_named(key, &DECLARATIONS, key);
    let path = table.required("file", "\"...\"");
    table.finish();
    let value = path.and_then(|path| read_file(path, key, parse, (root, environment)));
    Some(At { value, span: path.map_or(span, |path| path.span) })
}

fn read_file<T>(
    path: At<&str>,
    key: &str,
    parse: impl FnOnce(&str) -> Result<Vec<T>, Vec<String>>,
    (root, environment): (&Table<'_>, &dyn Environment),
) -> Declarations<T> {
    let at = Path::new(path.value);
    let mistake = |what: &str, help: &str| {
        root.reader().error(path.span, format!("{key}: {what}"), help);
    };
    let declared = match environment.declarations(at) {
        // The file is elsewhere.
        Ok(None) => Vec::new(),
        Ok(Some(text)) => match parse(text.reveal()) {
            Ok(declared) => declared,
            Err(mistakes) => {
                for what in &mistakes {
                    mistake(what, "correct the line in the file");
                }
                return None;
            }
        },
        Err(_) if is_secret(path.value) => {
            mistake(
                "its file cannot be read, and is not shown: it may be a secret",
                "write the path of a file",
            );
            return None;
        }
        Err(ReadError { message, help }) => {
            mistake(&message, &help);
            return None;
        }
    };
    Some((at.into(), declared.into()))
}

/// Returns whether a text looks like a token or a hash that was pasted for a path.
fn is_secret(text: &str) -> bool {
    text.contains("sgt_") || text.contains('$') || text.contains(':')
}
