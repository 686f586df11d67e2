//! The names in a certificate.

use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The names in a certificate, and what else tells it from others. Nothing here is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// The URIs among the subject alternative names, in their order.
    pub uris: Vec<Box<str>>,
    /// The DNS names among them, in their order.
    pub dns: Vec<Box<str>>,
    /// Whether there are subject alternative names of any kind.
    pub has_alternatives: bool,
    /// The common name of the subject, if there is exactly one and it is text.
    pub common_name: Option<Box<str>>,
    /// The SHA-256 of the certificate in DER.
    pub sha256: [u8; 32],
    /// The SHA-256 of its public key in DER (`SubjectPublicKeyInfo`).
    pub key_sha256: [u8; 32],
    /// The time until which it is valid.
    pub not_after: SystemTime,
}

impl CertificateNames {
    /// Reads the names in a certificate.
    ///
    /// # Errors
    /// When it is no certificate, or one of its alternative names is not text or has control characters. Leaving such a
    /// name out could make another one look like the only one.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        Self::of(&parse(der)?, der)
    }

    /// Reads the names in a certificate whose DER is `der`.
    pub(crate) fn of(certificate: &X509Certificate<'_>, der: &CertificateDer<'_>) -> Result<Self, String> {
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|error| format!("its alternative names cannot be read: {error}"))?;
        let alternatives = alternatives.map(|extension| &extension.value.general_names[..]);
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in alternatives.unwrap_or_default() {
            match name {
                GeneralName::URI(uri) => uris.push(text(uri)?),
                GeneralName::DNSName(name) => dns.push(text(name)?),
                GeneralName::Invalid(..) => return Err("one of its alternative names is not text".to_owned()),
                _ => {}
            }
        }
        let mut common = certificate.subject().iter_common_name();
        let common_name = match (common.next(), common.next()) {
            (Some(name), None) => name.as_str().ok().and_then(|name| text(name).ok()),
            _ => None,
        };
        Ok(Self {
            uris,
            dns,
            has_alternatives: alternatives.is_some(),
            common_name,
            sha256: Sha256::digest(der).into(),
            key_sha256: Sha256::digest(certificate.public_key().raw).into(),
            not_after: time(certificate.validity().not_after),
        })
    }
}

/// Parses a certificate.
pub(crate) fn parse<'d>(der: &'d CertificateDer<'_>) -> Result<X509Certificate<'d>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("not a certificate: more follows its end".to_owned()),
        Err(error) => Err(format!("not a certificate: {error}")),
    }
}

/// Returns a time of a certificate or a revocation list. Times before 1970 become 1970.
pub(crate) fn time(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default())
}

/// Returns a time as rustls takes it.
pub(crate) fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Returns a name that has no control characters.
fn text(name: &str) -> Result<Box<str>, String> {
    if name.contains(char::is_control) {
        return Err(format!("the name {name:?} has control characters"));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    #[test]
    fn reads_names_of_each_kind() {
        let mut params = CertificateParams::new(vec!["a.test".to_owned(), "b.test".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://td/ns/x".try_into().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = CertificateNames::read(certificate.der()).unwrap();
        assert_eq!(
            (&*names.dns, &*names.uris),
            (&["a.test".into(), "b.test".into()][..], &["spiffe://td/ns/x".into()][..])
        );
        assert_eq!((names.common_name.as_deref(), names.has_alternatives), (Some("alice"), true));
        assert_eq!(names.not_after, SystemTime::UNIX_EPOCH + Duration::from_hours(525_960));
        let mut more = certificate.der().to_vec();
        more.push(0);
        for wrong in [&b"x"[..], &more] {
            assert!(CertificateNames::read(&CertificateDer::from(wrong)).is_err());
        }
    }

    /// Returns a certificate whose DER has other bytes of the same number everywhere.
    fn replaced(certificate: &rcgen::Certificate, from: &[u8], to: &[u8]) -> CertificateDer<'static> {
        let mut der = certificate.der().to_vec();
        let places: Vec<_> = (0..der.len()).filter(|at| der[*at..].starts_with(from)).collect();
        assert!(!places.is_empty() && from.len() == to.len());
        for place in places {
            der[place..place + to.len()].copy_from_slice(to);
        }
        der.into()
    }

    /// The names beside it would look like the only ones.
    #[test]
    fn a_name_that_is_not_text_spoils_the_certificate() {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::URI("spiffe://td/a".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://td/b".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = replaced(&certificate, b"spiffe://td/b", b"spiffe://td/\xff");
        assert_eq!(CertificateNames::read(&der).unwrap_err(), "one of its alternative names is not text");
    }

    #[test]
    fn two_common_names_are_none() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.distinguished_name.push(DnType::OrganizationName, "bob");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        // The identifiers of both kinds of names differ in one byte.
        let der = replaced(&certificate, &[0x55, 4, 10], &[0x55, 4, 3]);
        let common = |der: &CertificateDer<'_>| CertificateNames::read(der).unwrap().common_name;
        assert_eq!((common(certificate.der()).as_deref(), common(&der)), (Some("alice"), None));
    }

    /// A certificate with a bad URI and a good one must not look like one with a single URI.
    #[test]
    fn a_name_with_control_characters_spoils_the_certificate() {
        for bad in ["spiffe://td/a\0b", "a\nb", "\u{7f}"] {
            let mut params = CertificateParams::default();
            params.subject_alt_names.push(SanType::URI("spiffe://td/a".try_into().unwrap()));
            params.subject_alt_names.push(SanType::URI(bad.try_into().unwrap()));
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let error = CertificateNames::read(certificate.der()).unwrap_err();
            assert!(error.contains("control characters"), "{error}");
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "alice\0");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(CertificateNames::read(certificate.der()).unwrap().common_name, None);
    }
}
