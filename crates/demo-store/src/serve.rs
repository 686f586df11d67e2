//! HTTP/1.1 in front of s3s: the only file of the store that owns connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use s3s::{Body, HttpError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, debug, warn};

/// The time for a request's head and for an idle connection: 30 s, as in MinIO.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum length of a request's head, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// The pause after a failed accept, for example when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the future is dropped, which ends its connections too. Beyond `limit` connections, further ones wait
/// in the listener's backlog.
pub(super) async fn serve(listener: TcpListener, service: S3Service, limit: usize) {
    let slots = Arc::new(Semaphore::new(limit));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener, &slots) => match accepted {
                Ok((stream, slot)) => {
                    connections.spawn(connection(stream, slot, service.clone()));
                }
                Err(error) => {
                    warn!(%error, "the demo store cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn connection(stream: TcpStream, _slot: OwnedSemaphorePermit, service: S3Service) {
    // Small responses on a kept connection would wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| respond(service.clone(), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection to the demo store ended early");
    }
}

async fn respond(service: S3Service, request: Request<Incoming>) -> Result<Response<Body>, HttpError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // s3s and s3s-fs record whole requests in their spans, including tokens and signatures.
    let response = service.call(request.map(Body::from)).with_subscriber(Dispatch::none()).await?;
    debug!(%method, path, status = response.status().as_u16(), "the demo store answered");
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use s3s::service::S3ServiceBuilder;
    use s3s_fs::FileSystem;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    /// A long time on a paused clock, which advances when nothing else is left to do.
    const PATIENCE: Duration = Duration::from_hours(1);
    /// A time shorter than the limit of an idle connection.
    const MOMENT: Duration = Duration::from_secs(5);

    async fn start(limit: usize) -> (SocketAddr, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap()).build();
        tokio::spawn(serve(listener, service, limit));
        (at, folder)
    }

    async fn sent(at: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(stream: &mut TcpStream, wait: Duration) -> Option<String> {
        let mut answer = vec![0; 1024];
        let length = timeout(wait, stream.read(&mut answer)).await.ok()?.unwrap();
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let (at, _folder) = start(1).await;
        let mut stream = sent(at, "GET / HTTP/1.1\r\nhost:").await;
        assert_eq!(answer(&mut stream, PATIENCE).await.as_deref(), Some(""));
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let (at, _folder) = start(1).await;
        let long = format!("GET / HTTP/1.1\r\nhost: {}", "x".repeat(MAX_HEADER_BYTES));
        let answer = answer(&mut sent(at, &long).await, PATIENCE).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_over_the_limit_wait() {
        let (at, _folder) = start(1).await;
        let request = "GET / HTTP/1.1\r\nhost: store\r\n\r\n";
        let mut first = sent(at, request).await;
        assert!(answer(&mut first, PATIENCE).await.unwrap().starts_with("HTTP/1.1 200 "));
        let mut second = sent(at, request).await;
        assert_eq!(answer(&mut second, MOMENT).await, None);
        drop(first);
        assert!(answer(&mut second, MOMENT).await.unwrap().starts_with("HTTP/1.1 200 "));
    }
}
