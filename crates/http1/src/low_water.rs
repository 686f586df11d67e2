//! The low-water mark of a socket: how many bytes must have arrived before the kernel reports them (`SO_RCVLOWAT`,
//! socket(7)).
//!
//! A peer that sends more slowly than the proxy forwards would wake the proxy for each packet. While a large body
//! moves fast, the mark is raised, so that the proxy wakes for large pieces (docs/performance.md, "low-water mark"). The
//! kernel still reports less if the peer ends the connection, or if it has no memory or window for more. Otherwise
//! the task is woken at a deadline, and the mark is lowered.

use crate::LazyTimer;
use crate::pace::LARGEST_PIPED;
use crate::splice::SpliceSocket;
use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetUsize;
use std::task::Context;
use tokio::time::Instant;

/// The raised mark, in bytes.
pub(crate) const RAISED: usize = LARGEST_PIPED / 2;

/// The socket option. Only nix has a way to set it without `unsafe`.
#[derive(Clone, Copy, Debug)]
struct ReceiveLowWater;

nix::setsockopt_impl!(ReceiveLowWater, libc::SOL_SOCKET, libc::SO_RCVLOWAT, usize, SetUsize);

/// The mark of a connection's socket.
#[derive(Debug, Default)]
pub(crate) struct LowWater {
    /// The deadline of a raised mark. Boxed because few connections have one.
    raised: Option<Box<LazyTimer>>,
}

impl LowWater {
    pub(crate) fn is_raised(&self) -> bool {
        self.raised.is_some()
    }

    /// Raises the mark until `deadline`, for which the task is woken. Lowers it if the deadline has passed.
    pub(crate) fn raise(&mut self, socket: SpliceSocket<'_>, deadline: Instant, cx: &mut Context<'_>) {
        if self.raised.is_none() && set(socket, RAISED) {
            self.raised = Some(Box::new(LazyTimer::new(deadline)));
            #[cfg(test)]
            tests::count();
        }
        let Some(timer) = &mut self.raised else { return };
        timer.set(deadline);
        if timer.poll(cx).is_ready() {
            self.lower(socket);
        }
    }

    /// Lowers the mark, so that the kernel reports every byte. It reports those that have already arrived at once.
    pub(crate) fn lower(&mut self, socket: SpliceSocket<'_>) {
        if self.raised.take().is_some() {
            set(socket, 1);
        }
    }
}

/// Sets the mark of a TCP socket, and returns whether it is set. Unix sockets ignore it.
fn set(socket: SpliceSocket<'_>, bytes: usize) -> bool {
    match socket {
        SpliceSocket::Tcp(stream) => setsockopt(stream, ReceiveLowWater, &bytes).is_ok(),
        SpliceSocket::Unix(_) => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    thread_local! {
        static RAISED_COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        RAISED_COUNT.set(RAISED_COUNT.get() + 1);
    }

    /// Returns how often this thread has raised a mark.
    pub(crate) fn raised() -> usize {
        RAISED_COUNT.get()
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (sender, receiver) = (one.unwrap(), other.unwrap().0);
        // tokio takes a new stream for readable until it is read.
        assert!(receiver.try_read(&mut [0]).is_err());
        (sender, receiver)
    }

    async fn raise(mark: &mut LowWater, stream: &TcpStream, length: Duration) {
        let deadline = Instant::now() + length;
        poll_fn(|cx| {
            mark.raise(SpliceSocket::Tcp(stream), deadline, cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Returns whether the kernel reports bytes of `stream` within `length`.
    async fn is_reported(stream: &TcpStream, length: Duration) -> bool {
        timeout(length, stream.readable()).await.is_ok()
    }

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn few_bytes_are_reported_when_the_mark_is_lowered() {
        let (mut sender, receiver) = pair().await;
        let mut mark = LowWater::default();
        raise(&mut mark, &receiver, LONG).await;
        sender.write_all(b"few").await.unwrap();
        assert!(mark.is_raised());
        assert!(!is_reported(&receiver, SOON).await, "fewer bytes than the mark");
        mark.lower(SpliceSocket::Tcp(&receiver));
        assert!(is_reported(&receiver, LONG).await && !mark.is_raised());
    }

    #[tokio::test]
    async fn many_bytes_and_the_end_are_reported_at_once() {
        let (mut sender, receiver) = pair().await;
        let mut mark = LowWater::default();
        raise(&mut mark, &receiver, LONG).await;
        sender.write_all(&vec![0; RAISED]).await.unwrap();
        assert!(is_reported(&receiver, LONG).await, "as many as the mark");

        let (mut sender, receiver) = pair().await;
        let mut mark = LowWater::default();
        raise(&mut mark, &receiver, LONG).await;
        sender.write_all(b"few").await.unwrap();
        drop(sender);
        assert!(is_reported(&receiver, LONG).await, "the end");
    }

    #[tokio::test]
    async fn the_mark_is_lowered_at_its_deadline() {
        let (mut sender, receiver) = pair().await;
        let mut mark = LowWater::default();
        sender.write_all(b"few").await.unwrap();
        let deadline = Instant::now() + SOON;
        let lowered = poll_fn(|cx| {
            mark.raise(SpliceSocket::Tcp(&receiver), deadline, cx);
            if mark.is_raised() { Poll::Pending } else { Poll::Ready(()) }
        });
        timeout(LONG, lowered).await.expect("the task is woken");
        assert!(Instant::now() >= deadline && is_reported(&receiver, LONG).await);
    }
}
