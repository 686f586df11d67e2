//! Makes a request from what people type.

use crate::cli::CommandError;
use crate::config::{ListenAddress, Listener};
use crate::refusal::{Refusal, Rule};
use crate::s3::target::decode_path;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use http1::{Fields, Request};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the `Host` header of a client that calls a listener by its address.
fn own_host(listener: Option<&Listener>) -> HeaderValue {
    let localhost = HeaderValue::from_static("localhost");
    let Some(ListenAddress::Tcp(address)) = listener.map(|listener| &listener.address) else {
        return localhost;
    };
    let mut address = *address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    HeaderValue::try_from(address.to_string()).unwrap_or(localhost)
}

/// Parses headers as people type them.
///
/// # Errors
/// When one is not a header.
pub(super) fn fields(given: &[String]) -> Result<Fields, CommandError> {
    let field = |header: &String| {
        let bad = || CommandError::usage(format!("{header:?} is not a header: write 'name: value'"));
        let (name, value) = header.split_once(':').ok_or_else(bad)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad())?;
        Ok((name, HeaderValue::from_str(value.trim()).map_err(|_| bad())?))
    };
    given.iter().map(field).collect()
}

/// Makes the request in question. Without a host, it is for the listener's own address.
///
/// # Errors
/// When the target or a header cannot be part of a request.
pub(super) fn request(
    listener: Option<&Listener>,
    method: &Method,
    target: &str,
    fields: &Fields,
) -> Result<Request, Refusal> {
    let mut fields = fields.clone();
    if !fields.has(HOST.as_str()) {
        fields.insert(HOST, own_host(listener));
    }
    Ok(Request::new(method.clone(), parse_target(target)?, fields)?)
}

/// Characters that people type in a target but that a URL must not contain.
const NOT_IN_A_TARGET: &AsciiSet = &AsciiSet::EMPTY
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Parses a target as people type it. Characters that a URL must not contain are percent-encoded, as a client would
/// do.
fn parse_target(target: &str) -> Result<PathAndQuery, Refusal> {
    // The parser drops a fragment, which no request contains.
    if let Some(parsed) = target.parse::<PathAndQuery>().ok().filter(|parsed| parsed.as_str() == target) {
        return Ok(parsed);
    }
    let bad = |why| Refusal::new(Rule::BadTarget, why);
    decode_path(target.split_once('?').map_or(target, |(path, _)| path)).map_err(|why| bad(why.0))?;
    let encoded = utf8_percent_encode(target, NOT_IN_A_TARGET).to_string();
    encoded.parse().map_err(|_| bad("the target cannot be part of a URL: percent-encode it"))
}
