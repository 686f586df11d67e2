//! The canonical request: what is signed of a request's head.

use super::{failure, malformed, wrong_signature};
use crate::authenticate::failure::{Cause, Failure};
use crate::refusal::Rule;
use crate::s3::target::{BadTarget, Query, decode_path, encode_path, encode_query};
use http1::Request;

/// The names of the headers that are signed: in lower case, sorted, each once, and `host` among them.
#[derive(Debug)]
pub(super) struct SignedHeaders<'c> {
    text: &'c str,
}

impl<'c> SignedHeaders<'c> {
    pub(super) fn parse(text: &'c str, is_presigned: bool) -> Result<Self, Failure> {
        let names = || text.split(';');
        let is_name = |name: &str| {
            !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii_graphic())
        };
        if !names().all(is_name) || !names().is_sorted_by(|one, next| one < next) {
            let why = "SignedHeaders are not lower-case names, sorted, each once, with ';' between them";
            return Err(malformed(is_presigned, why));
        }
        let headers = Self { text };
        if !headers.have(b"host") {
            return Err(malformed(is_presigned, "SignedHeaders lack host"));
        }
        Ok(headers)
    }

    fn have(&self, name: &[u8]) -> bool {
        self.text.split(';').any(|signed| signed.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Checks that every header is signed that could change what the request means.
    ///
    /// An unsigned `x-amz-copy-source` would turn a presigned PUT into a copy of any object.
    pub(super) fn check(&self, request: &Request, is_presigned: bool) -> Result<(), Failure> {
        let is_bound = |name: &[u8]| {
            !is_amz(name) || name.eq_ignore_ascii_case(b"x-amz-content-sha256") || self.have(name)
        };
        if let Some((name, _)) = request.fields().iter().find(|(name, _)| !is_bound(name)) {
            return Err(not_signed(name));
        }
        if is_presigned { self.check_carried(request) } else { Ok(()) }
    }

    /// Checks that no unsigned header differs from the signed one that the query carries in its place.
    fn check_carried(&self, request: &Request) -> Result<(), Failure> {
        let carried = Query::carried_headers(request.target.query().unwrap_or_default());
        for (name, value) in carried.map_err(|BadTarget(why)| malformed(true, why))? {
            let mut given = request.fields().all(&name);
            if !self.have(name.as_bytes()) && given.any(|given| given != value.as_bytes()) {
                return Err(not_signed(name.as_bytes()));
            }
        }
        Ok(())
    }
}

fn is_amz(name: &[u8]) -> bool {
    name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"x-amz-"))
}

fn not_signed(name: &[u8]) -> Failure {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let why = format!("There were headers present in the request which were not signed: {name}");
    failure(Cause::HeaderNotSigned, Rule::HeaderNotSigned, why)
}

/// Writes the canonical request.
///
/// Path and query are decoded as the decision decodes them, and encoded once. So no other reading of the client's
/// spelling can be signed than the one that is decided on.
pub(super) fn request(
    request: &Request,
    query: &Query<'_>,
    headers: &SignedHeaders<'_>,
    payload: &str,
    is_presigned: bool,
) -> Result<Vec<u8>, Failure> {
    let path = decode_path(request.target.path()).map_err(|BadTarget(why)| malformed(is_presigned, why))?;
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(request.method.as_str().as_bytes());
    text.extend_from_slice(b"\n/");
    text.extend_from_slice(encode_path(&path).as_bytes());
    text.push(b'\n');
    write_query(&mut text, query, is_presigned);
    text.push(b'\n');
    for name in headers.text.split(';') {
        write_header(&mut text, request, name)?;
    }
    text.push(b'\n');
    text.extend_from_slice(headers.text.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload.as_bytes());
    Ok(text)
}

/// Writes the query sorted by the encoded names. Each name occurs once.
fn write_query(text: &mut Vec<u8>, query: &Query<'_>, is_presigned: bool) {
    let is_signed = |(name, _): &(&str, &str)| !is_presigned || *name != "X-Amz-Signature";
    let mut pairs: Vec<(String, &str)> =
        query.pairs().filter(is_signed).map(|(name, value)| (encode_query(name), value)).collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push(b'&');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(encode_query(value).as_bytes());
    }
}

/// Writes a header with all its values. A signed header that did not arrive makes the signature wrong.
fn write_header(text: &mut Vec<u8>, request: &Request, name: &str) -> Result<(), Failure> {
    let mut values = request.fields().all(name).peekable();
    if values.peek().is_none() {
        return Err(wrong_signature());
    }
    text.extend_from_slice(name.as_bytes());
    text.push(b':');
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(word);
        }
    }
    text.push(b'\n');
    Ok(())
}
