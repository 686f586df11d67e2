//! S3's error documents and error codes.

use bytes::Bytes;
use http_body::Body;
use http1::body::{BoxError, read_whole};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::time::Duration;

/// Maximum length of an error document that is read, in bytes.
pub(crate) const MAX_ERROR_BODY: usize = 64 * 1024;

/// Reads the body of a store's error within `patience`.
///
/// # Errors
/// When it breaks off, takes too long or is larger than [`MAX_ERROR_BODY`].
pub(crate) async fn read_error_body<B>(body: B, patience: Duration) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    Ok(read_whole(body, MAX_ERROR_BODY, patience).await?)
}

/// Returns the text of the first element called `name`, at any depth.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                let text = reader.read_text(start.name()).ok()?;
                return quick_xml::escape::unescape(&text).ok().map(|text| text.trim().to_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Elements of errors about a signature: the key, and the request that was signed, which contains the session token.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const OF_A_SIGNATURE: [&str; 7] = [
    "AWSAccessKeyId",
    "CanonicalRequest",
    "CanonicalRequestBytes",
    "SignatureProvided",
    "StringToSign",
    "StringToSignBytes",
    "Token-0",
];

/// Removes the elements of an error document that reveal the session.
pub(crate) fn without_signature(document: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&document);
    if !OF_A_SIGNATURE.iter().any(|name| text.contains(name)) {
        return document;
    }
    let mut text = text.into_owned();
    for name in OF_A_SIGNATURE {
        text = without_element(&text, name);
    }
    text.into()
}

/// Removes the elements of this name. An element without an end extends to the end of the document.
fn without_element(document: &str, name: &str) -> String {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut pieces = document.split(&*start);
    let mut left = pieces.next().unwrap_or_default().to_owned();
    left.extend(pieces.filter_map(|piece| piece.split_once(&*end)).map(|(_, behind)| behind));
    left
}

/// Returns whether a code says that the session is dead, so that another one is worth a try. `ExpiredToken` and
/// `InvalidToken` come from stores other than MinIO.
pub(crate) fn is_dead_session(code: &str) -> bool {
    matches!(
        code,
        "InvalidAccessKeyId" | "InvalidTokenId" | "ExpiredToken" | "ExpiredTokenException" | "InvalidToken"
    )
}

/// The code of a request that is not allowed.
pub(crate) const ACCESS_DENIED: &str = "AccessDenied";

/// Longest code that is shown, in characters.
const MAX_CODE: usize = 64;

/// Returns a code for display, with letters and digits only.
pub(crate) fn shown_code(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(MAX_CODE).collect()
}

/// Returns whether a code denies a request regardless of its target: as forbidden, or for its signature, date or
/// region.
pub(crate) fn is_denial(code: &str) -> bool {
    matches!(
        code,
        ACCESS_DENIED | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "AuthorizationHeaderMalformed"
    )
}

/// Returns whether a code says that a node is still starting, so that another node is worth a try.
pub(crate) fn is_node_not_ready(code: &str) -> bool {
    matches!(code, "XMinioServerNotInitialized" | "XMinioIAMNotInitialized")
}

/// Returns whether a code says that a healthy node has too many requests. Clients can cause this.
pub(crate) fn is_node_full(code: &str) -> bool {
    code == "ServerBusy"
}

/// Returns whether a code says that a node lacked a read quorum, so that another node may succeed.
pub(crate) fn is_unreadable_here(code: &str) -> bool {
    code == "SlowDownRead"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn error_bodies_are_bounded() {
        let small = read_error_body(Full::new(Bytes::from_static(b"x")), Duration::from_secs(1)).await;
        assert_eq!(small.unwrap(), "x");
        let large = Full::new(Bytes::from(vec![0; MAX_ERROR_BODY + 1]));
        assert!(read_error_body(large, Duration::from_secs(1)).await.is_err());
    }

    #[test]
    fn session_data_is_removed() {
        let without = |text: &str| {
            let left = without_signature(Bytes::copy_from_slice(text.as_bytes()));
            String::from_utf8(left.to_vec()).unwrap()
        };
        let aws = "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>KEY</AWSAccessKeyId>\
             <StringToSign>AWS4</StringToSign><SignatureProvided>5167</SignatureProvided>\
             <StringToSignBytes>41 57</StringToSignBytes><CanonicalRequest>GET\nx-amz-security-token:TOKEN\n</CanonicalRequest>\
             <CanonicalRequestBytes>47 45</CanonicalRequestBytes><RequestId>4442</RequestId></Error>";
        assert_eq!(
            without(aws),
            "<Error><Code>SignatureDoesNotMatch</Code><RequestId>4442</RequestId></Error>"
        );
        assert_eq!(without("<Error><Token-0>T</Token-0><Token-0>T</Token-0></Error>"), "<Error></Error>");
        assert_eq!(without("<Error><Code>a</Code><CanonicalRequest>GET"), "<Error><Code>a</Code>");
        for same in ["", "<Error><Key>&lt;Token-0&gt;</Key></Error>", "no XML"] {
            assert_eq!(without(same), same);
        }
    }

    #[test]
    fn documents() {
        let s3 =
            "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>a &lt;b&gt;</Message></Error>";
        let sts = "<ErrorResponse xmlns=\"x\"><Error><Type/><Code>InvalidParameterValue</Code></Error></ErrorResponse>";
        assert_eq!(element(s3, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(s3, "Message").as_deref(), Some("a <b>"));
        assert_eq!(element(sts, "Code").as_deref(), Some("InvalidParameterValue"));
        for broken in ["", "<", "<Code>", "<html>nginx</html>", "<Code>&bad;</Code>"] {
            assert_eq!(element(broken, "Code"), None, "{broken}");
        }
    }
}
