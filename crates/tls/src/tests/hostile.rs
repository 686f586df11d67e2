//! Peers that break the protocol.

use super::*;
use crate::testing::client_config;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use proptest::prelude::*;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::ConnectionState;
use rustls::{CipherSuite, ConnectionTrafficSecrets};

/// The content types of records.
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// A client that encrypts records of any content.
struct Forger {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Forger {
    /// Makes a record.
    fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        self.sequence += 1;
        let mut inner = content.to_vec();
        inner.push(kind);
        let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = [DATA, 3, 3, length[0], length[1]];
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header), &mut inner)
            .unwrap();
        [&header[..], &inner].concat()
    }
}

/// Connects a client of TLS 1.3, and takes over from it.
async fn forge(tls: &ServerTls, authority: &Authority) -> (TlsStream<DuplexStream>, DuplexStream, Forger) {
    let mut config = client_config(authority, None);
    config.enable_secret_extraction = true;
    let (near, mut far) = duplex(256 * 1024);
    let connect = async {
        let name = "a.test".try_into().unwrap();
        let mut client = UnbufferedClientConnection::new(Arc::new(config), name).unwrap();
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        loop {
            let status = client.process_tls_records(&mut incoming);
            let discard = status.discard;
            match status.state.unwrap() {
                ConnectionState::EncodeTlsData(mut message) => {
                    let mut bytes = [0; 4096];
                    let length = message.encode(&mut bytes).unwrap();
                    outgoing.extend_from_slice(&bytes[..length]);
                }
                ConnectionState::TransmitTlsData(transmission) => {
                    far.write_all(&std::mem::take(&mut outgoing)).await.unwrap();
                    transmission.done();
                }
                ConnectionState::BlockedHandshake => {
                    far.read_buf(&mut incoming).await.unwrap();
                }
                ConnectionState::WriteTraffic(_) => break,
                other => panic!("{other:?}"),
            }
            incoming.drain(..discard);
        }
        assert_eq!(client.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_256_GCM_SHA384);
        let (secrets, _) = client.dangerous_into_kernel_connection().unwrap();
        let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
            panic!("another cipher")
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        Forger { key, iv: iv.as_ref().try_into().unwrap(), sequence }
    };
    let (accepted, forger) = tokio::join!(tls.accept(near), connect);
    (accepted.unwrap().0, far, forger)
}

/// Half of a message stays where rustls expects to find it, also while this end writes.
#[tokio::test]
async fn half_a_message_does_not_disturb_writes() {
    let (tls, authority) = simple();
    let (mut server, mut far, mut forger) = forge(&tls, &authority).await;
    // A key update that asks for none, in three parts.
    let update = [24, 0, 0, 1, 0];
    far.write_all(&forger.record(DATA, b"a")).await.unwrap();
    far.write_all(&forger.record(HANDSHAKE, &update[..2])).await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'a');
    server.write_all(b"between").await.unwrap();
    far.write_all(&forger.record(HANDSHAKE, &update[2..4])).await.unwrap();
    let mut byte = [0];
    let noop = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let mut into = tokio::io::ReadBuf::new(&mut byte);
    assert!(tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut server), noop, &mut into).is_pending());
    server.write_all(b"between").await.unwrap();
    far.write_all(&forger.record(HANDSHAKE, &update[4..])).await.unwrap();
    // From here on the keys are others.
    far.write_all(&forger.record(DATA, b"b")).await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    // There was an alert, and nothing follows it.
    server.shutdown().await.unwrap();
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let mut answered = Vec::new();
    far.read_to_end(&mut answered).await.unwrap();
    let records = std::iter::successors(Some(&answered[..]), |rest| {
        let length = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        Some(&rest[5 + length..]).filter(|rest| !rest.is_empty())
    });
    // Both tickets in one record, two writes, and an alert.
    assert_eq!(records.count(), 4);
}

#[tokio::test]
async fn floods_end_the_connection() {
    let (tls, authority) = simple();
    let floods: [(&str, u8, &[u8]); 4] = [
        ("empty records", DATA, b""),
        ("key updates", HANDSHAKE, &[24, 0, 0, 1, 1]),
        ("an endless message", HANDSHAKE, &[0xff; 8000]),
        ("hello again", HANDSHAKE, &[1, 0, 0, 0]),
    ];
    for (name, kind, content) in floods {
        let (mut server, mut far, mut forger) = forge(&tls, &authority).await;
        let flood = async {
            for _ in 0..200 {
                if far.write_all(&forger.record(kind, content)).await.is_err() {
                    break;
                }
            }
            drop(far);
        };
        let read = async {
            let error = server.read_u8().await.unwrap_err();
            assert!(server.incoming.capacity() <= 128 * 1024);
            drop(server);
            error
        };
        let (error, ()) = tokio::join!(read, flood);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
    }
}

/// A message in small pieces takes no more memory than one in large ones: each record is kept until its message is whole.
#[tokio::test]
async fn a_message_in_small_pieces_is_cut_off() {
    let (tls, authority) = simple();
    let (mut server, mut far, mut forger) = forge(&tls, &authority).await;
    // A key update of 65,280 bytes.
    let mut sent = forger.record(HANDSHAKE, &[24, 0, 0xff, 0]);
    for _ in 0..20_000 {
        sent.extend(forger.record(HANDSHAKE, &[0]));
    }
    let flood = async {
        let _ = far.write_all(&sent).await;
        drop(far);
    };
    let read = async {
        let error = server.read_u8().await.unwrap_err();
        assert!(server.incoming.capacity() <= 128 * 1024, "{}", server.incoming.capacity());
        drop(server);
        error
    };
    let (error, ()) = tokio::join!(read, flood);
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (io::ErrorKind::InvalidData, "unexpected error: a message is too long")
    );
}

/// A client that goes on sending after its handshake failed is read up to a bound.
#[tokio::test]
async fn what_follows_a_failed_handshake_is_bounded() {
    let (tls, _) = simple();
    let (near, mut far) = duplex(4096);
    let flood = async {
        let mut sent = 0;
        while sent < 1 << 20 && far.write_all(&[b'-'; 1024]).await.is_ok() {
            sent += 1024;
        }
        sent
    };
    let serve = async { tls.accept(near).await.unwrap_err().close(b"").await };
    let ((), sent) = tokio::join!(serve, flood);
    assert!((32 * 1024..128 * 1024).contains(&sent), "{sent}");
}

/// A handshake that never ends is cut off before it takes much memory.
#[tokio::test]
async fn endless_handshakes_are_cut_off() {
    let (tls, _) = simple();
    // A first message of 60,000 bytes, each in a record of its own.
    let mut sent = vec![22, 3, 1, 0, 4, 1, 0, 0xea, 0x60];
    for _ in 0..60_000 {
        sent.extend([22, 3, 1, 0, 1, 0]);
    }
    let (near, mut far) = duplex(64 * 1024);
    let flood = async {
        let _ = far.write_all(&sent).await;
        drop(far);
    };
    let serve = async { tls.accept(near).await.unwrap_err().error };
    let (error, ()) = tokio::join!(serve, flood);
    assert_eq!(error.to_string(), "the client broke the protocol: its handshake is too long");
}

/// Returns what a client sends first.
fn first_flight(authority: &Authority) -> Vec<u8> {
    let config = Arc::new(client_config(authority, None));
    let mut client = rustls::ClientConnection::new(config, "a.test".try_into().unwrap()).unwrap();
    let mut sent = Vec::new();
    client.write_tls(&mut sent).unwrap();
    sent
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// Sends bytes to a server, in two pieces, and hangs up.
fn accept_bytes(tls: &ServerTls, bytes: &[u8], split: usize) -> HandshakeError {
    run(async {
        let (near, mut far) = duplex(1024 * 1024);
        let (first, second) = bytes.split_at(split.min(bytes.len()));
        let send = async {
            far.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            let _ = far.write_all(second).await;
            drop(far);
        };
        let (accepted, ()) = tokio::join!(tls.accept(near), send);
        accepted.unwrap_err().error
    })
}

#[test]
fn arbitrary_bytes_fail_in_order() {
    let (tls, authority) = simple();
    let hello = first_flight(&authority);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let bytes = prop::collection::vec(any::<u8>(), 0..3000);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) };
    proptest!(config, |(changes in changes, bytes in bytes, split in 0_usize..3000, begins in any::<bool>())| {
        let mut mutated = hello.clone();
        for (index, byte) in changes {
            mutated[index.index(hello.len())] = byte;
        }
        mutated.extend(&bytes);
        let _ = accept_bytes(&tls, &mutated, split).to_string();
        // Like a record of a handshake, and not.
        let mut arbitrary = if begins { vec![22, 3, 1] } else { Vec::new() };
        arbitrary.extend(&bytes);
        let _ = accept_bytes(&tls, &arbitrary, split).to_string();
    });
}

/// One wrong bit ends a connection, and nothing after it is delivered.
#[test]
fn changed_records_are_never_delivered() {
    let (tls, authority) = simple();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) };
    let lengths = prop::collection::vec(0_usize..20_000, 1..4);
    proptest!(config, |(lengths in lengths, at in any::<prop::sample::Index>(), bit in 0_u8..8)| {
        run(async {
            let client = Arc::new(client_config(&authority, None));
            let (mut server, _, client) = establish(&tls, &client).await;
            let (mut below, mut session) = client.into_inner();
            let sent: Vec<u8> = lengths.iter().zip(b'a'..).flat_map(|(length, byte)| vec![byte; *length]).collect();
            session.set_buffer_limit(None);
            io::Write::write_all(&mut session.writer(), &sent).unwrap();
            let mut wire = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut wire).unwrap();
            }
            if wire.is_empty() {
                return;
            }
            let position = at.index(wire.len());
            wire[position] ^= 1 << bit;
            let transmit = async {
                let _ = below.write_all(&wire).await;
                let _ = below.shutdown().await;
            };
            let mut read = Vec::new();
            let receive = async {
                let ended = server.read_to_end(&mut read).await;
                drop(server);
                ended
            };
            let (ended, ()) = tokio::join!(receive, transmit);
            // Whole records before the change may arrive, the changed one and all after it do not. A version in a record
            // after the handshake means nothing.
            let is_version = (0..).step_by(16_406).take_while(|start| *start < wire.len()).any(|start| position == start + 2);
            assert!(ended.is_err() || is_version, "at {position} of {}", wire.len());
            assert!(sent.starts_with(&read) && (is_version || read.len() < sent.len()));
        });
    });
}
