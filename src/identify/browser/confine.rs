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

/// The lines of a response, and those of a response that pages of other origins may embed.
macro_rules! lines {
    ($more:literal) => {
        (every!("same-site", $more), every!("cross-origin", $more))
    };
}

const PLAIN: (&str, &str) = lines!("");
/// No scripts, no forms, no access to a parent frame, and an origin of its own.
const SANDBOXED: (&str, &str) = lines!("Content-Security-Policy: sandbox\r\n");
/// Viewers load the body again, which a sandbox would prevent.
const VIEWED: (&str, &str) = lines!("Content-Security-Policy: script-src 'none'\r\n");

/// Adds the lines of an object that belongs to a site: browsers run its scripts.
pub(crate) fn let_run(fields: &mut Fields) {
    fields.set_trailing_lines(PLAIN.0);
}

/// Adds the lines that keep browsers from running the body, unless [`let_run`] was called before or the head has a policy
/// of its own.
///
/// All clients get them: over plain HTTP a browser cannot be told from a program, and programs ignore them.
pub(crate) fn confine(fields: &mut Fields) {
    if fields.has_trailing_lines() {
        return;
    }
    let mut types = fields.all(CONTENT_TYPE.as_str());
    let viewed = types.next().is_some_and(is_viewed) && types.next().is_none();
    drop(types);
    let (lines, _) = match viewed {
        _ if fields.has(CONTENT_SECURITY_POLICY.as_str()) => PLAIN,
        true => VIEWED,
        false => SANDBOXED,
    };
    fields.set_trailing_lines(lines);
}

/// Lets pages of other origins embed a response to which [`let_run`] or [`confine`] added its lines.
pub(super) fn show_elsewhere(fields: &mut Fields) {
    let closing = fields.trailing_lines();
    if let Some((_, elsewhere)) = [PLAIN, SANDBOXED, VIEWED].into_iter().find(|(lines, _)| *lines == closing)
    {
        fields.set_trailing_lines(elsewhere);
    }
}
