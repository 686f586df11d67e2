//! A collector of traces that answers as a test wants, and a relay that records what the store receives.

use scopegate::internals::otlp::{ExportRequest, ResourceSpans, Span};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a collector answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// It accepts everything.
    Ok,
    /// It reads, and never answers.
    Silence,
    /// Nothing listens.
    Gone,
    /// It answers with this status.
    Status(u16),
    /// It accepts the message without this number of spans.
    Reject(u8),
    /// It does not speak HTTP.
    Garbage,
}

type Received = Arc<Mutex<Vec<(String, ExportRequest)>>>;

/// A collector.
pub(super) struct Collector {
    address: SocketAddr,
    received: Received,
}

impl Collector {
    pub(super) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Received::default());
        if !matches!(answer, Answer::Gone) {
            let received = Arc::clone(&received);
            thread::spawn(move || {
                for connection in listener.incoming() {
                    let received = Arc::clone(&received);
                    thread::spawn(move || serve(connection.ok()?, answer, &received));
                }
            });
        }
        Self { address, received }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// Returns the heads of the received requests.
    pub(super) fn heads(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    fn services_received(&self) -> Vec<ResourceSpans> {
        let received = self.received.lock().unwrap();
        received.iter().flat_map(|(_, message)| message.resource_spans.clone()).collect()
    }

    /// Returns the names of the services, each once.
    pub(super) fn services(&self) -> Vec<String> {
        let name = |service: ResourceSpans| {
            let span = Span { attributes: service.resource?.attributes, ..Span::default() };
            span.attribute("service.name")
        };
        let mut names: Vec<String> = self.services_received().into_iter().filter_map(name).collect();
        names.dedup();
        names
    }

    /// Returns the received spans.
    pub(super) fn spans(&self) -> Vec<Span> {
        let scopes = self.services_received().into_iter().flat_map(|service| service.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn serve(
    mut connection: TcpStream,
    answer: Answer,
    received: &Mutex<Vec<(String, ExportRequest)>>,
) -> Option<()> {
    let (head, body) = read_request(&mut connection)?;
    match answer {
        Answer::Silence => {
            // Ends when the proxy gives up.
            let _ = connection.read(&mut [0]);
            return None;
        }
        Answer::Garbage => return connection.write_all(b"\x00\x01garbage\r\n\r\n").ok(),
        _ => {}
    }
    received.lock().unwrap().push((head, ExportRequest::read(&body)?));
    let (status, body) = match answer {
        Answer::Status(status) => (status, Vec::new()),
        Answer::Reject(spans) => (200, vec![0x0a, 0x02, 0x08, spans]),
        _ => (200, Vec::new()),
    };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    connection.write_all(&[head.as_bytes(), &body].concat()).ok()
}

fn read_request(connection: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A relay to the store that records what the store receives.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    pub(super) fn start(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::default());
        let recorded = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(store).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let seen = Arc::clone(&recorded);
                thread::spawn(move || copy(from, to, Some(&seen)));
                thread::spawn(move || copy(server, client, None));
            }
        });
        Self { address, seen }
    }

    /// Returns what the store received.
    pub(super) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, seen: Option<&Mutex<Vec<u8>>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer)
        && length > 0
    {
        let bytes = &buffer[..length];
        if let Some(seen) = seen {
            seen.lock().unwrap().extend_from_slice(bytes);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
