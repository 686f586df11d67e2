//! MinIO and the certificates of its clients.

use crate::support::minio::Minio;
use crate::support::tls::{Authority, Pair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

/// Returns the response to a health check over TLS.
async fn health(address: SocketAddr, authority: &Authority, client: Option<&Pair>) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.chain.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = b"GET /minio/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[test]
fn no_connection_is_refused_because_of_its_clients_certificate() {
    let runtime = Runtime::new().unwrap();
    let (ours, unknown) = (Authority::new("our authority"), Authority::new("unknown"));
    let server = ours.issue(&["localhost"]);
    for settings in [&[][..], &[("MINIO_IDENTITY_TLS_ENABLE", "on")]] {
        let minio = Minio::start_over_tls_with(&server.chain, &server.key, settings);
        for client in [None, Some(unknown.issue(&["scopegate"]))] {
            let answer = runtime.block_on(health(minio.address, &ours, client.as_ref()));
            assert!(answer.starts_with("HTTP/1.1 200"), "{settings:?} {}: {answer}", client.is_some());
        }
    }
}
