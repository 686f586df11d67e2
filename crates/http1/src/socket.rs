//! A TCP connection whose small reads and writes are system calls and nothing else.
//!
//! In the C library `recv` and `send` are points at which a thread may be cancelled (pthreads(7)), and in a process with
//! threads each call pays for that with two locked instructions. Nothing is cancelled here, so rustix makes the calls.

use rustix::io::Result as Called;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(stream)
    }
}

impl Socket {
    /// The connection as tokio has it.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Has `call` move up to `room` bytes and says how many it moved; `None` if it would have had to wait.
    fn attempt(
        &self,
        interest: Interest,
        room: usize,
        call: impl FnOnce() -> Called<usize>,
    ) -> io::Result<Option<usize>> {
        let mut moved = None;
        let outcome = self.0.try_io(interest, || {
            let length = call()?;
            moved = Some(length);
            // Fewer than might have been: there are no more, and the kernel says when there are again (epoll(7)). So
            // tokio need not have it tried a second time.
            if 0 < length && length < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (moved, outcome) {
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            (moved, _) => Ok(moved),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Large bodies are read into room that holds nothing yet: one call more or less is nothing there.
        if into.initialized().len() < into.capacity() {
            return Pin::new(&mut self.get_mut().0).poll_read(cx, into);
        }
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            let room = into.initialize_unfilled();
            let length = room.len();
            let call = || recv(&self.0, &mut *room, RecvFlags::empty()).map(|(read, _)| read);
            if let Some(read) = self.attempt(Interest::READABLE, length, call)? {
                into.advance(read);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            // A peer that has gone is an error, not a signal.
            let call = || send(&self.0, bytes, SendFlags::NOSIGNAL);
            if let Some(written) = self.attempt(Interest::WRITABLE, bytes.len(), call)? {
                return Poll::Ready(Ok(written));
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (one.unwrap().into(), other.unwrap().0)
    }

    #[tokio::test]
    async fn what_comes_in_parts_is_read_to_its_end() {
        let (mut socket, mut peer) = pair().await;
        let mut room = [0; 4];
        // What fills the room, what does not, and an end right behind it.
        for sent in ["abcd", "ab", "abcdef"] {
            peer.write_all(sent.as_bytes()).await.unwrap();
            let mut read = Vec::new();
            while read.len() < sent.len() {
                let reading = timeout(Duration::from_secs(5), socket.read(&mut room));
                let length = reading.await.expect("what is left of it is read").unwrap();
                read.extend_from_slice(&room[..length]);
            }
            assert_eq!(read, sent.as_bytes());
        }
        peer.write_all(b"ab").await.unwrap();
        drop(peer);
        let mut rest = Vec::new();
        assert_eq!(socket.read(&mut room).await.unwrap(), 2);
        assert_eq!(socket.read_to_end(&mut rest).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_the_peer_does_not_take_yet_is_written_later() {
        let (mut socket, mut peer) = pair().await;
        let sent: Vec<u8> = (0..=250).cycle().take(8_000_000).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move { socket.write_all(&sent).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!writing.is_finished(), "the kernel does not hold as much");
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(read == expected);
    }

    #[tokio::test]
    async fn a_peer_that_has_gone_is_an_error() {
        let (mut socket, peer) = pair().await;
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        let error = socket.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = socket.write(b"a").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
