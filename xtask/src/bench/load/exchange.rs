//! A client's connection and exchanges on it.

use super::Endpoint;
use super::endpoint::Stream;
use std::net::SocketAddr;
use std::rc::Rc;

const BUFFER: usize = 256 << 10;

/// A request that is formatted once and sent many times.
#[derive(Clone)]
pub(crate) struct Request {
    head: Rc<[u8]>,
    /// The length of the body.
    body: u64,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            head: format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes().into(),
            body: 0,
        }
    }

    /// Returns a GET with these headers, which include `Host`.
    pub(crate) fn get_with(target: &str, headers: &[(String, String)]) -> Self {
        let mut head = format!("GET {target} HTTP/1.1\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Self { head: head.into_bytes().into(), body: 0 }
    }

    /// Returns a PUT of `length` bytes with these headers, which include `Host`. The bytes are zeros on a new connection.
    pub(crate) fn put_with(target: &str, headers: &[(String, String)], length: u64) -> Self {
        let mut head = format!("PUT {target} HTTP/1.1\r\nContent-Length: {length}\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Self { head: head.into_bytes().into(), body: length }
    }

    pub(crate) fn put(target: &str, length: u64) -> Self {
        let head = format!(
            "PUT {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        Self { head: head.into_bytes().into(), body: length }
    }
}

/// A client's connection.
pub(crate) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects. `buffer` is the length of the read buffer.
    pub(crate) async fn open(endpoint: &Endpoint, buffer: usize) -> Result<Self, String> {
        Ok(Self { stream: endpoint.connect().await?, buffer: vec![0; buffer] })
    }

    /// Connects without TLS, with a buffer for small responses.
    pub(crate) async fn small(address: SocketAddr) -> Result<Self, String> {
        Self::open(&Endpoint::plain(address), 16 << 10).await
    }

    /// Connects with a buffer for large bodies.
    pub(crate) async fn fast(endpoint: &Endpoint) -> Result<Self, String> {
        Self::open(endpoint, BUFFER).await
    }

    /// Reports whether the connection continues an earlier TLS session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.stream.is_resumed()
    }

    /// Sends a request, reads the whole response and returns the length of both bodies.
    ///
    /// # Errors
    /// The connection fails, or the response is not a 200 with a `Content-Length`.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<u64, String> {
        self.send(request).await?;
        let mut left = self.head().await?;
        let total = request.body + left.total;
        while left.outstanding > 0 {
            left.outstanding = left.outstanding.saturating_sub(self.read_some().await?);
        }
        Ok(total)
    }

    /// Sends a request with its body.
    pub(crate) async fn send(&mut self, request: &Request) -> Result<(), String> {
        let broken = |error| format!("while sending: {error}");
        self.stream.write_all(&request.head).await.map_err(broken)?;
        let mut left = request.body;
        while left > 0 {
            // The content does not matter: send whatever the buffer contains.
            let most = usize::try_from(left).unwrap_or(BUFFER).min(self.buffer.len());
            self.stream.write_all(self.buffer.get(..most).unwrap_or_default()).await.map_err(broken)?;
            left -= most as u64;
        }
        Ok(())
    }

    /// Reads the head of a response.
    pub(crate) async fn head(&mut self) -> Result<Body, String> {
        let mut filled = 0;
        loop {
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            let length = self.stream.read(free).await.map_err(|error| format!("while reading: {error}"))?;
            if length == 0 {
                return Err("the connection was closed before the response".to_owned());
            }
            filled += length;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) {
                let total = length_of(bytes.get(..end).unwrap_or_default())?;
                return Ok(Body { total, outstanding: total.saturating_sub((filled - end) as u64) });
            }
        }
    }

    /// Reads a part of a body and returns its length.
    pub(crate) async fn read_some(&mut self) -> Result<u64, String> {
        match self.stream.read(&mut self.buffer).await {
            Ok(0) => Err("the connection was closed in the middle of a body".to_owned()),
            Ok(length) => Ok(length as u64),
            Err(error) => Err(format!("while reading: {error}")),
        }
    }
}

/// The body of a response whose head has been read.
#[derive(Debug)]
pub(crate) struct Body {
    total: u64,
    /// How much of it has not been read.
    pub(crate) outstanding: u64,
}

fn length_of(head: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(head);
    if !text.starts_with("HTTP/1.1 200 ") {
        return Err(format!("the response is {:?}, expected a 200", text.lines().next().unwrap_or_default()));
    }
    let headers = text.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = headers.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().and_then(|(_, length)| length.trim().parse().ok());
    length.ok_or_else(|| "the response has no Content-Length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_a_200_with_a_length() {
        assert_eq!(length_of(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n"), Ok(12));
        for bad in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n"] {
            assert!(length_of(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
