//! Tests of handshakes and connections with real clients of TLS.

mod client_certificates;
mod files;
mod handshake;
mod hostile;
mod resumption;
mod server_names;
mod streams;
mod warnings;

use crate::testing::{
    Authority, DAY, Files, VERSIONS, client, client_config, client_of_version, params, server, settings,
    settings_with_clients,
};
use crate::{Established, HandshakeError, ServerTls, TlsStream};
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsConnector;

type Accepted = Result<(TlsStream<DuplexStream>, Established), HandshakeError>;
type Client = tokio_rustls::client::TlsStream<DuplexStream>;

/// Connects a client to a server over a pipe that holds `capacity` bytes, and returns what each end has of it.
async fn connect_over(
    capacity: usize,
    server: &ServerTls,
    client: &Arc<ClientConfig>,
    name: &'static str,
) -> (Accepted, io::Result<Client>) {
    let (near, far) = duplex(capacity);
    let connector = TlsConnector::from(Arc::clone(client));
    // A server that fails drops its end.
    let accept = async { server.accept(near).await.map_err(|failed| failed.error) };
    tokio::join!(accept, connector.connect(name.try_into().unwrap(), far))
}

async fn connect(
    server: &ServerTls,
    client: &Arc<ClientConfig>,
    name: &'static str,
) -> (Accepted, io::Result<Client>) {
    connect_over(64 * 1024, server, client, name).await
}

/// Connects a client to a server, and returns both ends.
async fn establish(
    server: &ServerTls,
    client: &Arc<ClientConfig>,
) -> (TlsStream<DuplexStream>, Established, Client) {
    let (accepted, connected) = connect(server, client, "a.test").await;
    let ((stream, established), client) = (accepted.unwrap(), connected.unwrap());
    (stream, established, client)
}

/// Makes a server with a certificate for `a.test`, and its authority.
fn simple() -> (ServerTls, Authority) {
    let authority = Authority::new("root");
    let leaf = authority.issue(&server(&["a.test"]));
    let tls = Files::default().with_leaf("server", &leaf).load(&settings(&["server"])).unwrap();
    (tls, authority)
}
