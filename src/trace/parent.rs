//! The place of a request in a trace, as a client names it: the header `traceparent` of W3C Trace Context.
//!
//! <https://www.w3.org/TR/trace-context/>

use http1::{Fields, visible};

/// The length of a `traceparent` of version 00, and of what later versions must begin with.
const LENGTH: usize = 55;

/// The id of a trace. It is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

/// The id of a span. It is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanId(u64);

/// The span of the client that sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent<'f> {
    /// The trace.
    pub(crate) trace: TraceId,
    /// The client's span.
    pub(crate) span: SpanId,
    /// Whether the client records the trace.
    pub(crate) is_sampled: bool,
    text: &'f str,
}

impl<'f> TraceParent<'f> {
    /// Returns the place that a request's headers name. Headers of another form, or several, name none.
    pub(crate) fn of(fields: &'f Fields) -> Option<Self> {
        let mut given = fields.all("traceparent");
        let text = given.next().and_then(visible)?;
        if given.next().is_some() { None } else { Self::parse(text) }
    }

    /// Parses the value of `traceparent`. A later version may add text after a `-`.
    fn parse(text: &'f str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let mut next = |length| parts.next().filter(|part| part.len() == length && is_hexadecimal(part));
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let is_known = version == "00" && rest.is_empty();
        let is_later = !matches!(version, "00" | "ff") && (rest.is_empty() || rest.starts_with('-'));
        if !is_known && !is_later {
            return None;
        }
        Some(Self {
            trace: TraceId::new(u128::from_str_radix(trace, 16).ok()?)?,
            span: SpanId::new(u64::from_str_radix(span, 16).ok()?)?,
            is_sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
            text: known,
        })
    }

    /// Returns the text, without what a later version adds.
    pub(crate) fn as_str(&self) -> &'f str {
        self.text
    }
}

/// Returns whether a text is hexadecimal in lower case, as the standard demands.
fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl TraceId {
    fn new(id: u128) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }
}

#[cfg(feature = "otlp")]
impl TraceId {
    /// Makes a random id.
    pub(crate) fn random() -> Self {
        Self(fastrand::u128(1..))
    }

    /// Returns the id as a number.
    pub(crate) fn number(self) -> u128 {
        self.0
    }
}

impl SpanId {
    fn new(id: u64) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }
}

#[cfg(feature = "otlp")]
impl SpanId {
    /// Makes a random id.
    pub(crate) fn random() -> Self {
        Self(fastrand::u64(1..))
    }

    /// Returns the id as a number.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    pub(in crate::trace) fn fields(name: &'static str, values: &[&str]) -> Fields {
        let field = |value: &&str| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        values.iter().map(field).collect()
    }

    #[test]
    fn a_parent_has_the_form_of_the_standard() {
        let with = |from: &str, to: &str| GOOD.replace(from, to);
        let cases = [
            (GOOD.to_owned(), Some(true)),
            (with("-01", "-00"), Some(false)),
            (with("-01", "-03"), Some(true)),
            (with("-01", "-fe"), Some(false)),
            // Later versions may add something.
            (with("00-0a", "01-0a"), Some(true)),
            (format!("{}-more", with("00-0a", "cc-0a")), Some(true)),
            (format!("{}-", with("00-0a", "cc-0a")), Some(true)),
            (format!("{}more", with("00-0a", "cc-0a")), None),
            (with("00-0a", "ff-0a"), None),
            (format!("{GOOD}-00"), None),
            (format!("{GOOD} "), None),
            (format!(" {GOOD}"), None),
            (GOOD[..54].to_owned(), None),
            (GOOD.to_uppercase(), None),
            (with("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), None),
            (with("b7ad6b7169203331", &"0".repeat(16)), None),
            (with("b7ad6b7169203331", "b7ad6b716920333g"), None),
            (with("b7ad6b7169203331", "+7ad6b7169203331"), None),
            (with("-b7", "_b7"), None),
            (String::new(), None),
        ];
        for (text, expected) in &cases {
            let fields = fields("traceparent", &[text]);
            let parent = TraceParent::of(&fields);
            assert_eq!(parent.map(|parent| parent.is_sampled), *expected, "{text}");
        }
        let one = fields("traceparent", &[GOOD]);
        let parent = TraceParent::of(&one).unwrap();
        assert_eq!(parent.trace.0, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!((parent.span.0, parent.as_str()), (0xb7ad_6b71_6920_3331, GOOD));
        assert_eq!(TraceParent::of(&fields("traceparent", &[GOOD, GOOD])), None);
        assert_eq!(TraceParent::of(&Fields::default()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parent_that_is_not_of_the_standard(text in "[0-9a-fg]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?|\\PC{0,60}") {
            if let Some(parent) = TraceParent::parse(&text) {
                prop_assert!(parent.trace.0 != 0 && parent.span.0 != 0);
                prop_assert!(parent.as_str().len() == LENGTH && text.starts_with(parent.as_str()));
                prop_assert!(!text.starts_with("ff"));
            }
        }
    }
}
