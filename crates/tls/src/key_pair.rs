//! Certificates of this end of connections: a chain and its private key.

use crate::names::{CertificateNames, parse, time, unix_time};
use crate::pem;
use crate::problem::{FileKind, Problem, Read};
use crate::provider::provider;
use crate::settings::KeyPairFiles;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{CertificateError, Error, RootCertStore, SignatureAlgorithm};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

/// The facts about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The file of its chain.
    pub file: PathBuf,
    /// Its DNS names in lower case and its IP addresses.
    pub names: Vec<String>,
    /// The time from which it is valid.
    pub not_before: SystemTime,
    /// The time until which it is valid.
    pub not_after: SystemTime,
    /// Its kind of key, such as `ECDSA P-256`.
    pub key_type: String,
}

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct KeyPair {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) info: CertificateInfo,
    /// What is odd about it, whatever the time.
    pub(crate) oddities: Vec<Problem>,
}

impl KeyPair {
    /// Loads a certificate and its key. `seen` is shown each file's content.
    pub(crate) fn load(
        files: &KeyPairFiles,
        read: &mut Read<'_>,
        seen: &mut dyn FnMut(&[u8]),
    ) -> Result<Self, Vec<Problem>> {
        let chain = read(&files.chain, FileKind::Public).and_then(|bytes| {
            seen(&bytes);
            pem::certificates(&files.chain, &bytes)
        });
        let key = read(&files.key, FileKind::PrivateKey).map(Zeroizing::new).and_then(|bytes| {
            seen(&bytes);
            load_key(&files.key, &bytes)
        });
        let (chain, key) = match (chain, key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err([chain.err(), key.err()].into_iter().flatten().collect()),
        };
        Self::join(files, chain, key).map_err(|problem| vec![problem])
    }

    fn join(
        files: &KeyPairFiles,
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
    ) -> Result<Self, Problem> {
        let broken = |number: usize, error: String| {
            let what = format!("holds a certificate that cannot be read (number {number}): {error}");
            Problem::new(&files.chain, what, "ask the authority for a valid certificate")
        };
        let parsed: Vec<_> = (1..)
            .zip(&chain)
            .map(|(number, der)| parse(der).map_err(|error| broken(number, error)))
            .collect::<Result<_, _>>()?;
        let (Some(leaf), Some(der)) = (parsed.first(), chain.first()) else {
            return Err(broken(1, "it is missing".to_owned()));
        };
        let names = CertificateNames::of(leaf, der).map_err(|error| broken(1, error))?;
        check_key(files, &parsed, &*key)?;
        let mut oddities = check_order(&files.chain, &parsed)?;
        oddities.extend(check_signatures(&files.chain, &parsed, &chain)?);
        oddities.extend(find_oddities(&files.chain, leaf, &names));
        let info = CertificateInfo {
            file: files.chain.clone(),
            names: names.dns.iter().map(|name| name.to_ascii_lowercase()).chain(addresses(leaf)).collect(),
            not_before: time(leaf.validity().not_before),
            not_after: names.not_after,
            key_type: key_type(leaf, &*key),
        };
        Ok(Self { certified: Arc::new(CertifiedKey::new(chain, key)), info, oddities })
    }
}

fn load_key(file: &Path, bytes: &Zeroizing<Vec<u8>>) -> Result<Arc<dyn SigningKey>, Problem> {
    let key = pem::private_key(file, bytes)?;
    // The error of the library says nothing that helps, and might quote what it read.
    provider().key_provider.load_private_key(key).map_err(|_| {
        let help = "use ECDSA with P-256, P-384 or P-521, Ed25519, or RSA with 2048 to 8192 bits";
        Problem::new(file, "holds a private key that is damaged or of an unsupported kind", help)
    })
}

/// Checks that the key is that of the first certificate.
fn check_key(
    files: &KeyPairFiles,
    chain: &[X509Certificate<'_>],
    key: &dyn SigningKey,
) -> Result<(), Problem> {
    // Every kind of key that the provider loads tells its public key.
    let Some(public) = key.public_key() else { return Ok(()) };
    let of_key = chain.iter().position(|certificate| certificate.public_key().raw == public.as_ref());
    let (what, help) = match of_key {
        Some(0) => return Ok(()),
        Some(position) => (
            format!(
                "begins with the certificate of an authority, and the key belongs to number {}",
                position + 1
            ),
            "put the server's own certificate first, then the one that signed it, and so on".to_owned(),
        ),
        None => (
            format!("holds no certificate of the private key in {}", files.key.display()),
            "name the chain and the key that were made together".to_owned(),
        ),
    };
    Err(Problem::new(&files.chain, what, help))
}

/// Checks that each certificate names the next one as its issuer.
fn check_order(file: &Path, chain: &[X509Certificate<'_>]) -> Result<Vec<Problem>, Problem> {
    for (number, pair) in (1..).zip(chain.windows(2)) {
        let [certificate, next] = pair else { continue };
        if certificate.issuer().as_raw() != next.subject().as_raw() {
            let what = format!(
                "is out of order: certificate {number} was issued by {}, and certificate {} is that of {}",
                certificate.issuer(),
                number + 1,
                next.subject()
            );
            let help = "put the server's certificate first, then the one that signed it, and so on";
            return Err(Problem::new(file, what, help));
        }
    }
    let root = chain.iter().skip(1).find(|authority| is_self_issued(authority));
    Ok(Vec::from_iter(root.map(|root| {
        let what = format!("ends with the root certificate {}", root.subject());
        Problem::new(
            file,
            what,
            "leave it out: clients trust only the copy they have, and each handshake sends it",
        )
    })))
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

/// Verifies the chain up to its last certificate, as clients do. Wrong signatures are errors. Other rules differ between
/// clients, and are reported.
fn check_signatures(
    file: &Path,
    parsed: &[X509Certificate<'_>],
    chain: &[CertificateDer<'static>],
) -> Result<Option<Problem>, Problem> {
    let [der, intermediates @ .., last] = chain else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    let verified = roots.add(last.clone()).and_then(|()| {
        let algorithms = provider().signature_verification_algorithms;
        // At a time at which all are valid: expiry is a matter of warnings.
        let begin = parsed.iter().map(|certificate| time(certificate.validity().not_before)).max();
        let begin = begin.unwrap_or(SystemTime::UNIX_EPOCH);
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(der)?,
            &roots,
            intermediates,
            unix_time(begin),
            algorithms.all,
        )
    });
    match verified {
        // An authority that expired before this certificate began is a matter of warnings, too.
        Ok(()) | Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })) => Ok(None),
        Err(Error::InvalidCertificate(CertificateError::BadSignature | CertificateError::UnknownIssuer)) => {
            let what = "holds a certificate that the next one did not sign, though their names fit";
            Err(Problem::new(
                file,
                what,
                "replace the authority's certificate by the one that issued the server's",
            ))
        }
        Err(error) => {
            let what = format!("would be refused by strict clients: {error}");
            Ok(Some(Problem::new(file, what, "ask the authority for a certificate for servers")))
        }
    }
}

/// Returns what clients will refuse or misunderstand about a certificate.
fn find_oddities(file: &Path, leaf: &X509Certificate<'_>, names: &CertificateNames) -> Vec<Problem> {
    let mut oddities = Vec::new();
    if !names.has_alternatives {
        let what = "has no subject alternative name";
        oddities.push(Problem::new(file, what, "name its hosts there: clients ignore the common name"));
    }
    if let Ok(Some(usage)) = leaf.extended_key_usage()
        && !usage.value.server_auth
        && !usage.value.any
    {
        let what = "is not for servers: its extended key usage lacks serverAuth";
        oddities.push(Problem::new(file, what, "ask the authority for a certificate for servers"));
    }
    oddities
}

/// Returns the IP addresses among the alternative names.
fn addresses(leaf: &X509Certificate<'_>) -> Vec<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| &extension.value.general_names[..]).unwrap_or_default();
    let address = |name: &GeneralName<'_>| match name {
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()
        }
        _ => None,
    };
    names.iter().filter_map(address).map(|address| address.to_string()).collect()
}

fn key_type(leaf: &X509Certificate<'_>, key: &dyn SigningKey) -> String {
    let bits = leaf.public_key().parsed().map(|key| key.key_size()).unwrap_or_default();
    match key.algorithm() {
        SignatureAlgorithm::RSA => format!("RSA {bits}"),
        // The coordinates of P-521 take 66 bytes.
        SignatureAlgorithm::ECDSA => format!("ECDSA P-{}", bits.min(521)),
        SignatureAlgorithm::ED25519 => "Ed25519".to_owned(),
        other => format!("{other:?}"),
    }
}
