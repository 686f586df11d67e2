//! S3's error documents, as far as Scopegate reads them: a code and a message.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

/// The most of an error's body that is looked at, in bytes.
pub const MAX_ERROR_BODY: usize = 64 * 1024;

/// The text of the first element called `name`, whatever stands around it.
pub fn element(xml: &str, name: &str) -> Option<String> {
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

/// Whether a code says that the session is dead, so that another one is worth a try.
/// `ExpiredToken` and `InvalidToken` are what other stores say.
pub fn is_dead_session(code: &str) -> bool {
    matches!(
        code,
        "InvalidAccessKeyId" | "InvalidTokenId" | "ExpiredToken" | "ExpiredTokenException" | "InvalidToken"
    )
}

/// Whether a code says that a node has not started up yet, so that another one is worth a try.
pub fn is_node_not_ready(code: &str) -> bool {
    matches!(code, "XMinioServerNotInitialized" | "XMinioIAMNotInitialized")
}

/// Whether a code says that a node could not read what others may have: its quorum was not there at the moment.
pub fn is_unreadable_here(code: &str) -> bool {
    code == "SlowDownRead"
}

/// Escapes text for XML 1.0, which has no way to write most control characters.
pub fn xml_text(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c })
        .collect();
    escape(printable).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
