//! TLS for both ends of a proxy: certificates from files, the names in them, and connections.
//!
//! [`ServerTls`] is made of files that an operator names ([`ServerSettings`]), and accepts connections.
//! [`client::ClientTls`] makes them. The crate opens no file and no socket: the caller passes a function that reads files,
//! and streams.
//!
//! # Invariants
//!
//! - TLS 1.2 with ECDHE and AEAD, and TLS 1.3. No 0-RTT, no compression, no renegotiation.
//! - A client certificate that does not verify fails the handshake, also where certificates are optional.
//! - A session is resumed only by the [`ServerTls`] that began it, so no ticket outlives the authorities and revocation
//!   lists that its certificate was verified with. A resumed session is verified against them once more.
//! - An idle connection holds no buffer.
//! - No key, secret or byte of a connection appears in an error or in `Debug`.

pub mod client;
mod clients;
mod error;
mod handshake;
mod key_pair;
mod names;
mod notes;
mod pem;
mod problem;
mod provider;
mod records;
mod resolver;
mod scratch;
mod server;
mod session;
mod settings;
mod stream;
mod tickets;
mod unsent;
mod warnings;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use clients::{PeerCertificate, RevocationInfo};
pub use error::{Failed, HandshakeError};
pub use handshake::Established;
pub use key_pair::CertificateInfo;
pub use names::CertificateNames;
pub use problem::{FileKind, Problem, Read};
pub use provider::provider;
pub use server::ServerTls;
pub use settings::{ClientAuth, KeyPairFiles, ServerSettings};
pub use stream::TlsStream;
