//! Response headers that keep browsers from running objects with the rights of their readers. Objects of a site may run.

use super::types::is_viewed;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http1::Fields;

/// The lines that end the head of every response: browsers do not guess another type, and pages of other sites cannot
/// embed it. Browsers obey the second over plain HTTP too, where they do not tell which site asks.
macro_rules! every {
    ($for:literal, $more:literal) => {
        Closing {
            open: every!($for, $more, ""),
            personal: every!($for, $more, "Vary: Authorization\r\nCache-Control: private\r\n"),
        }
    };
    ($for:literal, $more:literal, $caching:literal) => {
        concat!(
            "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: ",
            $for,
            "\r\n",
            $more,
            $caching
        )
    };
}

/// The last lines of a head.
struct Closing {
    open: &'static str,
    /// With those of a response for one client only.
    personal: &'static str,
}

/// The lines of a response, by the pages that may embed it.
struct Lines {
    same_site: Closing,
    same_origin: Closing,
    cross_origin: Closing,
}

macro_rules! lines {
    ($more:literal) => {
        Lines {
            same_site: every!("same-site", $more),
            same_origin: every!("same-origin", $more),
            cross_origin: every!("cross-origin", $more),
        }
    };
}

const PLAIN: Lines = lines!("");
/// No scripts, no forms, no access to a parent frame, and an origin of its own.
const SANDBOXED: Lines = lines!("Content-Security-Policy: sandbox\r\n");
/// Viewers load the body again, which a sandbox would prevent.
const VIEWED: Lines = lines!("Content-Security-Policy: script-src 'none'\r\n");

/// Adds the lines of an object that belongs to a site: browsers run its scripts.
pub(crate) fn let_run(fields: &mut Fields) {
    fields.set_trailing_lines(PLAIN.same_site.open);
}

/// Adds the lines that keep browsers from running the body, unless [`let_run`] was called before or the head has a policy
/// of its own, as Scopegate's pages have. Only pages of this origin may embed those.
///
/// All clients get them: over plain HTTP a browser cannot be told from a program, and programs ignore them.
pub(crate) fn confine(fields: &mut Fields) {
    if fields.has_trailing_lines() {
        return;
    }
    let viewed = matches!(fields.only(CONTENT_TYPE.as_str()), Ok(Some(kind)) if is_viewed(kind));
    let lines = match viewed {
        _ if fields.has(CONTENT_SECURITY_POLICY.as_str()) => PLAIN.same_origin,
        true => VIEWED.same_site,
        false => SANDBOXED.same_site,
    };
    fields.set_trailing_lines(lines.open);
}

/// Lets pages of other origins embed a response to which [`let_run`] or [`confine`] added its lines. Scopegate's pages
/// stay as they are.
pub(super) fn show_elsewhere(fields: &mut Fields) {
    if let Some(lines) = embeddable(fields) {
        fields.set_trailing_lines(lines.cross_origin.open);
    }
}

/// Lets only pages of this origin embed a response, unless [`show_elsewhere`] was called before.
pub(crate) fn show_only_here(fields: &mut Fields) {
    if let Some(lines) = embeddable(fields) {
        fields.set_trailing_lines(lines.same_origin.open);
    }
}

/// Returns the lines of a response that pages of the same site may embed.
fn embeddable(fields: &Fields) -> Option<Lines> {
    let closing = fields.trailing_lines();
    [PLAIN, SANDBOXED, VIEWED].into_iter().find(|lines| lines.same_site.open == closing)
}

/// Says that a response depends on the credentials of its request and is for one client only, without an allocation. Must
/// come last. Returns whether that was possible: a head that says something of its own about caching must be changed.
pub(crate) fn make_personal(fields: &mut Fields) -> bool {
    if fields.has(VARY.as_str()) || fields.has(CACHE_CONTROL.as_str()) {
        return false;
    }
    let closing = fields.trailing_lines();
    let all = [PLAIN, SANDBOXED, VIEWED];
    let mut all = all.into_iter().flat_map(|lines| [lines.same_site, lines.same_origin, lines.cross_origin]);
    let Some(found) = all.find(|one| one.open == closing) else { return false };
    fields.set_trailing_lines(found.personal);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn pages_of_other_origins_embed_no_page_of_scopegate() {
        let mut page = Fields::default();
        page.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
        confine(&mut page);
        assert!(page.trailing_lines().contains("Policy: same-origin\r\n"), "{}", page.trailing_lines());
        show_elsewhere(&mut page);
        assert!(page.trailing_lines().contains("Policy: same-origin\r\n"), "{}", page.trailing_lines());
    }

    #[test]
    fn a_response_for_one_client_says_so() {
        let show_here = |fields: &mut Fields| {
            confine(fields);
            show_only_here(fields);
        };
        for prepare in [confine, let_run, show_here] {
            let mut object = Fields::default();
            prepare(&mut object);
            let before = object.trailing_lines();
            assert!(make_personal(&mut object));
            let added = object.trailing_lines().strip_prefix(before);
            assert_eq!(added, Some("Vary: Authorization\r\nCache-Control: private\r\n"));
        }
        for name in [VARY, CACHE_CONTROL] {
            let mut object = Fields::default();
            object.insert(name, HeaderValue::from_static("no-store"));
            confine(&mut object);
            assert!(!make_personal(&mut object), "it has a line of its own");
        }
    }

    #[test]
    fn an_object_is_shown_only_here_unless_a_page_elsewhere_is_named() {
        let object = || {
            let mut object = Fields::default();
            confine(&mut object);
            object
        };
        let mut here = object();
        show_only_here(&mut here);
        assert!(here.trailing_lines().contains("Policy: same-origin\r\nContent-Security-Policy: sandbox"));
        let mut elsewhere = object();
        show_elsewhere(&mut elsewhere);
        show_only_here(&mut elsewhere);
        assert!(elsewhere.trailing_lines().contains("Policy: cross-origin\r\n"));
    }
}
