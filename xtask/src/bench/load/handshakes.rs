//! New connections, each with one request.

use super::{Connection, Endpoint, Request};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clients that connect, send a request, read its response and close the connection, again and again.
pub(crate) struct Handshakes {
    pub(crate) clients: u32,
    pub(crate) length: Duration,
    /// Whether each client resumes the session of its connection before.
    pub(crate) resumed: bool,
}

impl Handshakes {
    /// Loads a proxy and returns the number of connections. Calls `begin` once every client has its first session.
    ///
    /// # Errors
    /// A handshake or an exchange fails, or a handshake is not of the kind that is measured.
    pub(crate) async fn run<T>(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        begin: impl FnOnce() -> Result<T, String>,
    ) -> Result<(u32, T), String> {
        let mut endpoints = Vec::new();
        for _ in 0..self.clients {
            let own = if self.resumed { endpoint.with_sessions() } else { endpoint.clone() };
            open(&own, request).await?;
            endpoints.push(own);
        }
        let before = begin()?;
        let until = Instant::now() + self.length;
        let mut clients = JoinSet::new();
        for endpoint in endpoints {
            clients.spawn_local(repeat(endpoint, request.clone(), self.resumed, until));
        }
        let mut connections = 0;
        while let Some(client) = clients.join_next().await {
            connections += client.map_err(|_panic| "a client panicked".to_owned())??;
        }
        Ok((connections, before))
    }
}

/// Opens connections until the time is up and returns their number.
async fn repeat(endpoint: Endpoint, request: Request, resumed: bool, until: Instant) -> Result<u32, String> {
    let mut count = 0;
    while Instant::now() < until {
        if open(&endpoint, &request).await? != resumed {
            let wanted = if resumed { "resume the session" } else { "make a full handshake" };
            return Err(format!("the server did not {wanted}"));
        }
        count += 1;
    }
    Ok(count)
}

/// Opens a connection for one request and reports whether it resumed a session.
async fn open(endpoint: &Endpoint, request: &Request) -> Result<bool, String> {
    let mut connection = Connection::open(endpoint, 4 << 10).await?;
    connection.exchange(request).await?;
    Ok(connection.is_resumed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::certificates::{Certificates, KeyKind};
    use crate::bench::load::{Exchange, on_this_thread};
    use rustls::ServerConfig;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// Returns a server that sends this many tickets.
    fn server(tickets: usize) -> TlsAcceptor {
        let certificates = Certificates::create().unwrap();
        let pair = certificates.of(KeyKind::Ecdsa);
        let certificate = CertificateDer::from_pem_file(&pair.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.send_tls13_tickets = tickets;
        Arc::new(config).into()
    }

    /// Answers one request on each connection.
    async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::task::spawn_local(async move {
                let mut stream = acceptor.accept(stream).await?;
                if stream.read(&mut [0; 1024]).await? == 0 {
                    return Ok(());
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
                stream.flush().await
            });
        }
    }

    fn opened(tickets: usize, resumed: bool) -> Result<u32, String> {
        on_this_thread(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let endpoint = Endpoint::tls(listener.local_addr().unwrap(), Exchange::PostQuantum);
            tokio::task::spawn_local(serve(listener, server(tickets)));
            let load = Handshakes { clients: 2, length: Duration::from_millis(100), resumed };
            load.run(&endpoint, &Request::get("/1"), || Ok(())).await.map(|(connections, ())| connections)
        })
    }

    #[test]
    fn counts_only_handshakes_of_the_kind_that_is_measured() {
        assert!(opened(2, false).is_ok_and(|connections| connections > 0));
        assert!(opened(2, true).is_ok_and(|connections| connections > 0));
        assert_eq!(opened(0, true), Err("the server did not resume the session".to_owned()));
    }
}
