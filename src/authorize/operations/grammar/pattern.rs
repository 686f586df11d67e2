//! The form of each value that the store receives, for the documentation. Tests check it against the code.

use super::{Algorithm, Dialect, Grammar};

/// The form of a value that the store receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A key, or a prefix of one.
    Key,
    /// The base64 of a key.
    EncodedKey,
    /// A value that this regular expression matches.
    Pattern(&'static str),
}

const TEXT: &str = r"^[^\x00-\x08\x0a-\x1f\x7f]{1,1024}$";

impl Grammar {
    /// Returns the form of the value that this kind of store receives.
    pub const fn form(self, dialect: Dialect) -> Form {
        let is_minio = matches!(dialect, Dialect::Minio);
        Form::Pattern(match self {
            Self::Prefix | Self::Position => return Form::Key,
            Self::ContinuationToken if is_minio => return Form::EncodedKey,
            Self::ContinuationToken => r"^[A-Za-z0-9+/=_.~-]{1,2048}$",
            // `If-Range` becomes `If-Match` or `If-Unmodified-Since`.
            Self::Flag | Self::IfRange => r"^$",
            Self::BucketPrefix => r"^[a-z0-9.-]{0,63}$",
            Self::VersionId | Self::VersionPosition if is_minio => {
                r"^(null|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
            }
            Self::VersionId | Self::VersionPosition => r"^[A-Za-z0-9._~-]{1,1024}$",
            Self::UploadId | Self::UploadPosition if is_minio => r"^[A-Za-z0-9_-]{100,128}$",
            Self::UploadId | Self::UploadPosition => r"^[A-Za-z0-9._~+=-]{1,512}$",
            Self::PartNumber | Self::MaxBuckets => r"^([1-9][0-9]{0,3}|10000)$",
            Self::PartPosition => r"^(0|[1-9][0-9]{0,3}|10000)$",
            Self::MaxKeys => r"^(0|[1-9][0-9]{0,2}|1000)$",
            Self::MaxParts => r"^([1-9][0-9]{0,2}|1000)$",
            Self::Delimiter => r"^[^\x00-\x1f\x7f]{1,16}$",
            Self::EncodingType => r"^url$",
            Self::Boolean => r"^(true|false)$",
            Self::Override | Self::ContentText => TEXT,
            Self::Range => r"^bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})$",
            Self::CopyRange => r"^bytes=[0-9]{1,18}-[0-9]{1,18}$",
            Self::IfMatch | Self::IfNoneMatch if is_minio => {
                r#"^(\*|"[A-Za-z0-9-]{1,128}"(, "[A-Za-z0-9-]{1,128}"){0,63}|[A-Za-z0-9-]{1,128})$"#
            }
            Self::IfMatch | Self::IfNoneMatch => {
                r#"^(\*|"[^\x00-\x20"\x7f]{1,128}"(, "[^\x00-\x20"\x7f]{1,128}"){0,63}|[^\x00-\x20"\x7f]{1,128})$"#
            }
            Self::IfMatchOfWrite | Self::IfNoneMatchOfWrite if is_minio => {
                r#"^(\*|"[A-Za-z0-9-]{1,128}"|[A-Za-z0-9-]{1,128})$"#
            }
            Self::IfMatchOfWrite | Self::IfNoneMatchOfWrite => {
                r#"^(\*|"[^\x00-\x20"\x7f]{1,128}"|[^\x00-\x20"\x7f]{1,128})$"#
            }
            Self::Date | Self::Expires => {
                "^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$"
            }
            Self::ContentType => r"^[\x20-\x7e\t]{1,256}$",
            Self::ContentEncoding => r"^[!#$%&'*+.^_`|~0-9A-Za-z, -]{1,128}$",
            Self::Metadata => r"^[^\x00-\x08\x0a-\x1f\x7f]*$",
            Self::Tagging => {
                r"^[A-Za-z0-9%._~-]{1,384}=[A-Za-z0-9%._~-]{0,768}(&[A-Za-z0-9%._~-]{1,384}=[A-Za-z0-9%._~-]{0,768}){0,9}$"
            }
            Self::Directive => r"^(COPY|REPLACE)$",
            Self::StorageClass if is_minio => r"^(STANDARD|REDUCED_REDUNDANCY)$",
            Self::StorageClass => r"^[A-Z0-9_]{1,64}$",
            Self::Checksum(algorithm) => return checksum(algorithm, false),
            Self::ObjectChecksum(algorithm) => return checksum(algorithm, true),
            Self::ChecksumAlgorithm | Self::SdkChecksumAlgorithm => r"^(CRC32|CRC32C|CRC64NVME|SHA1|SHA256)$",
            Self::ChecksumType => r"^(FULL_OBJECT|COMPOSITE)$",
            Self::ChecksumMode => r"^ENABLED$",
            Self::ObjectSize => r"^[0-9]{1,13}$",
            Self::ObjectAttributes => {
                r"^(ETag|Checksum|ObjectParts|StorageClass|ObjectSize)(,(ETag|Checksum|ObjectParts|StorageClass|ObjectSize)){0,4}$"
            }
            Self::ListAttributes => r"^RestoreStatus$",
        })
    }
}

/// Returns the base64 of as many bytes as the algorithm's checksums have.
const fn checksum(algorithm: Algorithm, of_parts: bool) -> Form {
    Form::Pattern(match (algorithm.size(), of_parts) {
        (4, false) => r"^[A-Za-z0-9+/]{6}==$",
        (4, true) => r"^[A-Za-z0-9+/]{6}==(-[1-9][0-9]{0,4})?$",
        (8, false) => r"^[A-Za-z0-9+/]{11}=$",
        (8, true) => r"^[A-Za-z0-9+/]{11}=(-[1-9][0-9]{0,4})?$",
        (16, _) => r"^[A-Za-z0-9+/]{22}==$",
        (20, false) => r"^[A-Za-z0-9+/]{27}=$",
        (20, true) => r"^[A-Za-z0-9+/]{27}=(-[1-9][0-9]{0,4})?$",
        (_, false) => r"^[A-Za-z0-9+/]{43}=$",
        (_, true) => r"^[A-Za-z0-9+/]{43}=(-[1-9][0-9]{0,4})?$",
    })
}
