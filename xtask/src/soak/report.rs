//! The result of a soak as Markdown.

use super::large::Transfer;
use super::metrics::Sessions;
use super::tally::{Failure, Tally};
use crate::markdown;
use std::collections::BTreeMap;
use std::time::Duration;

/// In a run of this many minutes every session of 15 minutes is replaced.
const MINUTES_TO_REFRESH: u64 = 15;

/// Everything that a soak measured.
pub(crate) struct Summary {
    pub(crate) minutes: u64,
    /// The transfers of the object of 5 GiB, or why one failed.
    pub(crate) large: Result<Vec<Transfer>, String>,
    pub(crate) load: Tally,
    pub(crate) took: Duration,
    /// The peak of each minute of the load, in KiB.
    pub(crate) memory: Vec<u64>,
    /// By mapping, or why they are unknown.
    pub(crate) sessions: Result<BTreeMap<String, Sessions>, String>,
    /// The exit code after SIGTERM; absent if a signal ended the proxy.
    pub(crate) exit: Option<i32>,
    /// The first warnings and errors of the proxy's log.
    pub(crate) warnings: Vec<String>,
}

impl Summary {
    /// Returns the reasons for which the soak failed.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(why) = &self.large {
            problems.push(why.clone());
        }
        if self.load.failed > 0 {
            problems.push(format!("{} of {} requests failed", self.load.failed, self.load.requests()));
        }
        if self.load.requests() == 0 {
            problems.push("no request was sent".to_owned());
        }
        match &self.sessions {
            Err(why) => problems.push(why.clone()),
            Ok(sessions) if self.minutes >= MINUTES_TO_REFRESH => {
                problems.extend(sessions.iter().filter(|(_, of)| of.mints < of.least_mints()).map(
                    |(mapping, of)| {
                        format!(
                            "{} mints of {mapping} in {} minutes, expected at least {}",
                            of.mints,
                            self.minutes,
                            of.least_mints()
                        )
                    },
                ));
            }
            Ok(_) => {}
        }
        if self.exit != Some(0) {
            problems.push(format!("the proxy exited with {} after SIGTERM, expected 0", shown(self.exit)));
        }
        problems
    }

    /// Returns the summary.
    pub(crate) fn markdown(&self) -> String {
        [self.head(), self.large(), self.kinds(), self.memory(), self.mints(), self.lists()].concat()
    }

    #[expect(clippy::cast_precision_loss, reason = "rounded figures are shown")]
    fn head(&self) -> String {
        let (requests, seconds) = (self.load.requests(), self.took.as_secs_f64());
        format!(
            "# Soak of {} minutes\n\n{requests} requests ({:.0}/s), {:.1} GB of bodies, {} failures.\n",
            self.minutes,
            requests as f64 / seconds,
            self.load.body_bytes() as f64 / 1e9,
            self.load.failed,
        )
    }

    fn large(&self) -> String {
        let Ok(transfers) = &self.large else { return String::new() };
        let rows = transfers.iter().map(|transfer| {
            let Transfer { name, bytes, before, peak, .. } = transfer;
            let (size, rate) =
                (format!("{} GiB", bytes >> 30), format!("{:.0}", transfer.megabytes_per_second()));
            vec![(*name).to_owned(), size, rate, before.to_string(), peak.to_string()]
        });
        table("One large object", &["request", "size", "MB/s", "RSS before, KiB", "peak RSS, KiB"], rows)
    }

    fn kinds(&self) -> String {
        let rows = self.load.kinds.iter().map(|(name, kind)| {
            let mean =
                kind.time.as_secs_f64() * 1e3 / f64::from(u32::try_from(kind.requests).unwrap_or(u32::MAX));
            let slowest = kind.slowest.as_secs_f64() * 1e3;
            vec![(*name).to_owned(), kind.requests.to_string(), format!("{mean:.2}"), format!("{slowest:.1}")]
        });
        table("Requests", &["kind", "number", "mean, ms", "slowest, ms"], rows)
    }

    fn memory(&self) -> String {
        let rows = self
            .memory
            .iter()
            .enumerate()
            .map(|(minute, kib)| vec![(minute + 1).to_string(), kib.to_string()]);
        table("Memory", &["minute", "peak RSS, KiB"], rows)
    }

    fn mints(&self) -> String {
        let rows = self.sessions.iter().flatten().map(|(mapping, of)| {
            let expiration = of.expiration.map_or_else(|| "unknown".to_owned(), |at| format!("{at:.0}"));
            vec![mapping.clone(), of.mints.to_string(), expiration]
        });
        table("Sessions", &["mapping", "mints", "expiration, seconds since 1970"], rows)
    }

    fn lists(&self) -> String {
        let lists = [
            ("Problems", self.problems()),
            ("First failures", self.load.failures.iter().map(shown_failure).collect()),
            ("Warnings in the log", self.warnings.clone()),
        ];
        let filled = lists.into_iter().filter(|(_, items)| !items.is_empty());
        let sections: Vec<String> =
            filled.map(|(title, items)| format!("\n## {title}\n\n- {}\n", items.join("\n- "))).collect();
        sections.concat()
    }
}

fn shown(exit: Option<i32>) -> String {
    exit.map_or_else(|| "a signal".to_owned(), |code| code.to_string())
}

fn shown_failure(failure: &Failure) -> String {
    format!("after {:.1} s: {}", failure.after.as_secs_f64(), failure.what)
}

fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    format!("\n## {title}\n\n{}", markdown::table(columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(minutes: u64) -> Summary {
        let mut load = Tally::default();
        load.count("GET", Duration::from_millis(2), Ok(1 << 30));
        let transfer =
            Transfer { name: "PUT", bytes: 5 << 30, took: Duration::from_secs(10), before: 9000, peak: 9500 };
        Summary {
            minutes,
            large: Ok(vec![transfer]),
            load,
            took: Duration::from_secs(1),
            memory: vec![10_000, 10_001],
            sessions: Ok(
                [("reader".to_owned(), Sessions { mints: 4, open: 3, expiration: Some(1.7e9) })].into()
            ),
            exit: Some(0),
            warnings: Vec::new(),
        }
    }

    fn sessions_with_one_mint_each() -> BTreeMap<String, Sessions> {
        [("writer".to_owned(), Sessions { mints: 3, open: 3, expiration: None })].into()
    }

    #[test]
    fn shows_the_figures_of_a_good_run() {
        let summary = summary(20);
        assert_eq!(summary.problems(), Vec::<String>::new());
        let text = summary.markdown();
        for figure in [
            "# Soak of 20 minutes\n\n1 requests (1/s), 1.1 GB of bodies, 0 failures.",
            "| request | size | MB/s | RSS before, KiB | peak RSS, KiB |\n|---|---:|---:|---:|---:|\n\
             | PUT | 5 GiB | 537 | 9000 | 9500 |",
            "| GET | 1 | 2.00 | 2.0 |",
            "| 2 | 10001 |",
            "| reader | 4 | 1700000000 |",
        ] {
            assert!(text.contains(figure), "{figure} is not in\n{text}");
        }
        assert!(!text.contains("Problems"), "{text}");
    }

    #[test]
    fn shows_every_problem() {
        let mut bad = summary(15);
        bad.large = Err("PUT: 403 AccessDenied".to_owned());
        let failure = Failure { after: Duration::from_millis(1500), what: "GET /tmp/x: 500".to_owned() };
        bad.load.count("GET", Duration::ZERO, Err(failure));
        bad.sessions = Ok(sessions_with_one_mint_each());
        bad.exit = None;
        assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
        let text = bad.markdown();
        for expected in [
            "PUT: 403 AccessDenied",
            "1 of 2 requests failed",
            "3 mints of writer in 15 minutes, expected at least 4",
            "after 1.5 s: GET /tmp/x: 500",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn a_short_run_needs_no_second_mint() {
        let mut short = summary(14);
        short.sessions = Ok(sessions_with_one_mint_each());
        assert_eq!(short.problems(), Vec::<String>::new());
        short.sessions = Err("/metrics answered 404".to_owned());
        assert_eq!(short.problems(), ["/metrics answered 404"]);
    }
}
