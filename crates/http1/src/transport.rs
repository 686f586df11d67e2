//! Streams that carry messages, and what their peers have done.

use crate::socket::Socket;
use crate::splice::{Splice, SpliceSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use socket2::TcpKeepalive;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// The state of a peer's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// The peer may send more.
    Open,
    /// The peer sends no more. Whether it still reads shows only when something is written to it.
    Ended,
    /// The peer neither sends nor reads.
    Gone,
}

/// A stream that carries messages, with what the operating system knows of its peer.
pub trait Transport: AsyncRead + AsyncWrite + Splice + Unpin + 'static {
    /// Makes dropping the stream reset the connection. An orderly close would look like the end of a body that is
    /// delimited by it.
    fn reset_when_dropped(&self) {}

    /// Returns the state of the peer, even if bytes it sent earlier are unread.
    fn peer_state(&self) -> PeerState {
        PeerState::Open
    }

    /// Returns the number of bytes that have arrived and are unread.
    fn arrived(&self) -> usize {
        0
    }

    /// Makes the kernel probe whether a peer that ended its side still exists.
    fn probe_peer(&self) {}
}

impl Splice for Socket {
    fn splice_socket(&self) -> Option<SpliceSocket<'_>> {
        Some(SpliceSocket::Tcp(self.stream()))
    }
}

impl Splice for UnixStream {
    fn splice_socket(&self) -> Option<SpliceSocket<'_>> {
        Some(SpliceSocket::Unix(self))
    }
}

impl Transport for Socket {
    fn reset_when_dropped(&self) {
        // If this fails, an orderly close is the best that is left.
        let _ = socket2::SockRef::from(self.stream()).set_linger(Some(Duration::ZERO));
    }

    fn peer_state(&self) -> PeerState {
        query_peer(self.stream())
    }

    fn arrived(&self) -> usize {
        unread_bytes(self.stream())
    }

    fn probe_peer(&self) {
        let probes =
            TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER).with_retries(PROBES);
        // Without probes the request still ends with its own timeouts.
        let _ = socket2::SockRef::from(self.stream()).set_tcp_keepalive(&probes);
    }
}

impl Transport for UnixStream {
    fn peer_state(&self) -> PeerState {
        query_peer(self)
    }

    fn arrived(&self) -> usize {
        unread_bytes(self)
    }
}

/// The interval and number of probes. A peer's system forgets a closed connection after about a minute, and responds
/// to the next probe with a reset.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// Asks the kernel for the state of the peer.
fn query_peer(stream: impl AsFd) -> PeerState {
    let mut polled = [PollFd::new(&stream, PollFlags::RDHUP)];
    // After an error nothing is known; the caller asks again later.
    let _ = poll(&mut polled, Some(&Timespec::default()));
    let events = polled.iter().fold(PollFlags::empty(), |events, fd| events | fd.revents());
    if events.intersects(PollFlags::HUP | PollFlags::ERR) {
        PeerState::Gone
    } else if events.contains(PollFlags::RDHUP) {
        PeerState::Ended
    } else {
        PeerState::Open
    }
}

/// Asks the kernel for the number of unread bytes.
fn unread_bytes(stream: impl AsFd) -> usize {
    let count = ioctl_fionread(stream).unwrap_or_default();
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
impl Splice for tokio::io::DuplexStream {}
#[cfg(test)]
impl Transport for tokio::io::DuplexStream {}
