//! A client that reuses its connection to the proxy.

use crate::support::http::{Connection, Head, Response, request_bytes};
use std::io::{self, Write};
use std::net::SocketAddr;

/// A connection to one listener, which is opened again after an exchange that closed it.
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

/// A request and the status of its expected response.
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

    /// Sends a request and copies the response's body as it arrives. Returns the head and the length of the body.
    ///
    /// # Errors
    /// The status is not the expected one, or the connection fails.
    pub(crate) fn exchange(
        &mut self,
        request: &Exchange<'_>,
        into: &mut impl Write,
    ) -> Result<(Head, u64), String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).map_err(|error| format!("cannot connect: {error}"))?,
        };
        let (head, outcome) = converse(&mut connection, request, into)
            .map_err(|error| format!("{} {}: {error}", request.method, request.target))?;
        if !head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        match outcome {
            Outcome::Expected(length) => Ok((head, length)),
            Outcome::Other(body) => Err(unexpected(request, &Response { head, body })),
        }
    }
}

enum Outcome {
    /// The length of the copied body.
    Expected(u64),
    /// The body of a response with another status.
    Other(Vec<u8>),
}

fn converse(
    connection: &mut Connection,
    request: &Exchange<'_>,
    into: &mut impl Write,
) -> io::Result<(Head, Outcome)> {
    connection.send(&request_bytes(request.method, request.target, request.headers, request.body))?;
    let mut head = connection.read_head()?;
    while head.status < 200 {
        head = connection.read_head()?;
    }
    if head.status == request.expected {
        let length = connection.read_body(request.method, &head, into)?;
        return Ok((head, Outcome::Expected(length)));
    }
    let mut body = Vec::new();
    connection.read_body(request.method, &head, &mut body)?;
    Ok((head, Outcome::Other(body)))
}

fn unexpected(request: &Exchange<'_>, response: &Response) -> String {
    let code = response.code().unwrap_or_default();
    format!(
        "{} {}: {} {code}, expected {}",
        request.method,
        request.target,
        response.status(),
        request.expected
    )
}
