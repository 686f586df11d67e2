//! A client that sends any bytes: frames that no library would send.

use super::LIMITS;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// Returns the error code of `RST_STREAM` and `GOAWAY`.
    pub(super) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes fields as literals without compression.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap());
            } else {
                let mut rest = length - 127;
                block.push(127);
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
            block.extend(text.bytes());
        }
    }
    block
}

pub(super) const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/a")];

/// Returns the frame of a request without a body.
pub(super) fn get(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields))
}

/// Returns the frame of the head of a request with a body.
pub(super) fn put(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [(":method", "PUT"), (":scheme", "http"), (":authority", "h"), (":path", "/a")];
    frame(HEADERS, END_HEADERS, stream, &block(&[&head, more].concat()))
}

/// A connection of the client.
#[derive(Debug)]
pub(super) struct Raw(pub(super) DuplexStream);

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A response with this status.
    Status(u16),
    /// It was reset with this code.
    Reset(u32),
    /// The connection ended with this code.
    GoAway(u32),
    /// The connection closed without GOAWAY.
    Closed,
    /// Nothing came.
    Nothing,
}

impl Raw {
    /// Sends the preface, empty settings, and the acknowledgement of the server's.
    pub(super) async fn open(stream: DuplexStream) -> Self {
        let mut raw = Self(stream);
        raw.send(&[PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(SETTINGS, 1, 0, b"")].concat()).await;
        raw
    }

    /// Sends bytes; the server may have closed the connection.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads a frame; `None` at the end of the connection.
    pub(super) async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], stream, payload })
    }

    /// Reads until a frame of this kind; `None` if none comes.
    pub(super) async fn read_until(&mut self, kind: u8) -> Option<Frame> {
        timeout(10 * LIMITS.request, async {
            loop {
                match self.read().await {
                    Some(frame) if frame.kind == kind => return Some(frame),
                    Some(_) => {}
                    None => return None,
                }
            }
        })
        .await
        .ok()?
    }

    /// Waits for what becomes of a stream.
    pub(super) async fn outcome(&mut self, stream: u32) -> Outcome {
        self.outcome_within(stream, Duration::from_secs(1)).await
    }

    pub(super) async fn outcome_within(&mut self, stream: u32, patience: Duration) -> Outcome {
        let reading = async {
            loop {
                let Some(frame) = self.read().await else { return Outcome::Closed };
                match frame.kind {
                    HEADERS if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                    RST_STREAM if frame.stream == stream => return Outcome::Reset(frame.code()),
                    GOAWAY => return Outcome::GoAway(frame.code()),
                    _ => {}
                }
            }
        };
        timeout(patience, reading).await.unwrap_or(Outcome::Nothing)
    }
}

/// Reads `:status`, the first field of a response, which `h2` indexes or writes with Huffman coding.
fn status(block: &[u8]) -> u16 {
    let known = [200, 204, 206, 304, 400, 404, 500];
    let mut block = block;
    while let [0x20..=0x3f, rest @ ..] = block {
        block = rest;
    }
    match block {
        [first @ 0x88..=0x8e, ..] => known[usize::from(first - 0x88)],
        [0x48, length, rest @ ..] => digits(&rest[..usize::from(length & 0x7f)]),
        other => panic!("no status in {other:02x?}"),
    }
}

/// Reads three digits in the Huffman coding of RFC 7541, appendix B.
fn digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let five = bits.by_ref().take(5).fold(0, |so_far, bit| so_far * 2 + bit);
        let digit = if five < 3 { five } else { five * 2 + bits.next().unwrap() - 0b11001 + 3 };
        number = number * 10 + digit;
    }
    number
}
