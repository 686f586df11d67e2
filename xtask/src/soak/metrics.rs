//! Sessions as `/metrics` of the proxy reports them.

use std::collections::BTreeMap;

/// The counter of mints, with the labels `mapping` and `result`.
const MINTS: &str = "scopegate_mints_total";
/// The gauge of sessions, with the label `mapping`.
const OPEN: &str = "scopegate_sessions_open";
/// The gauge of the end of each session in seconds since 1970, with the labels `mapping` and `session`.
const EXPIRATION: &str = "scopegate_session_expiry_timestamp_seconds";

/// The sessions of one mapping.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sessions {
    pub(crate) mints: u64,
    /// The number of sessions that are kept.
    pub(crate) open: u64,
    /// When the first of them ends, in seconds since 1970.
    pub(crate) expiration: Option<f64>,
}

impl Sessions {
    /// Returns the number of mints of a mapping that has replaced a session: one for each session, and one more.
    pub(crate) fn least_mints(&self) -> u64 {
        self.open.max(1) + 1
    }
}

/// Reads the sessions of mappings from the text format of Prometheus. Failed mints do not count.
pub(crate) fn sessions(text: &str, mappings: &[&str]) -> BTreeMap<String, Sessions> {
    let mut found: BTreeMap<String, Sessions> =
        mappings.iter().map(|name| ((*name).to_owned(), Sessions::default())).collect();
    for sample in text.lines().filter_map(parse) {
        let Some(of) = sample.label("mapping").and_then(|mapping| found.get_mut(mapping)) else { continue };
        match sample.name {
            MINTS if sample.is_success() => of.mints += whole(sample.value),
            OPEN => of.open = whole(sample.value),
            EXPIRATION => {
                of.expiration = Some(of.expiration.map_or(sample.value, |end| end.min(sample.value)));
            }
            _ => {}
        }
    }
    found
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

impl Sample<'_> {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| *value)
    }

    fn is_success(&self) -> bool {
        self.label("result").is_some_and(|result| result == "minted")
    }
}

/// Parses a line of the text format. Names of mappings contain no quotes or commas, which would need unescaping.
fn parse(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) =
        series.strip_suffix('}').and_then(|series| series.split_once('{')).unwrap_or((series, ""));
    let labels = labels.split(',').filter_map(|label| {
        let (name, value) = label.split_once('=')?;
        Some((name.trim(), value.strip_prefix('"')?.strip_suffix('"')?))
    });
    Some(Sample { name, labels: labels.collect(), value: value.parse().ok()? })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, which is small and whole"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mints_and_expirations_by_mapping() {
        let text = "# HELP scopegate_mints_total Mints.\n\
            scopegate_mints_total{mapping=\"reader\",result=\"minted\"} 3\n\
            scopegate_mints_total{mapping=\"reader\",result=\"failed\"} 7\n\
            scopegate_mints_total{mapping=\"other\",result=\"minted\"} 9\n\
            scopegate_sessions_open{mapping=\"reader\"} 2\n\
            scopegate_session_expiry_timestamp_seconds{mapping=\"reader\",session=\"get\"} 1.8e9\n\
            scopegate_session_expiry_timestamp_seconds{mapping=\"reader\",session=\"list\"} 1.7e9\n\
            scopegate_mints_total 5\n# EOF\n";
        let found = sessions(text, &["reader", "writer"]);
        assert_eq!(found["reader"], Sessions { mints: 3, open: 2, expiration: Some(1.7e9) });
        assert_eq!(found["writer"], Sessions::default());
        assert_eq!(found.len(), 2);
    }
}
