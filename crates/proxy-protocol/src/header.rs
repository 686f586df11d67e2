//! Headers of either version, and what makes them invalid.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// The versions that a receiver accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// One version only.
    Only(Version),
    /// Both versions.
    Both,
}

impl Versions {
    /// Checks whether a version is accepted.
    pub fn accepts(self, version: Version) -> bool {
        match self {
            Self::Only(only) => only == version,
            Self::Both => true,
        }
    }
}

/// The client whose connection a load balancer passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client at this address. It is a unicast address in its canonical form.
    Client(SocketAddr),
    /// The header names no client: the load balancer connects on its own behalf (`LOCAL`), or does not know whose
    /// connection it is (`UNKNOWN`).
    Unnamed,
}

impl Source {
    /// Makes the source of an address that a header names.
    pub(crate) fn client(address: IpAddr, port: u16) -> Result<Self, Invalid> {
        let address = address.to_canonical();
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || is_broadcast {
            return Err(Invalid::malformed("the source is not the address of one client"));
        }
        Ok(Self::Client(SocketAddr::new(address, port)))
    }
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version that it is written in.
    pub version: Version,
    /// The client.
    pub source: Source,
}

/// The result of parsing the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header is not complete.
    Partial {
        /// The number of bytes that it lacks at least. There is one.
        missing: usize,
    },
    /// The header is complete.
    Whole {
        /// The header.
        header: Header,
        /// Its length in bytes.
        length: usize,
    },
}

/// A stream that does not begin with a valid header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The kind of mistake.
    pub reason: Reason,
    /// The mistake.
    pub why: &'static str,
}

/// A kind of mistake in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no header.
    Missing,
    /// The header is of a version that the receiver does not accept.
    Version,
    /// The header breaks the protocol.
    Malformed,
    /// The header does not have its checksum.
    Checksum,
}

impl Invalid {
    pub(crate) const fn malformed(why: &'static str) -> Self {
        Self { reason: Reason::Malformed, why }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Invalid {}
