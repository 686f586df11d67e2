//! Performs the TLS handshake of a connection, and serves what comes over it.

use super::arriving::{arrival, is_known, start_task, when_over};
use super::connection::{Counted, serve_secured};
use super::tls_connections::{TlsConnections, is_accepted};
use crate::bounds::places::Holder;
use crate::identify::certificate::Certificate;
use crate::identify::client::Tls;
use crate::proxy::live_tls::LiveTls;
use crate::s3::xml::Document;
use bytes::Bytes;
use http1::{HeadLimits, RequestHead, Transport, clock, visible};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tls::{Established, HandshakeError, ServerTls, TlsStream};
use tokio::time::timeout;

/// The time that a client has to read why its handshake failed.
const LINGER: Duration = Duration::from_secs(5);

/// A connection to a listener with TLS.
pub(super) struct Securing {
    pub(super) counted: Counted,
    pub(super) connections: TlsConnections,
}

impl Securing {
    /// Performs the handshake, and starts the task that serves the connection.
    pub(super) async fn secure<S: Transport>(mut self, stream: S, live: Arc<LiveTls>) {
        let Some((stream, established)) = self.shake_hands(stream, &live).await else { return };
        let (certificate, is_http2) = (established.certificate.clone(), established.http2);
        let Some(mut counted) = self.counted.secured(established) else { return };
        let is_stopping = *counted.stopping.borrow();
        let listener = counted.connection.listener().id();
        let registered;
        (registered, counted.stopping) = self.connections.add(listener, certificate, is_stopping);
        start_task(serve_secured((stream, is_http2), counted, registered));
    }

    /// Performs the handshake. Returns `None` if it fails, which is counted.
    async fn shake_hands<S: Transport>(
        &mut self,
        stream: S,
        live: &LiveTls,
    ) -> Option<(TlsStream<S>, Established)> {
        let deadline = clock::now() + self.counted.limits.header;
        let shared = self.counted.current.shared();
        let holder = Holder { group: 0, client: self.counted.connection.key() };
        let place = shared.generation.load().handshakes.try_take(holder);
        let Some((place, tls)) = place.zip(live.current()) else {
            self.note("limit", &"limits.handshakes are in progress, or too many of this client");
            return None;
        };
        let running = shared.metrics.tls.begin();
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept(stream) => accepted,
            () = when_over(deadline, &mut self.counted.stopping) => {
                self.note("timeout", &"the client did not complete the handshake in time");
                return None;
            }
        };
        drop((running, place));
        match accepted {
            Ok((stream, established)) => self.is_current(&tls, &established).then_some((stream, established)),
            Err(failed) => {
                self.note(failed.error.label(), &failed.error);
                let farewell = farewell(&failed.error, self.counted.limits.head);
                // The client is told as far as it listens.
                let _ = timeout(LINGER, failed.close(&farewell)).await;
                None
            }
        }
    }

    /// Returns whether the client is still accepted. The authorities may have changed during its handshake.
    fn is_current(&self, tls: &Arc<ServerTls>, established: &Established) -> bool {
        let shared = self.counted.current.shared();
        let (generation, listener) = (shared.generation.load(), self.counted.connection.listener().id());
        let current = generation.listeners.tls(listener).and_then(|live| live.current());
        let is_same = current.is_some_and(|current| Arc::ptr_eq(&current, tls));
        let certificate = established.certificate.as_ref();
        let is_accepted = is_same || is_accepted(&generation, listener, certificate, shared.clock.now());
        if is_accepted {
            shared.metrics.tls.established(established.version, established.is_resumed);
        }
        is_accepted
    }

    /// Counts a handshake that failed, and tells the log of it.
    fn note(&self, reason: &'static str, why: &dyn fmt::Display) {
        if !self.counted.current.shared().metrics.tls.failed(reason, clock::now()) {
            return;
        }
        let (client, listener) = (&self.counted.connection, self.counted.connection.listener().name());
        // Port scanners and health checks of load balancers connect and leave.
        if reason == "closed" {
            tracing::debug!(%client, %listener, reason, error = %why, "TLS handshake failed");
        } else {
            tracing::info!(%client, %listener, reason, error = %why, "TLS handshake failed");
        }
    }
}

impl Counted {
    /// Adds what the handshake showed, and counts the connection again if its certificate makes it a known client's.
    fn secured(self, established: Established) -> Option<Self> {
        let names = established.certificate.map(|certificate| certificate.names);
        let connection = self.connection.over_tls(Tls {
            version: established.version,
            server_name: established.server_name.map(|name| name.to_ascii_lowercase().into()),
            certificate: names.map(|names| Arc::new(Certificate::new(names))),
        });
        let generation = self.current.shared().generation.load_full();
        let is_known = is_known(&generation, &connection);
        let guard = if is_known == self.guard.is_known() {
            self.guard
        } else {
            self.guard.recount(&arrival(&generation, &connection, is_known), &generation.limits).ok()?
        };
        Some(Self { connection, guard, ..self })
    }
}

/// Returns what a client is told that speaks plain HTTP. Other clients have received an alert.
fn farewell(error: &HandshakeError, limits: HeadLimits) -> Vec<u8> {
    let HandshakeError::NotTls(received) = error else { return Vec::new() };
    if !error.is_http() {
        return Vec::new();
    }
    let message = match host_of(received, limits) {
        Some(host) => format!("this port speaks TLS: use https://{host}/"),
        None => "this port speaks TLS: use https:// instead of http://".to_owned(),
    };
    let mut document = Document::error();
    document.element("Code", "InvalidRequest");
    document.element("Message", &message);
    let body = document.finish("Error");
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns the host that a request names, if its whole head has arrived.
fn host_of(received: &[u8], limits: HeadLimits) -> Option<String> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = Bytes::copy_from_slice(received.get(..end)?);
    let head = RequestHead::parse(head, limits).ok()?;
    head.request.fields().get("host").and_then(visible).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_speaks_plain_http_learns_the_url() {
        let limits = HeadLimits { bytes: 4096, fields: 100 };
        let told = |received: &[u8]| {
            String::from_utf8(farewell(&HandshakeError::NotTls(received.to_vec()), limits)).unwrap()
        };
        for (received, expected) in [
            (&b"GET / HTTP/1.1\r\nHost: s3.test:8443\r\n\r\n"[..], "use https://s3.test:8443/<"),
            (b"GET / HTTP/1.1\r\nHost: <b>\r\n\r\n", "use https:// instead"),
            (b"GET / HTTP/1.1\r\nHost: a&b\r\n\r\n", "use https://a&amp;b/<"),
            (b"GET / HTTP/1.1\r\nHo", "use https:// instead"),
        ] {
            let told = told(received);
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 400 "), "{told}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{told}");
            assert!(body.contains(expected), "{told}");
        }
        assert_eq!(told(b"SSH-2.0-OpenSSH\r\n"), "");
        assert!(farewell(&HandshakeError::ClosedByPeer, limits).is_empty());
    }
}
