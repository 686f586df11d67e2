//! The error of a client's body that could not be passed on to its end.

use crate::outgoing::payload::checksum_mismatch;
use crate::refusal::{Refusal, Rule};
use crate::s3::aws_chunked;
use crate::s3::checksum::Mismatch;
use http1::body::BoxError;
use std::{error, fmt};

/// The reason a client's body could not be passed on to its end.
#[derive(Debug)]
pub enum UploadError {
    /// The aws-chunked envelope is malformed.
    Malformed(aws_chunked::Malformed),
    /// The content does not match its trailing checksum.
    Checksum(Mismatch),
    /// The body broke off, or what was held of it cannot be read back.
    Body(BoxError),
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Checksum(mismatch) => mismatch.fmt(f),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl error::Error for UploadError {}

impl From<aws_chunked::Malformed> for UploadError {
    fn from(malformed: aws_chunked::Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Mismatch> for UploadError {
    fn from(mismatch: Mismatch) -> Self {
        Self::Checksum(mismatch)
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Malformed(aws_chunked::Malformed(why)) => {
                Self::new(Rule::BadEnvelope, format!("the aws-chunked body is malformed: {why}"))
            }
            UploadError::Checksum(mismatch) => checksum_mismatch(mismatch),
            UploadError::Body(error) => Self::new(Rule::BadBody, error.to_string()),
        }
    }
}
