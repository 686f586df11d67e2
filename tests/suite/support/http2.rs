//! A small HTTP/2 client for connections without TLS.

use super::http::{Head, Response};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::Request;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The time-out of a request. It only ends a hang.
const PATIENCE: Duration = Duration::from_mins(1);
/// The windows of the client, as large as those of common clients.
const WINDOW: u32 = 4 << 20;

/// A connection.
pub(crate) struct Connection {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    authority: String,
}

/// The reason a request got no whole response.
pub(crate) type Failed = h2::Error;

impl Connection {
    /// Opens a connection to a server that is known to speak HTTP/2.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut builder = Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let (sender, connection) = builder.handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender, authority: address.to_string() }
    }

    /// Sends a request and reads the response.
    pub(crate) fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Failed> {
        self.runtime.block_on(self.exchange(method, target, headers, body))
    }

    /// Sends the same GET on many streams at once.
    pub(crate) fn get_many(&self, count: usize, target: &str) -> Vec<Result<Response, Failed>> {
        let requests: Vec<_> = (0..count).map(|_| self.exchange("GET", target, &[], b"")).collect();
        let tasks: Vec<_> = requests.into_iter().map(|request| self.runtime.spawn(request)).collect();
        self.runtime.block_on(async {
            let mut responses = Vec::new();
            for task in tasks {
                responses.push(task.await.unwrap());
            }
            responses
        })
    }

    fn exchange(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> impl Future<Output = Result<Response, Failed>> + Send + 'static {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{target}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() || method == "PUT" || method == "POST" {
            request = request.header("content-length", body.len());
        }
        let (request, body) = (request.body(()).unwrap(), Bytes::copy_from_slice(body));
        let sender = self.sender.clone();
        async move { timeout(PATIENCE, send(sender, request, body)).await.expect("the response hangs") }
    }
}

async fn send(sender: SendRequest<Bytes>, request: Request<()>, mut body: Bytes) -> Result<Response, Failed> {
    let mut sender = sender.ready().await?;
    let (response, mut stream) = sender.send_request(request, body.is_empty())?;
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        // An early response ends the upload.
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { break };
        let piece = body.split_to(room.min(body.len()));
        if stream.send_data(piece, body.is_empty()).is_err() {
            break;
        }
    }
    let (parts, mut stream) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let headers = parts.headers.iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(Response { head: Head { status: parts.status.as_u16(), reason: String::new(), headers }, body })
}
