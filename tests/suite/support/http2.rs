//! A small HTTP/2 client.

use super::authority::Client;
use super::http::{Head, Response};
use bytes::Bytes;
use h2::SendStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Request;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The time-out of a request. It only ends a hang.
const PATIENCE: Duration = Duration::from_mins(1);
/// The windows of the client, as large as those of common clients.
const WINDOW: u32 = 4 << 20;

/// A connection.
pub(crate) struct Connection {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    /// The connection's task, which ends with it.
    driver: JoinHandle<Result<(), h2::Error>>,
    /// The scheme and the authority.
    origin: String,
}

/// The reason a request got no whole response.
pub(crate) type Failed = h2::Error;

/// A request whose body is not complete.
pub(crate) struct Begun {
    response: ResponseFuture,
    stream: SendStream<Bytes>,
}

impl Connection {
    /// Opens a connection to a server that is known to speak HTTP/2.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, driver) = runtime.block_on(async { shake_hands(connect(address).await).await });
        Self { runtime, sender, driver, origin: format!("http://{address}") }
    }

    /// Opens a connection to `localhost` over TLS, whose handshake chooses HTTP/2.
    pub(crate) fn open_over_tls(address: SocketAddr, client: &Client) -> Self {
        let runtime = Runtime::new().unwrap();
        let config = client.clone().offering(&[b"h2"]).config();
        let (sender, driver) = runtime.block_on(async {
            let name = "localhost".try_into().unwrap();
            let stream = TlsConnector::from(config).connect(name, connect(address).await).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            shake_hands(stream).await
        });
        Self { runtime, sender, driver, origin: format!("https://localhost:{}", address.port()) }
    }

    /// Begins an upload of this length.
    pub(crate) fn begin(&self, target: &str, length: usize) -> Begun {
        let request = Request::put(format!("{}{target}", self.origin)).header("content-length", length);
        let mut sender = self.runtime.block_on(self.sender.clone().ready()).unwrap();
        let (response, stream) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        Begun { response, stream }
    }

    /// Sends the body of an upload and reads the response.
    pub(crate) fn finish(&self, begun: Begun, body: &'static [u8]) -> Result<Response, Failed> {
        let Begun { response, mut stream } = begun;
        // An error shows in the response.
        let _ = stream.send_data(Bytes::from_static(body), true);
        self.runtime
            .block_on(async { timeout(PATIENCE, receive(response)).await.expect("the response hangs") })
    }

    /// Waits until the server has ended the connection. Returns an error unless it did so in order.
    pub(crate) fn wait_for_end(self) -> Result<(), Failed> {
        let Self { runtime, driver, .. } = self;
        runtime.block_on(async { timeout(PATIENCE, driver).await.expect("the connection goes on").unwrap() })
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
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.origin));
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
    receive(response).await
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let mut builder = Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn receive(response: ResponseFuture) -> Result<Response, Failed> {
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
