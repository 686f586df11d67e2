//! Which of a client's headers pass, by what they are for.
//!
//! A name that ends in `*` stands for every name that begins so.

use super::Headers;

/// Content headers, user metadata, checksums and conditions of an object that is written.
const WRITE: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "if-match",
    "if-none-match",
    "x-amz-checksum-*",
    "x-amz-meta-*",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-storage-class",
    "x-amz-tagging",
];

const COPY: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "if-match",
    "if-none-match",
    "x-amz-checksum-*",
    "x-amz-copy-source-if-*",
    "x-amz-meta-*",
    "x-amz-metadata-directive",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
];

const READ: &[&str] = &[
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "x-amz-checksum-mode",
];

const BODY: &[&str] = &["content-md5", "content-type", "x-amz-checksum-*", "x-amz-sdk-checksum-algorithm"];

const COMPLETE: &[&str] = &[
    "content-md5",
    "content-type",
    "if-match",
    "if-none-match",
    "x-amz-checksum-*",
    "x-amz-mp-object-size",
    "x-amz-sdk-checksum-algorithm",
];

impl Headers {
    /// Every class.
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::List,
        Self::Read,
        Self::Attributes,
        Self::Write,
        Self::Copy,
        Self::CopyPart,
        Self::Body,
        Self::Complete,
        Self::Delete,
    ];

    /// The names that pass.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Delete => &[],
            Self::List => &["x-amz-optional-object-attributes"],
            Self::Read => READ,
            Self::Attributes => &["x-amz-max-parts", "x-amz-object-attributes", "x-amz-part-number-marker"],
            Self::Write => WRITE,
            Self::Copy => COPY,
            Self::CopyPart => &["x-amz-copy-source-if-*", "x-amz-copy-source-range"],
            Self::Body => BODY,
            Self::Complete => COMPLETE,
        }
    }

    /// Whether a header passes. `name` is in lower case.
    pub fn pass(self, name: &str) -> bool {
        self.names().iter().any(|pattern| matches(pattern, name))
    }

    /// Whether a header asks for what the store would ignore, to the client's harm: MinIO deletes whatever the
    /// condition says.
    pub fn refuse(self, name: &str) -> bool {
        self == Self::Delete && matches!(name, "if-match" | "if-none-match" | "if-unmodified-since")
    }
}

/// Whether any operation has a use for a header, so that it is left out elsewhere and not refused.
pub fn is_known(name: &str) -> bool {
    Headers::ALL.iter().any(|class| class.pass(name))
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
    fn names_and_beginnings() {
        assert!(Headers::Write.pass("x-amz-checksum-crc64nvme") && Headers::Write.pass("x-amz-meta-a"));
        assert!(!Headers::Write.pass("x-amz-checksum") && !Headers::Write.pass("range"));
        assert!(Headers::Read.pass("range") && !Headers::Read.pass("content-type"));
        assert!(is_known("x-amz-copy-source-if-match") && !is_known("x-amz-copy-source"));
        assert!(Headers::Delete.refuse("if-match") && !Headers::Plain.refuse("if-match"));
    }

    /// No class lets through what Scopegate sets itself or what belongs to a connection.
    #[test]
    fn what_is_scopegates_own_is_in_no_class() {
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
            assert!(!is_known(name), "{name}");
        }
    }
}
