//! The status page as HTML.
//!
//! It needs no script. With one, it updates itself every few seconds. Its policy allows the page's own style and script, and
//! requests to the page itself.

use super::snapshot::{Mapping, Recent, Snapshot};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The type of the page.
pub(crate) const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// The style and the script, exactly as the page contains them: templates drop a trailing newline.
const STYLE: &str = include_str!("../../../templates/status.css").trim_ascii_end();
const SCRIPT: &str = include_str!("../../../templates/status.js").trim_ascii_end();

/// The most mappings on the page. `/status.json` has all.
const MAX_MAPPINGS: usize = 200;
/// The number of quiet mappings from which on only their names are shown.
const MANY: usize = 8;

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// Returns the `Content-Security-Policy` of the page.
pub(crate) fn content_security_policy() -> HeaderValue {
    POLICY.clone()
}

/// Returns the page.
pub(super) fn of(mut snapshot: Snapshot) -> String {
    let hidden = snapshot.mappings.len().saturating_sub(MAX_MAPPINGS);
    if hidden > 0 {
        // Those with a problem first, then the busiest. The order of equal ones stays.
        snapshot.mappings.sort_by_key(|mapping| {
            let is_well = mapping.trouble().is_empty();
            (is_well, std::cmp::Reverse(mapping.recent.requests.iter().sum::<u64>()))
        });
        snapshot.mappings.truncate(MAX_MAPPINGS);
    }
    let mut quiet = Vec::new();
    if snapshot.mappings.iter().filter(|mapping| mapping.is_quiet()).count() > MANY {
        let all = std::mem::take(&mut snapshot.mappings);
        (quiet, snapshot.mappings) = all.into_iter().partition(Mapping::is_quiet);
    }
    let page = Page { hidden, quiet, status: snapshot };
    page.render().unwrap_or_else(|_| "the page could not be written\n".to_owned())
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    status: Snapshot,
    /// The mappings of which only the names are shown.
    quiet: Vec<Mapping>,
    /// The number of mappings that are left out.
    hidden: usize,
}

impl Page {
    /// Returns the time of day of a time in RFC 3339, with the date unless it is today's.
    fn when<'t>(&self, time: &'t str) -> Cow<'t, str> {
        let Some((date, clock)) = time.split_once('T') else { return time.into() };
        let clock = clock.trim_end_matches('Z');
        if self.status.now.starts_with(date) { clock.into() } else { format!("{date} {clock}").into() }
    }
}

impl Mapping {
    /// Returns what is wrong with the mapping's sessions, in one word each.
    fn trouble(&self) -> Vec<&'static str> {
        let mut troubles: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| session.state.is_trouble())
            .map(|session| session.state.name())
            .collect();
        troubles.dedup();
        troubles
    }

    /// Returns whether there is nothing to see: no request, and no session.
    fn is_quiet(&self) -> bool {
        self.recent.total() == 0 && self.running == 0 && self.queued == 0 && self.sessions.is_empty()
    }
}

impl Recent {
    fn total(&self) -> u64 {
        self.requests.iter().sum()
    }

    fn total_refused(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Returns the number of minutes that the intervals cover.
    fn minutes(&self) -> u64 {
        self.requests.len() as u64 * self.interval_seconds / 60
    }

    /// Returns the most requests of an interval.
    fn peak(&self) -> u64 {
        self.requests.iter().copied().max().unwrap_or_default()
    }

    /// Returns the shapes of a chart of 60 by 20: a bar of requests for each interval, and its refused ones over it.
    fn bars(&self) -> String {
        let most = self.requests.iter().chain(&self.refused).copied().max().unwrap_or_default().max(1);
        let mut shapes = String::new();
        for (class, counts) in [("requests", &self.requests), ("refused", &self.refused)] {
            let mut path = String::new();
            for (x, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                // At least one unit high, so that a single request shows.
                let height = (count * 20 / most).max(1);
                let _ = write!(path, "M{x} 20v-{height}h.8v{height}z");
            }
            if !path.is_empty() {
                let _ = write!(shapes, "<path class=\"{class}\" d=\"{path}\"/>");
            }
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::super::sessions::{Session, State};
    use super::super::snapshot::{Configuration, Traffic};
    use super::super::units::{Seconds, Size};
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn style_and_script_cannot_end_their_elements() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"), "a page holds it as it is");
        }
    }

    fn recent() -> Recent {
        Recent {
            interval_seconds: 10,
            requests: vec![0; 60],
            refused: vec![0; 60],
            refused_by_rule: BTreeMap::new(),
        }
    }

    fn mapping(number: u64, state: State) -> Mapping {
        let session = Session {
            kind: "get",
            identities: None,
            state,
            expires: None,
            remaining_seconds: Seconds(0),
            lifetime_seconds: Seconds(0),
            minted: None,
            next_refresh: None,
            last_error: None,
            denied_with: None,
        };
        Mapping {
            name: format!("mapping-{number:03}").into(),
            requests: number,
            received_bytes: Size(0),
            sent_bytes: Size(0),
            running: 0,
            queued: 0,
            open_sessions: 1,
            sessions: vec![session],
            recent: Recent { requests: vec![number], ..recent() },
        }
    }

    fn snapshot(mappings: Vec<Mapping>) -> Snapshot {
        Snapshot {
            version: "1",
            now: "2026-11-29T04:35:21Z".to_owned(),
            uptime_seconds: Seconds(0),
            ready: false,
            obstacles: vec!["upstream: <script>alert(1)</script>".to_owned()],
            notes: Vec::new(),
            configuration: Configuration {
                generation: 1,
                in_effect_since: String::new(),
                rejected_at: None,
                rejected_reloads: 0,
            },
            traffic: Traffic { in_flight: 0, queued: 0, connections: 0, recent: recent() },
            mappings,
            nodes: Vec::new(),
            listeners: Vec::new(),
            client_certificates: Vec::new(),
            key_sets: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// The page has a bound, and leaves out no mapping with a problem. Text of others is no markup.
    #[test]
    fn a_long_page_shows_problems_and_the_busiest_mappings() {
        let mut mappings: Vec<Mapping> = (0..250).map(|number| mapping(number, State::Live)).collect();
        mappings[0] = mapping(0, State::Missing);
        let page = of(snapshot(mappings));
        assert_eq!(page.matches("<article>").count(), MAX_MAPPINGS);
        for (name, is_shown) in [("mapping-000", true), ("mapping-249", true), ("mapping-001", false)] {
            assert_eq!(page.contains(name), is_shown, "{name}");
        }
        assert!(page.contains("50 more mappings") && !page.contains("<script>alert"), "{page}");
    }
    /// Two hundred mappings without a request do not push what happens from the screen.
    #[test]
    fn only_the_names_of_many_quiet_mappings_are_shown() {
        let quiet = |number| {
            let mapping = mapping(number, State::Live);
            Mapping { sessions: Vec::new(), recent: recent(), ..mapping }
        };
        let with = |count| of(snapshot((1..=count).map(quiet).chain([mapping(300, State::Live)]).collect()));
        let (few, many) = (with(MANY as u64), with(150));
        assert_eq!((few.matches("<article>").count(), few.contains("<details")), (MANY + 1, false));
        assert_eq!(many.matches("<article>").count(), 1, "{many}");
        assert!(many.contains("150 mappings without requests") && many.contains("mapping-150"), "{many}");
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let page = Page { status: snapshot(Vec::new()), quiet: Vec::new(), hidden: 0 };
        assert_eq!(page.when("2026-11-29T04:35:20Z"), "04:35:20");
        assert_eq!(page.when("2026-11-28T23:59:59Z"), "2026-11-28 23:59:59");
    }

    #[test]
    fn a_single_request_shows_beside_many() {
        let recent = Recent {
            interval_seconds: 10,
            requests: vec![0, 1, 1000],
            refused: vec![0, 1, 0],
            refused_by_rule: [("outside-scope", 1)].into(),
        };
        let bars = recent.bars();
        assert_eq!(
            bars,
            "<path class=\"requests\" d=\"M1 20v-1h.8v1zM2 20v-20h.8v20z\"/>\
             <path class=\"refused\" d=\"M1 20v-1h.8v1z\"/>"
        );
    }
}
