//! Fetches documents of issuers over HTTP.

use super::key_set::MAX_SET;
use super::settings::Access;
use super::url::KeyUrl;
use crate::net::connect::{AnyError, Connector, FollowedTls, Trouble, innermost};
use crate::net::tls_files::read_tls_file;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

/// The time for a document, with all redirects.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum number of redirects.
const MAX_REDIRECTS: usize = 3;
/// Maximum size of a bearer token, in bytes.
const MAX_BEARER: u64 = 64 * 1024;

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    /// The content.
    pub(super) body: Bytes,
    /// The time for which it need not be fetched again.
    pub(super) max_age: Option<Duration>,
}

/// Fetches a document. The bearer token goes along only if `with_bearer` says so.
///
/// # Errors
/// Describes the problem, and what to do about it if that is known.
pub(super) async fn get(url: &KeyUrl, access: &Access, with_bearer: bool) -> Result<Document, String> {
    let mut at = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response = request(&at, access, with_bearer).await.map_err(|error| describe(&at, &*error))?;
        let (parts, body) = response.into_parts();
        if parts.status == StatusCode::OK {
            return Ok(Document { body, max_age: max_age(&parts.headers) });
        }
        if !parts.status.is_redirection() {
            return Err(format!("{at} answers with status {}", parts.status.as_u16()));
        }
        let location = parts.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| at.redirected(location));
        at = next.ok_or_else(|| {
            format!("{at} redirects to another host, which is not followed: configure the final URL")
        })?;
    }
    Err(format!("{url} redirects more than {MAX_REDIRECTS} times"))
}

fn describe(url: &KeyUrl, error: &(dyn std::error::Error + 'static)) -> String {
    let why = innermost(error);
    match Trouble::of(error) {
        Some(trouble) => format!("{url}: {why}: {trouble}"),
        None => format!("{url}: {why}"),
    }
}

/// Sends a request over a new connection.
async fn request(url: &KeyUrl, access: &Access, with_bearer: bool) -> Result<Response<Bytes>, AnyError> {
    let prepare = {
        let (endpoint, access) = (url.endpoint().clone(), access.clone());
        move || -> Result<_, AnyError> {
            let tls = if endpoint.tls() { load(&access)? } else { FollowedTls::none() };
            let connector = Connector::new(endpoint, PATIENCE, &tls)?;
            let bearer = access.bearer_file.as_deref().filter(|_| with_bearer).map(bearer).transpose()?;
            Ok((connector, bearer))
        }
    };
    // Files may be slow to read, and this thread refreshes the sessions too.
    let (connector, bearer) = spawn_blocking(prepare).await??;
    let mut request = Request::get(url.target())
        .header(header::HOST, url.endpoint().authority())
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    if let Some(bearer) = bearer {
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    connector.exchange(request, MAX_SET).await
}

/// Reads the files of TLS.
fn load(access: &Access) -> Result<FollowedTls, AnyError> {
    FollowedTls::load(access.tls.clone(), &read_tls_file).map_err(|problems| {
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        shown.join("; ").into()
    })
}

/// Returns the value of `Authorization` for the token in a file.
fn bearer(path: &Path) -> Result<HeaderValue, AnyError> {
    let wrong = |why: &str| format!("bearer_file {}: {why}", path.display());
    let mut text = Zeroizing::new(String::new());
    let read = |text: &mut String| File::open(path)?.take(MAX_BEARER).read_to_string(text);
    read(&mut text).map_err(|error: io::Error| wrong(&error.to_string()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(wrong("it is empty").into());
    }
    let value = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&value).map_err(|_| wrong("it does not hold a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the time for which a document is fresh, from `Cache-Control` (RFC 9111, section 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = || {
        let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim)
    };
    if directives().any(|one| one.eq_ignore_ascii_case("no-cache") || one.eq_ignore_ascii_case("no-store")) {
        return Some(Duration::ZERO);
    }
    directives().find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let is_max_age = name.trim().eq_ignore_ascii_case("max-age");
        is_max_age.then(|| seconds.trim().trim_matches('"').parse().ok().map(Duration::from_secs)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_comes_from_cache_control() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["public, max-age=300, must-revalidate"]), Some(300));
        assert_eq!(of(&["public", "Max-Age=\"60\""]), Some(60));
        assert_eq!(of(&["max-age=300, no-store"]), Some(0));
        assert_eq!(of(&["max-age=x"]), None);
        assert_eq!(of(&["s-maxage=300"]), None);
    }

    #[test]
    fn a_bearer_token_is_one_line_of_a_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("token");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            bearer(&file).map(|value| value.to_str().unwrap().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(read("abc.def\n").as_deref(), Ok("Bearer abc.def"));
        assert!(read(" \n").unwrap_err().ends_with("it is empty"));
        let told = read("hush\r\nX: y").unwrap_err();
        assert!(told.ends_with("it does not hold a token") && !told.contains("hush"), "{told}");
        assert!(
            format!("{:?}", {
                read("abc").unwrap();
                bearer(&file).unwrap()
            })
            .contains("Sensitive")
        );
        std::fs::remove_file(&file).unwrap();
        assert!(bearer(&file).unwrap_err().to_string().contains("No such file"));
    }
}
