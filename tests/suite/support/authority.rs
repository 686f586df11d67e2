//! A certificate authority, and TLS clients that trust it.

use super::http::Connection;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The time-out of a read or write. It only ends a hang.
const PATIENCE: Duration = Duration::from_mins(1);

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for servers of these names.
    pub(crate) fn server(&self, names: &[&str]) -> Issued {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, |_| {})
    }

    /// Issues a certificate for a client with this common name and serial number.
    pub(crate) fn client(&self, name: &str, serial: u64) -> Issued {
        self.issue(&[], ExtendedKeyUsagePurpose::ClientAuth, |params| {
            params.distinguished_name.push(DnType::CommonName, name);
            params.serial_number = Some(SerialNumber::from(serial));
        })
    }

    /// Issues a certificate. `change` modifies it.
    pub(crate) fn issue(
        &self,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        // OpenSSL treats a certificate with equal subject and issuer as self-signed.
        let subject = names.first().cloned();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = subject {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.extended_key_usages = vec![usage];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// Issues a revocation list of these serial numbers that is replaced by the beginning of `next` (a year).
    pub(crate) fn revocations(&self, serials: &[u64], next: i32) -> String {
        self.revocations_until(serials, date_time_ymd(next, 1, 1).into())
    }

    /// Returns a revocation list like [`Self::revocations`] whose next one is due at this time.
    pub(crate) fn revocations_until(&self, serials: &[u64], next: SystemTime) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: next.into(),
            crl_number: SerialNumber::from(serials.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .unwrap()
        .pem()
        .unwrap()
    }

    /// Returns a client that trusts the authority, keeps its sessions, and has this certificate.
    pub(crate) fn trusting(&self, certificate: Option<&Issued>) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(Issued { der, key_der, .. }) => builder
                .with_client_auth_cert(vec![der.clone()], PrivateKeyDer::Pkcs8(key_der.clone().into()))
                .unwrap(),
        };
        Client { config: Arc::new(config) }
    }
}

impl Issued {
    /// Writes the certificate and its key to files, as programs do that renew them. Returns their paths.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        fs::write(&chain, &self.chain).unwrap();
        fs::write(&key, &self.key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        (chain, key)
    }

    /// Returns whether a server showed this certificate.
    pub(crate) fn is(&self, shown: &CertificateDer<'_>) -> bool {
        self.der == *shown
    }
}

/// A TLS client. Its connections share sessions.
#[derive(Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
}

/// A TLS connection of a [`Client`].
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Client {
    /// Returns the client with another number of protocols, such as `h2`.
    pub(crate) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        self
    }

    /// Returns the configuration of its connections.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Connects, and completes the handshake as far as the client sees it.
    pub(crate) fn connect(&self, address: SocketAddr, name: &'static str) -> io::Result<Stream> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        self.connect_over(socket, name)
    }

    /// Completes the handshake over a connection, as far as the client sees it.
    pub(crate) fn connect_over(&self, socket: TcpStream, name: &'static str) -> io::Result<Stream> {
        let name = ServerName::try_from(name).unwrap();
        let session = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// Connects for requests.
    pub(crate) fn open(&self, address: SocketAddr, name: &'static str) -> io::Result<Connection> {
        self.connect(address, name).map(Connection::over_any)
    }
}
