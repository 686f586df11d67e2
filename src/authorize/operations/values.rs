//! Checks a request's values against the grammars of the table and spells them for the store.

use super::Spec;
use super::grammar::{BadValue, Dialect, Grammar, is_checksum_value};
use crate::refusal::{Refusal, Rule};
use crate::s3::form::is_form;
use crate::s3::operation::Operation;
use crate::s3::target::{Query, Spelling};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderName, HeaderValue};

/// Maximum number of characters of a value that a message quotes.
const QUOTED: usize = 64;

impl Spec {
    /// Checks the values of a query and spells them for the store.
    ///
    /// # Errors
    /// When a value is outside its grammar or contradicts another one.
    pub fn spell_query(&self, query: &mut Query<'_>, dialect: Dialect, quote: Quote) -> Result<(), Refusal> {
        query.respell(|name, value| {
            let Some(grammar) = self.grammar_of(name) else { return Ok(Spelling::AsIs) };
            let shown = (quote == Quote::Value).then_some(value);
            grammar.read(value, dialect).map_err(|bad| refuse("the query parameter", name, shown, bad))
        })?;
        check_positions(query, dialect)
    }

    /// Returns the grammar of a query parameter. Returns `None` if the parameter's value selects the operation.
    fn grammar_of(&self, name: &str) -> Option<Grammar> {
        let listed = self.query.iter().find(|parameter| parameter.name == name);
        let is_flag = || self.selects.contains(&name).then_some(Grammar::Flag);
        listed.map(|parameter| parameter.grammar).or_else(is_flag)
    }

    /// Checks the headers that pass against each other. `headers` are spelled for the store already.
    ///
    /// # Errors
    /// When two contradict each other.
    pub fn relate_headers(
        &self,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
        dialect: Dialect,
    ) -> Result<(), Refusal> {
        match self.operation {
            Operation::GetObject | Operation::HeadObject | Operation::GetObjectAttributes => {
                relate_conditions(headers);
                relate_range(headers);
            }
            Operation::CopyObject => {
                relate_source_conditions(headers);
                relate_tags(headers);
                check_copy_conditions(headers, dialect)?;
            }
            Operation::UploadPartCopy => relate_source_conditions(headers),
            Operation::CreateMultipartUpload => check_form(headers)?,
            _ => {}
        }
        check_checksums(headers)
    }
}

/// Whether a refusal quotes the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Quotes it.
    Value,
    /// Does not quote it, because the value is not in the client's spelling.
    No,
}

/// Returns a refusal of a value that says what is expected.
pub(crate) fn refuse(what: &str, name: &str, value: Option<&str>, bad: BadValue) -> Refusal {
    let BadValue { rule, expected } = bad;
    let Some(value) = value else {
        return Refusal::new(rule, format!("{what} {name} has an invalid value: expected {expected}"));
    };
    let mut shown: String = value.chars().take(QUOTED).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    Refusal::new(rule, format!("{what} {name} is {shown:?}: expected {expected}"))
}

/// Checks that a token belongs to the list it continues, and that a version's position comes with a key's.
fn check_positions(query: &Query<'_>, dialect: Dialect) -> Result<(), Refusal> {
    let bad = |why| Err(Refusal::new(Rule::BadArgument, why));
    if query.has("version-id-marker") && !query.has("key-marker") {
        return bad(
            "version-id-marker is given without key-marker: give both, as the list before showed them",
        );
    }
    let Some(token) = query.get("continuation-token").filter(|_| dialect == Dialect::Minio) else {
        return Ok(());
    };
    let Some(prefix) = query.get("prefix") else { return Ok(()) };
    if STANDARD.decode(token).is_ok_and(|key| key.starts_with(prefix.as_bytes())) {
        return Ok(());
    }
    bad("the continuation-token is that of a list with another prefix: begin that list again")
}

/// Drops a condition on a time next to the same condition on an entity tag (RFC 9110, section 13.2.2). MinIO would
/// check both. An `If-None-Match` without a value names no tag of the store, so it always holds.
fn relate_conditions(headers: &mut Vec<(HeaderName, HeaderValue)>) {
    ignore_beside(headers, &IF_MATCH, &IF_UNMODIFIED_SINCE);
    ignore_beside(headers, &IF_NONE_MATCH, &IF_MODIFIED_SINCE);
    headers.retain(|(name, value)| *name != IF_NONE_MATCH || !value.is_empty());
}

/// Does the same for the conditions on a copy's source.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
fn relate_source_conditions(headers: &mut Vec<(HeaderName, HeaderValue)>) {
    const SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
    const SOURCE_IF_UNMODIFIED: HeaderName = HeaderName::from_static("x-amz-copy-source-if-unmodified-since");
    const SOURCE_IF_NONE_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-none-match");
    const SOURCE_IF_MODIFIED: HeaderName = HeaderName::from_static("x-amz-copy-source-if-modified-since");
    ignore_beside(headers, &SOURCE_IF_MATCH, &SOURCE_IF_UNMODIFIED);
    ignore_beside(headers, &SOURCE_IF_NONE_MATCH, &SOURCE_IF_MODIFIED);
}

fn ignore_beside(headers: &mut Vec<(HeaderName, HeaderValue)>, tag: &HeaderName, time: &HeaderName) {
    if headers.iter().any(|(name, _)| name == tag) {
        headers.retain(|(name, _)| name != time);
    }
}

/// Refuses conditions on a copy's target, which MinIO ignores.
fn check_copy_conditions(headers: &[(HeaderName, HeaderValue)], dialect: Dialect) -> Result<(), Refusal> {
    let is_condition = |name: &HeaderName| *name == IF_MATCH || *name == IF_NONE_MATCH;
    match headers.iter().find(|(name, _)| is_condition(name)) {
        Some((name, _)) if dialect == Dialect::Minio => {
            let why = format!("the header {name} is not honoured by the store when it copies");
            Err(Refusal::new(Rule::Condition, why))
        }
        _ => Ok(()),
    }
}

/// Replaces `If-Range` by `If-Match` or `If-Unmodified-Since`. MinIO ignores `If-Range` and would send a range of an
/// object that has changed. If the replacement fails, the proxy requests the whole object. An `If-Range` that cannot
/// be replaced removes the range (RFC 9110, section 13.1.5).
fn relate_range(headers: &mut Vec<(HeaderName, HeaderValue)>) {
    let has = |headers: &[(HeaderName, HeaderValue)], wanted: &HeaderName| {
        headers.iter().any(|(name, _)| name == wanted)
    };
    let Some(at) = headers.iter().position(|(name, _)| *name == IF_RANGE) else { return };
    let (_, validator) = headers.remove(at);
    let other = [IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| has(headers, name));
    if validator.is_empty() || other || !has(headers, &RANGE) {
        headers.retain(|(name, _)| *name != RANGE);
        return;
    }
    let condition = if validator.as_bytes().contains(&b'"') { IF_MATCH } else { IF_UNMODIFIED_SINCE };
    headers.push((condition, validator));
}

/// Drops tags unless the client says `REPLACE`: a copy has its source's tags, and MinIO would store others unchecked.
fn relate_tags(headers: &mut Vec<(HeaderName, HeaderValue)>) {
    let replaces = headers
        .iter()
        .any(|(name, value)| name == "x-amz-tagging-directive" && value.as_bytes() == b"REPLACE");
    if !replaces {
        headers.retain(|(name, _)| name != "x-amz-tagging");
    }
}

/// Refuses a content type that makes MinIO treat a POST as a form upload.
fn check_form(headers: &[(HeaderName, HeaderValue)]) -> Result<(), Refusal> {
    if headers.iter().any(|(name, value)| *name == CONTENT_TYPE && is_form(value.as_bytes())) {
        let why =
            "an object of type multipart/form-data cannot be uploaded in parts: name another Content-Type";
        return Err(Refusal::new(Rule::BadArgument, why));
    }
    Ok(())
}

/// Refuses several checksums of one body. S3 accepts one besides `Content-MD5`.
fn check_checksums(headers: &[(HeaderName, HeaderValue)]) -> Result<(), Refusal> {
    let mut values = headers.iter().map(|(name, _)| name).filter(|name| is_checksum_value(name.as_str()));
    match (values.next(), values.next()) {
        (Some(one), Some(other)) => Err(Refusal::new(
            Rule::BadChecksum,
            format!("{one} and {other} are both given: S3 takes one checksum"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::operations::TABLE;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    /// No operation passes a parameter without a grammar, whatever the parameter's name.
    #[test]
    fn no_parameter_of_any_operation_carries_structure() {
        let hostile = "media/a\u{1}[minio_cache:v2,return:,id:..]";
        let written = utf8_percent_encode(hostile, NON_ALPHANUMERIC);
        for row in &TABLE {
            let selects = row.selects.iter().filter_map(|select| select.split('=').next());
            for name in selects.chain(row.query.iter().map(|parameter| parameter.name)) {
                for dialect in [Dialect::Minio, Dialect::S3] {
                    let text = format!("{name}={written}");
                    let mut query = Query::parse(Some(&text)).unwrap();
                    let spelled = row.spell_query(&mut query, dialect, Quote::Value);
                    // `list-type` selects by value, so another value matches no row.
                    let good =
                        spelled.is_err() || !query.canonical().contains("minio") || name == "list-type";
                    assert!(good, "{:?} {name}", row.operation);
                }
            }
        }
    }

    #[test]
    fn positions_go_together() {
        let row = |operation| TABLE.iter().find(|row| row.operation == operation).unwrap();
        let spelled = |operation, text: &str| {
            let mut query = Query::parse(Some(text)).unwrap();
            row(operation).spell_query(&mut query, Dialect::Minio, Quote::Value).map(|()| query.canonical())
        };
        let refused = spelled(Operation::ListObjectVersions, "versions&prefix=a&version-id-marker=null");
        assert_eq!(refused.map_err(|refusal| refusal.rule), Err(Rule::BadArgument));
        let both = "versions=x&prefix=a&key-marker=a&version-id-marker=null";
        assert_eq!(
            spelled(Operation::ListObjectVersions, both).unwrap(),
            "key-marker=a&prefix=a&version-id-marker=null&versions="
        );
        let other = spelled(Operation::ListObjectsV2, "list-type=2&prefix=b&continuation-token=YQ%3D%3D");
        assert_eq!(other.map_err(|refusal| refusal.rule), Err(Rule::BadArgument));
    }

    #[test]
    fn messages_quote_a_bounded_part_of_the_value() {
        let bad = BadValue { rule: Rule::BadArgument, expected: "a number" };
        let long = refuse("the query parameter", "max-keys", Some(&"é".repeat(100)), bad);
        assert_eq!(
            long.message,
            format!("the query parameter max-keys is \"{}…\": expected a number", "é".repeat(64))
        );
        assert!(!refuse("the query parameter", "marker", None, bad).message.contains('"'));
    }
}
