//! Answers of Scopegate's own: which rule refused, as S3 says such things.

use crate::s3_operation::Operation;
use crate::verb::Verbs;
use http::StatusCode;
use http1::{Malformed, Reason};
use std::fmt;

/// The response header that names the [`Rule`].
pub const RULE_HEADER: &str = "x-scopegate-rule";

/// Why Scopegate answers a request itself. Each has a name, which is shown in the response, the log and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The client matches no mapping.
    NoMapping,
    /// Bucket or key lie outside the mapping's scopes.
    OutsideScope,
    /// The scope does not allow what the operation needs.
    RightNotGranted,
    /// There are no keys below a folder that was to be listed.
    NoSuchFolder,
    /// The source of a copy lies outside what the mapping may read.
    CopySource,
    /// The message breaks HTTP/1.1.
    MalformedRequest,
    /// A version of HTTP that is not spoken.
    HttpVersion,
    /// A transfer coding that is not understood.
    TransferCoding,
    /// An expectation that cannot be met.
    Expectation,
    /// The head is too long, or has too many fields.
    HeaderTooLarge,
    /// The request line alone is too long.
    TargetTooLong,
    /// The head did not arrive in time.
    RequestTimeout,
    /// Host is missing or not one host.
    BadHost,
    /// Host is neither an address nor one of the listener's names.
    ForeignHost,
    /// A browser sends it on behalf of another site.
    CrossSite,
    /// A browser asks for the script of a service worker.
    ServiceWorker,
    /// A browser asks for an object with an override that could make it run.
    ActiveOverride,
    /// The target is not one unambiguous bucket, key and query.
    BadTarget,
    /// A question that S3 has and no right grants.
    UnknownOperation,
    /// A request that would change something, and that no right grants.
    NotOffered,
    /// The path is known, and nothing can be done there with this method.
    MethodNotAllowed,
    /// The operation is known, the query parameter is not.
    UnknownQuery,
    /// A header that is never let through.
    ForbiddenHeader,
    /// A header that asks for something that is not supported.
    UnknownHeader,
    /// A condition that the store would ignore.
    Condition,
    /// A header that cannot be forwarded as it is.
    BadHeader,
    /// A query parameter with a value that it cannot have.
    BadArgument,
    /// A checksum header that is no checksum of its algorithm, or one too many.
    BadChecksum,
    /// A `Content-MD5` that is no MD5.
    InvalidDigest,
    /// Tags that no object can have.
    InvalidTag,
    /// A storage class that the store does not have.
    InvalidStorageClass,
    /// An upload id that names no multipart upload.
    NoSuchUpload,
    /// A body that is not the document it has to be.
    MalformedDocument,
    /// A part of a multipart upload has an entity tag or checksum that no part has.
    InvalidPart,
    /// The parts of a multipart upload are not in ascending order.
    PartOrder,
    /// The body has no length.
    LengthRequired,
    /// A body that must be held does not fit into memory, and no temporary file can be written.
    NoRoom,
    /// The body comes in a form that is not supported.
    PayloadForm,
    /// The body is longer than S3 takes at once.
    TooLarge,
    /// The client's body broke off.
    BadBody,
    /// The client's body does not match its `Content-MD5`.
    BadDigest,
    /// The client's body does not match its checksum.
    ChecksumMismatch,
    /// Too many requests of the mapping run and wait.
    QueueFull,
    /// The request waited too long for its turn.
    QueueTimeout,
    /// The mapping sends more requests a second than it may.
    RateLimited,
    /// There is no memory left for what the client sends or does not read.
    MemoryFull,
    /// The client's aws-chunked body is malformed, or not what was announced.
    BadEnvelope,
    /// The user metadata is larger than S3 takes.
    MetadataTooLarge,
    /// There is no session, and none can be had now.
    NoSession,
    /// The session was replaced while a body was already on its way.
    SessionReplaced,
    /// Scopegate ends, and what ran was given up.
    ShuttingDown,
    /// No upstream could be reached, or it broke off before answering.
    Upstream,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// Scopegate itself failed.
    Internal,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 54] = [
        Self::NoMapping,
        Self::OutsideScope,
        Self::RightNotGranted,
        Self::NoSuchFolder,
        Self::CopySource,
        Self::MalformedRequest,
        Self::HttpVersion,
        Self::TransferCoding,
        Self::Expectation,
        Self::HeaderTooLarge,
        Self::TargetTooLong,
        Self::RequestTimeout,
        Self::BadHost,
        Self::ForeignHost,
        Self::CrossSite,
        Self::ServiceWorker,
        Self::ActiveOverride,
        Self::BadTarget,
        Self::UnknownOperation,
        Self::NotOffered,
        Self::MethodNotAllowed,
        Self::UnknownQuery,
        Self::ForbiddenHeader,
        Self::UnknownHeader,
        Self::Condition,
        Self::BadHeader,
        Self::BadArgument,
        Self::BadChecksum,
        Self::InvalidDigest,
        Self::InvalidTag,
        Self::InvalidStorageClass,
        Self::NoSuchUpload,
        Self::MalformedDocument,
        Self::InvalidPart,
        Self::PartOrder,
        Self::LengthRequired,
        Self::NoRoom,
        Self::PayloadForm,
        Self::TooLarge,
        Self::BadBody,
        Self::BadDigest,
        Self::ChecksumMismatch,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::RateLimited,
        Self::MemoryFull,
        Self::BadEnvelope,
        Self::MetadataTooLarge,
        Self::NoSession,
        Self::SessionReplaced,
        Self::ShuttingDown,
        Self::Upstream,
        Self::UpstreamTimeout,
        Self::Internal,
    ];

    /// The name in headers, logs and metrics.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The status it is answered with.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The S3 error code it is answered with.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
    pub const fn code(self) -> &'static str {
        self.row().2
    }

    /// What the client can do about it, where the message does not say so. It names nothing of the configuration, which
    /// clients do not write.
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::NoMapping | Self::OutsideScope => Some("Ask the operator of this service for access."),
            Self::RightNotGranted => Some("Ask the operator of this service for this right."),
            Self::CopySource => Some("Copy from what this client may read."),
            Self::NoSuchFolder => Some("Look at the folder above, and at how the name is spelled."),
            Self::UnknownOperation | Self::UnknownQuery => {
                Some("The documentation lists what is supported, under Operations.")
            }
            _ => None,
        }
    }

    /// What the operator can change so that such a request is allowed: for the log and `explain`.
    pub const fn help(self) -> Option<&'static str> {
        match self {
            Self::NoMapping => Some("add a [[mapping]] whose client matches"),
            Self::OutsideScope => Some("add a [[mapping.scope]] that covers this"),
            Self::RightNotGranted => Some("add the right to allow of the scope"),
            Self::CopySource => Some("add \"read\" to allow of a scope that covers the source"),
            Self::ForeignHost => Some("add the name to hosts of the listener"),
            Self::TooLarge => {
                Some("S3 takes 5 GiB at once; raise max_object_size of the scope if that is lower")
            }
            Self::QueueFull | Self::QueueTimeout | Self::RateLimited | Self::MemoryFull => {
                Some("docs/running.md says how the [limits] divide what there is")
            }
            _ => None,
        }
    }

    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::NoMapping => ("no-mapping", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::OutsideScope => ("outside-scope", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::RightNotGranted => ("right-not-granted", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::NoSuchFolder => ("no-such-folder", StatusCode::NOT_FOUND, "NoSuchKey"),
            Self::CopySource => ("copy-source", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::MalformedRequest => ("malformed-request", StatusCode::BAD_REQUEST, "InvalidRequest"),
            Self::HttpVersion => {
                ("http-version", StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HttpVersionNotSupported")
            }
            Self::TransferCoding => ("transfer-coding", StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::Expectation => ("expectation", StatusCode::EXPECTATION_FAILED, "InvalidRequest"),
            Self::TargetTooLong => ("target-too-long", StatusCode::URI_TOO_LONG, "KeyTooLongError"),
            Self::HeaderTooLarge => (
                "header-too-large",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "RequestHeaderSectionTooLarge",
            ),
            Self::RequestTimeout => ("request-timeout", StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            Self::BadHost => ("bad-host", StatusCode::BAD_REQUEST, "InvalidRequest"),
            Self::ForeignHost => ("foreign-host", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::CrossSite => ("cross-site", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::ServiceWorker => ("service-worker", StatusCode::FORBIDDEN, "AccessDenied"),
            // As S3 answers overrides in a request that is not signed.
            Self::ActiveOverride => ("active-override", StatusCode::BAD_REQUEST, "InvalidRequest"),
            Self::BadTarget => ("bad-target", StatusCode::BAD_REQUEST, "InvalidURI"),
            Self::UnknownOperation => ("unknown-operation", StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::NotOffered => ("not-offered", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed")
            }
            Self::UnknownQuery => ("unknown-query", StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::ForbiddenHeader => ("forbidden-header", StatusCode::FORBIDDEN, "AccessDenied"),
            Self::UnknownHeader => ("unknown-header", StatusCode::BAD_REQUEST, "InvalidRequest"),
            // As S3 answers a condition that it does not know of the operation.
            Self::Condition => ("condition", StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::BadHeader => ("bad-header", StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::BadArgument => ("bad-argument", StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::BadChecksum => ("bad-checksum", StatusCode::BAD_REQUEST, "InvalidRequest"),
            Self::InvalidDigest => ("invalid-digest", StatusCode::BAD_REQUEST, "InvalidDigest"),
            Self::InvalidTag => ("invalid-tag", StatusCode::BAD_REQUEST, "InvalidTag"),
            Self::InvalidStorageClass => {
                ("invalid-storage-class", StatusCode::BAD_REQUEST, "InvalidStorageClass")
            }
            Self::NoSuchUpload => ("no-such-upload", StatusCode::NOT_FOUND, "NoSuchUpload"),
            Self::MalformedDocument => ("malformed-document", StatusCode::BAD_REQUEST, "MalformedXML"),
            Self::InvalidPart => ("invalid-part", StatusCode::BAD_REQUEST, "InvalidPart"),
            Self::PartOrder => ("part-order", StatusCode::BAD_REQUEST, "InvalidPartOrder"),
            Self::LengthRequired => ("length-required", StatusCode::LENGTH_REQUIRED, "MissingContentLength"),
            Self::NoRoom => ("no-room", StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Self::PayloadForm => ("payload-form", StatusCode::BAD_REQUEST, "InvalidRequest"),
            Self::TooLarge => ("too-large", StatusCode::BAD_REQUEST, "EntityTooLarge"),
            Self::BadBody => ("bad-body", StatusCode::BAD_REQUEST, "IncompleteBody"),
            Self::BadDigest => ("bad-digest", StatusCode::BAD_REQUEST, "BadDigest"),
            Self::ChecksumMismatch => {
                ("checksum-mismatch", StatusCode::BAD_REQUEST, "XAmzContentChecksumMismatch")
            }
            Self::QueueFull => ("queue-full", StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Self::QueueTimeout => ("queue-timeout", StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Self::RateLimited => ("rate-limited", StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::MemoryFull => ("memory-full", StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Self::BadEnvelope => ("bad-envelope", StatusCode::BAD_REQUEST, "InvalidRequest"),
            Self::MetadataTooLarge => ("metadata-too-large", StatusCode::BAD_REQUEST, "MetadataTooLarge"),
            Self::NoSession => ("no-session", StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::SessionReplaced => ("session-replaced", StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Self::ShuttingDown => ("shutting-down", StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::Upstream => ("upstream", StatusCode::BAD_GATEWAY, "InternalError"),
            Self::UpstreamTimeout => ("upstream-timeout", StatusCode::GATEWAY_TIMEOUT, "InternalError"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }
}

/// A request that Scopegate answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refused.
    pub rule: Rule,
    /// For the client: what was wrong, and how to ask differently.
    pub message: String,
    /// When it is worth trying again, in seconds.
    pub retry_after: Option<u64>,
    /// The operation that was asked for, where that is known.
    pub operation: Option<Operation>,
    /// For a method that cannot be used: those that can be.
    pub allow: Option<Verbs>,
    /// For the operator: what to change, where more can be said than [`Rule::help`] does.
    help: Option<Box<str>>,
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(malformed.reason.into(), malformed.why)
    }
}

impl From<Reason> for Rule {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::InvalidSyntax => Self::MalformedRequest,
            Reason::InvalidTarget => Self::BadTarget,
            Reason::TargetTooLong => Self::TargetTooLong,
            Reason::HeadTooLarge => Self::HeaderTooLarge,
            Reason::HeadTimeout => Self::RequestTimeout,
            Reason::InvalidHost => Self::BadHost,
            Reason::UnsupportedMethod => Self::UnknownOperation,
            Reason::UnsupportedVersion => Self::HttpVersion,
            Reason::UnsupportedExpectation => Self::Expectation,
            Reason::UnsupportedCoding => Self::TransferCoding,
            Reason::InvalidBody => Self::BadBody,
            Reason::OutOfMemory => Self::MemoryFull,
        }
    }
}

impl Refusal {
    /// A refusal by `rule`.
    pub fn new(rule: Rule, message: impl Into<String>) -> Self {
        Self { rule, message: message.into(), retry_after: None, operation: None, allow: None, help: None }
    }

    /// Names the operation that was asked for.
    #[must_use]
    pub fn of(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Adds what the operator can change so that such a request is allowed.
    #[must_use]
    pub fn with_help(self, help: impl Into<Box<str>>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// What the operator can change so that such a request is allowed: for the log and `explain`, never for clients.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref().or(self.rule.help())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.rule.code(), self.rule.name(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_rules_has_each_with_its_status_and_code() {
        let page = include_str!("../docs/reference/rules.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for rule in Rule::ALL {
            let row = format!("| `{}` | {} | {} |", rule.name(), rule.status().as_u16(), rule.code());
            assert!(rows.iter().any(|line| line.starts_with(&row)), "docs/reference/rules.md lacks {row}");
        }
        assert_eq!(rows.len(), Rule::ALL.len());
    }

    #[test]
    fn rules_have_names_of_their_own() {
        for (index, rule) in Rule::ALL.iter().enumerate() {
            assert!(Rule::ALL.iter().skip(index + 1).all(|other| other.name() != rule.name()));
            assert_eq!(*rule as usize, index, "ALL is in order");
        }
    }
}
