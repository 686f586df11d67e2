//! The handshake of a connection.

use crate::clients::PeerCertificate;
use crate::error::{Failed, HandshakeError, is_http};
use crate::names::CertificateNames;
use crate::notes::{Notes, with_notes};
use crate::server::ServerTls;
use crate::session::{Progress, Session};
use crate::stream::{MAX_INCOMING, TlsStream};
use crate::unsent::Unsent;
use rustls::{Error, HandshakeKind, ProtocolVersion};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first byte of a TLS connection: the type of a handshake record.
const HANDSHAKE: u8 = 22;
/// The alert with which a handshake fails before its first answer.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// The size of a read, in bytes. Most flights of clients are shorter.
const READ: usize = 4096;

/// The length of the longest common method of HTTP and the space behind it, in bytes.
const LONGEST_METHOD: usize = 8;

/// The facts about a connection after its handshake.
#[derive(Clone, Debug)]
pub struct Established {
    /// The version of TLS: `1.2` or `1.3`.
    pub version: &'static str,
    /// Whether the client chose HTTP/2.
    pub http2: bool,
    /// The host that the client named, as it spelled it.
    pub server_name: Option<Box<str>>,
    /// Whether the session began on an earlier connection.
    pub is_resumed: bool,
    /// The certificate of the client.
    pub certificate: Option<PeerCertificate>,
}

impl ServerTls {
    /// Performs the handshake of a connection. The caller bounds its time.
    ///
    /// # Errors
    /// When the handshake fails. The client is told why as far as TLS can; the caller should [close](Failed::close) the
    /// stream in order, so that the client can read it.
    pub async fn accept<S>(&self, stream: S) -> Result<(TlsStream<S>, Established), Failed<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let session = match Session::new(self.config()) {
            Ok(session) => session,
            Err(error) => return Err(Failed::new(error.into(), stream, Unsent::default())),
        };
        let mut stream = TlsStream::new(stream, session);
        let mut notes = Notes::default();
        let established = match stream.handshake(&mut notes).await {
            Ok(()) => self.establish(&stream, notes),
            Err(error) => Err(error),
        };
        match established {
            Ok(established) => Ok((stream, established)),
            Err(error) => {
                let TlsStream { mut stream, mut unsent, .. } = stream;
                // As far as it goes at once: the alert is a courtesy, and the error is what counts.
                poll_fn(|cx| Poll::Ready(unsent.poll_send(cx, &mut stream).is_ready())).await;
                Err(Failed::new(error, stream, unsent))
            }
        }
    }

    /// Collects the facts about a connection. The certificate of a resumed session is verified once more.
    fn establish<S>(&self, stream: &TlsStream<S>, notes: Notes) -> Result<Established, HandshakeError> {
        let session = &stream.session;
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let certificate = match session.peer_certificates() {
            Some(chain @ [leaf, ..]) => {
                let names = notes.certificate.map_or_else(|| CertificateNames::read(leaf), Ok);
                let names = names.map_err(HandshakeError::BadCertificate)?;
                Some(PeerCertificate { names, chain: Arc::from(chain) })
            }
            _ => None,
        };
        if is_resumed {
            self.recheck(certificate.as_ref(), SystemTime::now()).map_err(HandshakeError::BadCertificate)?;
        }
        Ok(Established {
            version: if is_tls13(session) { "1.3" } else { "1.2" },
            http2: session.alpn_protocol() == Some(b"h2"),
            server_name: notes.server_name,
            is_resumed,
            certificate,
        })
    }
}

fn is_tls13(session: &Session) -> bool {
    session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    async fn handshake(&mut self, notes: &mut Notes) -> Result<(), HandshakeError> {
        self.receive().await?;
        if self.incoming.first() != Some(&HANDSHAKE) {
            return Err(self.not_tls().await);
        }
        let mut has_answered = false;
        loop {
            let progress = with_notes(notes, || self.process_incoming());
            match progress {
                // The last messages of TLS 1.3 are tickets, for which no client waits. They go out with the first response.
                Ok(Progress::Established) if is_tls13(&self.session) => return Ok(()),
                Ok(Progress::Established) => return Ok(self.send_unsent().await?),
                Ok(Progress::Handshaking) if self.incoming.len() > MAX_INCOMING => {
                    return Err(HandshakeError::Other("its handshake is too long".to_owned()));
                }
                Ok(Progress::Handshaking) => {
                    has_answered |= self.unsent.len() > 0;
                    self.send_unsent().await?;
                    self.receive().await?;
                }
                Ok(Progress::PeerClosed) => return Err(HandshakeError::ClosedByPeer),
                Err(error) => {
                    // rustls sends no alert for a key that cannot sign for a client of TLS 1.2.
                    if self.unsent.len() == 0 && !has_answered {
                        self.unsent.extend(&HANDSHAKE_FAILURE);
                    }
                    let is_alert = matches!(error, Error::AlertReceived(_));
                    let error = HandshakeError::from(error);
                    return Err(if notes.lacks_signature && !is_alert {
                        HandshakeError::NoCipher
                    } else {
                        error
                    });
                }
            }
        }
    }

    /// Reads enough to tell HTTP from other protocols.
    async fn not_tls(&mut self) -> HandshakeError {
        while self.incoming.len() < LONGEST_METHOD && is_http(&self.incoming) {
            if let Err(error) = self.receive().await {
                return error;
            }
        }
        HandshakeError::NotTls(std::mem::take(&mut self.incoming))
    }

    async fn send_unsent(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            ready!(self.unsent.poll_send(cx, &mut self.stream))?;
            Pin::new(&mut self.stream).poll_flush(cx)
        })
        .await
    }

    /// Reads what has arrived to `incoming`. A client that sends nothing costs no buffer.
    async fn receive(&mut self) -> Result<(), HandshakeError> {
        poll_fn(|cx| {
            let mut bytes = [0; READ];
            let mut into = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
            self.incoming.extend_from_slice(into.filled());
            if into.filled().is_empty() { Err(HandshakeError::ClosedByPeer).into() } else { Ok(()).into() }
        })
        .await
    }
}
