//! What the callbacks of rustls learn about the handshake that is being processed.
//!
//! rustls calls the resolver, the verifier and the ticketer of a configuration, which all connections share, without a
//! word about the connection. It calls them on the thread that processes the handshake, and before processing returns.
//! So the notes of that handshake are on the thread meanwhile.

use crate::names::CertificateNames;
use std::cell::RefCell;

/// The notes about one handshake.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The host that the client named.
    pub(crate) server_name: Option<Box<str>>,
    /// Whether no certificate of the server fits the signatures that the client verifies.
    pub(crate) lacks_signature: bool,
    /// The names in the certificate that the client presented and that was verified.
    pub(crate) certificate: Option<CertificateNames>,
    /// The time until which that certificate is valid, in seconds since 1970. Also known of a resumed session.
    pub(crate) expires: Option<u64>,
}

thread_local! {
    static CURRENT: RefCell<Notes> = RefCell::default();
}

/// Calls `process` with `notes` as those of the current handshake.
pub(crate) fn with_notes<T>(notes: &mut Notes, process: impl FnOnce() -> T) -> T {
    CURRENT.replace(std::mem::take(notes));
    let processed = process();
    *notes = CURRENT.take();
    processed
}

/// Changes the notes of the current handshake.
pub(crate) fn note(change: impl FnOnce(&mut Notes)) {
    CURRENT.with_borrow_mut(change);
}

/// Returns the time until which the certificate of the current handshake is valid.
pub(crate) fn expires() -> Option<u64> {
    CURRENT.with_borrow(|notes| notes.expires)
}
