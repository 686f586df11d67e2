//! Opens accepted connections step by step: counts them for their peer, reads the PROXY header of a load balancer, counts
//! them for the client that it names, and serves them.

use super::accept::Context;
use super::arriving::{arrival, is_known, start_task, when_over};
use super::connection::{Accepted, Counted, serve_plain};
use super::securing::Securing;
use super::tls_connections::TlsConnections;
use crate::config::Listener;
use crate::identify::client::{Connection, ListenerRef, Source};
use crate::proxy::Current;
use crate::telemetry::metrics::HeaderFailure;
use http1::Socket;
use http1::clock;
use http1::server::ConnectionLimits;
use proxy_protocol::{Header, ReadError, Versions};
use std::io;
use std::rc::Rc;
use tokio::time::Instant;

/// A connection between its acceptance and its first request.
struct Opening {
    socket: Accepted,
    counted: Counted,
    tls_connections: TlsConnections,
}

impl Context {
    /// Opens an accepted connection, unless its peer may not connect or a limit is exceeded.
    pub(super) fn open(&self, socket: Accepted, listener: &ListenerRef) {
        let shared = self.current.shared();
        let generation = shared.generation.load_full();
        let connection = socket.connection(listener.clone());
        let settings = generation.listeners.get(listener.id());
        let Ok(versions) = demanded(settings, &connection) else {
            refuse(&self.current, &connection, HeaderFailure::UntrustedPeer, &"its peer is not in from");
            return;
        };
        // A load balancer need not match a mapping: its clients do.
        let is_known = versions.is_some() || is_known(&generation, &connection);
        let arrival = arrival(&generation, &connection, is_known);
        let Ok(guard) = shared.metrics.connections.admit(&arrival, &generation.limits) else {
            return;
        };
        let limits = ConnectionLimits::from(&generation.limits);
        let (current, stopping, open) = (Rc::clone(&self.current), self.stopping.clone(), self.open.clone());
        let tls_connections = self.tls_connections.clone();
        let counted = Counted { connection, guard, limits, current, stopping, open };
        let opening = Opening { socket, counted, tls_connections };
        match versions {
            Some(versions) => start_task(opening.identify_source(versions)),
            None => opening.start(),
        }
    }
}

impl Opening {
    /// Reads the PROXY header, counts the connection for the client that it names, and starts to serve it.
    async fn identify_source(mut self, versions: Versions) {
        let deadline = clock::now() + self.counted.limits.header;
        let header = match self.read_header(versions, deadline).await {
            Ok(header) => header,
            Err(error) => {
                let failure = error.as_ref().map_or(HeaderFailure::Timeout, HeaderFailure::from);
                let late = io::Error::from(io::ErrorKind::TimedOut);
                let why: &dyn std::fmt::Display = error.as_ref().map_or(&late, |error| error);
                refuse(&self.counted.current, &self.counted.connection, failure, why);
                return;
            }
        };
        let source = match header.source {
            proxy_protocol::Source::Client(address) => Source::Proxied(address.ip()),
            proxy_protocol::Source::Unnamed => Source::Unknown,
        };
        if let Some(counted) = self.counted.recount_as(source) {
            Self { counted, ..self }.start();
        }
    }

    /// Starts the task that serves the connection, or first performs its handshake. Each step is a task of its own, so that
    /// a connection does not hold the memory for the steps before.
    fn start(self) {
        let Self { socket, counted, tls_connections } = self;
        let generation = counted.current.shared().generation.load();
        let tls = generation.listeners.tls(counted.connection.listener().id()).cloned();
        drop(generation);
        let Some(tls) = tls else {
            match socket {
                Accepted::Tcp(stream, _) => start_task(serve_plain(Socket::from(stream), counted)),
                Accepted::Unix(stream) => start_task(serve_plain(stream, counted)),
            }
            return;
        };
        let securing = Securing { counted, connections: tls_connections };
        match socket {
            Accepted::Tcp(stream, _) => start_task(securing.secure(Socket::from(stream), tls)),
            Accepted::Unix(stream) => start_task(securing.secure(stream, tls)),
        }
    }

    /// Reads the header. The error is `None` if it did not arrive in time.
    async fn read_header(
        &mut self,
        versions: Versions,
        deadline: Instant,
    ) -> Result<Header, Option<ReadError>> {
        tokio::select! {
            biased;
            header = self.socket.read_proxy_header(versions) => header.map_err(Some),
            () = when_over(deadline, &mut self.counted.stopping) => Err(None),
        }
    }
}

impl Counted {
    /// Counts the connection for the client that a PROXY header names instead. Returns `None` if that client has too many.
    fn recount_as(self, source: Source) -> Option<Self> {
        let connection = self.connection.from_source(source);
        let shared = self.current.shared();
        let generation = shared.generation.load_full();
        let arrival = arrival(&generation, &connection, is_known(&generation, &connection));
        let guard = self.guard.recount(&arrival, &generation.limits).ok()?;
        Some(Self { connection, guard, ..self })
    }
}

/// Returns the versions of the PROXY header that a connection must begin with. `None` if it begins with a request.
///
/// # Errors
/// When the listener serves load balancers only, and the peer is not one of them.
fn demanded(listener: Option<&Listener>, connection: &Connection) -> Result<Option<Versions>, ()> {
    match listener.and_then(|listener| listener.proxy_protocol.as_ref()) {
        None => Ok(None),
        Some(settings) if settings.from.trust_peer(connection) => Ok(Some(settings.versions)),
        Some(_) => Err(()),
    }
}

/// Counts a connection that is closed because of its PROXY header, and tells the log of it.
fn refuse(current: &Current, connection: &Connection, failure: HeaderFailure, why: &dyn std::fmt::Display) {
    if !current.shared().metrics.proxy_headers.failed(failure, clock::now()) {
        return;
    }
    tracing::warn!(
        listener = %connection.listener().name(), peer = %connection.peer(), reason = failure.name(), error = %why,
        "closed a connection because of its PROXY header; more in the next ten seconds are only counted"
    );
}
