//! Reads certificates, keys and revocation lists from PEM files.

use crate::problem::Problem;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer,
    PrivateSec1KeyDer,
};
use std::path::Path;
use zeroize::Zeroizing;

/// The first byte of every certificate, key and revocation list in DER: that of a SEQUENCE.
const DER_SEQUENCE: u8 = 0x30;

/// The kinds of content that a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Certificates,
    Key,
    RevocationLists,
}

/// Reads certificates. There is at least one.
pub(crate) fn certificates(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found = sections(file, bytes, Content::Certificates, |kind| kind == SectionKind::Certificate)?;
    Ok(found.into_iter().map(|(_, der)| CertificateDer::from(der)).collect())
}

/// Reads a private key.
pub(crate) fn private_key(
    file: &Path,
    bytes: &Zeroizing<Vec<u8>>,
) -> Result<PrivateKeyDer<'static>, Problem> {
    if is_encrypted(bytes) {
        let help = format!(
            "a server cannot type a passphrase; decrypt it with `openssl pkey -in {} -out NEW`, readable by this \
             process alone",
            file.display()
        );
        return Err(Problem::new(file, "holds an encrypted private key", help));
    }
    let is_key = |kind| {
        matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
    };
    let mut found = sections(file, bytes, Content::Key, is_key)?;
    let count = found.len();
    let (Some((kind, der)), 1) = (found.pop(), count) else {
        let what = format!("holds {count} private keys");
        return Err(Problem::new(file, what, "leave the one that belongs to the certificate"));
    };
    Ok(match kind {
        SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
        SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
        _ => PrivatePkcs8KeyDer::from(der).into(),
    })
}

/// Reads revocation lists, in PEM or a single one in DER. There is at least one.
pub(crate) fn revocation_lists(
    file: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    // Authorities publish their lists in DER (RFC 5280, section 4.2.1.13).
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    let found = sections(file, bytes, Content::RevocationLists, |kind| kind == SectionKind::Crl)?;
    Ok(found.into_iter().map(|(_, der)| CertificateRevocationListDer::from(der)).collect())
}

/// Returns whether a file holds a key that a passphrase protects.
fn is_encrypted(bytes: &[u8]) -> bool {
    [&b"ENCRYPTED PRIVATE KEY-----"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| bytes.windows(mark.len()).any(|window| window == *mark))
}

/// Returns the sections of a file that are `wanted`. There is at least one.
fn sections(
    file: &Path,
    bytes: &[u8],
    content: Content,
    wanted: impl Fn(SectionKind) -> bool,
) -> Result<Vec<(SectionKind, Vec<u8>)>, Problem> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|_| {
            Problem::new(
                file,
                "holds damaged PEM",
                "copy the file again, from its first `-----BEGIN` to its end",
            )
        })?;
        if wanted(kind) {
            found.push((kind, der));
        } else {
            others.push(kind);
        }
    }
    if found.is_empty() { Err(explain_absence(file, bytes, content, &others)) } else { Ok(found) }
}

/// Explains why a file does not hold what it should.
fn explain_absence(file: &Path, bytes: &[u8], content: Content, others: &[SectionKind]) -> Problem {
    let (wanted, begin, command) = match content {
        Content::Certificates => ("certificate", "BEGIN CERTIFICATE", "x509"),
        Content::Key => ("private key", "BEGIN PRIVATE KEY", "pkey"),
        Content::RevocationLists => ("revocation list", "BEGIN X509 CRL", "crl"),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Problem::new(file, "is empty", format!("write a {wanted} in PEM to it"));
    }
    if bytes.first() == Some(&DER_SEQUENCE) {
        let help = format!(
            "convert it with `openssl {command} -inform der -in {} -out NEW`, or, if it is PKCS#12, with `openssl \
             pkcs12 -noenc -in {0} -out NEW`",
            file.display()
        );
        return Problem::new(file, "is in DER and not in PEM", help);
    }
    let holds = |kinds: &[SectionKind]| others.iter().any(|kind| kinds.contains(kind));
    let (other, help) =
        if holds(&[SectionKind::PrivateKey, SectionKind::RsaPrivateKey, SectionKind::EcPrivateKey]) {
            ("a private key", "are the files of certificate and key swapped?")
        } else if holds(&[SectionKind::Certificate]) {
            match content {
                Content::Key => ("a certificate", "are the files of certificate and key swapped?"),
                _ => ("a certificate", "name the file of the authority's revocation list"),
            }
        } else if holds(&[SectionKind::Csr]) {
            ("a certificate request", "name the file that the authority returned for it")
        } else if holds(&[SectionKind::Crl]) {
            ("a revocation list", "name it under the revocation lists instead")
        } else {
            let help = format!("expected `-----{begin}-----`");
            return Problem::new(file, format!("holds no {wanted}"), help);
        };
    Problem::new(file, format!("holds {other} and no {wanted}"), help)
}
