//! A client of the proxy that keeps its connection.

use crate::support::http::{Connection, Head, Response, request_bytes};
use std::io::{self, Write};
use std::net::SocketAddr;

/// A connection to one listener, opened again where the last exchange ended it.
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

/// A request, and the status that it must be answered with.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    pub(crate) expected: u16,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Sends a request and copies the body of the answer as it arrives. Returns its head and the length of
    /// its body.
    ///
    /// # Errors
    /// Another status than expected, with its S3 code, or what went wrong on the connection.
    pub(crate) fn exchange(
        &mut self,
        ask: &Exchange<'_>,
        into: &mut impl Write,
    ) -> Result<(Head, u64), String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).map_err(|error| format!("cannot connect: {error}"))?,
        };
        let (head, answer) = converse(&mut connection, ask, into)
            .map_err(|error| format!("{} {}: {error}", ask.method, ask.target))?;
        if !head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        match answer {
            Answer::Expected(length) => Ok((head, length)),
            Answer::Other(body) => Err(unexpected(ask, &Response { head, body })),
        }
    }
}

enum Answer {
    /// The length of the body that was copied.
    Expected(u64),
    /// The body that tells why.
    Other(Vec<u8>),
}

fn converse(
    connection: &mut Connection,
    ask: &Exchange<'_>,
    into: &mut impl Write,
) -> io::Result<(Head, Answer)> {
    connection.send(&request_bytes(ask.method, ask.target, ask.headers, ask.body))?;
    let mut head = connection.read_head()?;
    while head.status < 200 {
        head = connection.read_head()?;
    }
    if head.status == ask.expected {
        let length = connection.read_body(ask.method, &head, into)?;
        return Ok((head, Answer::Expected(length)));
    }
    let mut body = Vec::new();
    connection.read_body(ask.method, &head, &mut body)?;
    Ok((head, Answer::Other(body)))
}

fn unexpected(ask: &Exchange<'_>, answer: &Response) -> String {
    let code = answer.code().unwrap_or_default();
    format!("{} {}: {} {code} instead of {}", ask.method, ask.target, answer.status(), ask.expected)
}
