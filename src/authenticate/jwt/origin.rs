//! Reads the keys of an issuer from their origin.

use super::fetch::{self, PATIENCE};
use super::key_set::{KeySet, MAX_SET};
use super::settings::{Access, KeyOrigin};
use super::url::KeyUrl;
use super::{json, shown};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The interval at which a file is read again.
const FILE_PACE: Duration = Duration::from_secs(5);
/// The bounds of the interval at which keys are fetched again.
const MIN_PACE: Duration = Duration::from_mins(1);
const MAX_PACE: Duration = Duration::from_hours(1);
/// The least time between a fetch and the next one that an unknown key causes.
const UNKNOWN_KEY_PACE: Duration = Duration::from_secs(30);

/// Keys, and when to read them again.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) set: KeySet,
    pub(super) again_after: Duration,
}

impl KeyOrigin {
    /// Returns the least time from the beginning of one fetch to that of the next one that an unknown key causes.
    pub(super) fn unknown_key_pace(&self) -> Duration {
        match self {
            Self::Secret(_) => Duration::MAX,
            // A file costs nothing to read, but a client must not decide how often.
            Self::File(_) => FILE_PACE,
            Self::Url(..) | Self::Discovery(..) => UNKNOWN_KEY_PACE,
        }
    }

    /// Returns the longest pause between two attempts while they fail.
    pub(super) fn max_pause(&self) -> Duration {
        match self {
            Self::File(_) => FILE_PACE,
            _ => MIN_PACE,
        }
    }

    /// Reads the keys of `issuer`.
    ///
    /// # Errors
    /// Describes the problem.
    pub(super) async fn read(&self, issuer: &str) -> Result<Read, String> {
        let late = |_| Err(format!("no complete answer within {} seconds", PATIENCE.as_secs()));
        match self {
            Self::Secret(secret) => {
                Ok(Read { set: KeySet::of_secret(secret.reveal().as_bytes()), again_after: Duration::MAX })
            }
            Self::File(path) => read_file(path.clone()).await,
            Self::Url(url, access) => {
                timeout(PATIENCE, fetch_set(url, access, true)).await.unwrap_or_else(late)
            }
            Self::Discovery(url, access) => {
                timeout(PATIENCE, discover(url, access, issuer)).await.unwrap_or_else(late)
            }
        }
    }
}

async fn read_file(path: PathBuf) -> Result<Read, String> {
    let shown = path.display().to_string();
    let document = spawn_blocking(move || read_bounded(&path)).await.map_err(|error| error.to_string())?;
    let set = KeySet::parse(&document.map_err(|error| format!("{shown}: {error}"))?);
    Ok(Read { set: set.map_err(|why| format!("{shown}: {why}"))?, again_after: FILE_PACE })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(format!(
            "it has mode {mode:04o}: every user of this machine may change it; use chmod o-w"
        ));
    }
    let mut document = Vec::new();
    // One byte more, so that a longer file is noticed.
    file.take(MAX_SET as u64 + 1).read_to_end(&mut document).map_err(|error| error.to_string())?;
    Ok(document)
}

async fn fetch_set(url: &KeyUrl, access: &Access, with_bearer: bool) -> Result<Read, String> {
    let document = fetch::get(url, access, with_bearer).await?;
    let set = KeySet::parse(&document.body).map_err(|why| format!("{url}: {why}"))?;
    Ok(Read { set, again_after: document.max_age.unwrap_or(MAX_PACE).clamp(MIN_PACE, MAX_PACE) })
}

/// Fetches the keys that a discovery document names. The bearer token stays at the document's origin.
async fn discover(url: &KeyUrl, access: &Access, issuer: &str) -> Result<Read, String> {
    let document = fetch::get(url, access, true).await?.body;
    let document = json::parse_object(&document).map_err(|why| format!("{url}: {why}"))?;
    let keys = key_url(&document, url, issuer).map_err(|why| format!("{url}: {why}"))?;
    fetch_set(&keys, access, keys.has_origin_of(url)).await
}

/// Returns the URL of the keys. The document must be the issuer's own (`OpenID` Connect Discovery, section 4.3).
fn key_url(document: &Map<String, Value>, url: &KeyUrl, issuer: &str) -> Result<KeyUrl, String> {
    let text = |name| document.get(name).and_then(Value::as_str);
    let found = text("issuer").ok_or("the discovery document has no issuer")?;
    if found != issuer {
        return Err(format!(
            "the issuer of the discovery document is {}, and {} is wanted",
            shown(found),
            shown(issuer)
        ));
    }
    let keys = text("jwks_uri").ok_or("the discovery document has no jwks_uri")?;
    let keys = KeyUrl::parse(keys).map_err(|why| format!("jwks_uri is {}: {why}", shown(keys)))?;
    if !url.may_name(&keys) {
        return Err(format!("jwks_uri is {keys}: it gives up TLS"));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_discovery_document_must_be_that_of_the_issuer() {
        let url = KeyUrl::parse("https://id.test/.well-known/openid-configuration").unwrap();
        let keys = |document: Value| {
            key_url(document.as_object().unwrap(), &url, "https://id.test/").map(|keys| keys.to_string())
        };
        let good = keys(json!({ "issuer": "https://id.test/", "jwks_uri": "https://keys.test/k" }));
        assert_eq!(good.as_deref(), Ok("https://keys.test/k"));
        for (document, why) in [
            (json!({ "issuer": "https://id.test", "jwks_uri": "https://id.test/k" }), "is wanted"),
            (json!({ "issuer": "https://evil.test/", "jwks_uri": "https://id.test/k" }), "is wanted"),
            (json!({ "issuer": ["https://id.test/"], "jwks_uri": "https://id.test/k" }), "has no issuer"),
            (json!({ "jwks_uri": "https://id.test/k" }), "has no issuer"),
            (json!({ "issuer": "https://id.test/" }), "has no jwks_uri"),
            (json!({ "issuer": "https://id.test/", "jwks_uri": "http://id.test/k" }), "plain HTTP"),
            (json!({ "issuer": "https://id.test/", "jwks_uri": "http://127.0.0.1/k" }), "gives up TLS"),
            (json!({ "issuer": "https://id.test/", "jwks_uri": "file:///etc/passwd" }), "write a URL"),
        ] {
            let told = keys(document).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
