//! The request headers that may pass, by class, and the grammar of each.
//!
//! A name that ends in `*` matches every header with that beginning.

use super::Headers;
use super::grammar::Grammar as G;
use crate::refusal::Rule;
use crate::s3::checksum::Algorithm as A;

/// A header that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in lower case. A name that ends in `*` matches every header with that beginning.
    pub name: &'static str,
    /// The grammar of its value.
    pub grammar: G,
}

const fn field(name: &'static str, grammar: G) -> Field {
    Field { name, grammar }
}

const CACHE_CONTROL: Field = field("cache-control", G::ContentText);
const CONTENT_DISPOSITION: Field = field("content-disposition", G::ContentText);
const CONTENT_ENCODING: Field = field("content-encoding", G::ContentEncoding);
const CONTENT_LANGUAGE: Field = field("content-language", G::ContentText);
const CONTENT_MD5: Field = field("content-md5", G::Checksum(A::Md5));
const CONTENT_TYPE: Field = field("content-type", G::ContentType);
const EXPIRES: Field = field("expires", G::Expires);
const IF_MATCH: Field = field("if-match", G::IfMatchOfWrite);
const IF_NONE_MATCH: Field = field("if-none-match", G::IfNoneMatchOfWrite);
const READ_IF_MATCH: Field = field("if-match", G::IfMatch);
const READ_IF_MODIFIED_SINCE: Field = field("if-modified-since", G::Date);
const READ_IF_NONE_MATCH: Field = field("if-none-match", G::IfNoneMatch);
const READ_IF_UNMODIFIED_SINCE: Field = field("if-unmodified-since", G::Date);
const CHECKSUM_ALGORITHM: Field = field("x-amz-checksum-algorithm", G::ChecksumAlgorithm);
const CHECKSUM_CRC32: Field = field("x-amz-checksum-crc32", G::Checksum(A::Crc32));
const CHECKSUM_CRC32C: Field = field("x-amz-checksum-crc32c", G::Checksum(A::Crc32c));
const CHECKSUM_CRC64NVME: Field = field("x-amz-checksum-crc64nvme", G::Checksum(A::Crc64Nvme));
const CHECKSUM_SHA1: Field = field("x-amz-checksum-sha1", G::Checksum(A::Sha1));
const CHECKSUM_SHA256: Field = field("x-amz-checksum-sha256", G::Checksum(A::Sha256));
const CHECKSUM_TYPE: Field = field("x-amz-checksum-type", G::ChecksumType);
const METADATA: Field = field("x-amz-meta-*", G::Metadata);
const SDK_CHECKSUM_ALGORITHM: Field = field("x-amz-sdk-checksum-algorithm", G::SdkChecksumAlgorithm);
const STORAGE_CLASS: Field = field("x-amz-storage-class", G::StorageClass);
const TAGGING: Field = field("x-amz-tagging", G::Tagging);

/// Headers of an object being written.
const WRITE: &[Field] = &[
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_MD5,
    CONTENT_TYPE,
    EXPIRES,
    IF_MATCH,
    IF_NONE_MATCH,
    CHECKSUM_ALGORITHM,
    CHECKSUM_CRC32,
    CHECKSUM_CRC32C,
    CHECKSUM_CRC64NVME,
    CHECKSUM_SHA1,
    CHECKSUM_SHA256,
    CHECKSUM_TYPE,
    METADATA,
    SDK_CHECKSUM_ALGORITHM,
    STORAGE_CLASS,
    TAGGING,
];

/// Headers of an object whose content follows in parts or comes from another object.
const CREATE: &[Field] = &[
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    EXPIRES,
    IF_MATCH,
    IF_NONE_MATCH,
    CHECKSUM_ALGORITHM,
    CHECKSUM_TYPE,
    METADATA,
    SDK_CHECKSUM_ALGORITHM,
    STORAGE_CLASS,
    TAGGING,
];

const COPY: &[Field] = &[
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    EXPIRES,
    IF_MATCH,
    IF_NONE_MATCH,
    CHECKSUM_ALGORITHM,
    SOURCE_IF_MATCH,
    SOURCE_IF_MODIFIED_SINCE,
    SOURCE_IF_NONE_MATCH,
    SOURCE_IF_UNMODIFIED_SINCE,
    METADATA,
    field("x-amz-metadata-directive", G::Directive),
    SDK_CHECKSUM_ALGORITHM,
    STORAGE_CLASS,
    TAGGING,
    field("x-amz-tagging-directive", G::Directive),
];

const SOURCE_IF_MATCH: Field = field("x-amz-copy-source-if-match", G::IfMatchOfWrite);
const SOURCE_IF_MODIFIED_SINCE: Field = field("x-amz-copy-source-if-modified-since", G::Date);
const SOURCE_IF_NONE_MATCH: Field = field("x-amz-copy-source-if-none-match", G::IfNoneMatchOfWrite);
const SOURCE_IF_UNMODIFIED_SINCE: Field = field("x-amz-copy-source-if-unmodified-since", G::Date);

const COPY_PART: &[Field] = &[
    SOURCE_IF_MATCH,
    SOURCE_IF_MODIFIED_SINCE,
    SOURCE_IF_NONE_MATCH,
    SOURCE_IF_UNMODIFIED_SINCE,
    field("x-amz-copy-source-range", G::CopyRange),
];

const READ: &[Field] = &[
    READ_IF_MATCH,
    READ_IF_MODIFIED_SINCE,
    READ_IF_NONE_MATCH,
    field("if-range", G::IfRange),
    READ_IF_UNMODIFIED_SINCE,
    field("range", G::Range),
    field("x-amz-checksum-mode", G::ChecksumMode),
];

const LIST: &[Field] = &[field("x-amz-optional-object-attributes", G::ListAttributes)];

const ATTRIBUTES: &[Field] = &[
    READ_IF_MATCH,
    READ_IF_MODIFIED_SINCE,
    READ_IF_NONE_MATCH,
    READ_IF_UNMODIFIED_SINCE,
    field("x-amz-max-parts", G::MaxParts),
    field("x-amz-object-attributes", G::ObjectAttributes),
    field("x-amz-part-number-marker", G::PartPosition),
];

const BODY: &[Field] = &[
    CONTENT_MD5,
    CONTENT_TYPE,
    CHECKSUM_ALGORITHM,
    CHECKSUM_CRC32,
    CHECKSUM_CRC32C,
    CHECKSUM_CRC64NVME,
    CHECKSUM_SHA1,
    CHECKSUM_SHA256,
    SDK_CHECKSUM_ALGORITHM,
];

const COMPLETE: &[Field] = &[
    CONTENT_MD5,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    field("x-amz-checksum-crc32", G::ObjectChecksum(A::Crc32)),
    field("x-amz-checksum-crc32c", G::ObjectChecksum(A::Crc32c)),
    field("x-amz-checksum-crc64nvme", G::ObjectChecksum(A::Crc64Nvme)),
    field("x-amz-checksum-sha1", G::ObjectChecksum(A::Sha1)),
    field("x-amz-checksum-sha256", G::ObjectChecksum(A::Sha256)),
    CHECKSUM_TYPE,
    field("x-amz-mp-object-size", G::ObjectSize),
    SDK_CHECKSUM_ALGORITHM,
];

impl Headers {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::List,
        Self::Read,
        Self::Attributes,
        Self::Write,
        Self::Create,
        Self::Copy,
        Self::CopyPart,
        Self::Body,
        Self::Complete,
        Self::Delete,
    ];

    /// Returns the headers that may pass.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Plain | Self::Delete => &[],
            Self::List => LIST,
            Self::Read => READ,
            Self::Attributes => ATTRIBUTES,
            Self::Write => WRITE,
            Self::Create => CREATE,
            Self::Copy => COPY,
            Self::CopyPart => COPY_PART,
            Self::Body => BODY,
            Self::Complete => COMPLETE,
        }
    }

    /// Returns the entry that lets a header pass. `name` is in lower case.
    pub fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| matches(field.name, name))
    }

    /// Returns why a header is refused that does not pass and that the store would ignore to the client's harm. MinIO
    /// deletes and writes without regard to such a condition, and replaces an object by the tail that a resumed upload
    /// sends.
    pub(crate) fn refuse(self, name: &str) -> Option<(Rule, &'static str)> {
        let writes = matches!(
            self,
            Self::Write
                | Self::Create
                | Self::Copy
                | Self::CopyPart
                | Self::Body
                | Self::Complete
                | Self::Delete
        );
        match name {
            "if-match" | "if-none-match" if writes => {
                Some((Rule::Condition, "is not honoured by the store for this operation"))
            }
            "if-modified-since" | "if-unmodified-since" if writes => {
                Some((Rule::Condition, "is not honoured by the store when it writes or deletes"))
            }
            // Lists and bucket settings have no entity tag or modification time.
            "if-match" | "if-unmodified-since" => {
                Some((Rule::Condition, "is honoured for objects and their attributes alone"))
            }
            "content-range" if writes => Some((
                Rule::BadArgument,
                "asks for a part of an object to be written: send the whole object, or use multipart upload",
            )),
            _ => None,
        }
    }
}

/// Prefixes of headers that change a request's meaning. If no row lets such a header pass, the request is refused,
/// because MinIO would act on it or would not do what it asks for. Every other `x-amz-*` header is dropped, as S3
/// ignores headers it does not know: SDKs and CDNs add new ones with each release.
pub(crate) const MEANINGFUL: [&str; 13] = [
    "x-amz-bucket-object-lock-",
    "x-amz-bucket-replication-",
    "x-amz-bypass-",
    "x-amz-copy-source-",
    "x-amz-grant-",
    "x-amz-if-",
    "x-amz-object-lock-",
    "x-amz-object-tagging",
    "x-amz-rename-",
    "x-amz-replication-",
    "x-amz-server-side-encryption",
    "x-amz-website-",
    "x-amz-write-",
];

/// Returns whether a header changes the request's meaning. `name` is in lower case.
pub(crate) fn changes_meaning(name: &str) -> bool {
    MEANINGFUL.iter().any(|start| name.starts_with(start)) && !is_listed(name)
}

/// Returns whether some row uses a header, so that it can be dropped from requests of other rows.
fn is_listed(name: &str) -> bool {
    name == "x-amz-copy-source" || Headers::ALL.iter().any(|class| class.field(name).is_some())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_pass_by_name_or_prefix() {
        let passes = |class: Headers, name| class.field(name).is_some();
        assert!(passes(Headers::Write, "x-amz-checksum-crc64nvme") && passes(Headers::Write, "x-amz-meta-a"));
        assert!(!passes(Headers::Write, "x-amz-checksum") && !passes(Headers::Write, "range"));
        assert!(!passes(Headers::Write, "x-amz-checksum-crc32x"), "checksums have exact names");
        assert!(passes(Headers::Read, "range") && !passes(Headers::Read, "content-type"));
        assert!(!changes_meaning("x-amz-copy-source-if-match") && !changes_meaning("x-amz-copy-source"));
        assert!(
            changes_meaning("x-amz-object-lock-mode")
                && changes_meaning("x-amz-copy-source-server-side-encryption-a")
        );
        assert!(!changes_meaning("x-amz-te") && !changes_meaning("x-amz-acl"));
        assert!(
            Headers::Delete.refuse("if-match").is_some() && Headers::Plain.refuse("if-none-match").is_none()
        );
        assert!(Headers::List.refuse("if-match").is_some() && Headers::List.refuse("range").is_none());
    }

    /// No class passes a header that Scopegate sets itself or that belongs to the connection.
    #[test]
    fn no_class_passes_headers_that_scopegate_sets() {
        for name in [
            "authorization",
            "connection",
            "content-length",
            "cookie",
            "expect",
            "host",
            "prefix",
            "transfer-encoding",
            "x-amz-acl",
            "x-amz-bypass-governance-retention",
            "x-amz-content-sha256",
            "x-amz-copy-source",
            "x-amz-date",
            "x-amz-security-token",
            "x-forwarded-for",
            "x-minio-force-delete",
        ] {
            assert!(Headers::ALL.iter().all(|class| class.field(name).is_none()), "{name}");
        }
    }
}
