//! Re-signing: a granted request, a session and a time become a request that the store accepts.
//!
//! aws-sigv4's own `sign()` derives the day's key on every call and sorts and encodes what is sorted and encoded
//! here already. So the canonical request is written here, the key comes from aws-sigv4 once a day, and the tests
//! hold every byte against `sign()`.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use crate::amz_date::AmzDate;
use crate::chunk_signer::{ChunkSigner, SignedChunks};
use crate::outgoing::{Outgoing, is_signed};
use crate::payload::Payload;
use crate::session::Session;
use http::header::{self, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;

const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A request signed with a session. The upstream pool sends nothing else, and only [`resign`] makes one.
#[derive(Debug)]
pub struct SignedRequest<B>(Request<B>);

/// A body that can go on from the request's signature, where its form asks for that.
pub trait InChunks {
    /// The same content in signed chunks.
    #[must_use]
    fn in_chunks(self, chunks: SignedChunks) -> Self;
}

impl<B> SignedRequest<B> {
    /// The request, to be put on the wire as it is.
    pub fn into_inner(self) -> Request<B> {
        self.0
    }

    /// Changes how the body is read, which no signature covers.
    pub fn map_body<C>(self, change: impl FnOnce(B) -> C) -> SignedRequest<C> {
        SignedRequest(self.0.map(change))
    }
}

/// Why a request could not be signed: something in it cannot be written in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsignable;

/// What a node of the store is called in `Host`, which is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(HeaderValue);

impl Authority {
    /// `host` or `host:port`.
    ///
    /// # Errors
    /// When it cannot be a header.
    pub fn new(authority: &str) -> Result<Self, Unsignable> {
        HeaderValue::from_str(authority).map(Self).map_err(|_| Unsignable)
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Signs `outgoing` for the node `authority` with `session` at `date`.
///
/// # Errors
/// When something in it cannot be written in HTTP.
pub fn resign<B: InChunks>(
    outgoing: &Outgoing,
    body: B,
    session: &Session,
    authority: &Authority,
    date: &AmzDate,
) -> Result<SignedRequest<B>, Unsignable> {
    let payload_hash = outgoing.payload().content_sha256();
    let Signature { authorization, signature } = sign(outgoing, &payload_hash, session, authority, date)?;
    let body = match *outgoing.payload() {
        Payload::Trailed(length, algorithm) => {
            let signer = ChunkSigner::new(Arc::clone(&session.day_key(date)), *date, signature);
            body.in_chunks(SignedChunks::new(signer, length, algorithm))
        }
        _ => body,
    };
    let mut request = Request::new(body);
    *request.method_mut() = outgoing.method().clone();
    *request.uri_mut() = uri(outgoing)?;
    let headers = request.headers_mut();
    headers.reserve(outgoing.headers().len() + 6);
    headers.insert(header::HOST, authority.0.clone());
    headers.insert(X_AMZ_CONTENT_SHA256, payload_hash);
    headers.insert(X_AMZ_DATE, HeaderValue::from_str(date.as_str()).map_err(|_| Unsignable)?);
    headers.insert(X_AMZ_SECURITY_TOKEN, session.token_header().clone());
    headers.insert(header::AUTHORIZATION, authorization);
    for (name, value) in outgoing.headers() {
        headers.insert(name.clone(), value.clone());
    }
    // PUT and POST always say their length; the store answers 411 otherwise.
    if matches!(*outgoing.method(), Method::PUT | Method::POST) {
        headers.insert(header::CONTENT_LENGTH, outgoing.payload().wire_length().into());
    }
    Ok(SignedRequest(request))
}

fn uri(outgoing: &Outgoing) -> Result<Uri, Unsignable> {
    let target = if outgoing.query().is_empty() {
        PathAndQuery::try_from(outgoing.path())
    } else {
        PathAndQuery::try_from(format!("{}?{}", outgoing.path(), outgoing.query()))
    };
    target.map(Uri::from).map_err(|_| Unsignable)
}

thread_local! {
    // The canonical request is written and hashed in place: no allocation of its own per request.
    static SCRATCH: RefCell<String> = RefCell::new(String::with_capacity(4096));
}

/// A request's signature, alone and as the header that carries it.
struct Signature {
    authorization: HeaderValue,
    signature: String,
}

fn sign(
    outgoing: &Outgoing,
    payload_hash: &HeaderValue,
    session: &Session,
    authority: &Authority,
    date: &AmzDate,
) -> Result<Signature, Unsignable> {
    let payload_hash = payload_hash.to_str().map_err(|_| Unsignable)?;
    let signed = [
        ("host", authority.as_str()),
        ("x-amz-content-sha256", payload_hash),
        ("x-amz-date", date.as_str()),
        ("x-amz-security-token", session.token().reveal()),
    ];
    let key = session.day_key(date);
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let names = write_canonical(scratch, outgoing, &signed, payload_hash)?;
        let hash = Sha256::digest(scratch.as_bytes());
        scratch.clear();
        let _ = write!(scratch, "AWS4-HMAC-SHA256\n{}\n{}\n", date.as_str(), key.scope());
        push_hex(scratch, &hash);
        let signature = key.sign(scratch.as_bytes());
        scratch.clear();
        scratch.push_str(key.authorization());
        scratch.push_str(&names);
        scratch.push_str(", Signature=");
        let start = scratch.len();
        push_hex(scratch, &signature);
        let mut authorization = HeaderValue::from_str(scratch).map_err(|_| Unsignable)?;
        authorization.set_sensitive(true);
        // Only chunks go on from it; for other forms nothing is copied.
        let chained = matches!(outgoing.payload(), Payload::Trailed(..));
        let signature = scratch.get(start..).filter(|_| chained).unwrap_or_default().to_owned();
        Ok(Signature { authorization, signature })
    })
}

/// Writes the canonical request and returns the names of its signed headers.
fn write_canonical(
    text: &mut String,
    outgoing: &Outgoing,
    own: &[(&str, &str); 4],
    payload_hash: &str,
) -> Result<String, Unsignable> {
    for part in [outgoing.method().as_str(), outgoing.path(), outgoing.query()] {
        text.push_str(part);
        text.push('\n');
    }
    let mut names = String::with_capacity(96);
    let mut push = |text: &mut String, name: &str, value: &str| {
        text.push_str(name);
        text.push(':');
        push_folded(text, value);
        text.push('\n');
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
    };
    // Two sorted lists are merged; no name stands in both.
    let mut own = own.iter().peekable();
    for (name, value) in outgoing.headers().iter().filter(|(name, _)| is_signed(name)) {
        while let Some((own_name, own_value)) = own.next_if(|(own_name, _)| *own_name < name.as_str()) {
            push(text, own_name, own_value);
        }
        push(text, name.as_str(), str::from_utf8(value.as_bytes()).map_err(|_| Unsignable)?);
    }
    for (name, value) in own {
        push(text, name, value);
    }
    text.push('\n');
    text.push_str(&names);
    text.push('\n');
    text.push_str(payload_hash);
    Ok(names)
}

/// A header's value as it is signed: trimmed, each run of white space one space. The server folds all of Unicode's
/// white space, so that is done here.
fn push_folded(text: &mut String, value: &str) {
    let mut words = value.split_whitespace();
    if let Some(first) = words.next() {
        text.push_str(first);
    }
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0')));
        }
    }
}

#[cfg(test)]
mod tests;
