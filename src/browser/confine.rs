//! What a browser may make of an answer's body: no object runs with the rights of its reader, unless it is a site's.

use super::types::is_viewed;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http1::Fields;

/// The lines that every answer ends its head with: its body is of the type that it is said to be, and pages of other
/// sites do not show it. Browsers heed the second over plain HTTP too, where they do not say which site asks.
macro_rules! every {
    ($for:literal, $more:literal) => {
        concat!("X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: ", $for, "\r\n", $more)
    };
}

/// The lines of an answer, and the same where a page of another origin may show it.
macro_rules! lines {
    ($more:literal) => {
        (every!("same-site", $more), every!("cross-origin", $more))
    };
}

const PLAIN: (&str, &str) = lines!("");
/// No script, no form, no frame's parent, and an origin of its own.
const SANDBOXED: (&str, &str) = lines!("Content-Security-Policy: sandbox\r\n");
/// The viewer loads the body once more, which it cannot in a sandbox.
const VIEWED: (&str, &str) = lines!("Content-Security-Policy: script-src 'none'\r\n");

/// Adds the lines of an object that belongs to a site: its scripts run.
pub fn let_run(fields: &mut Fields) {
    fields.close_with(PLAIN.0);
}

/// Adds the lines that keep browsers from running the body, unless [`let_run`] was there first, or the head has a policy
/// of its own.
///
/// All clients get them: a browser cannot be told from a program over plain HTTP, and programs pass over them.
pub fn confine(fields: &mut Fields) {
    if fields.is_closed() {
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
    fields.close_with(lines);
}

/// Lets a page of another origin show an answer that [`let_run`] or [`confine`] was at.
pub(super) fn show_elsewhere(fields: &mut Fields) {
    let closing = fields.closing();
    if let Some((_, elsewhere)) = [PLAIN, SANDBOXED, VIEWED].into_iter().find(|(lines, _)| *lines == closing)
    {
        fields.close_with(elsewhere);
    }
}
