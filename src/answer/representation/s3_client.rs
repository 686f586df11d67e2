//! Recognises S3 clients, which get S3's responses instead of those for browsers and programs that follow links.

use http::header::{AUTHORIZATION, USER_AGENT};
use http1::Fields;

/// Prefixes of the `User-Agent` of S3 clients that may send requests with neither a signature nor a header of S3: the
/// AWS CLI 2, AWS SDKs, MinIO's SDKs and `mc`, s3fs-fuse, and Cyberduck.
const S3_AGENTS: [&str; 5] = ["aws-", "Boto", "MinIO", "s3fs/", "Cyberduck/"];

/// Returns whether a request comes from an S3 client: it has a signature, a header that only S3 clients send, or the
/// name of one.
///
/// S3 clients get only S3's responses, whatever they accept.
pub(crate) fn is_s3_client(fields: &Fields) -> bool {
    let signed = fields
        .get(AUTHORIZATION.as_str())
        .is_some_and(|value| value.starts_with(b"AWS4-") || value.starts_with(b"AWS "));
    // CloudFront adds its own `x-amz-cf-` headers to requests of browsers.
    let is_sdks = |name: &[u8]| {
        (begins_with(name, "x-amz-") && !begins_with(name, "x-amz-cf-")) || begins_with(name, "amz-sdk-")
    };
    signed
        || S3_AGENTS.iter().any(|agent| is_agent(fields, agent))
        || fields.iter().any(|(name, _)| is_sdks(name))
}

/// Returns whether a request comes from rclone. Its S3 client and its HTTP client send the same headers. Both
/// understand S3's response to a path without a trailing slash.
pub(crate) fn is_rclone(fields: &Fields) -> bool {
    is_agent(fields, "rclone/")
}

fn is_agent(fields: &Fields, start: &str) -> bool {
    fields.get(USER_AGENT.as_str()).is_some_and(|agent| begins_with(agent, start))
}

fn begins_with(text: &[u8], start: &str) -> bool {
    text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::representation::Representation;
    use http::{HeaderName, HeaderValue};

    fn fields(given: &[(&'static str, &'static str)]) -> Fields {
        given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn s3_clients_get_xml_whatever_they_accept() {
        for own in [
            ("authorization", "AWS4-HMAC-SHA256 Credential=x"),
            ("authorization", "AWS x:y"),
            ("x-amz-date", "20260101T000000Z"),
            ("amz-sdk-invocation-id", "1"),
            ("user-agent", "aws-cli/2.9.19 Python/3.11.2 command/s3.ls"),
            ("user-agent", "aws-sdk-go/1.44.298 (go1.26.8; linux; amd64)"),
            ("user-agent", "MinIO (linux; amd64) minio-go/v7.0.88 mc/DEVELOPMENT"),
        ] {
            let fields = fields(&[own, ("accept", "text/html")]);
            assert!(is_s3_client(&fields), "{own:?}");
            assert_eq!(Representation::of(&fields), Representation::S3, "{own:?}");
        }
    }

    #[test]
    fn browsers_and_programs_that_follow_links_are_not_s3_clients() {
        for own in [
            ("authorization", "Basic eDp5"),
            ("x-amz-cf-id", "1"),
            ("x-amzn-trace-id", "1"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("user-agent", "curl/7.88.1"),
            ("user-agent", "rclone/v1.60.1"),
            ("user-agent", "Python/3.11 aiohttp/3.14.5"),
            ("user-agent", ""),
        ] {
            let fields = fields(&[own, ("accept", "text/html")]);
            assert!(!is_s3_client(&fields), "{own:?}");
            assert_eq!(Representation::of(&fields), Representation::Html, "{own:?}");
        }
    }

    #[test]
    fn recognises_rclone_by_user_agent() {
        assert!(is_rclone(&fields(&[("user-agent", "rclone/v1.60.1-DEV")])));
        assert!(!is_rclone(&fields(&[("user-agent", "curl/8")])) && !is_rclone(&fields(&[])));
    }
}
