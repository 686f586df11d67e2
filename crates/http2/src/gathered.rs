//! The frames that wait to be written to a connection.

use crate::bounds::WRITE_PARTS;
use crate::turn::Turn;
use bytes::{Buf, Bytes, BytesMut};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

thread_local! {
    /// The buffers that the connections of this thread gather in, one after the other.
    static SPARE: Cell<Gathered> = Cell::default();
}

/// Bytes that wait for the stream below. Empty, they hold no memory.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The first bytes, in parts.
    parts: VecDeque<Bytes>,
    /// The bytes after the parts, which were copied.
    copied: BytesMut,
    /// The number of all bytes.
    length: usize,
}

impl Gathered {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Appends bytes. Long pieces of responses are not copied.
    pub(crate) fn extend(&mut self, bytes: &[u8], turn: &Turn) {
        if self.length == 0 {
            *self = SPARE.take();
        }
        self.length += bytes.len();
        if let Some(kept) = turn.kept(bytes) {
            if !self.copied.is_empty() {
                self.parts.push_back(self.copied.split().freeze());
            }
            self.parts.push_back(kept);
        } else {
            self.copied.extend_from_slice(bytes);
        }
    }

    /// Writes all bytes to `stream`, and notes each write.
    pub(crate) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        turn: &Turn,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.length > 0 {
            match self.poll_write(stream, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(length)) => {
                    turn.wrote(Some(length));
                    self.advance(length);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    turn.wrote(None);
                    return Poll::Pending;
                }
            }
        }
        SPARE.set(std::mem::take(self));
        Poll::Ready(Ok(()))
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(stream);
        if self.parts.is_empty() {
            return stream.poll_write(cx, &self.copied);
        }
        let mut slices = [IoSlice::new(&[]); WRITE_PARTS];
        let parts = self.parts.iter().map(|part| &**part).chain([&*self.copied]);
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        stream.poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
    }

    /// Drops the first `length` bytes, which were written.
    fn advance(&mut self, length: usize) {
        self.length -= length;
        let mut left = length;
        while let Some(part) = self.parts.front_mut() {
            if left < part.len() {
                return part.advance(left);
            }
            left -= part.len();
            self.parts.pop_front();
        }
        self.copied.advance(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::io::ReadBuf;

    /// A stream that takes some bytes at a time.
    struct Slow(usize, Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let mut into = vec![0; self.0.min(bytes.len())];
            let mut into = ReadBuf::new(&mut into);
            into.put_slice(&bytes[..into.capacity()]);
            self.1.extend_from_slice(into.filled());
            Poll::Ready(Ok(into.capacity()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let length = self.0.min(all.len());
            self.1.extend_from_slice(&all[..length]);
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn sent_bytes_are_not_kept() {
        let (mut gathered, turn) = (Gathered::default(), Turn::new());
        for _ in 0..1000 {
            gathered.extend(&[0; 1000], &turn);
            gathered.advance(999);
        }
        assert_eq!(gathered.len(), 1000);
        assert!(gathered.copied.capacity() < 10_000, "{}", gathered.copied.capacity());
    }

    #[test]
    fn copied_and_kept_bytes_leave_in_order() {
        let body: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for at_a_time in [1000, 4096, 16_384, 100_000, 1 << 20] {
            let (mut gathered, turn) = (Gathered::default(), Turn::new());
            let mut expected = Vec::new();
            for (head, piece) in body.chunks(10_000).enumerate() {
                let (head, piece) = (head.to_be_bytes(), Bytes::copy_from_slice(piece));
                turn.hand(&piece);
                // Flow control may split a piece.
                let (first, second) = piece.split_at(5000);
                for bytes in [&head[..], first, second] {
                    expected.extend_from_slice(bytes);
                    gathered.extend(bytes, &turn);
                }
            }
            gathered.extend(b"the end", &turn);
            expected.extend_from_slice(b"the end");
            assert_eq!(gathered.len(), expected.len());
            assert!(gathered.copied.len() < 100, "nothing long is copied");
            let mut slow = Slow(at_a_time, Vec::new());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(gathered.poll_send(&mut slow, &turn, &mut cx).is_ready());
            assert!(slow.1 == expected, "{at_a_time}");
            assert_eq!(
                gathered.parts.capacity() + gathered.copied.capacity(),
                0,
                "empty, it holds no memory"
            );
        }
    }
}
