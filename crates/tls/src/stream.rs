//! A TLS connection as a stream.
//!
//! **Reading.** Records are read into a buffer of the thread, decrypted there, and copied to the reader. The beginning of an
//! incomplete record stays in `incoming`, what the reader has no room for in `decrypted`. Both are freed once empty.
//!
//! **Writing.** A write encrypts up to [`MAX_WRITE`] bytes and passes them to the stream below. What that does not take at
//! once is kept in `unsent`, and **the write stays pending until it is gone**. So the writer sees the peer's progress, and
//! a stalled peer, as on a plain connection, and nothing is left behind that only a flush would send. The price is a rule:
//! a pending write must be repeated with the same bytes, possibly with more behind them.
//!
//! | `unsent` | `claimed` | meaning |
//! |---|---|---|
//! | empty | 0 | nothing to send |
//! | some | 0 | messages of the protocol, such as tickets: they go out with the next write, flush or shutdown |
//! | some | some | a pending write of that many bytes |
//! | empty | some | all of it was sent by a flush, and the write is repeated to learn so |

use crate::records::RECORD;
use crate::scratch::{Use, with_scratch};
use crate::session::{OVERHEAD, Progress, Session};
use crate::unsent::Unsent;
use http1::splice::Splice;
use http1::{PeerState, Transport};
use rustls::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most plaintext that is encrypted for one write to the stream below, in bytes.
const MAX_WRITE: usize = 4 * RECORD;
/// The most that is read from the stream below at once, in bytes.
const MAX_READ: usize = 4 * (RECORD + OVERHEAD);
/// The least that is read at once, in bytes: a whole record.
const MIN_READ: usize = RECORD + OVERHEAD;
/// The room for messages of the protocol that go out with a write, in bytes.
const MESSAGES: usize = 8 * 1024;
/// The most of an unfinished record or handshake message that is kept, in bytes.
pub(crate) const MAX_INCOMING: usize = 64 * 1024;

/// A TLS connection over the stream `S`, after its handshake.
pub struct TlsStream<S> {
    pub(crate) stream: S,
    pub(crate) session: Session,
    /// The beginning of a record or message that has not arrived completely.
    pub(crate) incoming: Vec<u8>,
    /// Decrypted bytes that the reader had no room for, from `read` on.
    decrypted: Vec<u8>,
    read: usize,
    pub(crate) unsent: Unsent,
    /// The number of bytes of a pending write that are encrypted.
    claimed: usize,
    end: End,
    /// Whether this end has sent its last message.
    is_closed: bool,
}

/// What is known of the peer's end.
#[derive(Clone, Debug)]
enum End {
    Open,
    /// The peer has ended its side in order.
    Closed,
    /// The peer closed the connection without saying that it sends no more. Anyone on the way could have done that.
    Truncated,
    /// The peer broke the protocol.
    Failed(Box<Error>),
}

impl<S> TlsStream<S> {
    pub(crate) fn new(stream: S, session: Session) -> Self {
        Self {
            stream,
            session,
            incoming: Vec::new(),
            decrypted: Vec::new(),
            read: 0,
            unsent: Unsent::default(),
            claimed: 0,
            end: End::Open,
            is_closed: false,
        }
    }

    /// Returns the stream below.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the size of the buffers for decrypted and unsent bytes.
    #[cfg(test)]
    pub(crate) fn buffered(&self) -> usize {
        self.decrypted.capacity() + self.unsent.len()
    }

    /// Processes what has arrived into `incoming`, during the handshake.
    pub(crate) fn process_incoming(&mut self) -> Result<Progress, Error> {
        let Self { session, incoming, unsent, decrypted, .. } = self;
        let (done, progress) =
            session.process(incoming, unsent.bytes_mut(), |data| decrypted.extend_from_slice(data));
        incoming.drain(..done);
        if incoming.is_empty() {
            *incoming = Vec::new();
        }
        progress
    }

    /// Copies decrypted bytes to the reader.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = self.decrypted.get(self.read..).unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(buf.remaining()));
        buf.put_slice(now);
        self.read += now.len();
        if later.is_empty() {
            (self.decrypted, self.read) = (Vec::new(), 0);
        }
    }

    /// Returns how the peer's end shows to a reader that has read everything; `None` while it is open.
    fn ended(&self) -> Option<io::Result<()>> {
        match &self.end {
            End::Open => None,
            End::Closed => Some(Ok(())),
            // Nothing more was expected of it.
            End::Truncated if self.is_closed => Some(Ok(())),
            End::Truncated => {
                let error = "the peer closed the connection without ending TLS";
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)))
            }
            End::Failed(error) => Some(Err(io::Error::new(io::ErrorKind::InvalidData, error.clone()))),
        }
    }
}

impl<S: AsyncRead + Unpin> TlsStream<S> {
    /// Reads what has arrived, and decrypts it to `buf` and, as far as that has no room, to `decrypted`. Returns whether
    /// more may have arrived.
    fn poll_decrypt(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let kept = self.incoming.len();
        let room = buf.remaining().clamp(MIN_READ, MAX_READ);
        with_scratch(Use::Reading, MAX_INCOMING + MAX_READ, |scratch| {
            let (front, free) = scratch.split_at_mut(kept);
            let mut into = ReadBuf::new(free.get_mut(..room).unwrap_or_default());
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
            let arrived = into.filled().len();
            if arrived == 0 {
                self.end = End::Truncated;
                return Poll::Ready(Ok(false));
            }
            front.copy_from_slice(&self.incoming);
            let all = scratch.get_mut(..kept + arrived).unwrap_or_default();
            let Self { session, unsent, decrypted, .. } = self;
            let (done, progress) = session.process(all, unsent.bytes_mut(), |data| {
                let (now, later) = data.split_at(data.len().min(buf.remaining()));
                buf.put_slice(now);
                decrypted.extend_from_slice(later);
            });
            let rest = all.get(done..).unwrap_or_default();
            self.incoming = Vec::new();
            match progress {
                Ok(Progress::PeerClosed) => self.end = End::Closed,
                Ok(_) if rest.len() > MAX_INCOMING => {
                    let error = Error::General("a message is too long".to_owned());
                    self.end = End::Failed(Box::new(error));
                }
                Ok(_) => self.incoming.extend_from_slice(rest),
                Err(error) => self.end = End::Failed(Box::new(error)),
            }
            Poll::Ready(Ok(arrived == room))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.decrypted.is_empty() {
            this.deliver(buf);
        }
        let mut may_have_arrived = true;
        loop {
            let has_read = buf.filled().len() > before;
            if buf.remaining() == 0 || (has_read && (!may_have_arrived || buf.remaining() < RECORD)) {
                return Poll::Ready(Ok(()));
            }
            if let Some(ended) = this.ended() {
                return Poll::Ready(if has_read { Ok(()) } else { ended });
            }
            may_have_arrived = match this.poll_decrypt(cx, buf) {
                Poll::Ready(Ok(more)) => more,
                Poll::Ready(Err(error)) if !has_read => return Poll::Ready(Err(error)),
                Poll::Pending if !has_read => return Poll::Pending,
                // An error shows again when the next read finds the end.
                Poll::Ready(Err(_)) | Poll::Pending => return Poll::Ready(Ok(())),
            };
            if let End::Failed(_) = this.end {
                // The alert is a courtesy. The peer may be gone.
                let _ = this.unsent.poll_send(cx, &mut this.stream);
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> TlsStream<S> {
    /// Sends the rest of a pending write. Returns the length of the whole write, or 0 without a pending write.
    fn poll_claimed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.claimed > 0 || self.unsent.len() > MESSAGES {
            ready!(self.unsent.poll_send(cx, &mut self.stream))?;
        }
        Poll::Ready(Ok(std::mem::take(&mut self.claimed)))
    }

    /// Encrypts the beginning of `slices`, and passes it to the stream below together with messages of the protocol.
    fn encrypt_and_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> io::Result<()> {
        with_scratch(Use::Writing, MESSAGES + MAX_WRITE + 8 * OVERHEAD, |scratch| {
            let messages = self.unsent.take(scratch);
            let room = scratch.get_mut(messages..).unwrap_or_default();
            let (taken, made) = self.session.encrypt(slices, MAX_WRITE, &mut self.incoming, room)?;
            let all = scratch.get(..messages + made).unwrap_or_default();
            let sent = match Pin::new(&mut self.stream).poll_write(cx, all) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            self.claimed = taken;
            if let Some(rest) = all.get(sent..) {
                self.unsent.extend(rest);
            }
            Ok(())
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if this.is_closed || matches!(this.end, End::Failed(_)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut taken = ready!(this.poll_claimed(cx))?;
        if taken == 0 && total > 0 {
            this.encrypt_and_send(cx, slices)?;
            taken = ready!(this.poll_claimed(cx))?;
        }
        if taken > total {
            let error = "a pending write to a TLS connection was not repeated";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, error)));
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.unsent.poll_send(cx, &mut this.stream))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_closed {
            this.is_closed = true;
            let mut message = [0; 4 * OVERHEAD];
            // After an error there was an alert, which ends this side as well.
            if !matches!(this.end, End::Failed(_))
                && let Ok(length) = this.session.close(&mut this.incoming, &mut message)
            {
                this.unsent.extend(message.get(..length).unwrap_or_default());
            }
        }
        ready!(this.unsent.poll_send(cx, &mut this.stream))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// The bytes of TLS are not those of the socket.
impl<S> Splice for TlsStream<S> {}

impl<S: Transport> Transport for TlsStream<S> {
    fn reset_when_dropped(&self) {
        self.stream.reset_when_dropped();
    }

    fn peer_state(&self) -> PeerState {
        self.stream.peer_state()
    }

    /// Returns the number of bytes that have arrived and are unread. It may be a little too high, because what has not been
    /// decrypted is counted as it is.
    fn arrived(&self) -> usize {
        let decrypted = self.decrypted.len() - self.read;
        decrypted.saturating_add(self.incoming.len()).saturating_add(self.stream.arrived())
    }

    fn probe_peer(&self) {
        self.stream.probe_peer();
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("end", &self.end).finish_non_exhaustive()
    }
}
