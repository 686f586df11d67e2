//! Verifies servers as webpki does, and says whose certificate an unknown authority signed.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::fmt;
use std::io;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Maximum length of a name that is shown, in characters.
const MAX_NAME: usize = 200;

/// The error of a server whose certificate no trusted authority signed. Its names are the server's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAuthority {
    subject: String,
    issuer: String,
}

impl UnknownAuthority {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        Some(Self { subject: shown(certificate.subject()), issuer: shown(certificate.issuer()) })
    }

    /// Takes this error out of the errors of rustls around it, which would show it as code does.
    pub(super) fn unwrapped(error: io::Error) -> io::Error {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        let Some(Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) = tls else {
            return error;
        };
        match other.downcast_ref::<Self>() {
            Some(known) => io::Error::new(error.kind(), known.clone()),
            None => error,
        }
    }
}

/// Returns a name shortened, and without characters that a terminal obeys.
fn shown(name: &X509Name<'_>) -> String {
    let text = name.to_string();
    let safe = text.chars().map(|c| if c.is_control() || is_direction(c) { '\u{fffd}' } else { c });
    safe.take(MAX_NAME).collect()
}

/// Returns whether a character changes the direction of text, and so how the rest of a line looks.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const WHAT: &str = "invalid peer certificate: it";

impl fmt::Display for UnknownAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, issuer } = self;
        if subject == issuer {
            return write!(f, "{WHAT} is signed by itself, as \"{issuer}\", and is not trusted");
        }
        write!(f, "{WHAT} is issued to \"{subject}\" by \"{issuer}\", which is not trusted")
    }
}

impl std::error::Error for UnknownAuthority {}

/// A verifier that decides as webpki does.
#[derive(Debug)]
pub(super) struct Verifier(Arc<WebPkiServerVerifier>);

impl Verifier {
    pub(super) fn new(webpki: Arc<WebPkiServerVerifier>) -> Self {
        Self(webpki)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match error {
            // An authority with the same name and another key is a different authority.
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                match UnknownAuthority::of(end_entity) {
                    Some(known) => CertificateError::Other(OtherError(Arc::new(known))).into(),
                    None => error,
                }
            }
            _ => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
