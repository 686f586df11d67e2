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
use crate::session::{DayKey, Session};
use bytes::{BufMut, BytesMut};
use http::{HeaderValue, Method};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A request signed with a session, as it goes over the wire: what was signed is what is sent, byte by byte. The
/// upstream pool sends nothing else, and only [`resign`] makes one.
pub struct SignedRequest<B> {
    method: Method,
    head: BytesMut,
    body: B,
}

/// A body that can go on from the request's signature, where its form asks for that.
pub trait InChunks {
    /// The same content in signed chunks.
    #[must_use]
    fn in_chunks(self, chunks: SignedChunks) -> Self;
}

impl<B> SignedRequest<B> {
    /// The request line and the headers, each with its CRLF; the empty line behind them is the sender's.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The body.
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Method, head and body.
    pub(crate) fn into_parts(self) -> (Method, BytesMut, B) {
        (self.method, self.head, self.body)
    }
}

impl<B> fmt::Debug for SignedRequest<B> {
    /// Without the head, which holds token and signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest").field("method", &self.method).finish_non_exhaustive()
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
    let own = [
        ("host", authority.as_str()),
        ("x-amz-content-sha256", payload_hash.to_str().map_err(|_| Unsignable)?),
        ("x-amz-date", date.as_str()),
        ("x-amz-security-token", session.token().reveal()),
    ];
    let mut head = BytesMut::with_capacity(HEAD + outgoing.path().len() + session.token().reveal().len());
    write_line(&mut head, outgoing)?;
    for (name, value) in own {
        write_header(&mut head, name, value.as_bytes());
    }
    for (name, value) in outgoing.headers() {
        write_header(&mut head, name.as_str(), value.as_bytes());
    }
    // PUT and POST always say their length; the store answers 411 otherwise.
    if matches!(*outgoing.method(), Method::PUT | Method::POST) {
        let _ = write!(head, "content-length: {}\r\n", outgoing.payload().wire_length());
    }
    let key = session.day_key(date);
    let signature =
        SCRATCH.with_borrow_mut(|scratch| sign(scratch, outgoing, &own, &key, date, &mut head))?;
    let body = match *outgoing.payload() {
        Payload::Trailed(length, algorithm) => {
            let mut seed = String::with_capacity(64);
            push_hex(&mut seed, &signature);
            let signer = ChunkSigner::new(Arc::clone(&key), *date, seed);
            body.in_chunks(SignedChunks::new(signer, length, algorithm))
        }
        _ => body,
    };
    Ok(SignedRequest { method: outgoing.method().clone(), head, body })
}

/// Room for a head without its path and its token, in bytes.
const HEAD: usize = 768;

fn write_line(head: &mut BytesMut, outgoing: &Outgoing) -> Result<(), Unsignable> {
    // Both were percent-encoded: nothing else may stand in a request line.
    if !is_plain(outgoing.path()) || !is_plain(outgoing.query()) {
        return Err(Unsignable);
    }
    head.put_slice(outgoing.method().as_str().as_bytes());
    head.put_u8(b' ');
    head.put_slice(outgoing.path().as_bytes());
    if !outgoing.query().is_empty() {
        head.put_u8(b'?');
        head.put_slice(outgoing.query().as_bytes());
    }
    head.put_slice(b" HTTP/1.1\r\n");
    Ok(())
}

fn write_header(head: &mut BytesMut, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.put_slice(part);
    }
}

/// Where the canonical request is written and hashed: no allocation of its own per request.
struct Scratch {
    text: String,
    names: String,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { text: String::with_capacity(4096), names: String::with_capacity(256) });
}

/// Writes the `Authorization` header into `head`, and returns the signature in it.
fn sign(
    scratch: &mut Scratch,
    outgoing: &Outgoing,
    own: &[(&str, &str); 4],
    key: &DayKey,
    date: &AmzDate,
    head: &mut BytesMut,
) -> Result<[u8; 32], Unsignable> {
    write_canonical(scratch, outgoing, own)?;
    let Scratch { text, names } = scratch;
    let hash = Sha256::digest(text.as_bytes());
    text.clear();
    for part in ["AWS4-HMAC-SHA256\n", date.as_str(), "\n", key.scope(), "\n"] {
        text.push_str(part);
    }
    push_hex(text, &hash);
    let signature = key.sign(text.as_bytes());
    text.clear();
    for part in ["authorization: ", key.authorization(), names, ", Signature="] {
        text.push_str(part);
    }
    push_hex(text, &signature);
    text.push_str("\r\n");
    head.put_slice(text.as_bytes());
    Ok(signature)
}

/// Writes the canonical request, and the names of its signed headers.
fn write_canonical(
    scratch: &mut Scratch,
    outgoing: &Outgoing,
    own: &[(&str, &str); 4],
) -> Result<(), Unsignable> {
    let Scratch { text, names } = scratch;
    text.clear();
    names.clear();
    for part in [outgoing.method().as_str(), outgoing.path(), outgoing.query()] {
        text.push_str(part);
        text.push('\n');
    }
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
    let [_, (_, payload_hash), ..] = own;
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
    text.push_str(names);
    text.push('\n');
    text.push_str(payload_hash);
    Ok(())
}

/// A header's value as it is signed: trimmed, each run of white space one space. The server folds all of Unicode's
/// white space, so that is done here.
fn push_folded(text: &mut String, value: &str) {
    // Most values, and the long token, hold none.
    if is_plain(value) {
        return text.push_str(value);
    }
    let mut words = value.split_whitespace();
    if let Some(first) = words.next() {
        text.push_str(first);
    }
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
}

/// Whether it is ASCII that shows. Not `all`: without a way out in the middle many bytes are looked at together.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic())
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'0');
    let mut written = [b'0'; 64];
    for (pair, byte) in written.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(*byte)]);
    }
    text.push_str(
        written.get(..2 * bytes.len()).and_then(|hex| str::from_utf8(hex).ok()).unwrap_or_default(),
    );
}

#[cfg(test)]
mod tests;
