//! Media types, classified by what browsers do with a body.

/// Types that browsers show in a viewer of their own. Scripts in such a body, as in a PDF, run without the origin.
///
/// The lists are closed: browsers make a page with scripts of any type that ends in `+xml`, whatever its beginning.
const VIEWED: [&str; 20] = [
    "application/pdf",
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/wave",
    "audio/webm",
    "audio/x-flac",
    "audio/x-m4a",
    "audio/x-wav",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-m4v",
    "video/x-matroska",
];

/// Other types that no browser treats as a page, a style or a script.
const INERT: [&str; 12] = [
    "application/gzip",
    "application/json",
    "application/octet-stream",
    "application/zip",
    "binary/octet-stream",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/csv",
    "text/plain",
];

/// Checks whether browsers show a body of this type in a viewer of their own.
pub(super) fn is_viewed(content_type: &[u8]) -> bool {
    // The beginning rules out nearly all other types.
    let may_be_viewed =
        ["audio/", "video/", "application/pdf"].iter().any(|start| begins_with(content_type, start));
    may_be_viewed && is_one_of(&VIEWED, content_type)
}

/// Checks whether browsers never run a body of this type.
pub(super) fn is_inert(content_type: &[u8]) -> bool {
    is_viewed(content_type) || is_one_of(&INERT, content_type) || is_for_a_program(content_type)
}

/// Checks whether browsers leave a body of this type to another program: `application/vnd.…`, the types of office
/// documents. A type that ends in `+xml` would be a page.
fn is_for_a_program(content_type: &[u8]) -> bool {
    begins_with(content_type, "application/vnd.")
        && content_type.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_".contains(byte))
}

fn begins_with(content_type: &[u8], start: &str) -> bool {
    content_type.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
}

fn is_one_of(types: &[&str], content_type: &[u8]) -> bool {
    // Browsers take the last type of a list.
    if content_type.contains(&b',') {
        return false;
    }
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    types.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(essence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_types_are_inert() {
        for viewed in VIEWED {
            assert!(is_viewed(viewed.as_bytes()), "{viewed}");
        }
        for viewed in ["application/pdf", "Video/MP4", "audio/ogg; codecs=opus", "video/webm ;codecs=\"vp8\""]
        {
            assert!(is_viewed(viewed.as_bytes()) && is_inert(viewed.as_bytes()), "{viewed}");
        }
        for inert in ["text/plain", "TEXT/PLAIN;charset=utf-8", "image/png", "application/octet-stream"] {
            assert!(!is_viewed(inert.as_bytes()) && is_inert(inert.as_bytes()), "{inert}");
        }
        for document in [
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "Application/VND.ms-excel",
        ] {
            assert!(is_inert(document.as_bytes()), "{document}");
        }
        for active in [
            "",
            "text/html",
            "text/html;application/pdf",
            "application/xhtml+xml",
            "image/svg+xml",
            "video/x+xml",
            "audio/mp4+xml",
            "application/pdf+xml",
            "application/pdf, text/html",
            "text/html, video/mp4",
            "video/mp4,text/html;x=",
            "text/xml",
            "application/xml",
            "text/javascript",
            "text/css",
            "text/plain\u{b}",
            "multipart/x-mixed-replace",
            "application/pdfx",
            "application/vnd.mozilla.xul+xml",
            "application/vnd.wap.xhtml+xml",
            "application/vnd.ms-excel, text/html",
            "application/vnd.ms-excel;text/html",
            "text/vnd.wap.wml",
        ] {
            assert!(!is_viewed(active.as_bytes()) && !is_inert(active.as_bytes()), "{active}");
        }
    }
}
