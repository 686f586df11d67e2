//! Configurations that declare users and tokens.

use crate::support::minio::Minio;
use crate::support::scopegate::scopegate;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Returns a configuration with a listener `web` and a mapping for each condition and prefix of the bucket `tmp`. `root`
/// holds keys outside of tables, `sections` whole tables.
pub(crate) fn config(minio: &Minio, root: &str, sections: &str, mappings: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "{root}\n[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nendpoints = [\"http://{}\"]\n[issuer]\n\
         access_key = {{ env = \"ISSUER_KEY\" }}\nsecret_key = {{ env = \"ISSUER_SECRET\" }}\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n{sections}\n",
        minio.address
    );
    for (name, client, prefix) in mappings {
        let _ = write!(
            text,
            "[[mapping]]\nname = \"{name}\"\nclient = {{ {client} }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
             prefix = \"{prefix}\"\nallow = [\"read\"]\n"
        );
    }
    text
}

/// Returns the hash that `scopegate hash-password` makes of a password on stdin.
pub(crate) fn hash(password: &str) -> String {
    let output = scopegate(&["hash-password"], &[], format!("{password}\n").as_bytes());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let hash = String::from_utf8(output.stdout).unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && hash.ends_with('\n'), "{hash}");
    hash.trim_end().to_owned()
}

/// Returns the section of a user.
pub(crate) fn user(name: &str, hashes: &[&str]) -> String {
    let hashes: Vec<String> = hashes.iter().map(|hash| format!("\"{hash}\"")).collect();
    format!("[[user]]\nname = \"{name}\"\npassword = [{}]\n", hashes.join(", "))
}

/// Makes a token with `scopegate new-token`. Returns it, and its section.
pub(crate) fn token(name: &str) -> (String, String) {
    let output = scopegate(&["new-token", name], &[], b"");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (token, section) = text.split_once("\n\n").unwrap();
    assert!(token.starts_with("sgt_") && token.len() == 52 && !section.contains(token));
    (token.to_owned(), section.to_owned())
}

/// Replaces a file as a careful program does: whole, and readable for its owner alone.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}
