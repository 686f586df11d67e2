//! `application/x-www-form-urlencoded`: STS bodies and the query strings of S3.

use percent_encoding::percent_decode_str;

/// Decoded names and values, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Parses a form. Returns `None` when a name or value is not UTF-8.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Option<_>>().map(Self)
    }

    /// Returns the value of `name`.
    ///
    /// # Errors
    /// When the name is repeated: two readers of the request could then use different values.
    pub(super) fn only(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// The error of a repeated name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    Some((decode(name)?, decode(value)?))
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_names_and_values() {
        let form = Form::parse("prefix=media%2Fa+b%2B&list-type=2&&delete").unwrap();
        assert_eq!(form.only("prefix"), Ok(Some("media/a b+")));
        assert_eq!(form.only("delete"), Ok(Some("")));
        assert_eq!(form.only("absent"), Ok(None));
        assert_eq!(form.names().collect::<Vec<_>>(), ["prefix", "list-type", "delete"]);
    }

    #[test]
    fn rejects_repeated_names() {
        let form = Form::parse("prefix=secret%2F&pre%66ix=media%2F").unwrap();
        assert_eq!(form.only("prefix"), Err(Repeated));
    }

    #[test]
    fn rejects_invalid_utf8() {
        assert_eq!(Form::parse("prefix=%FF"), None);
    }
}
