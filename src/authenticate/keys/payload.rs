//! How a signature covers the body: the meaning of `x-amz-content-sha256`.

use super::{failure, malformed};
use crate::authenticate::failure::{Cause, Failure};
use crate::identify::client::Connection;
use crate::refusal::Rule;
use crate::s3::signed_body::{ChunkChain, SignedBody, parse_hex};
use crate::s3::target::Query;
use http::Method;
use http1::{Request, visible};
use std::borrow::Cow;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The way in which a body is signed, with its name, which is part of the canonical request.
#[derive(Debug)]
pub(super) struct Mode<'r> {
    text: Cow<'r, str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Unsigned,
    Sha256([u8; 32]),
    Chunks { has_trailer: bool },
    Checksummed,
}

impl<'r> Mode<'r> {
    /// Reads the mode of a request. A presigned URL may name it in its query, and names none for an unsigned body.
    pub(super) fn of(request: &'r Request, query: &Query<'_>, is_presigned: bool) -> Result<Self, Failure> {
        let mut values = request.fields().all("x-amz-content-sha256");
        let header = values.next().map(|value| visible(value).unwrap_or_default());
        if values.next().is_some() {
            return Err(malformed(is_presigned, "the request has two x-amz-content-sha256"));
        }
        let in_query = query.get("X-Amz-Content-Sha256").filter(|_| is_presigned);
        let text: Cow<'r, str> = match (header, in_query) {
            (Some(header), Some(in_query)) if header != in_query => {
                return Err(malformed(true, "x-amz-content-sha256 differs in header and query"));
            }
            (Some(header), _) => header.into(),
            (None, Some(in_query)) => in_query.to_owned().into(),
            (None, None) if is_presigned => UNSIGNED.into(),
            (None, None) => {
                let why = "Missing required header for this request: x-amz-content-sha256";
                return Err(failure(Cause::Malformed, Rule::PayloadForm, why));
            }
        };
        let kind = Kind::of(&text)?;
        Ok(Self { text, kind })
    }

    /// Returns the name of the mode.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Checks that the request may have its body signed in this way.
    pub(super) fn check(
        &self,
        request: &Request,
        connection: &Connection,
        allows_unsigned: bool,
        is_presigned: bool,
    ) -> Result<(), Failure> {
        let is_in_chunks = matches!(self.kind, Kind::Chunks { .. } | Kind::Checksummed);
        if is_in_chunks && (is_presigned || !matches!(request.method, Method::PUT | Method::POST)) {
            let why = "only PUT and POST with a signed header send a body in chunks";
            return Err(failure(Cause::Malformed, Rule::PayloadForm, why));
        }
        let is_private = connection.is_confidential();
        // The checksum of unsigned chunks is not signed either, so it can be changed with them.
        let is_open = matches!(self.kind, Kind::Unsigned | Kind::Checksummed) && !is_presigned;
        if is_open && has_body(request) && !is_private && !allows_unsigned {
            let why = "the body is not signed and could be changed on its way: let the client sign payloads \
                (payload_signing_enabled), or ask the operator to set unsigned_payload for this key";
            return Err(failure(Cause::UnsignedBody, Rule::UnsignedBody, why));
        }
        Ok(())
    }

    /// Returns how the body must be verified. `chain` makes the chain of its chunks' signatures.
    pub(super) fn signed_body(&self, chain: impl FnOnce(bool) -> ChunkChain) -> SignedBody {
        match self.kind {
            Kind::Unsigned => SignedBody::Open,
            Kind::Sha256(hash) => SignedBody::Sha256(hash),
            Kind::Chunks { has_trailer } => SignedBody::Chunks(Box::new(chain(has_trailer))),
            Kind::Checksummed => SignedBody::Checksummed,
        }
    }
}

impl Kind {
    fn of(text: &str) -> Result<Self, Failure> {
        Ok(match text {
            UNSIGNED => Self::Unsigned,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Self::Chunks { has_trailer: false },
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Self::Chunks { has_trailer: true },
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Self::Checksummed,
            _ if text.starts_with("STREAMING-AWS4-ECDSA") => {
                let why = "SigV4A is not supported: let the client use sigv4";
                return Err(failure(Cause::UnsupportedSignature, Rule::UnsupportedSignature, why));
            }
            _ => {
                let why = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a way of streaming, or a SHA-256 in hexadecimal";
                let bad = || failure(Cause::Malformed, Rule::PayloadForm, why);
                Self::Sha256(parse_hex(text.as_bytes()).ok_or_else(bad)?)
            }
        })
    }
}

fn has_body(request: &Request) -> bool {
    let fields = request.fields();
    let has_length =
        fields.get("content-length").is_some_and(|length| length.iter().any(|digit| *digit != b'0'));
    has_length || fields.has("transfer-encoding")
}
