//! The certificate of the client in question.

use crate::cli::CommandError;
use crate::config::{Caller, Listener};
use crate::identify::certificate::Certificate;
use crate::identify::client::ClientCertificates;
use crate::net::guarded::read_guarded;
use crate::refusal::{Refusal, Rule};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use tls::CertificateNames;

/// Maximum size of a file with a certificate and its authorities, in bytes.
const MAX_CERTIFICATE_FILE: u64 = 256 * 1024;

/// Reads the first certificate in a file.
///
/// # Errors
/// Fails if the file cannot be read, or has no certificate.
pub(super) fn read(path: &Path) -> Result<Certificate, CommandError> {
    let help = "name a file in PEM with the certificate of the client";
    let text = read_guarded(path, MAX_CERTIFICATE_FILE, help)
        .map_err(|error| CommandError::usage(format!("{}; {}", error.message, error.help)))?;
    let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string());
    let names = der.and_then(|der| CertificateNames::read(&der));
    let names = names.map_err(|why| {
        CommandError::usage(format!(
            "{} holds no certificate that can be read: {why}; {help}",
            path.display()
        ))
    })?;
    Ok(Certificate::new(names))
}

/// Checks that the listener asks for the client's certificate, if it has one.
///
/// # Errors
/// When the listener asks for none.
pub(super) fn check_asked(caller: &Caller, listener: Option<&Listener>) -> Result<(), CommandError> {
    let Some(listener) = listener.filter(|_| caller.certificate.is_some()) else { return Ok(()) };
    if listener.facts().certificates != ClientCertificates::Never {
        return Ok(());
    }
    let message = format!(
        "the listener {:?} asks for no client certificates: name another with --listener, or add client_ca to its tls",
        listener.name
    );
    Err(CommandError::usage(message))
}

/// Returns the refusal of a client without a certificate at a listener that serves nobody without.
pub(super) fn turned_away(caller: &Caller, listener: &Listener) -> Option<Refusal> {
    let is_required = listener.facts().certificates == ClientCertificates::Required;
    let message = "this listener ends the handshake of a client without a certificate";
    (is_required && caller.certificate.is_none()).then(|| Refusal::new(Rule::CertificateRequired, message))
}
