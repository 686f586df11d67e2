//! The head of a request (RFC 9113, section 8.3), as strict as in HTTP/1.1.
//!
//! `h2` resets streams with repeated, unknown or misplaced pseudo-headers, upper-case names, control characters in values
//! and fields that manage a connection (sections 8.2 and 8.3). It drops a fragment of `:path`, which nothing here sees.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Uri, Version};
use http1::{Fields, HeadLimits, Host, Malformed, Reason, Request, check_path, expects_continue};

/// The longest method that is parsed in HTTP/1.1, in bytes.
const MAX_METHOD: usize = 32;

/// A request's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: Request,
    /// The length of the body, if it is known.
    pub(crate) length: Option<u64>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

impl Head {
    /// Reads a head that arrived over a connection of this scheme.
    ///
    /// # Errors
    /// When it breaks RFC 9113, or asks for something that is not supported.
    pub(crate) fn read(
        parts: Parts,
        has_body: bool,
        limits: HeadLimits,
        scheme: &str,
    ) -> Result<Self, Malformed> {
        let Parts { method, uri, headers: mut map, .. } = parts;
        if method == Method::CONNECT {
            return Err(Malformed::new(Reason::UnsupportedMethod, "the method CONNECT is not supported"));
        }
        if method.as_str().len() > MAX_METHOD {
            return Err(Malformed::new(Reason::UnsupportedMethod, "unknown method"));
        }
        check_scheme(&uri, scheme)?;
        let target = uri
            .path_and_query()
            .ok_or(Malformed::new(Reason::InvalidTarget, "a request must have a :path"))?;
        check_path(&method, target)?;
        check_fields(&map, limits)?;
        set_host(&uri, &mut map)?;
        let length = content_length(&map, has_body)?;
        join_cookies(&mut map);
        let mut fields = Fields::from(map);
        if length.is_none() {
            // A service reads from the fields whether there is a body. HTTP/1.1 says so of one without a length.
            fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut request = Request::new(method, target.clone(), fields)?;
        request.version = Version::HTTP_2;
        let expects_continue = expects_continue(request.fields())? && has_body;
        Ok(Self { request, length, expects_continue })
    }
}

/// Checks `:scheme`. Over TLS it is `https`. A plain connection may come from a load balancer that ends TLS, so both are
/// accepted there, as in the absolute form of HTTP/1.1; nothing depends on it.
fn check_scheme(uri: &Uri, scheme: &str) -> Result<(), Malformed> {
    match uri.scheme_str() {
        None | Some("https") => Ok(()),
        Some("http") if scheme == "http" => Ok(()),
        Some(_) => Err(Malformed::syntax("the :scheme must be that of the connection: https over TLS")),
    }
}

fn check_fields(map: &HeaderMap, limits: HeadLimits) -> Result<(), Malformed> {
    if map.len() > limits.fields {
        return Err(Malformed::new(Reason::HeadTooLarge, "the message has too many headers"));
    }
    // The type of names also allows a quotation mark.
    if map.keys().any(|name| name.as_str().contains('"')) {
        return Err(Malformed::syntax("a header name must be a token"));
    }
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_padded = |value: &[u8]| is_space(value.first()) || is_space(value.last());
    if map.values().any(|value| is_padded(value.as_bytes())) {
        return Err(Malformed::syntax("a header value must not begin or end with a space"));
    }
    Ok(())
}

/// Makes `:authority` the `Host`. If both are present they must agree (section 8.3.1).
fn set_host(uri: &Uri, map: &mut HeaderMap) -> Result<(), Malformed> {
    let invalid = |why| Malformed::new(Reason::InvalidHost, why);
    let mut hosts = map.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    match (uri.authority(), host, more) {
        (None, None, _) => Err(invalid("a request must have an :authority or exactly one Host header")),
        (_, _, Some(_)) => Err(invalid("a request must have at most one Host header")),
        (None, Some(_), None) => Ok(()),
        (Some(authority), Some(host), None)
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(invalid(":authority and Host must be the same"))
        }
        (Some(authority), _, None) => {
            Host::parse(authority.as_str().as_bytes()).map_err(invalid)?;
            let value = HeaderValue::from_str(authority.as_str())
                .map_err(|_| invalid("the :authority must be a single host with an optional port"))?;
            map.insert(HOST, value);
            Ok(())
        }
    }
}

/// Returns the length of the body, if it is known.
fn content_length(map: &HeaderMap, has_body: bool) -> Result<Option<u64>, Malformed> {
    let mut lengths = map.get_all(CONTENT_LENGTH).iter();
    let (Some(digits), more) = (lengths.next(), lengths.next()) else {
        return Ok((!has_body).then_some(0));
    };
    let text = digits.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.and_then(|text| text.parse::<u64>().ok()).filter(|_| more.is_none()) {
        None => Err(Malformed::syntax("Content-Length must be a single decimal number")),
        Some(1..) if !has_body => Err(Malformed::syntax("the request has a Content-Length and no body")),
        Some(length) => Ok(Some(length)),
    }
}

/// Joins the pieces that a client may split its cookies into (section 8.2.3).
fn join_cookies(map: &mut HeaderMap) {
    if map.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = map.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        map.insert(COOKIE, joined);
    }
}
