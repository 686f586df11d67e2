//! What is wrong with files whose version before stays in effect, in lines for `/readyz` and the status page.

use crate::net::terminal::plain;
use crate::telemetry::metrics::Metrics;

/// The most mistakes that are shown of one file. The log has all.
const SHOWN: usize = 5;

/// Returns a line for each mistake of the last configuration, of files that declare credentials, and of certificates.
pub(super) fn notes(metrics: &Metrics) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(rejected) = metrics.reloads.rejected() {
        notes.extend(lines("configuration: not reloaded", &rejected.mistakes));
    }
    for (file, mistakes) in metrics.credentials.mistakes() {
        notes.extend(lines(&format!("{file}: not read again"), &mistakes));
    }
    for (listener, mistakes) in metrics.tls.mistakes() {
        notes.extend(lines(&format!("tls: listener {listener:?}: not read again"), &mistakes));
    }
    notes
}

fn lines(what: &str, mistakes: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = mistakes
        .iter()
        .take(SHOWN)
        .map(|mistake| plain(&format!("{what}: {mistake}")).into_owned())
        .collect();
    match mistakes.len().saturating_sub(SHOWN) {
        0 => {}
        more => lines.push(format!("{what}: the log has {more} more")),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn mistakes_are_shown_until_they_are_corrected() {
        let metrics = Metrics::default();
        assert_eq!(notes(&metrics), [] as [&str; 0]);
        let mistakes = (1..=7).map(|line| format!("proxy.toml:{line}:1: wrong\u{1b}[2J")).collect();
        metrics.reloads.failed(SystemTime::UNIX_EPOCH, mistakes);
        metrics.credentials.read("users", vec!["users: line 2: there is no colon".to_owned()]);
        metrics.credentials.read("tokens", Vec::new());
        let shown = notes(&metrics);
        assert_eq!(shown.len(), 7, "{shown:?}");
        assert!(shown[0].starts_with("configuration: not reloaded: proxy.toml:1:1: wrong"));
        assert!(!shown[0].contains('\u{1b}'), "{shown:?}");
        assert_eq!(shown[5], "configuration: not reloaded: the log has 2 more");
        assert_eq!(shown[6], "users: not read again: users: line 2: there is no colon");
        metrics.reloads.took_effect(SystemTime::UNIX_EPOCH, true);
        metrics.credentials.read("users", Vec::new());
        assert_eq!(notes(&metrics), [] as [&str; 0]);
    }
}
