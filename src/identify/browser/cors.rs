//! Cross-origin requests (CORS): what pages of the origins in `[mapping.cors]` may do with the mapping's objects.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>
//!
//! Preflights are answered here and never by the store. Browsers send no credentials with them, so the response
//! depends only on the mapping.

mod origin;

use super::confine;
use super::signs::Signs;
use crate::refusal::{Refusal, Rule};
use crate::s3::verb::{Verb, Verbs};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http1::{Fields, Request};
use std::time::Duration;

pub(crate) use origin::{Origin, Origins};

const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";
const REQUEST_PRIVATE_NETWORK: &str = "access-control-request-private-network";
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The maximum number of headers that a preflight may ask for.
const MAX_HEADERS: usize = 64;

/// The response headers that scripts can read by default: all that a response can have. They are listed by name because
/// `*` has no meaning for requests with credentials.
pub(crate) const EXPOSED: [&str; 29] = [
    "Accept-Ranges",
    "Age",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Date",
    "ETag",
    "Link",
    "Retry-After",
    "x-amz-bucket-region",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-copy-source-version-id",
    "x-amz-delete-marker",
    "x-amz-expiration",
    "x-amz-id-2",
    "x-amz-mp-parts-count",
    "x-amz-request-id",
    "x-amz-restore",
    "x-amz-storage-class",
    "x-amz-tagging-count",
    "x-amz-version-id",
    "x-scopegate-rule",
];

/// The rules for pages of other origins: `[mapping.cors]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    origins: Origins,
    methods: Verbs,
    headers: RequestHeaders,
    expose: HeaderValue,
    max_age: u64,
    credentials: bool,
}

/// The request headers that a page may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestHeaders {
    /// All headers. Each is passed on, dropped or refused as for any client.
    Any,
    /// These headers, in lower case. A `*` at the end matches any continuation.
    Named(Vec<Box<str>>),
}

impl RequestHeaders {
    fn include(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => names.iter().any(|known| match known.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => **known == *name,
            }),
        }
    }
}

/// The party that reads a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader<'f> {
    /// A script of a page of this origin.
    Script(&'f [u8]),
    /// A page that embeds it, for example as an image. Browsers send no `Origin` then.
    Page,
    /// Neither, as far as the request tells.
    Other,
}

impl Cors {
    /// Makes rules without credentials, which let scripts read all headers of responses.
    pub fn new(origins: Origins, methods: Verbs, headers: RequestHeaders, max_age: Duration) -> Self {
        let expose = HeaderValue::try_from(format!("*, {}", EXPOSED.join(", ")));
        let expose = expose.unwrap_or(HeaderValue::from_static("*"));
        Self { origins, methods, headers, expose, max_age: max_age.as_secs(), credentials: false }
    }

    /// Allows requests with credentials. Scripts can then read the headers in [`EXPOSED`].
    #[must_use]
    pub fn with_credentials(self) -> Self {
        let expose = HeaderValue::try_from(EXPOSED.join(", ")).unwrap_or(HeaderValue::from_static("ETag"));
        Self { expose, credentials: true, ..self }
    }

    /// Lets scripts read these headers of responses only.
    #[must_use]
    pub fn exposing(self, expose: HeaderValue) -> Self {
        Self { expose, ..self }
    }

    /// Returns the methods that pages may use.
    pub fn methods(&self) -> Verbs {
        self.methods
    }

    /// Checks whether a page of another origin may send a request.
    pub(super) fn admits(&self, signs: &Signs<'_>, method: &Method) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let allowed = Verb::of(method).is_some_and(|verb| self.methods.has(verb));
        allowed
            && match self.reader(signs) {
                Reader::Script(_) => true,
                Reader::Page => reads,
                Reader::Other => false,
            }
    }

    /// Returns whether a request comes from a page that the rules name.
    pub fn names(&self, request: &Request) -> bool {
        self.reader(&Signs::read(request.fields().iter())) != Reader::Other
    }

    fn reader<'f>(&self, signs: &Signs<'f>) -> Reader<'f> {
        if signs.has_origin() {
            let origin = signs.origin().filter(|origin| self.origins.include(origin));
            return origin.map_or(Reader::Other, Reader::Script);
        }
        let includes = |page: &[u8]| self.origins.include(page);
        if self.origins == Origins::Any || signs.origin_of_page().is_some_and(includes) {
            Reader::Page
        } else {
            Reader::Other
        }
    }

    /// Adds the headers that tell browsers which pages may read a response.
    pub fn mark(&self, request: &Request, response: &mut Fields) {
        let signs = Signs::read(request.fields().iter());
        let reader = self.reader(&signs);
        response.insert(header::VARY, vary(response.get(header::VARY.as_str()), request, reader));
        if reader != Reader::Other {
            confine::show_elsewhere(response);
        }
        let is_any = self.origins == Origins::Any;
        let origin = match reader {
            _ if is_any => HeaderValue::from_static("*"),
            Reader::Script(origin) => match HeaderValue::from_bytes(origin) {
                Ok(origin) => origin,
                Err(_) => return,
            },
            Reader::Page | Reader::Other => return,
        };
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if !is_preflight(request) {
            response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
        }
    }

    /// Returns the headers of the response to a preflight, besides those that [`Cors::mark`] adds to every response.
    fn preflight_headers(&self, fields: &Fields, origin: &[u8]) -> Result<HeaderMap, Refusal> {
        let shown = shown(origin);
        if !self.origins.include(origin) {
            let why = format!("pages of the origin {shown:?} may not use this service");
            let help = match origin {
                b"null" => {
                    "the page is sandboxed or a file: serve it from an origin and name that".to_owned()
                }
                _ => format!("add {shown:?} to origins in [mapping.cors] to allow it"),
            };
            return Err(Refusal::new(Rule::CrossSite, why).with_help(help));
        }
        let method = only(fields, REQUEST_METHOD).unwrap_or_default();
        if !Verb::named(method).is_some_and(|verb| self.methods.has(verb)) {
            let method: String = method.chars().take(32).collect();
            let why = format!("pages of other origins may send {}, and not {method:?}", self.methods.list());
            let help = format!("add {method:?} to methods in [mapping.cors] to allow it");
            return Err(Refusal::new(Rule::CrossSite, why).with_help(help));
        }
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).ok();
        let wanted = self.wanted_headers(fields)?;
        let lines = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, value(&self.methods.list())),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, value(&wanted).filter(|_| !wanted.is_empty())),
            (header::ACCESS_CONTROL_MAX_AGE, Some(self.max_age.into())),
        ];
        headers.extend(lines.into_iter().filter_map(|(name, value)| Some((name, value?))));
        // The page is on a public network and the proxy on a private one: only origins that are named may do that.
        let is_private = only(fields, REQUEST_PRIVATE_NETWORK) == Some("true");
        if is_private && self.origins != Origins::Any {
            headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        Ok(headers)
    }

    /// Returns the headers that a preflight asks for, if all of them are allowed.
    fn wanted_headers(&self, fields: &Fields) -> Result<String, Refusal> {
        let refuse = |why: String| Refusal::new(Rule::CrossSite, why);
        let lines = fields.all(REQUEST_HEADERS);
        let mut wanted = Vec::new();
        for name in lines.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            if name.is_empty() {
                continue;
            }
            let name = HeaderName::from_bytes(name)
                .map_err(|_| refuse(format!("{REQUEST_HEADERS} is not a list of header names")))?;
            if !self.headers.include(name.as_str()) {
                let name: String = name.as_str().chars().take(100).collect();
                let help =
                    format!("add {name:?} to headers in [mapping.cors], or leave headers out to allow all");
                let why = format!("pages of other origins may not set the header {name:?}");
                return Err(refuse(why).with_help(help));
            }
            wanted.push(name);
            if wanted.len() > MAX_HEADERS {
                return Err(refuse(format!(
                    "a page may set at most {MAX_HEADERS} headers, and this one asks for more"
                )));
            }
        }
        Ok(wanted.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// Checks whether a browser asks if it may send a request for a page of another origin.
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method == Method::OPTIONS
        && request.fields().has(header::ORIGIN.as_str())
        && request.fields().has(REQUEST_METHOD)
}

/// Answers a preflight by the CORS rules of the mapping.
///
/// # Errors
/// When the page may not send the request, or the mapping has no rules.
pub(crate) fn preflight(cors: Option<&Cors>, request: &Request) -> Result<(StatusCode, HeaderMap), Refusal> {
    let fields = request.fields();
    let Some(origin) = only(fields, header::ORIGIN.as_str()) else {
        return Err(Refusal::new(Rule::CrossSite, "a preflight must have exactly one Origin"));
    };
    let Some(cors) = cors else {
        let shown = shown(origin.as_bytes());
        let why = format!("pages of other origins may not use this service, and this one is of {shown:?}");
        let help = format!("add [mapping.cors] with origins = [{shown:?}] to the mapping to allow it");
        return Err(Refusal::new(Rule::CrossSite, why).with_help(help));
    };
    cors.preflight_headers(fields, origin.as_bytes()).map(|headers| (StatusCode::NO_CONTENT, headers))
}

/// Returns the `Vary` of a response: its own, with the fields that decide who may read it.
fn vary(already: Option<&[u8]>, request: &Request, reader: Reader<'_>) -> HeaderValue {
    let already = already.and_then(|value| str::from_utf8(value).ok());
    let more = if is_preflight(request) {
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    } else if reader == Reader::Page {
        "Origin, Referer"
    } else {
        "Origin"
    };
    let text = already.map_or(more.to_owned(), |already| format!("{already}, {more}"));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("*"))
}

/// Returns the value of a field that is not repeated.
fn only<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    let mut values = fields.all(name);
    let value = values.next().and_then(|value| str::from_utf8(value).ok());
    if values.next().is_some() { None } else { value }
}

fn shown(origin: &[u8]) -> String {
    String::from_utf8_lossy(origin).chars().take(100).collect()
}

#[cfg(test)]
mod tests;
