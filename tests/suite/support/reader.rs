//! A client that reads slowly, so that data is held by the proxy and the store.

use super::http::request_bytes;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Size of the kernel's receive buffer, in bytes.
const BUFFER: usize = 64 * 1024;

/// A GET in progress.
pub(crate) struct Reader {
    stream: TcpStream,
    /// The head of the response.
    pub(crate) head: String,
    /// The bytes of the body read so far.
    pub(crate) body: Vec<u8>,
    length: usize,
}

impl Reader {
    /// Requests an object and reads the head of the response.
    pub(crate) fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(BUFFER).unwrap();
        socket.connect(&address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream.write_all(&request_bytes("GET", target, headers, b"")).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
        });
        Self { stream, body: Vec::new(), length: length.unwrap_or_else(|| panic!("{head}")), head }
    }

    /// Reads a number of bytes of the body, or the rest of it.
    pub(crate) fn take(&mut self, bytes: usize) -> io::Result<()> {
        let (begin, end) = (self.body.len(), self.length.min(self.body.len() + bytes));
        self.body.resize(end, 0);
        let mut at = begin;
        while at < end {
            match self.stream.read(&mut self.body[at..end]) {
                Ok(0) => {
                    self.body.truncate(at);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(length) => at += length,
                Err(error) => {
                    self.body.truncate(at);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Reads the rest of the body.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.take(self.length)
    }

    /// Reads to the end, in pieces of this size with pauses.
    pub(crate) fn finish_slowly(&mut self, bytes: usize, pause: Duration) -> io::Result<()> {
        while self.body.len() < self.length {
            self.take(bytes)?;
            std::thread::sleep(pause);
        }
        Ok(())
    }
}
