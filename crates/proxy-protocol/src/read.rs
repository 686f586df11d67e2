//! Reads a header from a stream, and not a byte more.

use crate::header::{Header, Invalid, Parsed, Versions};
use crate::parse;
use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The reason why a stream gave no header.
#[derive(Debug)]
pub enum ReadError {
    /// It does not begin with a valid header.
    Invalid(Invalid),
    /// It ended before the header was complete.
    Ended,
    /// It cannot be read.
    Io(io::Error),
}

impl From<Invalid> for ReadError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Ended => f.write_str("the connection ended before the header was complete"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the header at the beginning of a stream. What follows it stays unread. The caller bounds the time.
///
/// # Errors
/// When the stream does not begin with a valid header of the accepted versions, or cannot be read.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S, versions: Versions) -> Result<Header, ReadError> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes, versions)? {
            Parsed::Whole { header, .. } => return Ok(header),
            // A header that lacks this many bytes lacks no fewer, so none of them is of a request.
            Parsed::Partial { missing } => {
                let limit = u64::try_from(missing).unwrap_or_default();
                bytes.reserve(missing);
                if stream.take(limit).read_buf(&mut bytes).await.map_err(ReadError::Io)? == 0 {
                    return Err(ReadError::Ended);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::tests::{V4, header, with_checksum};
    use crate::{Reason, Source, Version};
    use proptest::prelude::*;
    use std::net::{IpAddr, SocketAddr};
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::ReadBuf;

    /// A stream whose bytes arrive in pieces of the given sizes, and then all at once.
    struct Pieces<'b> {
        left: &'b [u8],
        sizes: Vec<usize>,
    }

    impl AsyncRead for Pieces<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let size = self.sizes.pop().unwrap_or(usize::MAX).max(1);
            let (now, later) = self.left.split_at(size.min(into.remaining()).min(self.left.len()));
            into.put_slice(now);
            self.left = later;
            Poll::Ready(Ok(()))
        }
    }

    /// Reads a header, and returns it with the bytes that stay unread.
    fn read_from(
        bytes: &[u8],
        sizes: Vec<usize>,
        versions: Versions,
    ) -> (Result<Header, ReadError>, Vec<u8>) {
        let mut stream = Pieces { left: bytes, sizes };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(read(&mut stream, versions));
        (found, stream.left.to_vec())
    }

    fn valid_headers() -> Vec<Vec<u8>> {
        vec![
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN a b c\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(),
            b"PROXY TCP4 255.255.255.254 255.255.255.255 65535 65535\r\n".to_vec(),
            b"PROXY TCP6 ::2 ::1 1 2\r\n".to_vec(),
            header(0x21, 0x11, &[V4]),
            header(0x20, 0, &[]),
            header(0x20, 0, &[&[0xff; 4096]]),
            with_checksum(),
        ]
    }

    #[test]
    fn the_bytes_after_the_header_stay_unread_however_it_arrives() {
        for header in valid_headers() {
            for after in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"PROXY UNKNOWN\r\n", b"\n"] {
                let bytes = [&header, after].concat();
                for sizes in [vec![], vec![1; bytes.len()], vec![2; bytes.len()], vec![7; bytes.len()]] {
                    let (found, rest) = read_from(&bytes, sizes, Versions::Both);
                    assert!(found.is_ok() && rest == after, "{header:?}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_header_that_breaks_off_is_no_header() {
        for header in valid_headers() {
            for length in 0..header.len().min(200) {
                let (found, _) = read_from(&header[..length], vec![1; length], Versions::Both);
                assert!(matches!(found, Err(ReadError::Ended)), "{length} of {header:?}: {found:?}");
            }
        }
    }

    #[test]
    fn a_version_that_is_not_accepted_is_refused() {
        let (one, two) = (Versions::Only(Version::V1), Versions::Only(Version::V2));
        for header in valid_headers() {
            let is_text = header.starts_with(b"PROXY");
            for (versions, accepted) in [(one, is_text), (two, !is_text), (Versions::Both, true)] {
                let (found, _) = read_from(&header, vec![], versions);
                match found {
                    Ok(found) => {
                        assert!(accepted, "{header:?}");
                        assert_eq!(found.version == Version::V1, is_text);
                    }
                    Err(ReadError::Invalid(invalid)) => {
                        assert!(!accepted && invalid.reason == Reason::Version, "{header:?}: {invalid}");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }

    /// Returns whether an address can be that of one client.
    fn is_unicast(address: IpAddr) -> bool {
        let address = address.to_canonical();
        !(address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]))
    }

    /// Writes a header of each version for a client at this address.
    fn written(client: SocketAddr) -> [Vec<u8>; 2] {
        let port = client.port().to_be_bytes();
        let (ip, family) = (client.ip(), if client.is_ipv4() { "TCP4" } else { "TCP6" });
        let text = format!("PROXY {family} {ip} {ip} {} 1\r\n", client.port()).into_bytes();
        let binary = match ip {
            IpAddr::V4(ip) => header(0x21, 0x11, &[&ip.octets(), &ip.octets(), &port, &[0, 1]]),
            IpAddr::V6(ip) => header(0x21, 0x21, &[&ip.octets(), &ip.octets(), &port, &[0, 1]]),
        };
        [text, binary]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ip in any::<IpAddr>().prop_filter("one client", |ip| is_unicast(*ip)),
            port in any::<u16>(),
            sizes in proptest::collection::vec(1_usize..9, 0..60),
            after in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let expected = Source::Client(SocketAddr::new(ip.to_canonical(), port));
            for header in written(SocketAddr::new(ip, port)) {
                let (found, rest) = read_from(&[&header, &*after].concat(), sizes.clone(), Versions::Both);
                prop_assert_eq!((found.unwrap().source, &rest), (expected, &after));
            }
        }

        #[test]
        fn a_partial_header_never_lacks_more_than_is_missing(cut in 0_usize..4112) {
            for header in valid_headers() {
                let cut = cut.min(header.len() - 1);
                let Ok(Parsed::Partial { missing }) = parse(&header[..cut], Versions::Both) else {
                    panic!("{cut} of {header:?}");
                };
                prop_assert!((1..=header.len() - cut).contains(&missing), "{} at {}", missing, cut);
            }
        }

        #[test]
        fn a_changed_byte_never_gives_another_client(at in 0_usize..60, flip in 1_u8..=255) {
            let mut bytes = with_checksum();
            let client = Source::Client("203.0.113.9:51234".parse().unwrap());
            let at = at % bytes.len();
            bytes[at] ^= flip;
            if let Ok(Parsed::Whole { header, .. }) = parse(&bytes, Versions::Both) {
                // LOCAL makes the receiver skip the checksum, and its field can become one of another type.
                prop_assert!([Source::Unnamed, client].contains(&header.source));
            }
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0_usize..3) {
            let prefix: &[u8] = [b"PROXY TCP", b"\r\n\r\n\0\r\nQUIT\n".as_slice(), b""][version];
            let _ = parse(&[prefix, &bytes].concat(), Versions::Both);
        }
    }
}
