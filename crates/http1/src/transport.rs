//! Streams that carry messages, and what their peers have done.

use crate::socket::Socket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use socket2::TcpKeepalive;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// What a peer has done with its end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// It may send more.
    Open,
    /// It sends no more. Whether it still reads shows only when something is written to it.
    Ended,
    /// It neither sends nor reads.
    Gone,
}

/// A stream between a client and the proxy.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Has the peer see a failure when this is dropped, where an orderly end would look like the end of a body.
    fn reset_when_dropped(&self) {}

    /// Returns what the peer has done, also where bytes that it sent before were not read yet.
    fn peer_state(&self) -> PeerState {
        PeerState::Open
    }

    /// Returns how many bytes have arrived and were not read.
    fn arrived(&self) -> usize {
        0
    }

    /// Has the kernel find out whether a peer that has ended its side still exists.
    fn probe_peer(&self) {}
}

impl Transport for Socket {
    fn reset_when_dropped(&self) {
        // An error leaves an orderly end, which is all that can be had then.
        let _ = socket2::SockRef::from(self.stream()).set_linger(Some(Duration::ZERO));
    }

    fn peer_state(&self) -> PeerState {
        state_of_peer(self.stream())
    }

    fn arrived(&self) -> usize {
        arrived(self.stream())
    }

    fn probe_peer(&self) {
        let probes =
            TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER).with_retries(PROBES);
        // Without probes the request ends with its own time-outs.
        let _ = socket2::SockRef::from(self.stream()).set_tcp_keepalive(&probes);
    }
}

impl Transport for UnixStream {
    fn peer_state(&self) -> PeerState {
        state_of_peer(self)
    }

    fn arrived(&self) -> usize {
        arrived(self)
    }
}

/// When the kernel asks a silent peer whether it exists, and how often. A system forgets a connection that its program
/// has closed about a minute after that, and answers the next probe with a reset.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// Asks the kernel what the peer has done.
fn state_of_peer(stream: impl AsFd) -> PeerState {
    let mut asked = [PollFd::new(&stream, PollFlags::RDHUP)];
    // After an error nothing is known, and the kernel is asked again later.
    let _ = poll(&mut asked, Some(&Timespec::default()));
    let said = asked.iter().fold(PollFlags::empty(), |said, fd| said | fd.revents());
    if said.intersects(PollFlags::HUP | PollFlags::ERR) {
        PeerState::Gone
    } else if said.contains(PollFlags::RDHUP) {
        PeerState::Ended
    } else {
        PeerState::Open
    }
}

/// Asks the kernel how many bytes wait to be read.
fn arrived(stream: impl AsFd) -> usize {
    let count = ioctl_fionread(stream).unwrap_or_default();
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
impl Transport for tokio::io::DuplexStream {}
