//! Response headers that keep browsers from running objects with the rights of their readers. Objects of a site may run.

use super::types::is_viewed;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http1::Fields;

/// The lines that end the head of every response: browsers do not guess another type, and pages of other sites cannot
/// embed it. Browsers obey the second over plain HTTP too, where they do not tell which site asks.
macro_rules! every {
    ($for:literal, $more:literal) => {
        concat!("X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: ", $for, "\r\n", $more)
    };
}

/// The lines of a response, by the pages that may embed it.
struct Lines {
    same_site: &'static str,
    same_origin: &'static str,
    cross_origin: &'static str,
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
    fields.set_trailing_lines(PLAIN.same_site);
}

/// Adds the lines that keep browsers from running the body, unless [`let_run`] was called before or the head has a policy
/// of its own, as Scopegate's pages have. Only pages of this origin may embed those.
///
/// All clients get them: over plain HTTP a browser cannot be told from a program, and programs ignore them.
pub(crate) fn confine(fields: &mut Fields) {
    if fields.has_trailing_lines() {
        return;
    }
    let mut types = fields.all(CONTENT_TYPE.as_str());
    let viewed = types.next().is_some_and(is_viewed) && types.next().is_none();
    drop(types);
    let lines = match viewed {
        _ if fields.has(CONTENT_SECURITY_POLICY.as_str()) => PLAIN.same_origin,
        true => VIEWED.same_site,
        false => SANDBOXED.same_site,
    };
    fields.set_trailing_lines(lines);
}

/// Lets pages of other origins embed a response to which [`let_run`] or [`confine`] added its lines. Scopegate's pages
/// stay as they are.
pub(super) fn show_elsewhere(fields: &mut Fields) {
    if let Some(lines) = embeddable(fields) {
        fields.set_trailing_lines(lines.cross_origin);
    }
}

/// Lets only pages of this origin embed a response, unless [`show_elsewhere`] was called before.
pub(crate) fn show_only_here(fields: &mut Fields) {
    if let Some(lines) = embeddable(fields) {
        fields.set_trailing_lines(lines.same_origin);
    }
}

/// Returns the lines of a response that pages of the same site may embed.
fn embeddable(fields: &Fields) -> Option<Lines> {
    let closing = fields.trailing_lines();
    [PLAIN, SANDBOXED, VIEWED].into_iter().find(|lines| lines.same_site == closing)
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
