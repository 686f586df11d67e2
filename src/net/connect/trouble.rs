//! Recognised reasons why an endpoint cannot be used, and what an operator can do about each.

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::error::Error;
use std::fmt;
use std::io;
use std::iter;
use tls::client::UnknownAuthority;

/// A reason why an endpoint cannot be used that lies in its configuration or certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server uses a certificate authority's certificate as its own, as `openssl req -x509` makes one.
    AuthorityAsServer,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// No trusted authority signed the certificate.
    UnknownIssuer,
    /// The certificate is X.509 version 1, which names no hosts.
    OldCertificate,
    /// The certificate is wrong in another way.
    BadCertificate,
    /// The server wants a certificate of its client.
    WantsClientCertificate,
    /// The server refuses the client's certificate, or misses one. In TLS 1.2 both look the same.
    RefusesClientCertificate,
    /// The server finds that the client's certificate has expired.
    ClientCertificateExpired,
    /// The server and this program have no version or cipher of TLS in common.
    NoCommonProtocol,
    /// The endpoint is written with `https://`, and the server does not speak TLS.
    PlainServer,
    /// The endpoint is written with `http://`, and the server speaks TLS.
    TlsServer,
    /// The endpoint is written with `http://`, and the server sends something other than HTTP, as TLS servers do.
    NotHttp,
}

impl Trouble {
    /// Finds the trouble in an error or in one of its causes.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        causes(error).find_map(Self::of_one)
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(error) = error.downcast_ref::<TlsError>() {
            return Self::of_tls(error);
        }
        if error.is::<UnknownAuthority>() {
            return Some(Self::UnknownIssuer);
        }
        let error = error.downcast_ref::<hyper::Error>()?;
        (error.is_parse() || error.is_incomplete_message()).then_some(Self::NotHttp)
    }

    fn of_tls(error: &TlsError) -> Option<Self> {
        Some(match error {
            TlsError::InvalidCertificate(error) => Self::of_certificate(error),
            TlsError::InvalidMessage(_) => Self::PlainServer,
            TlsError::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired => Self::WantsClientCertificate,
                AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied => Self::RefusesClientCertificate,
                AlertDescription::CertificateExpired => Self::ClientCertificateExpired,
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity => Self::NoCommonProtocol,
                _ => return None,
            },
            TlsError::PeerIncompatible(_) => Self::NoCommonProtocol,
            _ => return None,
        })
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            // An authority with the same name and another key is a different authority.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            // rustls passes these on as errors of webpki, whose types are not accessible here.
            CertificateError::Other(other) => match format!("{other:?}") {
                text if text.contains("CaUsedAsEndEntity") => Self::AuthorityAsServer,
                text if text.contains("UnsupportedCertVersion") => Self::OldCertificate,
                _ => Self::BadCertificate,
            },
            _ => Self::BadCertificate,
        }
    }

    /// Recognises a TLS server by its response to a request in plain HTTP. `is_bare` says that the response has no
    /// header at all. The body may be empty: Go resets the connection, which can overtake the text.
    pub(crate) fn of_answer(status: u16, is_bare: bool, body: &str) -> Option<Self> {
        // nginx, Apache.
        let known = ["HTTP request was sent to HTTPS port", "SSL-enabled server port"];
        // Go, and so MinIO, sends a status line and this text alone.
        let is_of_go = is_bare && (body.is_empty() || body.contains("HTTP request to an HTTPS server"));
        (status == 400 && (is_of_go || known.iter().any(|words| body.contains(words))))
            .then_some(Self::TlsServer)
    }

    /// Returns what an operator can do about it.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::AuthorityAsServer => {
                "the server uses the certificate of an authority (CA:TRUE) as its own, as `openssl req -x509` makes it: \
                 make it again with -addext basicConstraints=critical,CA:FALSE and \
                 -addext subjectAltName=DNS:HOST, and trust the new file: with ca, or in SSL_CERT_FILE"
            }
            Self::Expired => {
                "the server's certificate has expired: renew it there. If it is still valid, this machine's clock is \
                 ahead: set it (NTP)"
            }
            Self::NotYetValid => {
                "the server's certificate is not valid yet: this machine's clock is behind (set it, NTP), or the \
                 certificate was made for later"
            }
            Self::WrongName => {
                "the server's certificate is for another name: write the endpoint with a name that the certificate \
                 has, set server_name to one, or make one with -addext subjectAltName=DNS:HOST (IP:ADDRESS for an \
                 address)"
            }
            Self::UnknownIssuer => {
                "no trusted authority signed the server's certificate: name the authority's PEM file with ca (in a \
                 configuration: tls = { ca = [\"ca.pem\"] }; for a command: --ca ca.pem) or in the environment variable \
                 SSL_CERT_FILE. A server that does not send its intermediate certificates looks the same"
            }
            Self::OldCertificate => {
                "the server's certificate is X.509 version 1, as `openssl x509 -req` makes it without -extfile: make \
                 it again with subjectAltName=DNS:HOST"
            }
            Self::BadCertificate => "the server's certificate cannot be accepted: replace it on the server",
            Self::WantsClientCertificate => {
                "the server wants a certificate of its client: name one with tls = { certificate = { chain = \
                 \"client.crt\", key = \"client.key\" } }"
            }
            Self::RefusesClientCertificate => {
                "the server refuses the certificate of its client, or wants one: name one that an authority of the \
                 server's signed, with the authorities between, in tls = { certificate = { chain = \"client.crt\", key = \
                 \"client.key\" } }"
            }
            Self::ClientCertificateExpired => {
                "the client's certificate has expired, as the server sees it: renew the file that certificate.chain \
                 names. If it is still valid, the server's clock is ahead"
            }
            Self::NoCommonProtocol => {
                "the server offers neither TLS 1.2 nor TLS 1.3 with a current cipher: turn one on"
            }
            Self::PlainServer => {
                "the endpoint does not speak TLS: write it with http://, or turn TLS on at the server"
            }
            Self::TlsServer => "the endpoint speaks TLS: write it with https://",
            Self::NotHttp => {
                "the endpoint does not answer in HTTP: write it with https:// if it speaks TLS, and check the port"
            }
        }
    }
}

/// Returns the words of the innermost cause of an error. Those around it say only where it occurred.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

/// Returns an error and its causes, from the outside in.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&cause| {
        // `source` of an I/O error skips the error inside it.
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        }
    })
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.help())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_below_other_errors() {
        let tls = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        for (error, expected) in [
            (tls(TlsError::InvalidCertificate(CertificateError::Expired)), Some(Trouble::Expired)),
            (
                io::Error::other(tls(TlsError::InvalidCertificate(CertificateError::UnknownIssuer))),
                Some(Trouble::UnknownIssuer),
            ),
            (
                tls(TlsError::AlertReceived(AlertDescription::CertificateRequired)),
                Some(Trouble::WantsClientCertificate),
            ),
            (
                tls(TlsError::AlertReceived(AlertDescription::UnknownCA)),
                Some(Trouble::RefusesClientCertificate),
            ),
            (
                tls(TlsError::AlertReceived(AlertDescription::CertificateExpired)),
                Some(Trouble::ClientCertificateExpired),
            ),
            (tls(TlsError::AlertReceived(AlertDescription::InternalError)), None),
            (io::Error::from(io::ErrorKind::ConnectionRefused), None),
            (io::Error::other("expired"), None),
        ] {
            assert_eq!(Trouble::of(&error), expected, "{error}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_innermost_cause() {
        let alert = TlsError::AlertReceived(AlertDescription::UnknownCA);
        let words = alert.to_string();
        for error in [io::Error::other(alert.clone()), io::Error::other(io::Error::other(alert))] {
            assert_eq!(innermost(&error), words);
        }
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(innermost(&refused), refused.to_string());
    }

    #[test]
    fn recognises_tls_servers_by_their_answer_to_plain_http() {
        for (is_bare, body) in [
            (true, "Client sent an HTTP request to an HTTPS server.\n"),
            (true, ""),
            (false, "<title>400 The plain HTTP request was sent to HTTPS port</title>"),
            (false, "You're speaking plain HTTP to an SSL-enabled server port.<br />"),
        ] {
            assert_eq!(Trouble::of_answer(400, is_bare, body), Some(Trouble::TlsServer), "{body}");
        }
        for (status, is_bare, body) in
            [(400, false, "<Error><Code>InvalidRequest</Code></Error>"), (400, false, ""), (403, true, "")]
        {
            assert_eq!(Trouble::of_answer(status, is_bare, body), None, "{status} {body}");
        }
    }
}
