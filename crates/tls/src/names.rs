//! The names in a certificate.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

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
    /// When it is no certificate.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|error| format!("its alternative names cannot be read: {error}"))?;
        let alternatives = alternatives.map(|extension| &extension.value.general_names[..]);
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in alternatives.unwrap_or_default() {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).into()),
                GeneralName::DNSName(name) => dns.push((*name).into()),
                _ => {}
            }
        }
        let mut common = certificate.subject().iter_common_name();
        let common_name = match (common.next(), common.next()) {
            (Some(name), None) => name.as_str().ok().map(Into::into),
            _ => None,
        };
        let expires = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
        Ok(Self {
            uris,
            dns,
            has_alternatives: alternatives.is_some(),
            common_name,
            sha256: Sha256::digest(der).into(),
            key_sha256: Sha256::digest(certificate.public_key().raw).into(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(expires),
        })
    }
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
        assert_eq!(names.not_after, SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000));
        assert!(CertificateNames::read(&CertificateDer::from(&b"x"[..])).is_err());
    }
}
