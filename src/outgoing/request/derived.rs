//! Requests that Scopegate makes on behalf of a client's upload of unknown length. Each is derived from the granted
//! upload and concerns the same key. The right to write covers all of them.

use super::Outgoing;
use crate::authorize::mapping::check_size;
use crate::authorize::operations::{SessionKind, Spec};
use crate::authorize::rights::{Right, Rights};
use crate::outgoing::payload::{HeldBody, Payload};
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::{Algorithm, Checksum, Hasher};
use crate::s3::limits::MAX_OBJECT;
use crate::s3::operation::Operation;
use crate::s3::target::encode_query;
use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};

const X_AMZ_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const X_AMZ_CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

/// A request with a document of Scopegate's own as its body.
#[derive(Debug)]
pub struct WithDocument {
    /// The request, with headers for the document.
    pub request: Outgoing,
    /// The document.
    pub document: Bytes,
}

impl Outgoing {
    /// Returns the granted operation, or the one that serves it.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns the kind of session that the table of operations has for it.
    pub fn session(&self) -> Option<SessionKind> {
        let needs = self.version().map_or(Rights::NONE, |_| Rights::NONE.with(Right::Versions));
        Spec::of(self.operation).map(|spec| spec.session_with(needs))
    }

    /// Returns the parameter of the query that names a version.
    pub(super) fn version(&self) -> Option<&str> {
        self.query.split('&').find(|parameter| parameter.starts_with("versionId="))
    }

    /// Checks the size of a body once it is known.
    ///
    /// # Errors
    /// When `length` exceeds the maximum.
    pub fn check_size(&self, length: u64) -> Result<(), Refusal> {
        check_size(length, self.max_size)?;
        if length <= MAX_OBJECT {
            return Ok(());
        }
        Err(Refusal::new(Rule::TooLarge, "an object is at most 5 TiB"))
    }

    /// Returns the same request with the length of its body and the checksum that followed the body.
    #[must_use]
    pub fn with_length(&self, length: u64, trailing: Option<&Checksum>) -> Self {
        let sha256 = match &self.payload {
            Payload::Held(body) => body.sha256.clone(),
            _ => None,
        };
        let mut headers = self.headers.clone();
        // On a completion, this header would concern the whole object.
        if let Some(sum) = trailing.filter(|_| self.method == Method::PUT) {
            headers.retain(|(name, _)| name != sum.algorithm().header());
            headers.push((sum.algorithm().header_name(), sum.header_value()));
        }
        let (operation, method) = (self.operation, self.method.clone());
        let (path, query, payload) = (self.path.clone(), self.query.clone(), Payload::Sized(length, sha256));
        let mut outgoing = Self {
            operation,
            max_size: self.max_size,
            method,
            path,
            query,
            headers,
            payload,
            is_range_conditional: false,
        };
        outgoing.sort();
        outgoing
    }

    /// Returns the same request with a document as its body.
    pub fn with_document(&self, document: impl Into<Bytes>) -> WithDocument {
        let document = document.into();
        // The checksum headers of a completion concern the object. All other headers concern the body.
        let of_the_body = |name: &HeaderName| {
            *name == header::CONTENT_TYPE
                || name == Algorithm::Md5.header()
                || (self.operation != Operation::CompleteMultipartUpload
                    && name.as_str().contains("-checksum-"))
        };
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| !of_the_body(name));
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/xml")));
        // MinIO requires and verifies a checksum of the document.
        let mut hasher = Hasher::new(Algorithm::Md5);
        hasher.update(&document);
        headers.push((Algorithm::Md5.header_name(), hasher.finish().header_value()));
        let payload = Payload::Sized(document.len() as u64, None);
        let (path, query, method) = (self.path.clone(), self.query.clone(), self.method.clone());
        let (operation, max_size) = (self.operation, self.max_size);
        let is_range_conditional = false;
        let mut request =
            Self { operation, max_size, method, path, query, headers, payload, is_range_conditional };
        request.sort();
        WithDocument { request, document }
    }

    /// Returns the checksums in the headers.
    ///
    /// # Errors
    /// When a value is not a checksum of its algorithm.
    pub fn checksums(&self) -> Result<Vec<Checksum>, Refusal> {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            Algorithm::of_header(name.as_str()).map(|algorithm| (algorithm, value))
        });
        let sha256 = match &self.payload {
            Payload::Held(HeldBody { sha256: Some(hash), .. }) => {
                Checksum::parse_sha256_hex(hash.as_bytes()).ok()
            }
            _ => None,
        };
        let bad = |algorithm: Algorithm| {
            Refusal::new(Rule::BadHeader, format!("{} is not such a checksum in base64", algorithm.header()))
        };
        headers
            .map(|(algorithm, value)| {
                Checksum::parse(algorithm, value.as_bytes()).map_err(|_| bad(algorithm))
            })
            .chain(sha256.map(Ok))
            .collect()
    }

    /// Returns the algorithm of the checksum that the client wants to be stored, if any.
    pub fn checksum_algorithm(&self) -> Option<Algorithm> {
        let trailing = self.payload.envelope().and_then(|envelope| envelope.trailer);
        let said = || {
            self.headers.iter().find_map(|(name, value)| match name.as_str() {
                "x-amz-checksum-algorithm" | "x-amz-sdk-checksum-algorithm" => Algorithm::ALL
                    .into_iter()
                    .find(|algorithm| value.as_bytes().eq_ignore_ascii_case(algorithm.name().as_bytes())),
                name => Algorithm::of_header(name),
            })
        };
        trailing.or_else(said).filter(|algorithm| *algorithm != Algorithm::Md5)
    }

    /// Returns a `CreateMultipartUpload` for an object with this request's attributes.
    #[must_use]
    pub fn create_upload(&self, algorithm: Option<Algorithm>) -> Self {
        let of_the_body = |name: &HeaderName| name == "content-md5" || name.as_str().contains("-checksum-");
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| !of_the_body(name));
        if let Some(algorithm) = algorithm {
            headers.push((X_AMZ_CHECKSUM_ALGORITHM, HeaderValue::from_static(algorithm.name())));
            headers.push((X_AMZ_CHECKSUM_TYPE, checksum_type(algorithm)));
        }
        self.derive(Operation::CreateMultipartUpload, Method::POST, "uploads=".to_owned(), headers, 0)
    }

    /// Returns an `UploadPart`.
    #[must_use]
    pub fn upload_part(&self, upload: &str, number: u32, length: u64, sum: Option<&Checksum>) -> Self {
        let headers = sum.map(|sum| (sum.algorithm().header_name(), sum.header_value()));
        let query = format!("partNumber={number}&uploadId={}", encode_query(upload));
        self.derive(Operation::UploadPart, Method::PUT, query, headers.into_iter().collect(), length)
    }

    /// Returns a `CompleteMultipartUpload` with the client's conditions. `sum` is the checksum of the whole object.
    #[must_use]
    pub fn complete_upload(&self, upload: &str, length: u64, sum: Option<&Checksum>) -> Self {
        let condition = |name: &HeaderName| *name == header::IF_MATCH || *name == header::IF_NONE_MATCH;
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| condition(name));
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/xml")));
        if let Some(sum) = sum {
            headers.push((sum.algorithm().header_name(), sum.header_value()));
            headers.push((X_AMZ_CHECKSUM_TYPE, checksum_type(sum.algorithm())));
        }
        let query = format!("uploadId={}", encode_query(upload));
        self.derive(Operation::CompleteMultipartUpload, Method::POST, query, headers, length)
    }

    /// Returns an `AbortMultipartUpload`.
    #[must_use]
    pub fn abort_upload(&self, upload: &str) -> Self {
        let query = format!("uploadId={}", encode_query(upload));
        self.derive(Operation::AbortMultipartUpload, Method::DELETE, query, Vec::new(), 0)
    }

    fn derive(
        &self,
        operation: Operation,
        method: Method,
        query: String,
        headers: Vec<(HeaderName, HeaderValue)>,
        length: u64,
    ) -> Self {
        let payload = if length > 0 { Payload::Sized(length, None) } else { Payload::Empty };
        let mut derived = Self {
            operation,
            max_size: self.max_size,
            method,
            path: self.path.clone(),
            query,
            headers,
            payload,
            is_range_conditional: false,
        };
        derived.sort();
        derived
    }
}

fn checksum_type(algorithm: Algorithm) -> HeaderValue {
    HeaderValue::from_static(if algorithm.is_of_whole_objects() { "FULL_OBJECT" } else { "COMPOSITE" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::mapping::Mapping;
    use crate::authorize::rights::Right;
    use crate::authorize::scope::Scope;
    use crate::s3::aws_chunked::Envelope;
    use crate::s3::names::{BucketName, Prefix};

    type Given<'a> = &'a [(&'static str, &'a str)];

    fn held() -> Payload {
        Payload::Held(HeldBody::default())
    }

    fn put(headers: Given<'_>, payload: Payload) -> Outgoing {
        put_within(None, headers, payload)
    }

    fn put_within(max_object_size: Option<u64>, headers: Given<'_>, payload: Payload) -> Outgoing {
        let rights = [Right::Write].into_iter().collect();
        let mut scope = Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("in/").unwrap(), rights);
        scope.max_object_size = max_object_size;
        let mapping = Mapping::of_scopes("all", vec![scope]);
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let fields = headers.iter().map(field).collect();
        let grant = mapping.grant(&Method::PUT, "/tmp/in/a%20b", None, &fields).unwrap();
        Outgoing::rebuild(grant, &fields, payload).unwrap()
    }

    fn shown(outgoing: &Outgoing) -> (String, Vec<String>) {
        let headers = outgoing.headers().iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let target = format!("{} {}?{}", outgoing.method(), outgoing.path(), outgoing.query());
        (target, headers.collect())
    }

    #[test]
    fn derived_requests_keep_the_key_and_relevant_headers() {
        let sum = Checksum::parse(Algorithm::Crc32, b"y/Q5Jg==").unwrap();
        let put = put(
            &[
                ("content-type", "text/plain"),
                ("x-amz-meta-a", "b"),
                ("x-amz-tagging", "k=v"),
                ("if-none-match", "*"),
                ("content-md5", "kAFQmDzST7DWlj99KOF/cg=="),
                ("x-amz-checksum-crc32", "y/Q5Jg=="),
                ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ],
            held(),
        );
        let expected = |target: &str, headers: &[&str]| {
            (target.to_owned(), headers.iter().map(|&header| header.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            shown(&put.create_upload(Some(Algorithm::Crc32))),
            expected(
                "POST /tmp/in/a%20b?uploads=",
                &[
                    "content-type: text/plain",
                    "if-none-match: *",
                    "x-amz-checksum-algorithm: CRC32",
                    "x-amz-checksum-type: FULL_OBJECT",
                    "x-amz-meta-a: b",
                    "x-amz-tagging: k=v",
                ]
            )
        );
        assert_eq!(
            shown(&put.upload_part("i/d", 7, 9, Some(&sum))),
            expected("PUT /tmp/in/a%20b?partNumber=7&uploadId=i%2Fd", &["x-amz-checksum-crc32: y/Q5Jg=="])
        );
        assert_eq!(
            shown(&put.complete_upload("i/d", 9, Some(&sum))),
            expected(
                "POST /tmp/in/a%20b?uploadId=i%2Fd",
                &[
                    "content-type: application/xml",
                    "if-none-match: *",
                    "x-amz-checksum-crc32: y/Q5Jg==",
                    "x-amz-checksum-type: FULL_OBJECT",
                ]
            )
        );
        assert_eq!(shown(&put.abort_upload("i/d")), expected("DELETE /tmp/in/a%20b?uploadId=i%2Fd", &[]));
    }

    /// A session for writes cannot abort an upload.
    #[test]
    fn derived_requests_have_sessions_of_their_own() {
        let put = put(&[], held());
        for (outgoing, kind) in [
            (put.create_upload(None), SessionKind::Put),
            (put.upload_part("id", 1, 9, None), SessionKind::Put),
            (put.complete_upload("id", 9, None), SessionKind::Put),
            (put.abort_upload("id"), SessionKind::Other),
            (put.with_length(9, None), SessionKind::Put),
            (put.with_document("x").request, SessionKind::Put),
        ] {
            assert_eq!(outgoing.session(), Some(kind), "{outgoing:?}");
        }
    }

    #[test]
    fn reads_checksum_headers() {
        let trailed = Envelope { decoded: None, trailer: Some(Algorithm::Sha1) };
        let cases: [(Given<'_>, Payload, Option<Algorithm>); 5] = [
            (&[], held(), None),
            (&[("content-md5", "kAFQmDzST7DWlj99KOF/cg==")], held(), None),
            (
                &[],
                Payload::Held(HeldBody { envelope: Some(trailed), ..HeldBody::default() }),
                Some(Algorithm::Sha1),
            ),
            (&[("x-amz-checksum-crc32", "AAAAAA==")], held(), Some(Algorithm::Crc32)),
            (&[("x-amz-sdk-checksum-algorithm", "crc64nvme")], held(), Some(Algorithm::Crc64Nvme)),
        ];
        for (headers, payload, algorithm) in cases {
            assert_eq!(put(headers, payload).checksum_algorithm(), algorithm, "{headers:?}");
        }
        let hash = Some(HeaderValue::from_str(&"0".repeat(64)).unwrap());
        let said = put(
            &[("content-md5", "kAFQmDzST7DWlj99KOF/cg==")],
            Payload::Held(HeldBody { sha256: hash, ..HeldBody::default() }),
        );
        assert_eq!(said.checksums().unwrap().len(), 2);
    }

    #[test]
    fn sets_the_length_and_trailing_checksum() {
        let sum = Checksum::parse(Algorithm::Crc32, b"y/Q5Jg==").unwrap();
        let sized = put(&[("x-amz-checksum-crc32", "AAAAAA==")], held()).with_length(9, Some(&sum));
        assert_eq!(sized.payload(), &Payload::Sized(9, None));
        assert_eq!(shown(&sized).1, ["x-amz-checksum-crc32: y/Q5Jg=="]);
        assert!(sized.check_size(MAX_OBJECT).is_ok() && sized.check_size(MAX_OBJECT + 1).is_err());
        let bounded = put_within(Some(9), &[], held());
        assert!(bounded.check_size(9).is_ok());
        assert_eq!(bounded.check_size(10).map_err(|refusal| refusal.rule), Err(Rule::TooLarge));
    }
}
