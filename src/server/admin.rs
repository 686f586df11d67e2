//! The admin listener: `/livez`, `/readyz`, `/metrics`, and the status page.
//!
//! A client that holds connections open cannot lock out health probes: when there are too many connections, the
//! oldest one of the address with the most is closed.

use super::health::Readiness;
use super::status::{self, Status};
use crate::identify::browser::{self, AllowedHosts};
use crate::refusal::{Refusal, Rule};
use crate::telemetry::metrics::Format;
use ::http1::Host;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The age at which a connection ends, after the current response.
const CONNECTION_LIFE: Duration = Duration::from_mins(1);
/// The time to read that last response.
const LAST_ANSWER: Duration = Duration::from_secs(10);
const MAX_BUFFER: usize = 16 * 1024;
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const NOT_FOUND: &str = "not found: use /status, /status.json, /livez, /readyz or /metrics\n";

/// Serves requests on `socket`, on the current runtime.
pub(super) fn start(socket: std::net::TcpListener, ready: Arc<Readiness>) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    let status = Status::start(&ready.shared().metrics);
    tokio::spawn(accept_all(socket, Arc::new(Sources { ready, status })));
    Ok(())
}

/// What responses are made of.
struct Sources {
    ready: Arc<Readiness>,
    status: Status,
}

async fn accept_all(socket: TcpListener, sources: Arc<Sources>) {
    let mut open = Open::default();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, address)) => open.serve(address.ip(), serve(stream, Arc::clone(&sources))),
                Err(error) => {
                    tracing::warn!(%error, "accept failed on the admin listener");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(ended) = open.tasks.join_next_with_id() => open.forget(&ended),
        }
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    connections: Vec<(IpAddr, AbortHandle)>,
}

impl Open {
    /// Serves a connection, closing an older one if there are too many.
    fn serve(&mut self, address: IpAddr, connection: impl Future<Output = ()> + Send + 'static) {
        if self.connections.len() >= MAX_CONNECTIONS
            && let Some(oldest) = self.oldest_of_the_most()
        {
            self.connections.remove(oldest).1.abort();
        }
        self.connections.push((address, self.tasks.spawn(connection)));
    }

    /// Returns the oldest connection of the address with the most connections.
    fn oldest_of_the_most(&self) -> Option<usize> {
        let count = |address| self.connections.iter().filter(|(other, _)| *other == address).count();
        let most = self.connections.iter().map(|(address, _)| count(*address)).max()?;
        self.connections.iter().position(|(address, _)| count(*address) == most)
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let ended = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        self.connections.retain(|(_, task)| task.id() != ended);
    }
}

async fn serve(stream: TcpStream, sources: Arc<Sources>) {
    let service = service_fn(|request| {
        let sources = Arc::clone(&sources);
        async move { Ok::<_, Infallible>(answer(&request, &sources).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    if timeout(CONNECTION_LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, connection).await;
    }
}

async fn answer(request: &Request<Incoming>, sources: &Sources) -> Response<Full<Bytes>> {
    let Sources { ready, status } = sources;
    if let Err(refusal) = check(request, &ready.shared().generation.load().admin_hosts) {
        // The help may be shown, because the clients here are operators.
        let help = refusal.help().map(|help| format!("help: {help}\n")).unwrap_or_default();
        return text(refusal.status(), PLAIN, format!("{}\n{help}", refusal.message));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused =
            text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD are allowed\n".into());
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, PLAIN, "ok\n".into()),
        "/readyz" => match &*ready.obstacles().await {
            [] => text(StatusCode::OK, PLAIN, lines(&["ok".to_owned()], ready)),
            obstacles => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, lines(obstacles, ready)),
        },
        "/metrics" => {
            let accepted = request.headers().get_all(header::ACCEPT).iter();
            let format = Format::of_accept(accepted.filter_map(|value| value.to_str().ok()));
            let mut response =
                text(StatusCode::OK, format.content_type(), ready.shared().metrics.encode(format));
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
            response
        }
        "/" | "/status" => {
            let mut response = text(StatusCode::OK, status::PAGE_TYPE, status.page(ready).await);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, status::content_security_policy());
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            private(response)
        }
        "/status.json" => private(text(StatusCode::OK, JSON, status.json(ready).await)),
        _ => text(StatusCode::NOT_FOUND, PLAIN, NOT_FOUND.into()),
    }
}

/// Keeps a response from caches and from pages of other sites.
fn private(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// Returns the lines, followed by those about the keys of issuers.
fn lines(first: &[String], ready: &Readiness) -> String {
    let mut lines = first.join("\n") + "\n";
    for note in ready.notes() {
        lines.push_str(&note);
        lines.push('\n');
    }
    lines
}

/// Refuses requests that a browser sends on behalf of another site, as the listeners for clients do.
fn check(request: &Request<Incoming>, allowed: &AllowedHosts) -> Result<(), Refusal> {
    let bad = |why| Refusal::new(Rule::BadHost, why);
    let mut hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let named = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("a request has exactly one Host header"));
    }
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host = authority.or(named).map(Host::parse).transpose().map_err(bad)?;
    let fields = request.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    browser::check_fields(allowed, host, request.method(), fields)
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn a_full_listener_closes_the_oldest_connection_of_the_busiest_address() {
        let mut open = Open::default();
        let address = |last| IpAddr::from([10, 0, 0, last]);
        open.serve(address(1), pending());
        for _ in 0..1000 {
            open.serve(address(2), pending());
        }
        open.serve(address(3), pending());
        assert_eq!(open.connections.len(), MAX_CONNECTIONS);
        let kept = |last| open.connections.iter().filter(|(other, _)| *other == address(last)).count();
        assert_eq!((kept(1), kept(2), kept(3)), (1, MAX_CONNECTIONS - 2, 1));
    }

    #[tokio::test]
    async fn an_ended_connection_makes_room() {
        let mut open = Open::default();
        open.serve(IpAddr::from([10, 0, 0, 1]), async {});
        let ended = open.tasks.join_next_with_id().await.unwrap();
        open.forget(&ended);
        assert!(open.connections.is_empty());
    }
}
