//! Authorities, certificates, and TLS terminators in front of a server.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tempfile::NamedTempFile;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A private authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key in PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns its certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |_| {})
    }

    /// Issues a certificate for these names with changed parameters.
    pub(crate) fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        // OpenSSL treats a certificate with equal subject and issuer as self-signed.
        params.distinguished_name.push(DnType::CommonName, "localhost");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// Returns the configuration of a TLS server. It demands certificates of `clients`.
pub(crate) fn server(pair: &Pair, clients: Option<&Authority>) -> ServerConfig {
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).map(Result::unwrap).collect();
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap()).unwrap()
}

/// A TLS terminator in front of a server, while the runtime lives.
pub(crate) struct Terminator {
    pub(crate) address: SocketAddr,
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Terminator {
    pub(crate) fn start(runtime: &Runtime, server: SocketAddr, config: ServerConfig) -> Self {
        let config = Arc::new(Mutex::new(Arc::new(config)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let current = Arc::clone(&config);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::clone(&current.lock().unwrap()));
                tokio::spawn(async move {
                    if let (Ok(mut secure), Ok(mut plain)) =
                        (acceptor.accept(stream).await, TcpStream::connect(server).await)
                    {
                        let _ = copy_bidirectional(&mut secure, &mut plain).await;
                    }
                });
            }
        });
        Self { address, config }
    }

    /// Uses another configuration for connections that begin from now on.
    pub(crate) fn change(&self, config: ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }
}

/// Terminates TLS in front of `server` while the runtime lives. The file contains the authority to trust.
pub(crate) fn terminate_tls(runtime: &Runtime, address: SocketAddr) -> (SocketAddr, NamedTempFile) {
    let authority = Authority::new("the authority of the test");
    let config = server(&authority.issue(&["localhost", "127.0.0.1"]), None);
    let trusted = NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), authority.pem()).unwrap();
    (Terminator::start(runtime, address, config).address, trusted)
}
