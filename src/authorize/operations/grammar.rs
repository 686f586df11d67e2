//! Grammars of request values: what each query parameter and header may contain, and how it is spelled for the store.
//!
//! MinIO reads structure into values that S3 calls opaque: a list position holds a path, an upload id names a folder,
//! the checksum of a multipart object ends in a count. No policy checks any of them. So each value is decoded as
//! leniently as the store decodes it, checked against one grammar, and spelled again from its meaning. A value
//! outside its grammar is refused, or dropped where HTTP or S3 says to ignore it.

mod conditions;
mod content;
mod id;
mod numbers;
mod pattern;
mod position;

use crate::refusal::Rule;
use crate::s3::checksum::{Algorithm, Checksum};
use crate::s3::names::check_segments;
use crate::s3::target::Spelling;

pub(crate) use conditions::{NO_TAG, tags_of_store};
pub(crate) use id::began_at;
pub(crate) use numbers::copied_range;
pub use pattern::Form;
pub(crate) use position::key_of_position;

/// The kind of store behind the proxy. It decides how strict the grammars of ids and positions are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// MinIO: version ids are UUIDs, upload ids name a deployment and an upload, and positions are keys.
    #[default]
    Minio,
    /// Any other S3 store: ids and continuation tokens are opaque.
    S3,
}

/// The reason a value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// The rule that refuses it.
    pub rule: Rule,
    /// What is expected instead.
    pub expected: &'static str,
}

impl BadValue {
    const fn argument(expected: &'static str) -> Self {
        Self { rule: Rule::BadArgument, expected }
    }
}

/// A value's spelling for the store, or the reason it is refused.
pub(crate) type Read = Result<Spelling, BadValue>;

/// The grammar of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grammar {
    /// A name without a value.
    Flag,
    /// A prefix of keys.
    Prefix,
    /// A prefix of bucket names.
    BucketPrefix,
    /// The key after which a list starts.
    Position,
    /// A list position that the store issued.
    ContinuationToken,
    /// A version of an object.
    VersionId,
    /// The version after which a list of versions starts.
    VersionPosition,
    /// A multipart upload.
    UploadId,
    /// The upload after which a list of uploads starts.
    UploadPosition,
    /// A part number: 1 to 10000.
    PartNumber,
    /// The part after which a list starts: 0 to 10000.
    PartPosition,
    /// The maximum number of entries of a list: 0 to 1000.
    MaxKeys,
    /// The maximum number of parts of a list: 1 to 1000.
    MaxParts,
    /// The maximum number of buckets of a list: 1 to 10000.
    MaxBuckets,
    /// The delimiter by which a list groups keys.
    Delimiter,
    /// `url`.
    EncodingType,
    /// `true` or `false`.
    Boolean,
    /// A header of the response.
    Override,
    /// The byte range of a read.
    Range,
    /// The byte range of a copied part.
    CopyRange,
    /// `If-Match` of a read: a list of entity tags.
    IfMatch,
    /// `If-Match` of a write or of a copy's source: one entity tag.
    IfMatchOfWrite,
    /// `If-None-Match` of a read: a list of entity tags.
    IfNoneMatch,
    /// `If-None-Match` of a write or of a copy's source.
    IfNoneMatchOfWrite,
    /// A condition on an object's modification time.
    Date,
    /// `If-Range`: an entity tag or a time.
    IfRange,
    /// A media type.
    ContentType,
    /// A descriptive text about an object.
    ContentText,
    /// Content codings of an object.
    ContentEncoding,
    /// The expiry time of an object.
    Expires,
    /// User metadata.
    Metadata,
    /// Tags of an object.
    Tagging,
    /// `COPY` or `REPLACE`.
    Directive,
    /// A storage class.
    StorageClass,
    /// A checksum of a body.
    Checksum(Algorithm),
    /// A checksum of an object, which may be a checksum of its parts' checksums.
    ObjectChecksum(Algorithm),
    /// The algorithm of an object's checksum.
    ChecksumAlgorithm,
    /// The algorithm that the SDK uses.
    SdkChecksumAlgorithm,
    /// `FULL_OBJECT` or `COMPOSITE`.
    ChecksumType,
    /// `ENABLED`.
    ChecksumMode,
    /// The size of an object, in bytes.
    ObjectSize,
    /// The attributes to return.
    ObjectAttributes,
    /// The optional attributes of a list.
    ListAttributes,
}

impl Grammar {
    /// Checks a decoded value and returns its spelling for the store.
    ///
    /// # Errors
    /// When the value is outside the grammar.
    pub fn read(self, value: &str, dialect: Dialect) -> Read {
        match self {
            Self::Flag => Ok(respelled(value, String::new())),
            Self::Prefix => prefix(value),
            Self::BucketPrefix => position::bucket_prefix(value),
            Self::Position => position::position(value),
            Self::ContinuationToken => position::continuation_token(value, dialect),
            Self::VersionPosition | Self::UploadPosition if value.is_empty() => Ok(Spelling::LeftOut),
            Self::VersionId | Self::VersionPosition => id::version(value, dialect),
            Self::UploadPosition => id::upload_position(value, dialect),
            Self::UploadId => id::upload(value, dialect),
            Self::PartNumber => numbers::part(value, 1),
            Self::PartPosition => numbers::part(value, 0),
            Self::MaxKeys => numbers::at_most(value, 0, 1000),
            Self::MaxParts => numbers::at_most(value, 1, 1000),
            Self::MaxBuckets => numbers::at_most(value, 1, 10_000),
            Self::ObjectSize => numbers::size(value),
            Self::Delimiter => position::delimiter(value),
            Self::Range => Ok(numbers::range(value)),
            Self::CopyRange => numbers::copy_range(value),
            Self::IfMatch => conditions::if_match(value, dialect),
            Self::IfNoneMatch => conditions::if_none_match(value, dialect),
            Self::IfMatchOfWrite | Self::IfNoneMatchOfWrite => conditions::if_match_of_write(value, dialect),
            Self::IfRange => Ok(conditions::if_range(value, dialect)),
            Self::Date | Self::Expires => Ok(conditions::date(value)),
            Self::Override | Self::ContentText => content::text(value, 1024),
            Self::ContentType => content::media_type(value),
            Self::ContentEncoding => content::encoding(value),
            Self::Metadata => content::metadata(value),
            Self::Tagging => content::tagging(value),
            Self::StorageClass => content::storage_class(value, dialect),
            Self::Checksum(algorithm) => checksum(algorithm, value),
            Self::ObjectChecksum(algorithm) => object_checksum(algorithm, value),
            Self::ObjectAttributes => content::object_attributes(value),
            Self::EncodingType
            | Self::Boolean
            | Self::Directive
            | Self::ChecksumAlgorithm
            | Self::SdkChecksumAlgorithm
            | Self::ChecksumType
            | Self::ChecksumMode
            | Self::ListAttributes => self.word(value),
        }
    }

    /// Returns the allowed words of a grammar that consists of words.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::EncodingType => &["url"],
            Self::Boolean => &["true", "false"],
            Self::Directive => &["COPY", "REPLACE"],
            Self::ChecksumAlgorithm | Self::SdkChecksumAlgorithm => {
                &["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
            }
            Self::ChecksumType => &["FULL_OBJECT", "COMPOSITE"],
            Self::ChecksumMode => &["ENABLED"],
            Self::ListAttributes => &["RestoreStatus"],
            _ => &[],
        }
    }

    /// Reads one of the words, in upper or lower case.
    fn word(self, value: &str) -> Read {
        let found = self.words().iter().find(|word| word.eq_ignore_ascii_case(value.trim_matches(' ')));
        match found {
            Some(word) => Ok(respelled(value, (*word).to_owned())),
            None if value.is_empty() || self.is_only_a_hint() => Ok(Spelling::LeftOut),
            None => Err(BadValue { rule: self.rule(), expected: self.expected() }),
        }
    }

    /// Returns whether a value that is not understood can be dropped without changing the request's meaning.
    const fn is_only_a_hint(self) -> bool {
        matches!(self, Self::SdkChecksumAlgorithm | Self::ChecksumMode | Self::ListAttributes)
    }

    const fn rule(self) -> Rule {
        match self {
            Self::ChecksumAlgorithm | Self::ChecksumType => Rule::BadChecksum,
            _ => Rule::BadArgument,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::EncodingType => "url",
            Self::Boolean => "true or false",
            Self::Directive => "COPY or REPLACE",
            Self::ChecksumAlgorithm => "CRC32, CRC32C, CRC64NVME, SHA1 or SHA256",
            Self::ChecksumType => "FULL_OBJECT or COMPOSITE",
            _ => "a word that S3 has for it",
        }
    }
}

/// Returns whether a header carries a checksum. `name` is in lower case.
pub(crate) fn is_checksum_value(name: &str) -> bool {
    name.strip_prefix("x-amz-checksum-").is_some_and(|what| !matches!(what, "algorithm" | "type" | "mode"))
}

/// Returns the spelling for a value that must reach the store as `spelled`.
fn respelled(value: &str, spelled: String) -> Spelling {
    if value == spelled { Spelling::AsIs } else { Spelling::As(spelled) }
}

fn prefix(value: &str) -> Read {
    match check_segments(value) {
        Ok(()) => Ok(Spelling::AsIs),
        Err(expected) => Err(BadValue { rule: Rule::BadTarget, expected }),
    }
}

fn checksum(algorithm: Algorithm, value: &str) -> Read {
    // The decoder accepts canonical base64 only: no line breaks, no other padding, no spare bits.
    match Checksum::parse(algorithm, value.as_bytes()) {
        Ok(_) => Ok(Spelling::AsIs),
        Err(_) if algorithm == Algorithm::Md5 => {
            Err(BadValue { rule: Rule::InvalidDigest, expected: "16 bytes in base64" })
        }
        Err(_) => Err(BadValue {
            rule: Rule::BadChecksum,
            expected: "a checksum of its algorithm's length in base64",
        }),
    }
}

/// Reads `BASE64`, or `BASE64-N` for N parts.
fn object_checksum(algorithm: Algorithm, value: &str) -> Read {
    let Some((sum, parts)) = value.split_once('-') else { return checksum(algorithm, value) };
    numbers::part(parts, 1).map_err(|_| BadValue {
        rule: Rule::BadChecksum,
        expected: "1 to 10000 parts behind the checksum",
    })?;
    checksum(algorithm, sum)
}

#[cfg(test)]
mod tests;
