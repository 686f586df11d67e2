//! What all pages share: the style, the policy that a browser holds them to, and names made fit to be shown.
//!
//! The pages themselves are in `templates/`. There every value is escaped unless it says otherwise, and none does.

use aws_smithy_types::base64;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::LazyLock;

/// The style of every page, as it stands there: templates lose the end of their last line.
pub const STYLE: &str = include_str!("../../templates/style.css").trim_ascii_end();

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = base64::encode(Sha256::digest(STYLE));
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

/// A name with its control characters made visible: HTML has no way to write most of them, and a terminal obeys them.
pub fn visible(name: &str) -> Cow<'_, str> {
    if !name.chars().any(char::is_control) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(picture).collect())
}

/// Returns the picture of a control character, and any other character itself.
pub fn picture(c: char) -> char {
    match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("a b"), "a b");
        assert_eq!(visible("a\nb\u{1b}[2J\u{7f}\u{9b}"), "a␊b␛[2J␡\u{fffd}");
    }

    #[test]
    fn the_style_cannot_end_its_element() {
        assert!(!STYLE.contains('<') && !STYLE.contains('&'), "a page holds it as it is");
    }
}
