//! The TLS protocol of one connection, on bytes in memory.
//!
//! rustls's buffered interface reads 4 KiB at a time and keeps that much for each idle connection. Its unbuffered
//! interface, used here, works on the caller's buffers and keeps none.

use crate::records::{self, RECORD};
use crate::scratch::{Use, with_scratch};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, ServerConfig};
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::sync::Arc;

/// The most that a record is longer than its plaintext, in bytes: header, nonce, tag and type.
pub(crate) const OVERHEAD: usize = 5 + 8 + 16 + 1;

/// The protocol of one connection. Boxed, because streams are moved.
pub(crate) struct Session(Box<UnbufferedServerConnection>);

/// What processing led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The handshake needs more bytes.
    Handshaking,
    /// The handshake is over, and what arrived is processed.
    Established,
    /// The peer has ended its side in order.
    PeerClosed,
}

/// Why a message could not be encrypted.
const CLOSED: &str = "this end of the TLS connection is closed";

impl Session {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self(Box::new(UnbufferedServerConnection::new(config)?)))
    }

    /// Processes all complete records at the beginning of `incoming`. Appends what must be sent to `outgoing`, and passes
    /// decrypted bytes to `deliver`. Returns the number of bytes that are done with; the caller keeps the others, unchanged,
    /// for the next call.
    ///
    /// After an error, `outgoing` ends with the alert, and the session must not be used again.
    pub(crate) fn process(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Vec<u8>,
        mut deliver: impl FnMut(&[u8]),
    ) -> (usize, Result<Progress, Error>) {
        let mut done = 0;
        let mut is_closed = false;
        loop {
            let rest = incoming.get_mut(done..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.0.process_tls_records(rest);
            let progress = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut failed = None;
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                deliver(record.payload);
                            }
                            Err(error) => failed = Some(Err(error)),
                        }
                    }
                    failed
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(outgoing, |into| message.encode(into)).err().map(Err)
                }
                // What was encoded is in `outgoing`, and is sent before anything else.
                Ok(ConnectionState::TransmitTlsData(transmission)) => {
                    transmission.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    is_closed = true;
                    None
                }
                Ok(_) if is_closed => Some(Ok(Progress::PeerClosed)),
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::Closed) => {
                    Some(Ok(Progress::Established))
                }
                // Early data is never accepted.
                Ok(_) => Some(Ok(Progress::Handshaking)),
                Err(error) => {
                    self.take_alert(rest, outgoing);
                    Some(Err(error))
                }
            };
            done += discard;
            if let Some(progress) = progress {
                return (done.min(incoming.len()), progress);
            }
        }
    }

    /// Appends the messages that an error left, its alert at the end, to `outgoing`.
    fn take_alert(&mut self, incoming: &mut [u8], outgoing: &mut Vec<u8>) {
        while self.0.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut message)) = self.0.process_tls_records(incoming).state
            else {
                return;
            };
            if encode(outgoing, |into| message.encode(into)).is_err() {
                return;
            }
        }
    }

    /// Encrypts the beginning of `slices`, at most `limit` bytes, to the beginning of `into`. Returns the numbers of bytes
    /// that were encrypted, and that they became. `incoming` is what the last [`Self::process`] left.
    pub(crate) fn encrypt(
        &mut self,
        slices: &[IoSlice<'_>],
        limit: usize,
        incoming: &mut [u8],
        into: &mut [u8],
    ) -> io::Result<(usize, usize)> {
        let mut made = 0;
        let taken = with_scratch(Use::Joining, RECORD, |joined| {
            records::cut(slices, limit, joined, |plain| {
                let room = into.get_mut(made..).unwrap_or_default();
                made += self.with_traffic(incoming, room, |traffic, room| traffic.encrypt(plain, room))?;
                Ok(())
            })
        })?;
        Ok((taken, made))
    }

    /// Writes the message that ends this side in order to the beginning of `into`, and returns its length.
    pub(crate) fn close(&mut self, incoming: &mut [u8], into: &mut [u8]) -> io::Result<usize> {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method fits one lifetime only")]
        self.with_traffic(incoming, into, |traffic, into| traffic.queue_close_notify(into))
    }

    /// Lets `write` write to `into`, behind what the protocol itself has to send.
    fn with_traffic(
        &mut self,
        incoming: &mut [u8],
        into: &mut [u8],
        write: impl FnOnce(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        let mut made = 0;
        loop {
            match self.0.process_tls_records(incoming).state.map_err(io::Error::other)? {
                ConnectionState::EncodeTlsData(mut message) => {
                    let room = into.get_mut(made..).unwrap_or_default();
                    made += message.encode(room).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(transmission) => transmission.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    let room = into.get_mut(made..).unwrap_or_default();
                    return write(&mut traffic, room).map(|more| made + more).map_err(io::Error::other);
                }
                _ => return Err(io::Error::new(io::ErrorKind::BrokenPipe, CLOSED)),
            }
        }
    }
}

type Traffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

impl Deref for Session {
    type Target = rustls::CommonState;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Appends what `encode` writes to `outgoing`.
fn encode(
    outgoing: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Error> {
    // Without room it says how much it needs.
    let Err(EncodeError::InsufficientSize(needed)) = encode(&mut []) else { return Ok(()) };
    let start = outgoing.len();
    outgoing.resize(start + needed.required_size, 0);
    let room = outgoing.get_mut(start..).unwrap_or_default();
    encode(room).map(drop).map_err(|error| Error::General(error.to_string()))
}
