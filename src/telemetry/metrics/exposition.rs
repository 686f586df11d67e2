//! The text formats of metrics, and how a scraper selects one.

use std::fmt::Write;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own format, which every scraper and `promtool` can read.
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    Text,
    /// `OpenMetrics` 1.0, for scrapers that ask for it.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// Returns the format that `Accept` headers ask for: `OpenMetrics` if it is named with a weight above 0.
    pub(crate) fn of_accept<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let named = values.into_iter().flat_map(|value| value.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(OPEN_METRICS));
            is_named && !parts.filter_map(quality).any(|quality| quality <= 0.0)
        });
        if named { Self::OpenMetrics } else { Self::Text }
    }

    /// Returns the value of `Content-Type`.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().ok()).flatten()
}

/// Converts `OpenMetrics` to Prometheus' text format, in which a counter's metadata use the name of its samples, with
/// `_total`, and no line ends the text.
pub(super) fn text_of(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
            continue;
        }
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let typed = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '));
        let Some((name, kind)) = typed else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let suffix = if kind == "counter" { "_total" } else { "" };
        let help = help.take().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_only_for_scrapers_that_ask_for_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, expected) in [
            (&[][..], Format::Text),
            (&["*/*"], Format::Text),
            (&["text/plain;version=0.0.4;q=1,*/*;q=0.1"], Format::Text),
            (&[prometheus], Format::OpenMetrics),
            (&["text/plain", "Application/OpenMetrics-Text"], Format::OpenMetrics),
            (&["application/openmetrics-text; q=0"], Format::Text),
            (&["application/openmetrics-text; q=0.001"], Format::OpenMetrics),
            (&["application/openmetrics-texts"], Format::Text),
        ] {
            assert_eq!(Format::of_accept(accept.iter().copied()), expected, "{accept:?}");
        }
    }

    #[test]
    fn counters_have_one_name_in_the_text_format() {
        let open_metrics = "# HELP a_requests Requests.\n# TYPE a_requests counter\n# UNIT a_requests x\n\
            a_requests_total{by=\"# TYPE b\"} 1\n# HELP a_up Up.\n# TYPE a_up gauge\na_up 1\n# EOF\n";
        let text = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\n\
            a_requests_total{by=\"# TYPE b\"} 1\n# HELP a_up Up.\n# TYPE a_up gauge\na_up 1\n";
        assert_eq!(text_of(open_metrics), text);
    }
}
