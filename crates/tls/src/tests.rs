//! Tests of handshakes with real clients of TLS.

mod handshake;

use crate::testing::{Authority, Files, client_config, server, settings};
use crate::{Established, Failed, ServerTls, TlsStream};
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use tokio::io::{DuplexStream, duplex};
use tokio_rustls::TlsConnector;

type Accepted = Result<(TlsStream<DuplexStream>, Established), Failed<DuplexStream>>;
type Connected = io::Result<tokio_rustls::client::TlsStream<DuplexStream>>;

/// Connects a client to a server, and returns what each end has of it.
async fn connect(server: &ServerTls, client: &ClientConfig, name: &'static str) -> (Accepted, Connected) {
    let (near, far) = duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(client.clone()));
    tokio::join!(server.accept(near), connector.connect(name.try_into().unwrap(), far))
}

/// Makes a server with a certificate for `a.test`, and its authority.
fn simple() -> (ServerTls, Authority) {
    let authority = Authority::new("root");
    let leaf = authority.issue(&server(&["a.test"]));
    let tls = Files::default().with_leaf("server", &leaf).load(&settings(&["server"])).unwrap();
    (tls, authority)
}
