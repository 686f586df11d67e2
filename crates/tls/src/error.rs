//! Handshakes that fail, and why.

use crate::unsent::Unsent;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use std::future::poll_fn;
use std::pin::Pin;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The reason why a handshake failed. Its text is for the log, and tells no secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client does not speak TLS. These are the first bytes that it sent.
    NotTls(Vec<u8>),
    /// The client closed the connection.
    ClosedByPeer,
    /// The client presented no certificate, and one is required.
    NoCertificate,
    /// The client presented a certificate that was not accepted, for this reason.
    BadCertificate(String),
    /// The client speaks no version of TLS that is secure.
    ProtocolVersion,
    /// The client has no cipher suite, group or signature scheme in common with the server.
    NoCipher,
    /// The client speaks neither HTTP/1.1 nor HTTP/2.
    Alpn,
    /// The client did not accept the server's answer, and said why.
    Alert(String),
    /// The connection failed.
    Io(io::Error),
    /// The client broke the protocol.
    Other(String),
}

impl HandshakeError {
    /// Returns whether the client speaks plain HTTP, and so understands an answer in it ([`Failed::close`]).
    pub fn is_http(&self) -> bool {
        matches!(self, Self::NotTls(bytes) if is_http(bytes))
    }

    /// Returns a word for the error, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotTls(_) => "not-tls",
            Self::ClosedByPeer => "closed",
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate(_) => "bad-certificate",
            Self::ProtocolVersion => "version",
            Self::NoCipher => "cipher",
            Self::Alpn => "alpn",
            Self::Alert(_) => "alert",
            Self::Io(_) => "io",
            Self::Other(_) => "protocol",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls(_) if self.is_http() => f.write_str("the client speaks plain HTTP"),
            Self::NotTls(_) => f.write_str("the client does not speak TLS"),
            Self::ClosedByPeer => f.write_str("the client closed the connection during the handshake"),
            Self::NoCertificate => f.write_str("the client presented no certificate"),
            Self::BadCertificate(reason) => write!(f, "the client's certificate is not accepted: {reason}"),
            Self::ProtocolVersion => f.write_str("the client speaks neither TLS 1.2 nor TLS 1.3"),
            Self::NoCipher => f.write_str("the client offers no cipher, group or signature that is secure"),
            Self::Alpn => f.write_str("the client offers neither HTTP/1.1 nor HTTP/2"),
            Self::Alert(alert) => write!(f, "the client ended the handshake: {alert}"),
            Self::Io(error) => write!(f, "the connection failed during the handshake: {error}"),
            Self::Other(error) => write!(f, "the client broke the protocol: {error}"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::ClosedByPeer,
            _ => Self::Io(error),
        }
    }
}

impl From<Error> for HandshakeError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::BadCertificate(explain(&error)),
            Error::NoApplicationProtocol => Self::Alpn,
            Error::AlertReceived(alert) => Self::Alert(explain_alert(alert)),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            )
            | Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)
            | Error::PeerMisbehaved(PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported) => {
                Self::ProtocolVersion
            }
            Error::PeerIncompatible(
                PeerIncompatible::EcPointsExtensionRequired
                | PeerIncompatible::KeyShareExtensionRequired
                | PeerIncompatible::NamedGroupsExtensionRequired
                | PeerIncompatible::NoCipherSuitesInCommon
                | PeerIncompatible::NoEcPointFormatsInCommon
                | PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::UncompressedEcPointsRequired,
            ) => Self::NoCipher,
            other => Self::Other(other.to_string()),
        }
    }
}

/// A connection whose handshake failed.
pub struct Failed<S> {
    /// The reason.
    pub error: HandshakeError,
    stream: S,
    /// The rest of the alert.
    unsent: Unsent,
}

/// The most that is read from a client after a failed handshake, in bytes.
const MAX_LINGER: usize = 64 * 1024;

impl<S> Failed<S> {
    pub(crate) fn new(error: HandshakeError, stream: S, unsent: Unsent) -> Self {
        Self { error, stream, unsent }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Failed<S> {
    /// Sends `farewell`, ends the connection, and reads until the client has closed its end. The caller bounds the time.
    ///
    /// Dropping the connection instead would reset it while bytes of the client are unread, and the client might not see
    /// the alert, or the farewell. A farewell makes sense only for a client that does not speak TLS.
    pub async fn close(mut self, farewell: &[u8]) {
        // The client is told as far as it listens.
        let _ = self.try_close(farewell).await;
    }

    async fn try_close(&mut self, farewell: &[u8]) -> io::Result<()> {
        self.unsent.extend(farewell);
        poll_fn(|cx| self.unsent.poll_send(cx, &mut self.stream)).await?;
        poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
        let mut read = 0;
        while read < MAX_LINGER {
            let length = poll_fn(|cx| {
                let mut bytes = [0; 1024];
                let mut into = ReadBuf::new(&mut bytes);
                Pin::new(&mut self.stream).poll_read(cx, &mut into).map_ok(|()| into.filled().len())
            });
            match length.await? {
                0 => break,
                length => read += length,
            }
        }
        Ok(())
    }
}

impl<S> fmt::Debug for Failed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("error", &self.error).finish_non_exhaustive()
    }
}

/// Returns whether bytes may be the beginning of an HTTP request: a method in capitals.
pub(crate) fn is_http(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    method > 0 && bytes.get(method).is_none_or(|byte| *byte == b' ')
}

/// Explains why a client's certificate is not accepted.
pub(crate) fn explain(error: &CertificateError) -> String {
    let reason = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::Revoked => "it is revoked",
        CertificateError::UnknownIssuer => "no authority of this listener issued it",
        CertificateError::BadSignature => "its signature, or that of its issuer, is wrong",
        CertificateError::BadEncoding => "it cannot be read",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for clients: its extended key usage lacks clientAuth"
        }
        CertificateError::UnknownRevocationStatus => {
            "no revocation list says whether it, or an authority of its chain, is revoked"
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "the revocation list of its issuer, or of an authority of its chain, is out of date"
        }
        CertificateError::UnhandledCriticalExtension => "it has an unknown critical extension",
        // rustls passes this error of webpki on as it is.
        CertificateError::Other(error) if error.to_string() == "UnsupportedCriticalExtension" => {
            "it has an unknown critical extension"
        }
        other => return other.to_string(),
    };
    reason.to_owned()
}

/// Explains an alert of a client.
fn explain_alert(alert: AlertDescription) -> String {
    let reason = match alert {
        AlertDescription::UnknownCA => "it does not trust the authority of the server's certificate",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not accept the server's certificate"
        }
        AlertDescription::CertificateExpired => "the server's certificate has expired",
        AlertDescription::CertificateRevoked => "the server's certificate is revoked",
        AlertDescription::ProtocolVersion => "it does not speak the version of TLS",
        AlertDescription::HandshakeFailure => "it supports none of the offered parameters",
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => "it gave up",
        other => return format!("alert {other:?}"),
    };
    reason.to_owned()
}
