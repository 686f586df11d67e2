//! Opens accepted connections step by step: counts them for their peer, reads the PROXY header of a load balancer, counts
//! them for the client that it names, and serves them.

use super::accept::Context;
use super::arriving::{arrival, is_known, when_over};
use super::connection::{self, Accepted, Memory};
use super::securing::Securing;
use super::tls_connections::TlsConnections;
use crate::bounds::connections::ConnectionGuard;
use crate::bounds::memory::Payer;
use crate::config::Listener;
use crate::identify::client::{Connection, ListenerRef, Source};
use crate::proxy::Current;
use crate::proxy::live_tls::LiveTls;
use crate::telemetry::metrics::HeaderFailure;
use http1::Socket;
use http1::clock::{self, with_event_clock};
use http1::server::ConnectionLimits;
use proxy_protocol::{Header, ReadError, Versions};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::Instant;

/// The maximum size of a request's head from a client that no mapping admits, in bytes. The request is refused anyway.
const STRANGERS_HEAD: usize = 4096;

/// A connection between its acceptance and its first request.
struct Opening {
    socket: Accepted,
    connection: Connection,
    guard: ConnectionGuard,
    limits: ConnectionLimits,
    current: Rc<Current>,
    tls_connections: TlsConnections,
    stopping: watch::Receiver<bool>,
    /// Held until the connection ends, so that the worker notices when all are closed.
    open: mpsc::Sender<()>,
}

impl Context {
    /// Opens an accepted connection in a task of its own, unless its peer may not connect or a limit is exceeded.
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
        let opening = Opening { socket, connection, guard, limits, current, tls_connections, stopping, open };
        spawn_local(with_event_clock(opening.run(versions)));
    }
}

impl Opening {
    /// Takes the connection through the steps before its first request, and serves it.
    async fn run(mut self, versions: Option<Versions>) {
        // Boxed so that connections without a header do not hold the memory for one.
        if let Some(versions) = versions {
            match Box::pin(self.identify_source(versions)).await {
                Some(opening) => self = opening,
                None => return,
            }
        }
        let generation = self.current.shared().generation.load();
        let tls = generation.listeners.tls(self.connection.listener().id()).cloned();
        drop(generation);
        match tls {
            // Boxed for the same reason.
            Some(tls) => Box::pin(self.serve_over(tls)).await,
            None => self.serve().await,
        }
    }

    /// Reads the PROXY header, and counts the connection for the client that it names. Returns `None` if the connection must
    /// be closed.
    async fn identify_source(mut self, versions: Versions) -> Option<Self> {
        let deadline = clock::now() + self.limits.header;
        let header = match self.read_header(versions, deadline).await {
            Ok(header) => header,
            Err(error) => {
                let failure = error.as_ref().map_or(HeaderFailure::Timeout, HeaderFailure::from);
                let late = io::Error::from(io::ErrorKind::TimedOut);
                let why: &dyn std::fmt::Display = error.as_ref().map_or(&late, |error| error);
                refuse(&self.current, &self.connection, failure, why);
                return None;
            }
        };
        let source = match header.source {
            proxy_protocol::Source::Client(address) => Source::Proxied(address.ip()),
            proxy_protocol::Source::Unnamed => Source::Unknown,
        };
        let connection = self.connection.from_source(source);
        let shared = self.current.shared();
        let generation = shared.generation.load_full();
        let arrival = arrival(&generation, &connection, is_known(&generation, &connection));
        let guard = self.guard.recount(&arrival, &generation.limits).ok()?;
        Some(Self { connection, guard, ..self })
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
            () = when_over(deadline, &mut self.stopping) => Err(None),
        }
    }

    async fn serve(self) {
        let Self { socket, connection, guard, mut limits, current, stopping, open, .. } = self;
        let memory = Memory::of(&guard, &current, &mut limits);
        connection::run(socket, connection, memory, current, &limits, stopping).await;
        drop((guard, open));
    }

    async fn serve_over(self, tls: Arc<LiveTls>) {
        let Self { socket, connection, guard, limits, current, tls_connections, stopping, open } = self;
        let securing =
            Securing { connection, guard, limits, current, connections: tls_connections, stopping, open };
        match socket {
            Accepted::Tcp(stream, _) => securing.serve(Socket::from(stream), &tls).await,
            Accepted::Unix(stream) => securing.serve(stream, &tls).await,
        }
    }
}

impl Memory {
    /// Returns the memory for the requests of a counted connection. Clients without a mapping have less.
    pub(super) fn of(guard: &ConnectionGuard, current: &Current, limits: &mut ConnectionLimits) -> Self {
        let payer = if guard.is_known() {
            Payer::Client(guard.client())
        } else {
            limits.head.bytes = limits.head.bytes.min(STRANGERS_HEAD);
            Payer::Strangers
        };
        Self { budget: current.shared().memory.clone(), payer }
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
