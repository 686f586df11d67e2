//! The style that all pages share and the policy that a browser holds them to.
//!
//! The pages themselves are in `templates/`. There every value is escaped unless it says otherwise, and none does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style of every page, as it stands there: templates lose the end of their last line.
pub const STYLE: &str = include_str!("../../templates/style.css").trim_ascii_end();

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    // Images: the icons, which stand in the style itself.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// The `Content-Security-Policy` of a page: the one style, no script, no frame, nothing from elsewhere.
pub fn content_security_policy() -> HeaderValue {
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
