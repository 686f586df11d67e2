//! One object of 5 GiB, the limit of MinIO for a single PUT, through the proxy and back.

use super::client::{Client, Exchange};
use super::content::Noise;
use super::memory::Memory;
use crate::proc;
use crate::support::http::Connection;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const SIZE: u64 = 5 << 30;
const TARGET: &str = "/tmp/inbox/large";

/// How long a slow disk may take to store 5 GiB before MinIO responds.
const PATIENCE: Duration = Duration::from_mins(10);

/// The object on its way to the store or back.
pub(crate) struct Transfer {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// The proxy's memory before the transfer, in KiB.
    pub(crate) before: u64,
    /// The proxy's memory at its peak, in KiB.
    pub(crate) peak: u64,
}

impl Transfer {
    /// Returns the rate in millions of bytes per second.
    #[expect(clippy::cast_precision_loss, reason = "a rounded figure is shown")]
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.took.as_secs_f64()
    }
}

/// Puts, gets and deletes the object.
///
/// # Errors
/// A request fails, or the object comes back changed.
pub(crate) fn run(
    writer: SocketAddr,
    noise: &Noise,
    process: u32,
    memory: &Memory,
) -> Result<Vec<Transfer>, String> {
    let measured = |name, transfer: &dyn Fn() -> Result<(), String>| {
        let before = proc::resident_kib(process)?;
        let (since, start) = (memory.now(), Instant::now());
        transfer().map_err(|why| format!("{name} of {SIZE} bytes: {why}"))?;
        let took = start.elapsed();
        let peak = memory.peak_since(since).unwrap_or(before);
        Ok::<_, String>(Transfer { name, bytes: SIZE, took, before, peak })
    };
    let put = measured("PUT", &|| put(writer, noise))?;
    let get = measured("GET", &|| get(writer, noise))?;
    let delete = Exchange { method: "DELETE", target: TARGET, headers: &[], body: b"", expected: 204 };
    Client::new(writer).exchange(&delete, &mut Vec::new())?;
    Ok(vec![put, get])
}

fn put(writer: SocketAddr, noise: &Noise) -> Result<(), String> {
    let mut connection = open(writer)?;
    let head = format!("PUT {TARGET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n");
    connection.send(head.as_bytes()).map_err(|error| error.to_string())?;
    let mut sent = 0;
    let mut broken = None;
    while sent < SIZE && broken.is_none() {
        let piece = noise.piece(sent, SIZE - sent);
        broken = connection.send(piece).err();
        sent += piece.len() as u64;
    }
    // The proxy may have stopped reading because of a refusal, which says more than the broken pipe.
    match (connection.read_response("PUT"), broken) {
        (Ok(response), None) if response.status() == 200 => Ok(()),
        (Ok(response), _) => Err(format!("{} {}", response.status(), response.code().unwrap_or_default())),
        (Err(error), None) => Err(error.to_string()),
        (Err(_), Some(error)) => Err(format!("after about {sent} bytes: {error}")),
    }
}

fn get(writer: SocketAddr, noise: &Noise) -> Result<(), String> {
    let mut connection = open(writer)?;
    let request = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.send(request.as_bytes()).map_err(|error| error.to_string())?;
    let head = connection.read_head().map_err(|error| error.to_string())?;
    if head.status != 200 {
        return Err(format!("{} {}", head.status, head.reason));
    }
    match connection.read_body("GET", &head, &mut noise.compare(0)) {
        Ok(SIZE) => Ok(()),
        Ok(length) => Err(format!("{length} bytes came back, expected {SIZE}")),
        Err(error) => Err(error.to_string()),
    }
}

fn open(writer: SocketAddr) -> Result<Connection, String> {
    let connection = Connection::open(writer).map_err(|error| format!("cannot connect: {error}"))?;
    connection.set_read_timeout(PATIENCE).map_err(|error| error.to_string())?;
    Ok(connection)
}
