//! A TCP connection whose small reads and writes bypass the C library.
//!
//! In the C library `recv` and `send` are cancellation points (pthreads(7)), which cost two locked instructions per
//! call in a process with threads. No thread is cancelled here, so rustix makes the system calls
//! (docs/performance.md, "small reads and writes bypass the C library").

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
    /// Returns the connection as tokio's type.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Makes a system call that moves up to `room` bytes, and returns how many it moved; `None` if it would block.
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
            // A short count means that the kernel has no more for now and will report more through epoll(7).
            // `WouldBlock` saves tokio the second call that would find this out.
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
        // Large bodies are read into uninitialised buffers, where one more call costs nothing noticeable.
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
            // NOSIGNAL: a peer that is gone is an error, not a signal.
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
    async fn reads_everything_that_arrives_in_parts() {
        let (mut socket, mut peer) = pair().await;
        let mut room = [0; 4];
        // A read that fills the buffer, one that does not, and more than fits.
        for sent in ["abcd", "ab", "abcdef"] {
            peer.write_all(sent.as_bytes()).await.unwrap();
            let mut read = Vec::new();
            while read.len() < sent.len() {
                let reading = timeout(Duration::from_secs(5), socket.read(&mut room));
                let length = reading.await.expect("the rest is read").unwrap();
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
    async fn writes_what_the_peer_does_not_take_at_once() {
        let (mut socket, mut peer) = pair().await;
        let sent: Vec<u8> = (0..=250).cycle().take(8_000_000).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move { socket.write_all(&sent).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!writing.is_finished(), "more than the kernel buffers");
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(read == expected);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error() {
        let (mut socket, peer) = pair().await;
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        let error = socket.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = socket.write(b"a").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
