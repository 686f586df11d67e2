//! A store that answers at once, so that what is measured is the proxy before it.
//!
//! It knows nothing of S3 and checks nothing: an object's name says how long it is, a body is read and forgotten,
//! and a POST to `/` is answered with a session, which is all that a signing proxy needs. It never stands in for
//! MinIO in a claim about MinIO.

use super::child::{Tree, on_core};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;

/// Objects up to this length are answered with one write.
const SMALL: u64 = 64 << 10;
const CHUNK: usize = 256 << 10;
const LONGEST_HEAD: usize = 64 << 10;

/// What MinIO says of an object, so that proxies have as much to read and to pass on.
const HEAD: &str = "Accept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\n\
    ETag: \"6f5902ac237024bdd0c176cb93063dc4\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: MinIO\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubDomains\r\nVary: Origin\r\nVary: Accept-Encoding\r\n\
    X-Amz-Id-2: dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8\r\n\
    X-Amz-Request-Id: 17A2B3C4D5E6F708\r\nX-Content-Type-Options: nosniff\r\nX-Xss-Protection: 1; mode=block\r\n\
    Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/// A session for whoever asks.
const SESSION: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ANYTHING</AccessKeyId><SecretAccessKey>goes</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

/// The running origin.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    _process: Tree,
}

impl Origin {
    /// Starts it on a core, as another process of this program.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn start(core: usize) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
        let mut command = on_core(core, &program);
        command.arg("origin").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Tree::start(command)?;
        let mut line = String::new();
        if let Some(out) = process.child().stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|error| format!("the origin: {error}"))?;
        }
        let address = line.trim().parse().map_err(|_| format!("the origin said {line:?} and no address"))?;
        Ok(Self { address, _process: process })
    }
}

/// The task `origin`: says its address and serves until its stdin is closed.
///
/// # Errors
/// Where it cannot listen.
pub(crate) fn run() -> Result<ExitCode, String> {
    std::thread::spawn(|| {
        // Whoever started this holds the other end, and lets go of it by ending.
        let _ended = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
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
                tokio::task::spawn_local(peer.converse());
            }
            Err(error) => return error,
        }
    }
}

/// A queue of 128 connections, which is the usual one, overflows when a proxy opens 256 at once: then some of them wait
/// for a second, and nothing is said of the proxy.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(4096)
}

struct Peer {
    stream: TcpStream,
    content: Rc<Vec<u8>>,
    small: HashMap<u64, Vec<u8>>,
}

impl Peer {
    /// Answers until the peer goes, or says something that cannot be answered.
    async fn converse(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut buffer = vec![0; LONGEST_HEAD];
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
            let Some(ask) = Ask::parse(buffer.get(..end).unwrap_or_default()) else { return Ok(()) };
            let here = u64::try_from(filled - end).unwrap_or_default().min(ask.body);
            if ask.waits && here == 0 {
                self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let rest = end + usize::try_from(here).unwrap_or_default();
            buffer.copy_within(rest..filled, 0);
            filled -= rest;
            // While a body is outstanding nothing of the next request can be here.
            if ask.body > here {
                self.forget(ask.body - here, &mut buffer).await?;
            }
            self.answer(&ask).await?;
        }
    }

    async fn forget(&mut self, mut left: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
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

    async fn answer(&mut self, ask: &Ask) -> io::Result<()> {
        let length = match ask.kind {
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

/// A request, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Ask {
    kind: Kind,
    body: u64,
    /// For `100 Continue`.
    waits: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Object(u64),
    Upload,
    Session,
}

impl Ask {
    fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let (line, headers) = text.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (mut body, mut waits) = (0, false);
        for (name, value) in headers.lines().filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("expect") {
                waits = true;
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
        Some(Self { kind, body, waits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_long_the_object_is() {
        let get = Ask::parse(b"GET /tmp/media/1024 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(get, Some(Ask { kind: Kind::Object(1024), body: 0, waits: false }));
        let put = b"PUT /tmp/media/x HTTP/1.1\r\ncontent-length: 7\r\nExpect: 100-continue\r\n\r\n";
        assert_eq!(Ask::parse(put), Some(Ask { kind: Kind::Upload, body: 7, waits: true }));
        for unknown in
            ["GET / HTTP/1.1\r\n\r\n", "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "x"]
        {
            assert_eq!(Ask::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn a_small_answer_is_whole() {
        let answer = whole(1024, &vec![b'x'; CHUNK]);
        let end = end_of_head(&answer).unwrap();
        assert_eq!(answer.len() - end, 1024);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n"));
    }
}
