//! Tickets with which clients resume sessions.
//!
//! Each [`ServerTls`](crate::ServerTls) has keys of its own. A ticket also says until when its client's certificate is
//! valid, because rustls does not look at a certificate again when it resumes a session. Past that time the ticket is
//! not accepted, and the client presents its new certificate in a full handshake.

use crate::notes;
use crate::provider::ticketer;
use rustls::Error;
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A ticketer.
#[derive(Debug)]
pub(crate) struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    pub(crate) fn new() -> Result<Self, Error> {
        ticketer().map(Self)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let expires = notes::expires().unwrap_or(u64::MAX);
        let mut dated = Zeroizing::new(Vec::with_capacity(size_of_val(&expires) + plain.len()));
        dated.extend_from_slice(&expires.to_be_bytes());
        dated.extend_from_slice(plain);
        self.0.encrypt(&dated)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let dated = Zeroizing::new(self.0.decrypt(ticket)?);
        let (expires, plain) = dated.split_first_chunk()?;
        let expires = u64::from_be_bytes(*expires);
        if expires <= UnixTime::now().as_secs() {
            return None;
        }
        notes::note(|notes| notes.expires = Some(expires));
        Some(plain.to_vec())
    }
}
