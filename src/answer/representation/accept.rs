//! Parses `Accept` (RFC 9110, section 12.5.1) and finds the form of response that a client asks for by name.

use super::Representation;
use http::header::ACCEPT;
use http1::{Fields, visible};

/// The weight of each form in thousandths; 0 means not acceptable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accept {
    html: u16,
    json: u16,
    text: u16,
    /// XML by name, or `application/*`.
    xml: u16,
    /// `*/*` or `text/*`.
    any: u16,
    /// The highest weight among types that Scopegate does not produce.
    other: u16,
}

impl Accept {
    /// Parses all `Accept` headers. Ranges with an invalid weight are ignored.
    pub(super) fn parse(fields: &Fields) -> Self {
        let mut accept = Self::default();
        for range in fields.all(ACCEPT.as_str()).filter_map(visible).flat_map(|value| split(value, ',')) {
            accept.add(range);
        }
        accept
    }

    fn add(&mut self, range: &str) {
        let mut parts = split(range, ';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut weight = 1000;
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            if key.trim().eq_ignore_ascii_case("q") {
                let Some(given) = thousandths(value.trim()) else { return };
                weight = given;
            }
        }
        let form = match &*name {
            "text/html" | "application/xhtml+xml" => &mut self.html,
            "application/json" => &mut self.json,
            "text/plain" => &mut self.text,
            "application/xml" | "text/xml" | "application/*" => &mut self.xml,
            "*/*" | "text/*" => &mut self.any,
            _ => &mut self.other,
        };
        *form = weight.max(*form);
    }

    /// Returns the named form with the highest weight, unless XML has a higher one. A wildcard names no form.
    pub(super) fn best(self) -> Option<Representation> {
        let named = [
            (self.html, Representation::Html),
            (self.json, Representation::Json),
            (self.text, Representation::Text),
        ];
        let most = named
            .iter()
            .map(|(weight, _)| *weight)
            .max()
            .filter(|most| *most > 0 && *most >= self.xml.max(self.any))?;
        named.into_iter().find(|(weight, _)| *weight == most).map(|(_, form)| form)
    }

    /// Returns whether the client prefers some other type to HTML that Scopegate does not produce. `pip` does;
    /// browsers do not.
    pub(super) fn has_a_better_type_than_html(self) -> bool {
        self.other > self.html
    }

    /// Returns whether XML is named and no other type is preferred.
    pub(super) fn wants_xml(self) -> bool {
        self.xml > 0 && self.xml >= self.any && self.xml >= self.other
    }
}

/// Splits at `separator` outside of quotation marks.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

/// Parses a weight from 0 to 1 with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{digits:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn best(values: &[&str]) -> Option<Representation> {
        let field = |value: &&str| (ACCEPT, HeaderValue::from_str(value).unwrap());
        Accept::parse(&values.iter().map(field).collect()).best()
    }

    #[test]
    fn selects_the_form_for_real_accept_headers() {
        use Representation::{Html, Json, Text};
        let cases: [(&[&str], Option<Representation>); 27] = [
            (&[], None),
            (&[""], None),
            (&["*/*"], None),
            (&["text/*"], None),
            (&["application/*, text/html;q=0.9"], None),
            (
                &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
                Some(Html),
            ),
            (&["text/html, application/xml"], Some(Html)),
            (&["application/xml, text/html;q=0.9"], None),
            (&["application/json"], Some(Json)),
            (&["application/json, text/plain, */*"], Some(Json)),
            (&["text/plain"], Some(Text)),
            (&["TEXT/Plain ; charset=utf-8 ; Q=0.5"], Some(Text)),
            (&["text/plain;q=0.1, */*"], None),
            (&["text/plain, */*;q=0.1"], Some(Text)),
            (&["text/html;q=0"], None),
            (&["text/html;q=0, text/plain;q=0.001"], Some(Text)),
            (&["text/html;q=0.5, application/json;q=0.7"], Some(Json)),
            (&["text/html;q=0.5", "application/json;q=0.7"], Some(Json)),
            (&["text/html;q=1.000"], Some(Html)),
            (&["text/html;q=1.001"], None),
            (&["text/html;q=-1"], None),
            (&["text/html;q=+1"], None),
            (&["text/html;q=0.1234"], None),
            (&["text/html;q=, text/plain;q=0.2"], Some(Text)),
            (&["text/html;a=\"x, text/plain;q=1\";q=0.3, application/json;q=0.2"], Some(Html)),
            (&["text/html;a=\"\\\", application/json\""], Some(Html)),
            (&["image/png"], None),
        ];
        for (values, expected) in cases {
            assert_eq!(best(values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_can_be_parsed(value in "[ -~]{0,80}") {
            let _ = best(&[&value]);
        }

        #[test]
        fn weights_order(html in 0..=1000_u16, json in 0..=1000_u16) {
            let weight = |w: u16| format!("{}.{:03}", w / 1000, w % 1000);
            let found = best(&[&format!("application/json;q={}, text/html;q={}", weight(json), weight(html))]);
            let expected = match (html, json) {
                (0, 0) => None,
                _ if html >= json => Some(Representation::Html),
                _ => Some(Representation::Json),
            };
            prop_assert_eq!(found, expected);
        }
    }
}
