//! Refusals: the rules that reject a request, and what clients and operators are told.
//!
//! May use: `s3`.

use crate::s3::operation::Operation;
use crate::s3::verb::Verbs;
use http::{HeaderValue, StatusCode};
use http1::{Malformed, Reason};
use std::fmt;

/// The response header that names the [`Rule`].
pub(crate) const RULE_HEADER: &str = "x-scopegate-rule";

/// Declares [`Rule`] from its table: each rule with its name, its status and its S3 error code.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident: $name:literal, $status:ident, $code:literal;)*) => {
        /// A rule by which Scopegate refuses a request. The response, the log and the metrics show its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule, in the order of the table.
            pub const ALL: [Self; [$(Self::$rule),*].len()] = [$(Self::$rule),*];

            const fn row(self) -> (&'static str, StatusCode, &'static str) {
                match self {
                    $(Self::$rule => ($name, StatusCode::$status, $code),)*
                }
            }
        }
    };
}

rules! {
    /// The client matches no mapping.
    NoMapping: "no-mapping", FORBIDDEN, "AccessDenied";
    /// The client would match a mapping with credentials, and sent none.
    CredentialsRequired: "credentials-required", UNAUTHORIZED, "AccessDenied";
    /// The client would match a mapping with a client certificate, and has none.
    CertificateRequired: "certificate-required", FORBIDDEN, "AccessDenied";
    /// The credentials do not verify.
    BadCredentials: "bad-credentials", UNAUTHORIZED, "AccessDenied";
    /// The request carries more than one credential.
    AmbiguousCredentials: "ambiguous-credentials", BAD_REQUEST, "InvalidRequest";
    /// The client's address sent too many credentials that do not verify.
    TooManyFailures: "too-many-failures", TOO_MANY_REQUESTS, "TooManyRequests";
    /// The credentials cannot be verified at the moment.
    CredentialsUnavailable: "credentials-unavailable", SERVICE_UNAVAILABLE, "ServiceUnavailable";
    /// The mapping has a prefix for each identity, and the client's cannot be one.
    IdentityNotAName: "identity-not-a-name", FORBIDDEN, "AccessDenied";
    /// As many identities of the mapping send requests as it allows at once.
    TooManyIdentities: "too-many-identities", SERVICE_UNAVAILABLE, "SlowDown";
    /// No local access key has this id.
    UnknownKey: "unknown-key", FORBIDDEN, "InvalidAccessKeyId";
    /// The local access key did not sign this.
    WrongSignature: "wrong-signature", FORBIDDEN, "SignatureDoesNotMatch";
    /// The time of the signature is too far from that of the server.
    RequestTimeSkewed: "request-time-skewed", FORBIDDEN, "RequestTimeTooSkewed";
    /// The presigned URL has expired.
    ExpiredSignature: "expired-signature", FORBIDDEN, "AccessDenied";
    /// A header that changes what the request means is not signed.
    HeaderNotSigned: "header-not-signed", FORBIDDEN, "AccessDenied";
    /// The signature in the `Authorization` header is malformed.
    MalformedSignature: "malformed-signature", BAD_REQUEST, "AuthorizationHeaderMalformed";
    /// The signature in the URL is malformed.
    MalformedPresigned: "malformed-presigned", BAD_REQUEST, "AuthorizationQueryParametersError";
    /// The version of the signature is not supported.
    UnsupportedSignature: "unsupported-signature", BAD_REQUEST, "InvalidRequest";
    /// A session token comes with a local access key.
    UnexpectedToken: "unexpected-token", BAD_REQUEST, "InvalidToken";
    /// The body is not signed, and others could change it on its way.
    UnsignedBody: "unsigned-body", FORBIDDEN, "AccessDenied";
    /// The body does not have the SHA-256 that is signed.
    ContentSha256: "content-sha256", BAD_REQUEST, "XAmzContentSHA256Mismatch";
    /// Bucket or key lie outside the mapping's scopes.
    OutsideScope: "outside-scope", FORBIDDEN, "AccessDenied";
    /// The scope does not allow what the operation needs.
    RightNotGranted: "right-not-granted", FORBIDDEN, "AccessDenied";
    /// The folder to list contains nothing.
    NoSuchFolder: "no-such-folder", NOT_FOUND, "NoSuchKey";
    /// The source of a copy lies outside what the mapping may read.
    CopySource: "copy-source", FORBIDDEN, "AccessDenied";
    /// The message breaks HTTP/1.1.
    MalformedRequest: "malformed-request", BAD_REQUEST, "InvalidRequest";
    /// The client speaks TLS to a port for plain HTTP.
    UnexpectedTls: "unexpected-tls", BAD_REQUEST, "InvalidRequest";
    /// The TLS connection was opened for another host.
    Misdirected: "misdirected", MISDIRECTED_REQUEST, "InvalidRequest";
    /// The version of HTTP is not supported.
    HttpVersion: "http-version", HTTP_VERSION_NOT_SUPPORTED, "HttpVersionNotSupported";
    /// The transfer coding is not supported.
    TransferCoding: "transfer-coding", NOT_IMPLEMENTED, "NotImplemented";
    /// The expectation cannot be met.
    Expectation: "expectation", EXPECTATION_FAILED, "InvalidRequest";
    /// The head is too long, or has too many fields.
    HeaderTooLarge: "header-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestHeaderSectionTooLarge";
    /// The request line alone is too long.
    TargetTooLong: "target-too-long", URI_TOO_LONG, "KeyTooLongError";
    /// The head did not arrive in time.
    RequestTimeout: "request-timeout", REQUEST_TIMEOUT, "RequestTimeout";
    /// A load balancer's header does not tell whose request it passes on.
    BadForwarded: "bad-forwarded", BAD_REQUEST, "InvalidRequest";
    /// The Host header is missing, or does not name exactly one host.
    BadHost: "bad-host", BAD_REQUEST, "InvalidRequest";
    /// The Host header names neither an address nor one of the listener's hosts.
    ForeignHost: "foreign-host", FORBIDDEN, "AccessDenied";
    /// A browser sends it on behalf of another site.
    CrossSite: "cross-site", FORBIDDEN, "AccessDenied";
    /// A browser asks for the script of a service worker.
    ServiceWorker: "service-worker", FORBIDDEN, "AccessDenied";
    /// A browser requests an object with an override that could make it run.
    // S3 responds so to overrides in an unsigned request.
    ActiveOverride: "active-override", BAD_REQUEST, "InvalidRequest";
    /// The target is not one unambiguous bucket, key and query.
    BadTarget: "bad-target", BAD_REQUEST, "InvalidURI";
    /// A read operation of S3 that no right grants.
    UnknownOperation: "unknown-operation", NOT_IMPLEMENTED, "NotImplemented";
    /// A write operation of S3 that no right grants.
    NotOffered: "not-offered", FORBIDDEN, "AccessDenied";
    /// No operation at this path has this method.
    MethodNotAllowed: "method-not-allowed", METHOD_NOT_ALLOWED, "MethodNotAllowed";
    /// The operation does not have this query parameter.
    UnknownQuery: "unknown-query", BAD_REQUEST, "InvalidArgument";
    /// A header that is never forwarded.
    ForbiddenHeader: "forbidden-header", FORBIDDEN, "AccessDenied";
    /// A header that requests something unsupported.
    UnknownHeader: "unknown-header", BAD_REQUEST, "InvalidRequest";
    /// A condition that the store would ignore.
    // S3 responds so to conditions that the operation does not support.
    Condition: "condition", NOT_IMPLEMENTED, "NotImplemented";
    /// A header that cannot be forwarded as it is.
    BadHeader: "bad-header", BAD_REQUEST, "InvalidArgument";
    /// A query parameter with a value that it cannot have.
    BadArgument: "bad-argument", BAD_REQUEST, "InvalidArgument";
    /// A malformed checksum header, or more than one.
    BadChecksum: "bad-checksum", BAD_REQUEST, "InvalidRequest";
    /// A `Content-MD5` that is not an MD5 in base64.
    InvalidDigest: "invalid-digest", BAD_REQUEST, "InvalidDigest";
    /// Tags that S3 does not allow.
    InvalidTag: "invalid-tag", BAD_REQUEST, "InvalidTag";
    /// A storage class that the store does not support.
    InvalidStorageClass: "invalid-storage-class", BAD_REQUEST, "InvalidStorageClass";
    /// An upload id that names no multipart upload.
    NoSuchUpload: "no-such-upload", NOT_FOUND, "NoSuchUpload";
    /// A body that is not the required document.
    MalformedDocument: "malformed-document", BAD_REQUEST, "MalformedXML";
    /// A part of a multipart upload with a malformed entity tag or checksum.
    InvalidPart: "invalid-part", BAD_REQUEST, "InvalidPart";
    /// The parts of a multipart upload are not in ascending order.
    PartOrder: "part-order", BAD_REQUEST, "InvalidPartOrder";
    /// The body has no length.
    LengthRequired: "length-required", LENGTH_REQUIRED, "MissingContentLength";
    /// A body that must be held does not fit into memory, and no temporary file can be written.
    NoRoom: "no-room", SERVICE_UNAVAILABLE, "SlowDown";
    /// The body comes in a form that is not supported.
    PayloadForm: "payload-form", BAD_REQUEST, "InvalidRequest";
    /// The body is longer than S3 or the scope allows.
    TooLarge: "too-large", BAD_REQUEST, "EntityTooLarge";
    /// The client's body broke off.
    BadBody: "bad-body", BAD_REQUEST, "IncompleteBody";
    /// The client's body does not match its `Content-MD5`.
    BadDigest: "bad-digest", BAD_REQUEST, "BadDigest";
    /// The client's body does not match its checksum.
    ChecksumMismatch: "checksum-mismatch", BAD_REQUEST, "XAmzContentChecksumMismatch";
    /// Too many requests of the mapping are running or waiting.
    QueueFull: "queue-full", SERVICE_UNAVAILABLE, "SlowDown";
    /// The request waited too long for its turn.
    QueueTimeout: "queue-timeout", SERVICE_UNAVAILABLE, "SlowDown";
    /// The mapping sends more requests a second than it may.
    RateLimited: "rate-limited", TOO_MANY_REQUESTS, "TooManyRequests";
    /// No memory is left for bytes that the client sends or has not read.
    MemoryFull: "memory-full", SERVICE_UNAVAILABLE, "SlowDown";
    /// The client's aws-chunked body is malformed, or not what was announced.
    BadEnvelope: "bad-envelope", BAD_REQUEST, "InvalidRequest";
    /// The user metadata is larger than S3 allows.
    MetadataTooLarge: "metadata-too-large", BAD_REQUEST, "MetadataTooLarge";
    /// No session with the store is available.
    NoSession: "no-session", SERVICE_UNAVAILABLE, "ServiceUnavailable";
    /// The session was replaced while a body was already on its way.
    SessionReplaced: "session-replaced", SERVICE_UNAVAILABLE, "SlowDown";
    /// Scopegate is shutting down and gave up the request.
    ShuttingDown: "shutting-down", SERVICE_UNAVAILABLE, "ServiceUnavailable";
    /// No node of the store could be reached, or it broke off before responding.
    Upstream: "upstream", BAD_GATEWAY, "InternalError";
    /// The store did not respond in time.
    UpstreamTimeout: "upstream-timeout", GATEWAY_TIMEOUT, "InternalError";
    /// Scopegate itself failed.
    Internal: "internal", INTERNAL_SERVER_ERROR, "InternalError";
}

impl Rule {
    /// Returns the name in headers, logs and metrics.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Returns the status of the response.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Returns the S3 error code of the response.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
    pub const fn code(self) -> &'static str {
        self.row().2
    }

    /// Returns advice for the client, unless the message contains it. It reveals nothing of the configuration, which
    /// clients do not write.
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::NoMapping | Self::OutsideScope => Some("Ask the operator of this service for access."),
            Self::RightNotGranted => Some("Ask the operator of this service for this right."),
            Self::CopySource => Some("Copy from a source that this client may read."),
            Self::NoSuchFolder => Some("Check how the name is spelled, and look in the folder above."),
            Self::UnknownOperation | Self::UnknownQuery => {
                Some("See the list of supported operations in the documentation.")
            }
            _ => None,
        }
    }

    /// Returns advice for the operator on how to allow such a request, for the log and `explain`.
    pub const fn help(self) -> Option<&'static str> {
        match self {
            Self::NoMapping => Some("add a [[mapping]] whose client matches"),
            Self::CredentialsRequired => {
                Some("`scopegate explain` lists the mappings that the client would match with credentials")
            }
            Self::CertificateRequired => Some(
                "`scopegate explain --certificate FILE` shows the mapping that a client with this certificate gets",
            ),
            Self::IdentityNotAName => Some(
                "a name has 1 to 128 characters of a-z, A-Z, 0-9 and . _ @ = + -, begins with a letter or digit and does not \
                 end in '.': rename it, or use {sub:sha256} in prefix",
            ),
            Self::TooManyIdentities => Some("raise identities of the [[mapping]]"),
            Self::OutsideScope => Some("add a [[mapping.scope]] that covers this"),
            Self::RightNotGranted => Some("add the right to allow of the scope"),
            Self::CopySource => Some("add \"read\" to allow of a scope that covers the source"),
            Self::ForeignHost => Some("add the name to hosts of the listener"),
            Self::UnexpectedTls => Some("let the client use http://, or add tls to the listener"),
            Self::TooLarge => Some(
                "S3 accepts at most 5 GiB in one request; raise max_object_size of the scope if it is lower",
            ),
            Self::QueueFull | Self::QueueTimeout | Self::RateLimited | Self::MemoryFull => {
                Some("docs/running.md explains how [limits] are divided among clients and mappings")
            }
            _ => None,
        }
    }
}

/// A refused request. Scopegate responds to it without the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refused.
    pub rule: Rule,
    /// The problem and the remedy, for the client.
    pub message: String,
    /// The number of seconds after which to try again.
    pub retry_after: Option<u64>,
    /// The operation that was requested, if that is known.
    pub operation: Option<Operation>,
    /// The methods that are allowed, if this one is not.
    pub allow: Option<Verbs>,
    /// Advice for the operator, if it is more specific than [`Rule::help`].
    help: Option<Box<str>>,
    /// The underlying error, for the log only.
    cause: Option<Box<str>>,
    /// The ways in which the client can prove who it is.
    challenges: Vec<Challenge>,
}

/// The value of `WWW-Authenticate`: a way for the client to prove who it is (RFC 9110, section 11.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(HeaderValue);

impl Challenge {
    /// Makes a challenge from its header value, such as `Basic realm="s3", charset="UTF-8"`.
    pub const fn new(value: HeaderValue) -> Self {
        Self(value)
    }

    /// Returns the header value.
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }

    fn opens_dialogue(&self) -> bool {
        self.0.as_bytes().starts_with(b"Basic ")
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(malformed.reason.into(), malformed.why)
    }
}

impl From<Reason> for Rule {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::UnexpectedTls => Self::UnexpectedTls,
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
    /// Makes a refusal by `rule`.
    pub fn new(rule: Rule, message: impl Into<String>) -> Self {
        Self {
            rule,
            message: message.into(),
            retry_after: None,
            operation: None,
            allow: None,
            help: None,
            cause: None,
            challenges: Vec::new(),
        }
    }

    /// Sets the number of seconds after which to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Adds the underlying error. The log shows it, and clients never see it.
    #[must_use]
    pub fn caused_by(self, cause: &dyn fmt::Display) -> Self {
        Self { cause: Some(cause.to_string().into()), ..self }
    }

    /// Returns the underlying error, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Asks the client to prove who it is, in one of these ways.
    #[must_use]
    pub fn challenging(self, challenges: Vec<Challenge>) -> Self {
        Self { challenges, ..self }
    }

    /// Returns the ways in which the client can prove who it is.
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    /// Removes the challenges that make a browser ask its user for a password.
    #[must_use]
    pub fn without_dialogue(mut self) -> Self {
        self.challenges.retain(|challenge| !challenge.opens_dialogue());
        // RFC 9110 demands a challenge. No client knows this scheme.
        if self.challenges.is_empty() {
            self.challenges.push(Challenge::new(HeaderValue::from_static("X-Basic realm=\"scopegate\"")));
        }
        self
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.rule.status()
    }

    /// Sets the requested operation.
    #[must_use]
    pub fn of(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Adds advice for the operator on how to allow such a request.
    #[must_use]
    pub fn with_help(self, help: impl Into<Box<str>>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Returns advice for the operator, for the log and `explain`. Clients never see it.
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
    fn every_rule_is_documented_with_its_status_and_code() {
        let page = include_str!("../docs/reference/rules.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for rule in Rule::ALL {
            let row = format!("| `{}` | {} | {} |", rule.name(), rule.status().as_u16(), rule.code());
            assert!(rows.iter().any(|line| line.starts_with(&row)), "docs/reference/rules.md lacks {row}");
        }
        assert_eq!(rows.len(), Rule::ALL.len());
    }

    #[test]
    fn rule_names_are_unique() {
        for (index, rule) in Rule::ALL.iter().enumerate() {
            assert!(Rule::ALL.iter().skip(index + 1).all(|other| other.name() != rule.name()));
            assert_eq!(*rule as usize, index, "metrics index by the number of a rule");
        }
    }
}
