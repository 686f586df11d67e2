//! Client certificates: authorities, revocation lists, and the verifier made of them.

use crate::error::explain;
use crate::names::{CertificateNames, parse, time, unix_time};
use crate::notes;
use crate::pem;
use crate::problem::{FileKind, Problem, Read};
use crate::provider::provider;
use crate::settings::ClientAuth;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// A client certificate that was verified.
#[derive(Clone, Debug)]
pub struct PeerCertificate {
    /// The names in it.
    pub names: CertificateNames,
    /// The certificate, followed by the others that the client sent.
    pub(crate) chain: Arc<[CertificateDer<'static>]>,
}

/// The facts about a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationInfo {
    /// Its file.
    pub file: PathBuf,
    /// The authority that issued it.
    pub issuer: String,
    /// The time by which the authority issues the next one. Past it, no client certificate of this authority is accepted.
    pub next_update: SystemTime,
}

/// The facts about an authority.
#[derive(Debug)]
pub(crate) struct AuthorityInfo {
    pub(crate) file: PathBuf,
    pub(crate) name: String,
    pub(crate) not_after: SystemTime,
    pub(crate) is_authority: bool,
}

/// The client certificates that a listener accepts.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) authorities: Vec<AuthorityInfo>,
    pub(crate) revocations: Vec<RevocationInfo>,
}

impl Clients {
    /// Loads authorities and revocation lists. `seen` is shown each file's content.
    pub(crate) fn load(
        settings: &ClientAuth,
        read: &mut Read<'_>,
        seen: &mut dyn FnMut(&[u8]),
    ) -> Result<Self, Vec<Problem>> {
        let (mut problems, mut authorities, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        let mut roots = RootCertStore::empty();
        for file in &settings.authorities {
            let loaded = read(file, FileKind::Public).and_then(|bytes| {
                seen(&bytes);
                pem::certificates(file, &bytes)?.into_iter().try_for_each(|der| {
                    authorities.push(add_authority(file, der, &mut roots)?);
                    Ok(())
                })
            });
            problems.extend(loaded.err());
        }
        for file in &settings.revocations {
            let loaded = read(file, FileKind::Public).and_then(|bytes| {
                seen(&bytes);
                pem::revocation_lists(file, &bytes)?.into_iter().try_for_each(|der| {
                    lists.push(List::new(file, der)?);
                    Ok(())
                })
            });
            problems.extend(loaded.err());
        }
        let roots = Arc::new(roots);
        problems.extend(lists.iter().filter_map(|list| list.check(&roots).err()));
        if !problems.is_empty() {
            return Err(problems);
        }
        let lists = newest(lists);
        let revocations = lists.iter().map(|list| list.info.clone()).collect();
        let verifier = build(&roots, lists.into_iter().map(|list| list.der), settings.is_required);
        match (verifier, settings.authorities.first()) {
            (Ok(verifier), _) => {
                Ok(Self { verifier: Arc::new(Verifier(verifier)), authorities, revocations })
            }
            (Err(error), Some(file)) => {
                Err(vec![Problem::new(file, format!("cannot be used: {error}"), "name other authorities")])
            }
            (Err(error), None) => {
                let help = "name the authorities of the client certificates";
                Err(vec![Problem::new(Path::new(""), error.to_string(), help)])
            }
        }
    }

    /// Checks whether the handshake of a client with this certificate, or none, would succeed.
    pub(crate) fn recheck(
        &self,
        certificate: Option<&PeerCertificate>,
        now: SystemTime,
    ) -> Result<(), String> {
        let Some((leaf, others)) = certificate.and_then(|certificate| certificate.chain.split_first()) else {
            let is_required = self.verifier.client_auth_mandatory();
            return if is_required { Err("a client certificate is required".to_owned()) } else { Ok(()) };
        };
        self.verifier.0.verify_client_cert(leaf, others, unix_time(now)).map(drop).map_err(
            |error| match error {
                Error::InvalidCertificate(error) => explain(&error),
                other => other.to_string(),
            },
        )
    }
}

pub(crate) fn add_authority(
    file: &Path,
    der: CertificateDer<'static>,
    roots: &mut RootCertStore,
) -> Result<AuthorityInfo, Problem> {
    let help = "ask for the certificate of the authority again";
    let certificate = parse(&der).map_err(|error| {
        Problem::new(file, format!("holds a certificate that cannot be read: {error}"), help)
    })?;
    let info = AuthorityInfo {
        file: file.to_owned(),
        name: certificate.subject().to_string(),
        not_after: time(certificate.validity().not_after),
        is_authority: certificate.is_ca(),
    };
    roots.add(der).map_err(|error| {
        Problem::new(file, format!("holds a certificate that cannot be an authority: {error}"), help)
    })?;
    Ok(info)
}

/// A revocation list.
struct List {
    info: RevocationInfo,
    der: CertificateRevocationListDer<'static>,
    scope: Scope,
    /// The newer of two lists has the later time, or else the higher number.
    age: (SystemTime, BigUint),
}

/// What a revocation list speaks about. A newer list of the same scope replaces it.
#[derive(PartialEq, Eq)]
struct Scope {
    issuer: Vec<u8>,
    /// Tells keys of an issuer apart.
    key: Option<Vec<u8>>,
    /// Tells parts of a divided list apart.
    part: Option<Vec<u8>>,
}

impl List {
    fn new(file: &Path, der: CertificateRevocationListDer<'static>) -> Result<Self, Problem> {
        let damaged = || {
            let help = "fetch the list from the authority again; expected PEM or DER";
            Problem::new(file, "holds a revocation list that cannot be read", help)
        };
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| damaged())?;
        let extension = |oid| {
            list.extensions().iter().find(|extension| extension.oid == oid).map(|found| found.value.to_vec())
        };
        let next_update = list.next_update().ok_or_else(|| {
            let what = "holds a revocation list that does not say when the next one is due";
            Problem::new(file, what, "let the authority set nextUpdate (RFC 5280, section 5.1.2.5)")
        })?;
        let scope = Scope {
            issuer: list.issuer().as_raw().to_vec(),
            key: extension(OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER),
            part: extension(OID_X509_EXT_ISSUER_DISTRIBUTION_POINT),
        };
        let age = (time(list.last_update()), list.crl_number().cloned().unwrap_or_default());
        let info = RevocationInfo {
            file: file.to_owned(),
            issuer: list.issuer().to_string(),
            next_update: time(next_update),
        };
        Ok(Self { info, der, scope, age })
    }

    /// Checks that the verifier understands the list. It does not say which of several lists it refuses.
    fn check(&self, roots: &Arc<RootCertStore>) -> Result<(), Problem> {
        match build(roots, [self.der.clone()], true) {
            Err(VerifierBuilderError::InvalidCrl(error)) => {
                let what = format!("holds an unsupported revocation list: {error:?}");
                let help = "let the authority issue a complete list of version 2, neither delta nor indirect";
                Err(Problem::new(&self.info.file, what, help))
            }
            _ => Ok(()),
        }
    }
}

/// Drops each list that a newer one replaces. The verifier would use whichever comes first, even if it has expired.
fn newest(lists: Vec<List>) -> Vec<List> {
    let mut newest: Vec<List> = Vec::with_capacity(lists.len());
    for list in lists {
        match newest.iter_mut().find(|other| other.scope == list.scope) {
            Some(other) if list.age > other.age => *other = list,
            Some(_) => {}
            None => newest.push(list),
        }
    }
    newest
}

fn build(
    roots: &Arc<RootCertStore>,
    lists: impl IntoIterator<Item = CertificateRevocationListDer<'static>>,
    is_required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    // By default the status of the whole chain is checked and an unknown one refused, but an expired list believed.
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .with_crls(lists)
        .enforce_revocation_expiration();
    if is_required { builder.build() } else { builder.allow_unauthenticated().build() }
}

/// Verifies client certificates, and notes what it learns.
#[derive(Debug)]
pub(crate) struct Verifier(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        let names = CertificateNames::read(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        notes::note(|notes| {
            notes.expires = Some(unix_time(names.not_after).as_secs());
            notes.certificate = Some(names);
        });
        Ok(verified)
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
