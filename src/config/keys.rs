//! Reads `[[key]]`: access keys that Scopegate alone knows.

use super::Environment;
use super::clients::Declared;
use super::reader::quoted;
use super::schema::KEY;
use super::secrets::{FoundSecret, find_secret};
use super::table::Table;
use crate::authenticate::keys::{LocalKey, check_secret, is_access_key};
use crate::sigv4::secret::Secret;

/// Largest number of keys.
const MAX_KEYS: usize = 10_000;

/// Reads all keys, and notes their ids in `declared`.
pub(super) fn read_keys(
    root: &Table<'_>,
    environment: &dyn Environment,
    declared: &mut Declared,
) -> Vec<LocalKey> {
    let tables = root.tables("key", &KEY);
    if tables.len() > MAX_KEYS {
        let message = format!("there are {} [[key]]; at most {MAX_KEYS} are allowed", tables.len());
        root.error(message, "remove those that no mapping names");
    }
    let mut keys = Vec::new();
    for table in tables {
        match read_key(table, environment, &declared.keys.names) {
            Some((id, key)) => {
                declared.keys.names.push(id);
                keys.push(key);
            }
            None => declared.keys.is_open = true,
        }
    }
    keys
}

fn read_key(
    table: Table<'_>,
    environment: &dyn Environment,
    earlier: &[Box<str>],
) -> Option<(Box<str>, LocalKey)> {
    let reader = table.reader();
    let id = table.required("access_key", "\"SGREPORTS\"").and_then(|id| {
        let id =
            id.parse_with(reader, "is not an access key", parse_access_key).map(|text| (text, id.span))?;
        if earlier.iter().any(|one| **one == *id.0) {
            let message = format!("another [[key]] has the access key {}", quoted(&id.0));
            reader.error(id.1, message, "give each key its own access_key");
        }
        Some(id.0)
    });
    let found = find_secret(&table, "secret_key", environment).filter(|found| is_long(&table, &found.secret));
    let allows_unsigned = table.boolean("unsigned_payload").unwrap_or(false);
    table.finish();
    let (id, FoundSecret { secret, file }) = (id?, found?);
    let key = LocalKey::new(&id, secret, allows_unsigned).in_file(file);
    Some((id, key))
}

/// Notes a secret that is so short that it can be guessed.
fn is_long(table: &Table<'_>, secret: &Secret) -> bool {
    let checked = check_secret(secret.reveal());
    if let (Err(why), Some(span)) = (&checked, table.span_of("secret_key")) {
        table.reader().error(span, why, "make one with `scopegate new-key NAME`");
    }
    checked.is_ok()
}

/// Parses the id of a key.
fn parse_access_key(text: &str) -> Result<Box<str>, &'static str> {
    if is_access_key(text) {
        return Ok(text.into());
    }
    Err("write 3 to 128 letters, digits and / + = _ -, such as \"SGREPORTS\"")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake, mistakes};

    /// Returns the example with a key that its mapping names.
    fn with_key(key: &str, client: &str) -> String {
        EXAMPLE.replacen("client  = {", &format!("client  = {{ key = {client},"), 1)
            + &format!("[[key]]\n{key}\n")
    }

    const SECRET: &str = "secret_key = { file = \"/run/secrets/long\" }";

    #[test]
    fn keys_are_declared_and_named_by_mappings() {
        let source = with_key(&format!("access_key = \"SGREPORTS\"\n{SECRET}"), "[\"SGREPORTS\"]");
        let config = Config::parse(&source, &Fake).unwrap();
        assert_eq!(format!("{:?}", config.keys), "Keys { count: 1, .. }");
        assert!(!format!("{config:?}").contains("a secret that is long enough"));
        let strict = source.replacen("[admin]", "unknown_keys = \"refuse\"\n[admin]", 1);
        assert!(Config::parse(&strict, &Fake).unwrap().listeners[0].refuses_unknown_keys);
    }

    #[test]
    fn mistakes_in_keys_are_found() {
        for (key, client, expected) in [
            ("access_key = \"SG\"", "\"SG\"", "\"SG\" is not an access key"),
            ("access_key = \"a b c\"", "\"SG\"", "\"a b c\" is not an access key"),
            (SECRET, "\"SG\"", "access_key"),
            ("access_key = \"SGREPORTS\"", "\"SGREPORTS\"", "secret_key"),
            (
                "access_key = \"SGREPORTS\"\nsecret_key = { file = \"/run/secrets/scopegate\" }",
                "\"SGREPORTS\"",
                "the secret key has 4 characters; at least 16 are needed",
            ),
            (
                "access_key = \"SGREPORTS\"\nsecret_key = \"in plain text, and long\"",
                "\"SGREPORTS\"",
                "secret_key is in plain text",
            ),
        ] {
            let found = mistakes(&with_key(key, client)).join("\n");
            assert!(found.contains(expected), "{key}: {found}");
            assert!(!found.contains("and long"), "{found}");
        }
        let two =
            format!("access_key = \"SGREPORTS\"\n{SECRET}\n[[key]]\naccess_key = \"SGREPORTS\"\n{SECRET}");
        let found = mistakes(&with_key(&two, "\"SGREPORTS\"")).join("\n");
        assert!(found.contains("another [[key]] has the access key"), "{found}");
        let other = with_key(&format!("access_key = \"SGREPORTS\"\n{SECRET}"), "\"SGREPORT\"");
        assert!(mistakes(&other).join("\n").contains("SGREPORT"), "{other}");
    }
}
