//! The admin listener: `/livez`, `/readyz` and `/metrics`.

use super::health::Readiness;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A scrape that has not been read by then is cut off.
const CONNECTION_LIFE: Duration = Duration::from_mins(5);
const MAX_BUFFER: usize = 16 * 1024;
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Starts answering on `socket`, on the runtime that this is called in.
pub(super) fn start(socket: std::net::TcpListener, ready: Arc<Readiness>) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    tokio::spawn(accept_all(socket, ready));
    Ok(())
}

async fn accept_all(socket: TcpListener, ready: Arc<Readiness>) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        match socket.accept().await {
            Ok((stream, _)) => {
                let ready = Arc::clone(&ready);
                tokio::spawn(async move {
                    let _ = timeout(CONNECTION_LIFE, serve(stream, ready)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed on the admin listener");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, ready: Arc<Readiness>) {
    let service = service_fn(|request| {
        let ready = Arc::clone(&ready);
        async move { Ok::<_, Infallible>(answer(&request, &ready).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: &Request<Incoming>, ready: &Readiness) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n".into());
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, PLAIN, "ok\n".into()),
        "/readyz" => match &*ready.obstacles().await {
            [] => text(StatusCode::OK, PLAIN, "ok\n".into()),
            obstacles => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, obstacles.join("\n") + "\n"),
        },
        "/metrics" => text(StatusCode::OK, OPENMETRICS, ready.shared().metrics.encode()),
        _ => text(StatusCode::NOT_FOUND, PLAIN, "there are /livez, /readyz and /metrics\n".into()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
