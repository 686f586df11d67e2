//! A small blocking HTTP/1.1 client that sends exactly the bytes it is given.
//!
//! It deliberately does not use hyper: the tests are about messages that hyper would refuse to send or silently
//! repair.

use std::{
    io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// The time-out of a read or write. It only ends a hang, and must be long enough for a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A status line and its headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// In order of arrival, with the names as sent.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// Returns the first header with this name, case-insensitively.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns all headers with this name, case-insensitively.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A response with its body.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Returns the body as text, lossily.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the text of the first XML element with this name in the body.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.to_owned())
    }

    /// Returns the S3 error code from the body, or, for a HEAD, from the header in which MinIO sends it.
    pub(crate) fn code(&self) -> Option<String> {
        self.element("Code").or_else(|| self.header("x-minio-error-code").map(str::to_owned))
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Other(Box<dyn ReadWrite>),
}

/// A stream of bytes in both directions, such as a TLS connection.
pub(crate) trait ReadWrite: Read + Write + Send {}

impl<S: Read + Write + Send> ReadWrite for S {}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
            Self::Other(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Other(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Self::Other(stream) = self { stream.flush() } else { Ok(()) }
    }
}

/// A connection that is reused for as many requests as the peer allows.
pub(crate) struct Connection {
    stream: BufReader<Stream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        Self::over(stream)
    }

    /// Uses a connection that is open already.
    pub(crate) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, Stream::Tcp(stream)) })
    }

    pub(crate) fn open_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, Stream::Unix(stream)) })
    }

    /// Wraps another stream.
    pub(crate) fn over_any(stream: impl ReadWrite + 'static) -> Self {
        Self { stream: BufReader::with_capacity(64 << 10, Stream::Other(Box::new(stream))) }
    }

    /// Sets the time-out of reads. A read then fails with `WouldBlock` or `TimedOut`.
    pub(crate) fn set_read_timeout(&self, patience: Duration) -> io::Result<()> {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Other(_) => panic!("set it on the stream below"),
        }
    }

    /// Sends these bytes unchanged.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    /// Closes the sending side. Bytes from the peer can still be read.
    pub(crate) fn end_sending(&mut self) -> io::Result<()> {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Other(_) => panic!("end the stream below"),
        }
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        let linger = Some(Duration::ZERO);
        match self.stream.get_ref() {
            Stream::Tcp(stream) => socket2::SockRef::from(stream).set_linger(linger).unwrap(),
            _ => panic!("only a TCP connection can be reset"),
        }
    }

    /// Reads exactly this many bytes.
    pub(crate) fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads until the peer closes.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends a request and reads its final response. Adds `Host` and, for a body, `Content-Length`, unless they are
    /// given.
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        self.send(&request_bytes(method, target, headers, body))?;
        self.read_response(method)
    }

    /// Reads the final response to a request with this method. Skips interim responses.
    pub(crate) fn read_response(&mut self, method: &str) -> io::Result<Response> {
        loop {
            let head = self.read_head()?;
            if head.status >= 200 {
                let mut body = Vec::new();
                self.read_body(method, &head, &mut body)?;
                return Ok(Response { head, body });
            }
        }
    }

    /// Reads the next status line and headers, of interim responses too.
    pub(crate) fn read_head(&mut self) -> io::Result<Head> {
        let line = self.read_line()?;
        let (status, reason) = parse_status(&line).ok_or_else(|| malformed("status line", &line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Head { status, reason, headers });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("header", &line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Copies the body that belongs to `head`, the response to `method`, as it arrives. Returns its length.
    pub(crate) fn read_body(&mut self, method: &str, head: &Head, into: &mut impl Write) -> io::Result<u64> {
        if method == "HEAD" || head.status < 200 || matches!(head.status, 204 | 304) {
            return Ok(0);
        }
        if head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks(into);
        }
        match head.header("content-length") {
            Some(length) => {
                let length = number(length, 10).ok_or_else(|| malformed("content-length", length))?;
                self.copy(length, into)
            }
            None => io::copy(&mut self.stream, into),
        }
    }

    fn read_chunks(&mut self, into: &mut impl Write) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let line = self.read_line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size = number(size, 16).ok_or_else(|| malformed("chunk size", &line))?;
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(total);
            }
            total += self.copy(size, into)?;
            let end = self.read_line()?;
            if !end.is_empty() {
                return Err(malformed("end of a chunk", &end));
            }
        }
    }

    fn copy(&mut self, length: u64, into: &mut impl Write) -> io::Result<u64> {
        let copied = io::copy(&mut (&mut self.stream).take(length), into)?;
        if copied == length {
            return Ok(copied);
        }
        Err(Error::new(ErrorKind::UnexpectedEof, format!("the body ended after {copied} of {length} bytes")))
    }

    /// Reads a line and strips its CRLF. If the stream ends, the error contains the incomplete line.
    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let Some(line) = line.strip_suffix(b"\r\n") else {
            let text = String::from_utf8_lossy(&line);
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                format!("closed in or before a line: {text:?}"),
            ));
        };
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

/// Sends a request on a new connection.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    Connection::open(address)?.request(method, target, headers, body)
}

/// Sends a GET on a new connection.
pub(crate) fn get(address: SocketAddr, target: &str) -> io::Result<Response> {
    request(address, "GET", target, &[], b"")
}

/// Returns the bytes of a request. Adds `Host: localhost` and the body's `Content-Length`, unless they are given.
pub(crate) fn request_bytes(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let bodiless = body.is_empty() && !matches!(method, "PUT" | "POST");
    let mut lines = vec![format!("{method} {target} HTTP/1.1")];
    if !given("host") {
        lines.push("Host: localhost".to_owned());
    }
    if !bodiless && !given("content-length") && !given("transfer-encoding") {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    let head = lines.join("\r\n") + "\r\n\r\n";
    [head.as_bytes(), body].concat()
}

fn parse_status(line: &str) -> Option<(u16, String)> {
    let (status, reason) = line.strip_prefix("HTTP/1.")?.get(2..)?.split_at_checked(3)?;
    Some((status.parse().ok()?, reason.trim_start().to_owned()))
}

/// Accepts digits only: `from_str_radix` also accepts a sign.
fn number(text: &str, radix: u32) -> Option<u64> {
    let digits = text.chars().all(|digit| digit.is_digit(radix));
    digits.then(|| u64::from_str_radix(text, radix).ok()).flatten()
}

fn malformed(what: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("not a {what}: {text:?}"))
}
