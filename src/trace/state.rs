//! What other tracers wrote about a trace: the header `tracestate` of W3C Trace Context.
//!
//! <https://www.w3.org/TR/trace-context/#tracestate-header>

use http1::{Fields, visible};

/// The longest `tracestate` that is kept, in bytes. The standard asks for at least as many.
const MAX_STATE: usize = 512;

/// The largest number of entries of a `tracestate`.
const MAX_ENTRIES: usize = 32;

/// Returns the `tracestate` of a request, which other tracers wrote. It is dropped as a whole if it is not a list of entries
/// within the bounds.
pub(crate) fn trace_state(fields: &Fields) -> Option<Box<str>> {
    let mut state = String::new();
    for text in fields.all("tracestate") {
        let entries = visible(text)?.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for entry in entries {
            if !is_entry(entry) || state.len() + entry.len() >= MAX_STATE {
                return None;
            }
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(entry);
        }
    }
    let is_short = state.split(',').count() <= MAX_ENTRIES;
    (is_short && !state.is_empty()).then(|| state.into())
}

/// Returns whether a text has the form `key=value`.
fn is_entry(entry: &str) -> bool {
    let is_of_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let is_of_value = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    entry.split_once('=').is_some_and(|(key, value)| {
        !key.is_empty() && key.bytes().all(is_of_key) && !value.is_empty() && value.bytes().all(is_of_value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::parent::tests::fields;

    #[test]
    fn a_state_is_kept_whole_or_not_at_all() {
        let many = vec!["a=1"; 33];
        let long = format!("a={}", "b".repeat(MAX_STATE));
        let cases: [(&[&str], Option<&str>); 12] = [
            (&["rojo=00f067,congo=t61 x"], Some("rojo=00f067,congo=t61 x")),
            (&["a=1", "b=2"], Some("a=1,b=2")),
            (&[" a=1 , ,b=2"], Some("a=1,b=2")),
            (&["fw529a3039@dt=FfAAAB"], Some("fw529a3039@dt=FfAAAB")),
            (&[""], None),
            (&["a"], None),
            (&["A=1"], None),
            (&["a=1=2"], None),
            (&["a=\u{e9}"], None),
            (&[&long], None),
            (&many, None),
            (&many[..32], Some(&"a=1,".repeat(32)[..127])),
        ];
        for (given, expected) in cases {
            assert_eq!(trace_state(&fields("tracestate", given)).as_deref(), expected, "{given:?}");
        }
    }
}
