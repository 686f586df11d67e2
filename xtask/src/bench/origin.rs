//! The origin: a store that answers at once, so that the figures are those of the proxy before it.
//!
//! It knows nothing of S3 and checks nothing. The name of an object is its length, bodies are read and discarded, and a
//! POST is answered with a session, which is all that a signing proxy needs. No claim about MinIO is based on it.

use super::child::{Tree, on_core};
use crate::support::keys::Keys;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;

/// Objects up to this length are sent with one write.
const SMALL: u64 = 64 << 10;
const CHUNK: usize = 256 << 10;
const MAX_HEAD: usize = 64 << 10;

/// The headers of MinIO's response, so that proxies have as much to read and to pass on.
const HEAD: &str = "Accept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\n\
    ETag: \"6f5902ac237024bdd0c176cb93063dc4\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: MinIO\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubDomains\r\nVary: Origin\r\nVary: Accept-Encoding\r\n\
    X-Amz-Id-2: dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8\r\n\
    X-Amz-Request-Id: 17A2B3C4D5E6F708\r\nX-Content-Type-Options: nosniff\r\nX-Xss-Protection: 1; mode=block\r\n\
    Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/// The session that every POST gets.
const SESSION: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ANYTHING</AccessKeyId><SecretAccessKey>goes</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

/// Returns the keys and the session of a client of the origin, which accepts any and gives everyone the same session.
pub(crate) fn any_keys() -> (Keys, Keys) {
    let keys = Keys { access_key: "ANYTHING".to_owned(), secret_key: "goes".to_owned(), token: None };
    let session = Keys { token: Some("token".to_owned()), ..keys.clone() };
    (keys, session)
}

/// The running origin.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    _process: Tree,
}

impl Origin {
    /// Starts the origin on a core, as another process of this program.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(core: usize) -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("cannot find the path of this program: {error}"))?;
        let mut command = on_core(core, &program);
        command.arg("origin").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Tree::start(command)?;
        let mut line = String::new();
        if let Some(out) = process.child().stdout.take() {
            BufReader::new(out)
                .read_line(&mut line)
                .map_err(|error| format!("cannot read the origin's address: {error}"))?;
        }
        let address =
            line.trim().parse().map_err(|_| format!("the origin printed {line:?}, expected its address"))?;
        Ok(Self { address, _process: process })
    }
}

/// Runs the task `origin`: prints the address and serves until stdin is closed.
///
/// # Errors
/// The origin cannot listen.
pub(crate) fn run() -> Result<ExitCode, String> {
    std::thread::spawn(|| {
        // The benchmark holds the other end, which is closed when it ends.
        let _ended = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))?;
    let error = LocalSet::new().block_on(&runtime, serve());
    Err(format!("the origin ended: {error}"))
}

async fn serve() -> io::Error {
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let said = listener.local_addr().and_then(|address| writeln!(io::stdout(), "{address}"));
    if let Err(error) = said {
        return error;
    }
    let content = Rc::new(vec![b'x'; CHUNK]);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let peer = Peer { stream, content: Rc::clone(&content), small: HashMap::new() };
                tokio::task::spawn_local(peer.serve());
            }
            Err(error) => return error,
        }
    }
}

/// Listens with a long backlog. The usual one of 128 overflows when a proxy opens 256 connections at once: some of them
/// then wait for a second, which would be counted as the proxy's.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(4096)
}

struct Peer {
    stream: TcpStream,
    content: Rc<Vec<u8>>,
    /// Whole responses by the length of their object.
    small: HashMap<u64, Vec<u8>>,
}

impl Peer {
    /// Answers requests until the peer closes the connection or sends an unknown request.
    async fn serve(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut buffer = vec![0; MAX_HEAD];
        let mut filled = 0;
        loop {
            let Some(end) = end_of_head(buffer.get(..filled).unwrap_or_default()) else {
                let Some(free @ [_, ..]) = buffer.get_mut(filled..) else { return Ok(()) };
                match self.stream.read(free).await? {
                    0 => return Ok(()),
                    length => filled += length,
                }
                continue;
            };
            let Some(request) = Request::parse(buffer.get(..end).unwrap_or_default()) else { return Ok(()) };
            let here = u64::try_from(filled - end).unwrap_or_default().min(request.body);
            if request.expects_continue && here == 0 {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let rest = end + usize::try_from(here).unwrap_or_default();
            buffer.copy_within(rest..filled, 0);
            filled -= rest;
            // No bytes of the next request arrive before the end of this body.
            if request.body > here {
                self.discard(request.body - here, &mut buffer).await?;
            }
            self.answer(&request).await?;
        }
    }

    async fn discard(&mut self, mut left: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(CHUNK, 0);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            match self.stream.read(buffer.get_mut(..most).unwrap_or_default()).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => left -= length as u64,
            }
        }
        Ok(())
    }

    async fn answer(&mut self, request: &Request) -> io::Result<()> {
        let length = match request.kind {
            Kind::Object(length) => length,
            Kind::Upload => 0,
            Kind::Session => {
                let length = SESSION.len();
                let text = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{SESSION}"
                );
                return self.stream.write_all(text.as_bytes()).await;
            }
        };
        if length <= SMALL {
            let content = &self.content;
            let whole = self.small.entry(length).or_insert_with(|| whole(length, content));
            return self.stream.write_all(whole).await;
        }
        self.stream.write_all(head(length).as_bytes()).await?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            self.stream.write_all(self.content.get(..most).unwrap_or_default()).await?;
            left -= most as u64;
        }
        Ok(())
    }
}

fn head(length: u64) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{HEAD}\r\n")
}

fn whole(length: u64, content: &[u8]) -> Vec<u8> {
    let body = usize::try_from(length).ok().and_then(|length| content.get(..length)).unwrap_or_default();
    [head(length).as_bytes(), body].concat()
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The parts of a request that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    kind: Kind,
    /// The length of the body.
    body: u64,
    /// Whether the peer waits for `100 Continue`.
    expects_continue: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Object(u64),
    Upload,
    Session,
}

impl Request {
    fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let (line, headers) = text.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (mut body, mut expects_continue) = (0, false);
        for (name, value) in headers.lines().filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("expect") {
                expects_continue = true;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return None;
            }
        }
        let kind = match method {
            "GET" => Kind::Object(target.split('?').next()?.rsplit('/').next()?.parse().ok()?),
            "PUT" => Kind::Upload,
            "POST" => Kind::Session,
            _ => return None,
        };
        Some(Self { kind, body, expects_continue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_length_from_the_name() {
        let get = Request::parse(b"GET /tmp/media/1024 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(get, Some(Request { kind: Kind::Object(1024), body: 0, expects_continue: false }));
        let put = b"PUT /tmp/media/x HTTP/1.1\r\ncontent-length: 7\r\nExpect: 100-continue\r\n\r\n";
        assert_eq!(
            Request::parse(put),
            Some(Request { kind: Kind::Upload, body: 7, expects_continue: true })
        );
        for unknown in
            ["GET / HTTP/1.1\r\n\r\n", "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "x"]
        {
            assert_eq!(Request::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn builds_small_responses_whole() {
        let answer = whole(1024, &vec![b'x'; CHUNK]);
        let end = end_of_head(&answer).unwrap();
        assert_eq!(answer.len() - end, 1024);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n"));
    }
}
