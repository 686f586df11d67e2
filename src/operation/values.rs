//! A request's values, held against the grammars of the operation table and spelled as the store is sent them.

use super::grammar::{BadValue, Dialect, Grammar, Spelling, is_checksum_value};
use super::{Operation, Spec};
use crate::refusal::{Refusal, Rule};
use crate::target::Query;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderName, HeaderValue};

/// Most characters of a value that a message quotes.
const QUOTED: usize = 64;

impl Spec {
    /// Spells the values of a query, whose names this operation knows.
    ///
    /// # Errors
    /// When one is outside its grammar, or does not go with another one.
    pub fn spell_query(&self, query: &mut Query<'_>, dialect: Dialect, quote: Quote) -> Result<(), Refusal> {
        query.respell(|name, value| {
            let Some(grammar) = self.grammar_of(name) else { return Ok(Spelling::AsIs) };
            let shown = (quote == Quote::Value).then_some(value);
            grammar.read(value, dialect).map_err(|bad| refuse("the query parameter", name, shown, bad))
        })?;
        check_positions(query, dialect)
    }

    /// Returns the grammar of a query parameter, or `None` for one that selects the operation by its value.
    fn grammar_of(&self, name: &str) -> Option<Grammar> {
        let listed = self.query.iter().find(|parameter| parameter.name == name);
        let is_flag = || self.selects.contains(&name).then_some(Grammar::Flag);
        listed.map(|parameter| parameter.grammar).or_else(is_flag)
    }

    /// Holds the headers that pass against each other. `headers` have their spelling already.
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

/// Whether a refusal quotes the value that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// It does.
    Value,
    /// It does not: the value is not as the client wrote it.
    No,
}

/// Refuses a value, and says what is expected.
pub fn refuse(what: &str, name: &str, value: Option<&str>, bad: BadValue) -> Refusal {
    let BadValue { rule, expected } = bad;
    let Some(value) = value else {
        return Refusal::new(
            rule,
            format!("{what} {name} has a value that it cannot have: expected {expected}"),
        );
    };
    let mut shown: String = value.chars().take(QUOTED).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    Refusal::new(rule, format!("{what} {name} is {shown:?}: expected {expected}"))
}

/// A token is of the list that it continues, and a version's position goes with a key's.
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

/// A condition on a time is ignored beside the same one on an entity tag (RFC 9110, section 13.2.2). MinIO would look at both.
/// An `If-None-Match` without a value names no tag of the store's, and so it is true.
fn relate_conditions(headers: &mut Vec<(HeaderName, HeaderValue)>) {
    ignore_beside(headers, &IF_MATCH, &IF_UNMODIFIED_SINCE);
    ignore_beside(headers, &IF_NONE_MATCH, &IF_MODIFIED_SINCE);
    headers.retain(|(name, value)| *name != IF_NONE_MATCH || !value.is_empty());
}

/// S3 has it so for a copy's source as well.
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

/// MinIO overwrites the target of a copy whatever these say.
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

/// MinIO ignores `If-Range` and would send the range of an object that has changed. The same condition as `If-Match` or
/// `If-Unmodified-Since` makes it say so; then the whole object is asked for. What cannot be said that way takes the
/// range with it (RFC 9110, section 13.1.5).
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

/// The tags of a copy are its source's, unless the client says `REPLACE`: MinIO stores other ones without a look.
fn relate_tags(headers: &mut Vec<(HeaderName, HeaderValue)>) {
    let replaces = headers
        .iter()
        .any(|(name, value)| name == "x-amz-tagging-directive" && value.as_bytes() == b"REPLACE");
    if !replaces {
        headers.retain(|(name, _)| name != "x-amz-tagging");
    }
}

/// MinIO takes a POST of this type for an upload by a form.
fn check_form(headers: &[(HeaderName, HeaderValue)]) -> Result<(), Refusal> {
    let is_form = |value: &HeaderValue| {
        value.as_bytes().get(..19).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/form-data"))
    };
    if headers.iter().any(|(name, value)| *name == CONTENT_TYPE && is_form(value)) {
        let why =
            "an object of type multipart/form-data cannot be uploaded in parts: name another Content-Type";
        return Err(Refusal::new(Rule::BadArgument, why));
    }
    Ok(())
}

/// S3 takes one checksum of a body, besides its `Content-MD5`.
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
    use crate::operation::TABLE;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    /// A value that no operation gains without a grammar: whatever its name, this never goes to the store.
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
                    // `list-type` selects by its value, so that another one finds no row.
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
    fn a_message_quotes_the_value_and_no_more_of_it_than_is_needed() {
        let bad = BadValue { rule: Rule::BadArgument, expected: "a number" };
        let long = refuse("the query parameter", "max-keys", Some(&"é".repeat(100)), bad);
        assert_eq!(
            long.message,
            format!("the query parameter max-keys is \"{}…\": expected a number", "é".repeat(64))
        );
        assert!(!refuse("the query parameter", "marker", None, bad).message.contains('"'));
    }
}
