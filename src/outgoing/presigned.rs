//! Headers in the query of a presigned URL. SDKs move `x-amz-*` headers there, and some also `Content-Type` and
//! conditions, so that the program that uses the URL need not send them. Each counts as the header it stands for.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use crate::authorize::operations::grammar::is_checksum_value;
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::{Algorithm, Hasher};
use crate::s3::target::{BadTarget, Query};
use http::{HeaderName, HeaderValue};
use http1::Request;

/// Returns the request with the headers from its query added, if there are any.
///
/// # Errors
/// When a parameter is not a valid header.
pub(crate) fn with_headers_of_query(request: &Request) -> Result<Option<Box<Request>>, Refusal> {
    let Some(text) = request.target.query().filter(|query| query.contains("ignature")) else {
        return Ok(None);
    };
    let bad = |BadTarget(why)| Refusal::new(Rule::BadTarget, why);
    let mut fields = None;
    for (name, value) in Query::carried_headers(text).map_err(bad)? {
        let name = name.to_ascii_lowercase();
        // The framing describes the SDK's body.
        if is_of_nothing(&name, &value) || matches!(&*name, "x-amz-trailer" | "x-amz-decoded-content-length")
        {
            continue;
        }
        if request.fields().has(&name) {
            continue;
        }
        let field = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        let Some((name, value)) = field else {
            let why = format!("the query parameter {name:?} stands for a header and cannot be one");
            return Err(Refusal::new(Rule::BadHeader, why));
        };
        fields.get_or_insert_with(|| request.fields().clone()).insert(name, value);
    }
    Ok(fields.map(|fields| Box::new(request.with_fields(fields))))
}

/// Returns whether a parameter is the checksum of an empty body. SDKs sign it for every URL, without knowing the body.
/// Any other checksum says which body the URL is for.
fn is_of_nothing(name: &str, value: &str) -> bool {
    let algorithm = Algorithm::of_header(name).filter(|_| is_checksum_value(name));
    algorithm.is_some_and(|algorithm| Hasher::new(algorithm).finish().base64() == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use http1::Fields;

    const SIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&X-Amz-SignedHeaders=host";

    fn headers(query: &str, own: &[(&'static str, &'static str)]) -> Result<Vec<String>, Rule> {
        let own: Fields = own
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let target = format!("/tmp/a?{query}").parse().unwrap();
        let request = Request::new(Method::PUT, target, own).unwrap();
        let found = with_headers_of_query(&request).map_err(|refusal| refusal.rule)?;
        let fields = found.as_deref().unwrap_or(&request).fields();
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(fields.iter().map(|(name, value)| format!("{}: {}", shown(name), shown(value))).collect())
    }

    #[test]
    fn headers_of_a_presigned_url_count() {
        let cases: [(&str, &[&str]); 10] = [
            ("x-amz-meta-a=b%20c", &["x-amz-meta-a: b c"]),
            ("X-Amz-Tagging=a%3Db&x-amz-acl=private", &["x-amz-tagging: a=b", "x-amz-acl: private"]),
            (
                "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32",
                &["x-amz-sdk-checksum-algorithm: CRC32"],
            ),
            ("x-amz-checksum-crc32=y%2FQ5Jg%3D%3D", &["x-amz-checksum-crc32: y/Q5Jg=="]),
            ("x-amz-checksum-mode=ENABLED", &["x-amz-checksum-mode: ENABLED"]),
            ("x-amz-trailer=x-amz-checksum-crc32", &[]),
            (
                "Content-Type=text%2Fcsv&Cache-Control=no-store",
                &["content-type: text/csv", "cache-control: no-store"],
            ),
            ("content-md5=hBoSrhpAOePU4mtPwrlvIQ%3D%3D", &["content-md5: hBoSrhpAOePU4mtPwrlvIQ=="]),
            ("If-Match=%22x%22&Range=bytes%3D0-1", &["if-match: \"x\"", "range: bytes=0-1"]),
            ("prefix=x&x-id=PutObject", &[]),
        ];
        for (query, expected) in cases {
            for signed in [SIGNED, "AWSAccessKeyId=a&Signature=b&Expires=1"] {
                assert_eq!(headers(&format!("{signed}&{query}"), &[]).unwrap(), expected, "{query}");
            }
            assert_eq!(headers(query, &[]).unwrap(), [""; 0], "{query} without a signature");
        }
    }

    #[test]
    fn headers_override_the_query() {
        let own = [("x-amz-meta-a", "own")];
        assert_eq!(headers(&format!("{SIGNED}&x-amz-meta-a=b"), &own).unwrap(), ["x-amz-meta-a: own"]);
    }

    #[test]
    fn invalid_headers_are_refused() {
        assert_eq!(headers(&format!("{SIGNED}&x-amz-meta-a=b%0D%0Ac"), &[]), Err(Rule::BadHeader));
        assert_eq!(headers(&format!("{SIGNED}&x-amz-a%20b=c"), &[]), Err(Rule::BadHeader));
        assert_eq!(headers(&format!("{SIGNED}&x-amz-meta-a=%zz"), &[]), Err(Rule::BadTarget));
    }
}
