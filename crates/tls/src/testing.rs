//! Authorities, files and clients for tests.

use crate::{ClientAuth, FileKind, KeyPairFiles, Problem, Read, ServerSettings, ServerTls, provider};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate in PEM, and those up to the root but for the root's.
    pub(crate) chain: String,
    pub(crate) certificate: String,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// Makes parameters of a certificate that is valid from yesterday to ten weeks from now.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - DAY).into(), (now + 70 * DAY).into());
    params.use_authority_key_identifier_extension = true;
    params
}

/// Makes parameters of a certificate for a server with these names.
pub(crate) fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = params("server");
    params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Makes parameters of a client's certificate with this serial number.
pub(crate) fn client(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

impl Leaf {
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

impl Authority {
    /// Returns a store that trusts this authority.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }

    /// Makes a root.
    pub(crate) fn new(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), chain: String::new(), certificate }
    }

    /// Makes an authority below this one.
    pub(crate) fn intermediate(&self, name: &str, serial: u64) -> Self {
        let mut params = authority(name);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let chain = format!("{certificate}{}", self.chain);
        Self { issuer: Issuer::new(params, key), chain, certificate }
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Leaf {
        self.issue_for(params, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn issue_for(
        &self,
        params: &CertificateParams,
        algorithm: &'static SignatureAlgorithm,
    ) -> Leaf {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { chain: format!("{}{}", certificate.pem(), self.chain), key: key.serialize_pem() }
    }

    /// Makes a revocation list that was issued at `from`, is valid for `life`, and lists certificates by serial number.
    pub(crate) fn revoke(&self, serials: &[u64], from: SystemTime, life: Duration) -> String {
        self.revoke_with(serials, from, life, |_| {})
    }

    /// Makes a revocation list like [`Self::revoke`] with other parameters.
    pub(crate) fn revoke_with(
        &self,
        serials: &[u64],
        from: SystemTime,
        life: Duration,
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> String {
        let revoked_certs = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: from.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let mut params = CertificateRevocationListParams {
            this_update: from.into(),
            next_update: (from + life).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Files in memory.
#[derive(Default)]
pub(crate) struct Files(HashMap<PathBuf, Vec<u8>>);

impl Files {
    pub(crate) fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(name.into(), content.into());
        self
    }

    /// Adds the files of a certificate, `NAME.crt` and `NAME.key`.
    pub(crate) fn with_leaf(self, name: &str, leaf: &Leaf) -> Self {
        self.with(&format!("{name}.crt"), &*leaf.chain).with(&format!("{name}.key"), &*leaf.key)
    }

    pub(crate) fn load(&self, settings: &ServerSettings) -> Result<ServerTls, Vec<Problem>> {
        let mut read = |file: &Path, kind: FileKind| {
            assert_eq!(kind == FileKind::PrivateKey, file.extension().is_some_and(|name| name == "key"));
            self.0.get(file).cloned().ok_or_else(|| Problem::new(file, "is missing", "write it"))
        };
        let read: &mut Read<'_> = &mut read;
        ServerTls::load(settings, read)
    }
}

/// Makes settings with these certificates, by the names of their files.
pub(crate) fn settings(certificates: &[&str]) -> ServerSettings {
    let pair =
        |name: &&str| KeyPairFiles { chain: format!("{name}.crt").into(), key: format!("{name}.key").into() };
    ServerSettings { certificates: certificates.iter().map(pair).collect(), clients: None, http2: true }
}

/// Makes settings that ask for client certificates.
pub(crate) fn settings_with_clients(revocations: &[&str], is_required: bool) -> ServerSettings {
    let clients = ClientAuth {
        authorities: vec!["clients.pem".into()],
        revocations: revocations.iter().map(Into::into).collect(),
        is_required,
    };
    ServerSettings { clients: Some(clients), ..settings(&["server"]) }
}

/// The versions of TLS, and their names.
pub(crate) const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("1.2", &TLS12), ("1.3", &TLS13)];

/// Makes the configuration of a client that trusts `authority`, and presents a certificate if it has one.
pub(crate) fn client_config(authority: &Authority, certificate: Option<&Leaf>) -> ClientConfig {
    client_of_version(&TLS13, authority, certificate)
}

/// Makes the configuration of a client that speaks one version of TLS.
pub(crate) fn client_of_version(
    version: &'static SupportedProtocolVersion,
    authority: &Authority,
    certificate: Option<&Leaf>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(authority.roots());
    match certificate {
        None => builder.with_no_client_auth(),
        Some(leaf) => builder.with_client_auth_cert(leaf.certificates(), leaf.private_key()).unwrap(),
    }
}
