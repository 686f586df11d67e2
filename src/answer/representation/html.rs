//! The style of all pages, the script of a folder's page, and their `Content-Security-Policy`.
//!
//! The pages are in `templates/`, where every value is escaped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style of every page, exactly as pages contain it: templates drop a trailing newline.
pub(crate) const STYLE: &str = include_str!("../../../templates/style.css").trim_ascii_end();

/// The script of a folder's page, exactly as pages contain it.
pub(crate) const SCRIPT: &str = include_str!("../../../templates/listing.js").trim_ascii_end();

/// What a page may do in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Powers {
    /// Show itself.
    Shown,
    /// Run [`SCRIPT`], which can send no request.
    Scripted,
    /// Run [`SCRIPT`], which can send requests to the page's own origin.
    Uploading,
}

/// The policies, in the order of [`Powers`].
static POLICIES: LazyLock<[HeaderValue; 3]> = LazyLock::new(|| {
    let hash = |text| STANDARD.encode(Sha256::digest(text));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    // With Trusted Types, the browser refuses to read markup from a text, such as the name of an object.
    let script =
        format!(" script-src 'sha256-{script}'; require-trusted-types-for 'script'; trusted-types 'none';");
    let connect = format!("{script} connect-src 'self';");
    [String::new(), script, connect].map(|more| {
        // The style embeds the icons as images.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}';{more} img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
    })
});

/// Returns the `Content-Security-Policy` of a page: this style, perhaps this script, and no frames or external content.
pub(crate) fn content_security_policy(powers: Powers) -> HeaderValue {
    let [shown, scripted, uploading] = &*POLICIES;
    match powers {
        Powers::Shown => shown,
        Powers::Scripted => scripted,
        Powers::Uploading => uploading,
    }
    .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_of_pages_cannot_end_their_elements() {
        assert!(!STYLE.contains('<') && !STYLE.contains('&'), "a page holds it as it is");
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--"), "a page holds it as it is");
    }

    /// The browser enforces this too, by Trusted Types.
    #[test]
    fn the_script_reads_no_markup_from_a_text() {
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "DOMParser",
            "document.write",
            "eval(",
            "Function(",
        ] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
    }

    #[test]
    fn a_policy_allows_what_the_page_may_do() {
        for (powers, runs, sends) in
            [(Powers::Shown, false, false), (Powers::Scripted, true, false), (Powers::Uploading, true, true)]
        {
            let policy = content_security_policy(powers);
            let policy = policy.to_str().unwrap();
            let parts: Vec<&str> = policy.split("; ").collect();
            assert_eq!(parts.iter().any(|part| part.starts_with("script-src 'sha256-")), runs, "{policy}");
            assert_eq!(parts.contains(&"connect-src 'self'"), sends, "{policy}");
            assert_eq!(parts.contains(&"trusted-types 'none'"), runs, "{policy}");
            for part in
                ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
            {
                assert!(parts.contains(&part), "no {part} in {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
        }
    }
}
