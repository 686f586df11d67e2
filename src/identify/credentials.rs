//! The credentials that a request carries: at most one, of the schemes that its listener uses.
//!
//! Credentials of other schemes are left out, as dummy ones of S3 clients are. Which of two would count is a
//! question that no two programs answer alike, so two are refused.

use crate::identify::identity::{Scheme, Schemes};
use crate::refusal::{Refusal, Rule};
use crate::s3::target::{BadTarget, Query};
use http::header::AUTHORIZATION;
use http1::{Request, visible};
use percent_encoding::percent_decode_str;

/// The credentials of a request. They are unverified, and must not be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented<'r> {
    /// None of the listener's schemes.
    Nothing,
    /// A user and a password, in base64.
    Basic(&'r str),
    /// A bearer token.
    Bearer(&'r str),
    /// A signature of AWS Signature Version 4 or of a relative of it.
    Signature(SignatureIn<'r>),
}

/// The place of a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureIn<'r> {
    /// The value of `Authorization`, from the algorithm on.
    Header(&'r str),
    /// The query of a presigned URL.
    Query,
}

impl Presented<'_> {
    /// Returns the scheme.
    pub(crate) const fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Nothing => None,
            Self::Basic(_) => Some(Scheme::Basic),
            Self::Bearer(_) => Some(Scheme::Bearer),
            Self::Signature(_) => Some(Scheme::SigV4),
        }
    }
}

/// The query parameters that make a presigned URL: of version 4, and of version 2.
const PRESIGNED: [&str; 5] =
    ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Algorithm", "AWSAccessKeyId", "Signature"];

/// Finds the credentials of a request among `schemes`, which must not be empty.
///
/// # Errors
/// When the request carries two credentials, a header that is not one credential, or a query that cannot be parsed.
pub(crate) fn presented(request: &Request, schemes: Schemes) -> Result<Presented<'_>, Refusal> {
    let mut lines = request.fields().all(AUTHORIZATION.as_str());
    let header = lines.next();
    if lines.next().is_some() {
        return Err(ambiguous("the request has two Authorization headers"));
    }
    let in_query = is_presigned(request.target.query())?;
    match header {
        Some(_) if in_query => Err(ambiguous("the request has an Authorization header and a signed URL")),
        Some(value) => of_header(value, schemes),
        None if in_query && schemes.has(Scheme::SigV4) => Ok(Presented::Signature(SignatureIn::Query)),
        None => Ok(Presented::Nothing),
    }
}

fn of_header(value: &[u8], schemes: Schemes) -> Result<Presented<'_>, Refusal> {
    let name = value.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
    let is = |scheme: &str| name.eq_ignore_ascii_case(scheme.as_bytes());
    let is_signature =
        name.len() >= 3 && name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"AWS"));
    let scheme = match () {
        () if is("Basic") => Scheme::Basic,
        () if is("Bearer") => Scheme::Bearer,
        () if is_signature => Scheme::SigV4,
        () => return Ok(Presented::Nothing),
    };
    if !schemes.has(scheme) {
        return Ok(Presented::Nothing);
    }
    let text = visible(value).ok_or_else(|| ambiguous("the Authorization header is not visible ASCII"))?;
    if scheme == Scheme::SigV4 {
        return Ok(Presented::Signature(SignatureIn::Header(text)));
    }
    let credentials = text.get(name.len()..).unwrap_or_default().trim_matches([' ', '\t']);
    // Neither base64 nor a token contains these, so they separate two credentials.
    if credentials.contains([' ', '\t', ',']) {
        return Err(ambiguous("the Authorization header has more than one credential"));
    }
    Ok(if scheme == Scheme::Basic { Presented::Basic(credentials) } else { Presented::Bearer(credentials) })
}

/// Returns whether a query has a parameter of presigned URLs.
///
/// If it has one and cannot be parsed, it is refused here. The decision leaves these parameters out without reading them,
/// so a repeated or malformed credential would count as absent.
fn is_presigned(query: Option<&str>) -> Result<bool, Refusal> {
    let Some(query) = query else { return Ok(false) };
    let names = query.split(['&', ';']).map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    let is_own = |name: &str| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        PRESIGNED.iter().any(|own| own.eq_ignore_ascii_case(&name))
    };
    if !names.into_iter().any(is_own) {
        return Ok(false);
    }
    let bad = |BadTarget(why)| Refusal::new(Rule::BadTarget, why);
    Query::parse_whole(query).map(|_| true).map_err(bad)
}

fn ambiguous(why: &str) -> Refusal {
    Refusal::new(Rule::AmbiguousCredentials, format!("{why}: send exactly one credential"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method};

    fn request(target: &str, authorization: &[&str]) -> Request {
        let host = (http::header::HOST, HeaderValue::from_static("localhost"));
        let field = |value: &&str| (AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        let fields = std::iter::once(host).chain(authorization.iter().map(field)).collect();
        Request::new(Method::GET, target.parse().unwrap(), fields).unwrap()
    }

    fn all() -> Schemes {
        Scheme::ALL.into_iter().collect()
    }

    #[test]
    fn one_credential_is_found() {
        let aws = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let header = Presented::Signature(SignatureIn::Header(aws));
        let query = Presented::Signature(SignatureIn::Query);
        for (target, values, expected) in [
            ("/", &[][..], Presented::Nothing),
            ("/", &["Basic YTpi"], Presented::Basic("YTpi")),
            ("/", &["bAsIc   YTpi "], Presented::Basic("YTpi")),
            ("/", &["Basic"], Presented::Basic("")),
            ("/", &["Bearer a.b.c"], Presented::Bearer("a.b.c")),
            ("/", &[aws], header),
            ("/", &["AWS AK:sig"], Presented::Signature(SignatureIn::Header("AWS AK:sig"))),
            ("/", &["Digest a"], Presented::Nothing),
            ("/", &["Basically x"], Presented::Nothing),
            ("/?X-Amz-Signature=0", &[], query),
            ("/?%58-Amz-Signature=0", &[], query),
            ("/?x-amz-signature=0", &[], query),
            ("/?AWSAccessKeyId=A&Signature=s", &[], query),
            ("/?prefix=X-Amz-Signature", &[], Presented::Nothing),
        ] {
            let request = request(target, values);
            assert!(presented(&request, all()).unwrap() == expected, "{target} {values:?}");
        }
    }

    #[test]
    fn two_credentials_are_refused() {
        for (target, values) in [
            ("/", &["Basic YTpi", "Basic YTpi"][..]),
            ("/", &["Basic YTpi", "Bearer x"]),
            ("/", &["Digest a", "Digest b"]),
            ("/", &["Basic YTpi, Bearer x"]),
            ("/", &["Bearer x Basic YTpi"]),
            ("/", &["Bearer x,y"]),
            ("/?X-Amz-Signature=0", &["Basic YTpi"]),
            ("/?X-Amz-Credential=0", &["AWS4-HMAC-SHA256 x"]),
        ] {
            let request = request(target, values);
            let rule = presented(&request, all()).err().map(|refusal| refusal.rule);
            assert_eq!(rule, Some(Rule::AmbiguousCredentials), "{target} {values:?}");
        }
    }

    #[test]
    fn presigned_credentials_that_cannot_be_read_are_not_left_out() {
        for other in ["/?v=1&v=2", "/?v=%zz", "/?prefix=a;prefix=b", "/?X-Amz-Date=%zz"] {
            let request = request(other, &[]);
            assert!(presented(&request, all()).is_ok_and(|found| found == Presented::Nothing), "{other}");
        }
        for target in [
            "/?v=1;X-Amz-Credential=a",
            "/?X-Amz-Credential=a&X-Amz-Credential=b",
            "/?AWSAccessKeyId=a&AWSAccessKeyId=b",
            "/?X-Amz-Credential=%zz",
            "/?X-Amz-Signatur%65=%zz",
        ] {
            let request = request(target, &[]);
            let rule = presented(&request, all()).err().map(|refusal| refusal.rule);
            assert_eq!(rule, Some(Rule::BadTarget), "{target}");
        }
    }

    #[test]
    fn credentials_of_schemes_that_the_listener_does_not_use_are_left_out() {
        for (scheme, value) in [
            (Scheme::Basic, "Bearer x"),
            (Scheme::Bearer, "Basic x, y"),
            (Scheme::Basic, "AWS4-HMAC-SHA256 x"),
        ] {
            let request = request("/", &[value]);
            assert!(
                presented(&request, [scheme].into_iter().collect()).unwrap() == Presented::Nothing,
                "{value}"
            );
        }
        let request = request("/?X-Amz-Signature=0", &[]);
        assert!(presented(&request, [Scheme::Basic].into_iter().collect()).unwrap() == Presented::Nothing);
    }
}
