//! The signing key of one day.

use crate::s3::signed_body::hmac;
use crate::sigv4::secret::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// The signing key of one day. It is derived once a day, because that costs more than the verification of a request.
pub(super) struct DayKey {
    day: Box<str>,
    mac: Hmac<Sha256>,
}

impl DayKey {
    /// Derives the signing key of a day and a region.
    pub(super) fn derive(secret: &Secret, day: &str, region: &str) -> Option<Self> {
        let mut key: Zeroizing<Vec<u8>> = Zeroizing::new([b"AWS4", secret.reveal().as_bytes()].concat());
        for part in [day, region, "s3", "aws4_request"] {
            let mut mac = hmac(&key)?;
            mac.update(part.as_bytes());
            *key = mac.finalize().into_bytes().to_vec();
        }
        Some(Self { day: day.into(), mac: hmac(&key)? })
    }

    /// Returns whether it is the key of this day.
    pub(super) fn is_of(&self, day: &str) -> bool {
        *self.day == *day
    }

    /// Returns the HMAC with this key.
    pub(super) fn mac(&self) -> &Hmac<Sha256> {
        &self.mac
    }
}

impl fmt::Debug for DayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DayKey").field("day", &self.day).finish_non_exhaustive()
    }
}
