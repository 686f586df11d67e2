//! Requests to the store: headers from an allow-list, path and query written by Scopegate.

mod conditions;
mod copy;
mod derived;
mod rest;
mod uploads;

pub(crate) use conditions::{Conditions, ObjectState};
pub(crate) use derived::WithDocument;

use crate::authorize::mapping::{Grant, X_AMZ_COPY_SOURCE};
use crate::authorize::operations::grammar::{Dialect, Grammar};
use crate::authorize::operations::headers::changes_meaning;
use crate::authorize::operations::values::refuse;
use crate::authorize::operations::{Headers, Spec};
use crate::outgoing::payload::Payload;
use crate::refusal::{Refusal, Rule};
use crate::s3::operation::Operation;
use crate::s3::target::Spelling;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use http1::{Fields, Repeated};

/// A request to the store that only lacks its signature. It is made from a [`Grant`] and can be signed again: for
/// another session, another node, or another time.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The operation, which decides on the session that signs it.
    operation: Operation,
    max_size: Option<u64>,
    method: Method,
    path: String,
    query: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    payload: Payload,
    /// Whether its range applies only if the object has not changed (`If-Range`).
    is_range_conditional: bool,
}

/// The decision about a client's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass(Grammar),
    Drop,
    Refuse(Rule, &'static str),
}

impl Outgoing {
    /// Rebuilds a granted request.
    ///
    /// # Errors
    /// When a header is forbidden or has a value that servers read in different ways, and when the body is larger
    /// than the scopes allow.
    pub fn rebuild(grant: Grant<'_>, fields: &Fields, payload: Payload) -> Result<Self, Refusal> {
        let (spec, dialect) = (grant.spec(), grant.dialect());
        grant.check_size(payload.length())?;
        grant.check_folder(payload.is_known_to_be_empty())?;
        let mut passed: Vec<(HeaderName, HeaderValue)> = Vec::new();
        let mut has_if_range = false;
        each_name(spec, fields, |name, grammar| {
            has_if_range |= grammar == Grammar::IfRange;
            let value = only_value(fields, &name)?;
            passed.extend(spell(&name, value, grammar, dialect)?.map(|value| (name, value)));
            Ok(())
        })?;
        spec.relate_headers(&mut passed, dialect)?;
        if let Some(source) = grant.copy_source() {
            let value = HeaderValue::from_str(&source).map_err(|_| {
                Refusal::new(Rule::BadHeader, "x-amz-copy-source cannot be written as a header")
            })?;
            passed.push((X_AMZ_COPY_SOURCE, value));
        }
        check_metadata(&passed)?;
        copy::check_range(&passed, grant.max_object_size())?;
        payload.amend(&mut passed);
        let (operation, method) = (spec.operation, spec.method.method());
        let max_size = grant.max_object_size();
        let (path, query) = grant.into_canonical();
        let is_range_conditional = has_if_range && passed.iter().any(|(name, _)| *name == header::RANGE);
        let mut outgoing =
            Self { operation, max_size, method, path, query, headers: passed, payload, is_range_conditional };
        outgoing.sort();
        Ok(outgoing)
    }

    /// Returns the same request for the whole object, for use when the object has changed since the client got its
    /// first part.
    pub fn without_range(&self) -> Option<Self> {
        if !self.is_range_conditional {
            return None;
        }
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| {
            !matches!(*name, header::RANGE | header::IF_MATCH | header::IF_UNMODIFIED_SINCE)
        });
        Some(Self {
            operation: self.operation,
            max_size: self.max_size,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers,
            payload: self.payload.clone(),
            is_range_conditional: false,
        })
    }

    fn sort(&mut self) {
        self.headers.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    }

    /// Builds a granted request without any header of the client.
    pub fn bare(grant: Grant<'_>) -> Self {
        let (operation, method) = (grant.operation(), grant.spec().method.method());
        let max_size = grant.max_object_size();
        let (path, query) = grant.into_canonical();
        Self {
            operation,
            max_size,
            method,
            path,
            query,
            headers: Vec::new(),
            payload: Payload::Empty,
            is_range_conditional: false,
        }
    }

    /// Returns the method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path in canonical spelling.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query in canonical spelling, without `?`.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Returns the client's headers that pass, sorted by name, each once.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Returns the form of the body.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

/// S3's limit on user metadata, in bytes of values and of names without their prefix.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA: usize = 2048;

fn check_metadata(headers: &[(HeaderName, HeaderValue)]) -> Result<(), Refusal> {
    let size = |(name, value): &(HeaderName, HeaderValue)| {
        name.as_str().strip_prefix("x-amz-meta-").map_or(0, |name| name.len() + value.len())
    };
    if headers.iter().map(size).sum::<usize>() <= MAX_METADATA {
        return Ok(());
    }
    Err(Refusal::new(Rule::MetadataTooLarge, "the user metadata (x-amz-meta-*) is larger than 2 KiB"))
}

/// Checks that no header is forbidden. [`Outgoing::rebuild`] does the same; this is for requests that pass no header
/// on.
///
/// # Errors
/// When a header is forbidden.
pub(crate) fn check_headers(spec: &Spec, fields: &Fields) -> Result<(), Refusal> {
    each_name(spec, fields, |_, _| Ok(()))
}

/// Calls `each` for the names that pass. A forbidden name is an error.
fn each_name(
    spec: &Spec,
    fields: &Fields,
    mut pass: impl FnMut(HeaderName, Grammar) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for (name, _) in fields.iter() {
        let name = HeaderName::from_bytes(name)
            .map_err(|_| Refusal::new(Rule::BadHeader, "a header's name is too long"))?;
        match fate(spec.headers, name.as_str()) {
            Fate::Drop => {}
            Fate::Pass(grammar) => pass(name, grammar)?,
            Fate::Refuse(rule, why) => return Err(Refusal::new(rule, format!("the header {name} {why}"))),
        }
    }
    Ok(())
}

/// Returns a header's value. A repeated header is refused, because some servers join the values and others pick one.
fn only_value(fields: &Fields, name: &HeaderName) -> Result<HeaderValue, Refusal> {
    let bad = |what| Refusal::new(Rule::BadHeader, format!("the header {name} {what}"));
    fields.only(name.as_str()).map_err(|Repeated| bad("is given more than once"))?;
    let value = fields.value(name.as_str()).filter(|value| str::from_utf8(value.as_bytes()).is_ok());
    value.ok_or_else(|| bad("is not UTF-8"))
}

/// Returns a header's value as the store receives it, or `None` to drop the header.
fn spell(
    name: &HeaderName,
    value: HeaderValue,
    grammar: Grammar,
    dialect: Dialect,
) -> Result<Option<HeaderValue>, Refusal> {
    let bad = |why: &str| Refusal::new(Rule::BadHeader, format!("the header {name} {why}"));
    if grammar == Grammar::Metadata {
        check_metadata_name(name)?;
    }
    let text = str::from_utf8(value.as_bytes()).map_err(|_| bad("is not UTF-8"))?;
    match grammar.read(text, dialect).map_err(|why| refuse("the header", name.as_str(), Some(text), why))? {
        Spelling::AsIs => Ok(Some(value)),
        Spelling::As(text) => {
            HeaderValue::try_from(text).map(Some).map_err(|_| bad("cannot be written as a header"))
        }
        // A range whose condition never holds is dropped, and a condition on a time has no effect next to one on
        // tags.
        Spelling::LeftOut if matches!(grammar, Grammar::IfRange | Grammar::IfNoneMatch) => {
            Ok(Some(HeaderValue::from_static("")))
        }
        Spelling::LeftOut => Ok(None),
    }
}

/// Refuses user metadata with a name that MinIO uses itself.
fn check_metadata_name(name: &HeaderName) -> Result<(), Refusal> {
    let own = name.as_str().strip_prefix("x-amz-meta-").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let reserved = ["x-amz-unencrypted-content-", "x-minio-"].iter().any(|start| own.starts_with(start));
    if (1..=128).contains(&own.len()) && own.bytes().all(is_plain) && !reserved {
        return Ok(());
    }
    Err(Refusal::new(
        Rule::BadHeader,
        format!(
            "the header {name} names no user metadata: x-amz-meta- and 1 to 128 of a-z, 0-9, '.', '_' and '-' is expected"
        ),
    ))
}

fn fate(class: Headers, name: &str) -> Fate {
    if name.starts_with("x-minio-") {
        return Fate::Refuse(Rule::ForbiddenHeader, "is MinIO's own and not let through");
    }
    // MinIO would unpack a tar body to any keys that it names.
    if name
        .strip_prefix("x-amz-meta-")
        .is_some_and(|meta| meta.starts_with("snowball-") || meta.starts_with("minio-"))
    {
        return Fate::Refuse(Rule::ForbiddenHeader, "makes MinIO unpack archives and is not let through");
    }
    if let Some(field) = class.field(name) {
        return Fate::Pass(field.grammar);
    }
    if let Some((rule, why)) = class.refuse(name) {
        return Fate::Refuse(rule, why);
    }
    if changes_meaning(name) {
        return Fate::Refuse(Rule::UnknownHeader, "is not supported");
    }
    // A header of another operation has no effect here, and S3 ignores headers that it does not know.
    Fate::Drop
}

/// Returns whether the signature covers a forwarded header: one that the store acts on or that SigV4 requires.
pub(crate) fn is_signed(name: &HeaderName) -> bool {
    *name == header::CONTENT_TYPE || name == "content-md5" || name.as_str().starts_with("x-amz-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::mapping::Mapping;
    use crate::authorize::operations::TABLE;
    use crate::authorize::rights::Right;
    use crate::authorize::scope::Scope;
    use crate::s3::names::{BucketName, Prefix};
    use proptest::prelude::*;

    fn mapping() -> Mapping {
        let rights = Right::ALL.into_iter().collect();
        let scope = Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("").unwrap(), rights);
        Mapping::of_scopes("all", vec![scope])
    }

    fn rebuild(method: &Method, target: &str, headers: &[(&str, &str)]) -> Result<Outgoing, Rule> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let field = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let map = headers.iter().map(field).collect();
        let grant = mapping().grant(method, path, query, &map).map_err(|refusal| refusal.rule)?;
        Outgoing::rebuild(grant, &map, Payload::Empty).map_err(|refusal| refusal.rule)
    }

    const UPLOAD: &str = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";

    fn names(outgoing: &Outgoing) -> Vec<&str> {
        outgoing.headers().iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn client_credentials_and_connection_headers_are_dropped() {
        let sent = rebuild(
            &Method::GET,
            "/tmp/a",
            &[
                ("authorization", "AWS4-HMAC-SHA256 Credential=dummy"),
                ("x-amz-date", "x"),
                ("x-amz-security-token", "t"),
                ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
                ("cookie", "a=b"),
                ("connection", "close"),
                ("prefix", "allowed/"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-real-ip", "10.0.0.1"),
                ("forwarded", "for=10.0.0.1"),
                ("user-agent", "Mozilla"),
                ("origin", "http://evil"),
                ("range", "bytes=0-1"),
                ("if-none-match", "\"x\""),
            ],
        );
        assert_eq!(names(&sent.unwrap()), ["if-none-match", "range"]);
    }

    #[test]
    fn refused_headers() {
        let cases = [
            (Method::DELETE, "x-minio-force-delete", Rule::ForbiddenHeader),
            (Method::PUT, "x-minio-replication-etag", Rule::ForbiddenHeader),
            (Method::PUT, "x-amz-meta-snowball-auto-extract", Rule::ForbiddenHeader),
            (Method::PUT, "x-amz-meta-minio-snowball-prefix", Rule::ForbiddenHeader),
            (Method::PUT, "x-amz-server-side-encryption-customer-key", Rule::UnknownHeader),
            (Method::DELETE, "x-amz-bypass-governance-retention", Rule::UnknownHeader),
            (Method::PUT, "x-amz-object-lock-mode", Rule::UnknownHeader),
            (Method::PUT, "x-amz-grant-full-control", Rule::UnknownHeader),
            (Method::PUT, "x-amz-website-redirect-location", Rule::UnknownHeader),
            (Method::PUT, "x-amz-write-offset-bytes", Rule::UnknownHeader),
            (Method::PUT, "x-amz-replication-status", Rule::UnknownHeader),
            (Method::PUT, "x-amz-object-tagging", Rule::UnknownHeader),
            (Method::GET, "x-amz-server-side-encryption-customer-algorithm", Rule::UnknownHeader),
            (Method::PUT, "x-amz-copy-source-if-invented", Rule::UnknownHeader),
            (Method::DELETE, "if-match", Rule::Condition),
            (Method::PUT, "if-unmodified-since", Rule::Condition),
            (Method::PUT, "content-range", Rule::BadArgument),
            (Method::DELETE, "x-amz-if-match-size", Rule::UnknownHeader),
        ];
        for (method, name, rule) in cases {
            assert_eq!(rebuild(&method, "/tmp/a", &[(name, "true")]).err(), Some(rule), "{name}");
        }
        let name = HeaderName::from_static("x-amz-meta-a");
        let fields = Fields::from_iter([(name, HeaderValue::from_bytes(b"\xff").unwrap())]);
        let grant = mapping().grant(&Method::PUT, "/tmp/a", None, &fields).unwrap();
        let sent = Outgoing::rebuild(grant, &fields, Payload::Empty).map_err(|refusal| refusal.rule);
        assert_eq!(sent.err(), Some(Rule::BadHeader), "servers read what is not UTF-8 in different ways");
        let twice = [("if-match", "a"), ("if-match", "b")];
        assert_eq!(rebuild(&Method::GET, "/tmp/a", &twice).err(), Some(Rule::BadHeader));
    }

    #[test]
    fn uploads_keep_headers_that_describe_the_object() {
        let sent = rebuild(
            &Method::PUT,
            "/tmp/a",
            &[
                ("x-amz-meta-b", "1"),
                ("content-type", "text/plain"),
                ("x-amz-acl", "private"),
                ("x-amz-api-version", "2006-03-01"),
                ("x-amz-te", "append-md5"),
                ("x-amz-cf-id", "of-a-cdn"),
                ("x-amz-invented", "of a release to come"),
                ("cache-control", "no-store"),
            ],
        );
        assert_eq!(names(&sent.unwrap()), ["cache-control", "content-type", "x-amz-meta-b"]);
    }

    #[test]
    fn user_metadata_is_bounded_over_all_of_it() {
        let half = "x".repeat(1023);
        let fits = [("x-amz-meta-a", &*half), ("x-amz-meta-b", &*half), ("cache-control", &*half)];
        assert!(rebuild(&Method::PUT, "/tmp/a", &fits).is_ok());
        let over = [("x-amz-meta-a", &*half), ("x-amz-meta-bc", &*half)];
        assert_eq!(rebuild(&Method::PUT, "/tmp/a", &over).err(), Some(Rule::MetadataTooLarge));
    }

    #[test]
    fn copy_sources_are_respelled() {
        let sent = rebuild(&Method::PUT, "/tmp/a", &[("x-amz-copy-source", "tmp/b%2fc%20d")]).unwrap();
        let value = sent
            .headers()
            .iter()
            .find(|(name, _)| name == "x-amz-copy-source")
            .map(|(_, value)| value.clone());
        assert_eq!(value.unwrap(), "/tmp/b/c%20d");
    }

    proptest! {
        /// Only listed headers leave, and none that Scopegate sets itself, for every header and operation.
        #[test]
        fn only_listed_headers_leave(
            row in 0..TABLE.len(),
            name in prop_oneof!["[a-z-]{1,24}", "x-amz-[a-z-]{1,16}", "x-minio-[a-z-]{1,16}", Just("authorization".to_owned()),
                Just("host".to_owned()), Just("content-length".to_owned()), Just("transfer-encoding".to_owned()),
                Just("x-amz-meta-a".to_owned()), Just("x-amz-date".to_owned()), Just("te".to_owned()), Just("expect".to_owned())],
            value in "[ -~]{0,16}",
        ) {
            let spec = &TABLE[row];
            let path = match spec.shape {
                crate::authorize::operations::Shape::Service => "/",
                crate::authorize::operations::Shape::Bucket => "/tmp",
                crate::authorize::operations::Shape::Object => "/tmp/a",
            };
            let select = spec.selects.iter().map(|select| match *select {
                "uploadId" => format!("uploadId={UPLOAD}"),
                "partNumber" => "partNumber=1".to_owned(),
                select => select.to_owned(),
            });
            let target = format!("{path}?{}", select.collect::<Vec<_>>().join("&"));
            let mut headers = vec![(&*name, &*value)];
            if spec.copies() { headers.push(("x-amz-copy-source", "/tmp/b")); }
            if let Ok(sent) = rebuild(&spec.method.method(), &target, &headers) {
                for name in names(&sent) {
                    prop_assert!(!["authorization", "host", "content-length", "transfer-encoding", "te", "expect", "prefix",
                        "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"].contains(&name), "{name}");
                    prop_assert!(!name.starts_with("x-minio-"), "{name}");
                }
            }
        }
    }
}
