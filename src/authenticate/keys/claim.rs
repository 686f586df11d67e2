//! The claim of a signature: which key made it, when, and over which headers.

use super::{failure, malformed, wrong_signature};
use crate::authenticate::failure::{Cause, Failure};
use crate::identify::credentials::SignatureIn;
use crate::refusal::Rule;
use crate::s3::signed_body::{HexSignature, parse_signature};
use crate::s3::target::{BadTarget, Query};
use crate::sigv4::amz_date::AmzDate;
use http1::{Fields, Request, visible};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const ASYMMETRIC: &str = "AWS4-ECDSA-P256-SHA256";
/// The longest life of a presigned URL: seven days.
const MAX_EXPIRES: u64 = 604_800;

/// What a signature claims, before anything of it is verified.
pub(super) struct Claim<'r> {
    kind: Kind,
    /// The key's id, day, region, service and terminator.
    credential: Cow<'r, str>,
    signed_headers: Cow<'r, str>,
    signature: Cow<'r, str>,
    query: Query<'r>,
    is_presigned: bool,
}

/// A version of AWS signatures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    V2,
    V4,
    V4A,
    Other,
}

/// The time of a signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) signed: SystemTime,
    /// The life of a presigned URL.
    pub(super) lifetime: Option<Duration>,
}

impl<'r> Claim<'r> {
    /// Reads the claim of a request's signature.
    pub(super) fn read(request: &'r Request, signature: SignatureIn<'r>) -> Result<Self, Failure> {
        let is_presigned = matches!(signature, SignatureIn::Query);
        let bad = |BadTarget(why)| malformed(is_presigned, why);
        let query = Query::parse_whole(request.target.query().unwrap_or_default()).map_err(bad)?;
        match signature {
            SignatureIn::Header(text) => Self::of_header(text, query),
            SignatureIn::Query => Self::of_query(query),
        }
    }

    fn of_header(text: &'r str, query: Query<'r>) -> Result<Self, Failure> {
        let (algorithm, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let kind = Kind::of(algorithm);
        let claim = |credential: &'r str, signed_headers: &'r str, signature: &'r str| Self {
            kind,
            credential: credential.into(),
            signed_headers: signed_headers.into(),
            signature: signature.into(),
            query,
            is_presigned: false,
        };
        if kind == Kind::V2 {
            let (key, signature) = rest
                .trim()
                .rsplit_once(':')
                .ok_or_else(|| malformed(false, "it is not AWS KEY:SIGNATURE"))?;
            return Ok(claim(key, "", signature));
        }
        let mut parts = [None; 3];
        for part in rest.split(',').map(|part| part.trim_matches([' ', '\t'])) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let at = ["Credential", "SignedHeaders", "Signature"].iter().position(|known| *known == name);
            match at.and_then(|at| parts.get_mut(at)) {
                Some(slot) if slot.is_none() => *slot = Some(value),
                Some(_) => {
                    return Err(malformed(false, format!("the authorization header has {name} twice")));
                }
                None => {
                    let why = "the authorization header has a part other than Credential, SignedHeaders and Signature";
                    return Err(malformed(false, why));
                }
            }
        }
        match parts {
            [Some(credential), Some(signed_headers), Some(signature)] => {
                Ok(claim(credential, signed_headers, signature))
            }
            _ => Err(malformed(
                false,
                "the authorization header needs Credential=..., SignedHeaders=... and Signature=...",
            )),
        }
    }

    fn of_query(query: Query<'r>) -> Result<Self, Failure> {
        let own = |name: &str| query.get(name).map(str::to_owned);
        let missing = |name: &str| malformed(true, format!("the presigned URL has no {name}"));
        if let Some(key) = own("AWSAccessKeyId") {
            let (credential, kind) = (key.into(), Kind::V2);
            let (signed_headers, signature) = ("".into(), "".into());
            return Ok(Self { kind, credential, signed_headers, signature, query, is_presigned: true });
        }
        let need = |name: &str| own(name).ok_or_else(|| missing(name));
        let kind = Kind::of(&need("X-Amz-Algorithm")?);
        let credential = need("X-Amz-Credential")?.into();
        let signed_headers = need("X-Amz-SignedHeaders")?.into();
        let signature = need("X-Amz-Signature")?.into();
        Ok(Self { kind, credential, signed_headers, signature, query, is_presigned: true })
    }

    /// Returns the id of the key.
    pub(super) fn access_key(&self) -> &str {
        let parts = match self.kind {
            Kind::V2 => 0,
            Kind::V4 | Kind::Other => 4,
            // It has no region.
            Kind::V4A => 3,
        };
        (0..parts).try_fold(&*self.credential, |rest, _| Some(rest.rsplit_once('/')?.0)).unwrap_or_default()
    }

    /// Returns the claim if its version of signatures is the supported one.
    pub(super) fn supported(&self) -> Result<&Self, Failure> {
        let why = match self.kind {
            Kind::V4 => return Ok(self),
            Kind::V2 => {
                "Signature Version 2 is not supported: let the client use version 4 (signature_version = s3v4)"
            }
            Kind::V4A => {
                "SigV4A is not supported: let the client use sigv4 (sigv4a_signing_region_set unset)"
            }
            Kind::Other => {
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            }
        };
        Err(failure(Cause::UnsupportedSignature, Rule::UnsupportedSignature, why))
    }

    /// Checks that no session token comes with the signature: local keys have none.
    pub(super) fn check_no_token(&self, request: &Request) -> Result<(), Failure> {
        let has_token = self.query.names().any(|name| name.eq_ignore_ascii_case("X-Amz-Security-Token"))
            || request.fields().has("x-amz-security-token");
        if has_token {
            let why = "this access key has no session token: leave x-amz-security-token out";
            return Err(failure(Cause::SessionToken, Rule::UnexpectedToken, why));
        }
        Ok(())
    }

    /// Checks the region, the service and the terminator. The day is compared with the date later.
    pub(super) fn check_scope(&self, expected: &str) -> Result<(), Failure> {
        let mut parts = self.credential.rsplit('/');
        let (terminator, service, region) = (parts.next(), parts.next(), parts.next());
        let why = match (region, service, terminator) {
            (Some(region), Some("s3"), Some("aws4_request")) if region == expected => return Ok(()),
            (Some(region), Some("s3"), Some("aws4_request")) => {
                format!("the region {region:?} is wrong; expecting {expected:?}")
            }
            _ => "the credential is not KEY/DAY/REGION/s3/aws4_request".to_owned(),
        };
        Err(malformed(self.is_presigned, why))
    }

    /// Returns the date of the signature, whose day is that of the credential.
    pub(super) fn date(&self, request: &Request) -> Result<AmzDate, Failure> {
        let date = if self.is_presigned {
            self.query.get("X-Amz-Date").and_then(AmzDate::parse)
        } else {
            date_of(request.fields(), self.signed_headers())
        };
        let why = "there is no X-Amz-Date of the form 20260131T235959Z";
        let date = date.ok_or_else(|| malformed(self.is_presigned, why))?;
        if self.credential.rsplit('/').nth(3) != Some(date.day()) {
            return Err(malformed(self.is_presigned, "the day of the credential is not that of the date"));
        }
        Ok(date)
    }

    /// Returns when the signature was made and how long it holds.
    pub(super) fn times(&self, date: &AmzDate) -> Result<Times, Failure> {
        if !self.is_presigned {
            return Ok(Times { signed: date.time(), lifetime: None });
        }
        let expires = self.query.get("X-Amz-Expires").filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let seconds = expires.and_then(|text| text.parse().ok()).filter(|s| (1..=MAX_EXPIRES).contains(s));
        let seconds = seconds.ok_or_else(|| {
            malformed(true, format!("X-Amz-Expires is not a number of seconds from 1 to {MAX_EXPIRES}"))
        })?;
        Ok(Times { signed: date.time(), lifetime: Some(Duration::from_secs(seconds)) })
    }

    pub(super) fn signature(&self) -> Result<HexSignature, Failure> {
        parse_signature(self.signature.as_bytes()).ok_or_else(wrong_signature)
    }

    pub(super) fn signed_headers(&self) -> &str {
        &self.signed_headers
    }

    pub(super) fn query(&self) -> &Query<'r> {
        &self.query
    }

    pub(super) fn is_presigned(&self) -> bool {
        self.is_presigned
    }
}

impl Kind {
    fn of(algorithm: &str) -> Self {
        match algorithm {
            ALGORITHM => Self::V4,
            ASYMMETRIC => Self::V4A,
            "AWS" => Self::V2,
            _ => Self::Other,
        }
    }
}

/// Returns the date of `x-amz-date`, or else that of a signed `Date`.
fn date_of(fields: &Fields, signed_headers: &str) -> Option<AmzDate> {
    let only = |name| {
        let mut values = fields.all(name);
        values.next().filter(|_| values.next().is_none()).and_then(visible)
    };
    if fields.has("x-amz-date") {
        return only("x-amz-date").and_then(AmzDate::parse);
    }
    if !signed_headers.split(';').any(|name| name == "date") {
        return None;
    }
    let date = only("date")?;
    AmzDate::parse(date).or_else(|| httpdate::parse_http_date(date).ok().map(AmzDate::new))
}
