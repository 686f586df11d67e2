//! A relay that delays every byte, for kernels without `netem`.
//!
//! Both ends see a round trip of a given time once they are connected. A direction carries as many bytes at once as TCP
//! does with Linux's usual limit of 4 MiB for a send buffer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// The bytes under way in one direction: half of a window, because nothing waits here for the way back of its
/// acknowledgement.
const UNDER_WAY: usize = 2 << 20;
const CHUNK: usize = 64 << 10;

/// A relay that runs until this is dropped.
pub(crate) struct Delay {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Delay {
    /// Starts a relay on this program's core.
    ///
    /// # Errors
    /// It cannot listen.
    pub(crate) fn start(server: SocketAddr, round_trip: Duration) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot start a relay: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(&listener, server, round_trip / 2) => {}
                }
            });
        });
        Ok(Self { address, _stop: stop })
    }
}

async fn accept(listener: &TcpListener, server: SocketAddr, delay: Duration) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(relay(client, server, delay));
    }
}

async fn relay(client: TcpStream, server: SocketAddr, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::try_join!(carry(from_client, to_server, delay), carry(from_server, to_client, delay))?;
    Ok(())
}

/// A part of the bytes under way, and when it arrives.
struct Part {
    due: Instant,
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Carries one direction until its end.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, delay: Duration) -> io::Result<()> {
    let (parts, arriving) = mpsc::unbounded_channel();
    tokio::try_join!(depart(from, parts, delay), arrive(to, arriving))?;
    Ok(())
}

async fn depart(
    mut from: OwnedReadHalf,
    parts: mpsc::UnboundedSender<Part>,
    delay: Duration,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    loop {
        let whole = u32::try_from(CHUNK).unwrap_or_default();
        let Ok(mut place) = Arc::clone(&room).acquire_many_owned(whole).await else { return Ok(()) };
        let mut bytes = Vec::with_capacity(CHUNK);
        let length = from.read_buf(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        // What the part does not need is free again.
        let unused = place.split(CHUNK.saturating_sub(length));
        drop(unused);
        let part = Part { due: Instant::now() + delay, bytes, _room: place };
        if parts.send(part).is_err() {
            return Ok(());
        }
    }
}

async fn arrive(mut to: OwnedWriteHalf, mut parts: mpsc::UnboundedReceiver<Part>) -> io::Result<()> {
    while let Some(part) = parts.recv().await {
        sleep_until(part.due).await;
        to.write_all(&part.bytes).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    #[test]
    fn delays_both_directions_and_loses_nothing() {
        let server = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let round_trip = Duration::from_millis(40);
        let relay = Delay::start(server.local_addr().unwrap(), round_trip).unwrap();
        let echo = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        });
        let sent: Vec<u8> = (0..5_000_000_u32).map(|place| place.to_le_bytes()[0]).collect();
        let mut client = TcpStream::connect(relay.address).unwrap();
        let start = Instant::now();
        client.write_all(&sent).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert!(start.elapsed() >= round_trip, "{:?}", start.elapsed());
        assert_eq!(received, sent);
        echo.join().unwrap();
    }
}
