//! The style of all pages, and their `Content-Security-Policy`.
//!
//! The pages are in `templates/`, where every value is escaped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style of every page, exactly as pages contain it: templates drop a trailing newline.
pub(crate) const STYLE: &str = include_str!("../../../templates/style.css").trim_ascii_end();

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    // The style embeds the icons as images.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// Returns the `Content-Security-Policy` of pages: only this style, and no scripts, frames or external content.
pub(crate) fn content_security_policy() -> HeaderValue {
    POLICY.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_cannot_end_its_element() {
        assert!(!STYLE.contains('<') && !STYLE.contains('&'), "a page holds it as it is");
    }
}
