//! Handshakes.

use super::*;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[tokio::test]
async fn carries_bytes_both_ways() {
    let (tls, authority) = simple();
    for (name, version) in VERSIONS {
        let client = Arc::new(client_of_version(version, &authority, None));
        let (mut server, established, mut client) = establish(&tls, &client).await;
        assert_eq!((established.version, established.http2, established.is_resumed), (name, false, false));
        assert_eq!(established.server_name.as_deref(), Some("a.test"));
        assert!(established.certificate.is_none());
        let sent: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        let (mut read, mut read_back) = (Vec::new(), Vec::new());
        let echo = async {
            server.read_to_end(&mut read).await.unwrap();
            server.write_all(&read).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let ask = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            client.read_to_end(&mut read_back).await.unwrap();
        };
        tokio::join!(echo, ask);
        assert!(read == sent && read_back == sent, "{name}");
    }
}

/// A stream that moves one byte at a time.
struct Trickle(DuplexStream);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut one))?;
        buf.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..1])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn messages_may_arrive_byte_by_byte() {
    let (tls, authority) = simple();
    for (name, version) in VERSIONS {
        let connector = TlsConnector::from(Arc::new(client_of_version(version, &authority, None)));
        let (near, far) = duplex(64 * 1024);
        let (accepted, connected) =
            tokio::join!(tls.accept(Trickle(near)), connector.connect("a.test".try_into().unwrap(), far));
        let (mut server, mut client) = (accepted.unwrap().0, connected.unwrap());
        let (mut read, mut read_back) = ([0; 5], [0; 5]);
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut read).await.unwrap();
        server.write_all(&read).await.unwrap();
        client.read_exact(&mut read_back).await.unwrap();
        assert_eq!(&read_back, b"hello", "{name}");
    }
}

#[tokio::test]
async fn agrees_on_a_protocol() {
    let authority = Authority::new("root");
    let leaf = authority.issue(&server(&["a.test"]));
    let files = Files::default().with_leaf("server", &leaf);
    let with_http2 = files.load(&settings(&["server"])).unwrap();
    let without = files.load(&crate::ServerSettings { http2: false, ..settings(&["server"]) }).unwrap();
    let refused = None;
    let cases: [(&ServerTls, &[&str], Option<bool>); 9] = [
        (&with_http2, &[], Some(false)),
        (&with_http2, &["http/1.1"], Some(false)),
        (&with_http2, &["h2"], Some(true)),
        (&with_http2, &["http/1.1", "h2"], Some(true)),
        (&with_http2, &["h3", "spdy/1"], refused),
        (&without, &[], Some(false)),
        (&without, &["h2", "http/1.1"], Some(false)),
        (&without, &["h2"], refused),
        (&without, &["http/1.0"], refused),
    ];
    for (tls, offered, expected) in cases {
        let mut client = client_config(&authority, None);
        client.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let (accepted, connected) = connect(tls, &Arc::new(client), "a.test").await;
        match accepted {
            Ok((_, established)) => assert_eq!(Some(established.http2), expected, "{offered:?}"),
            Err(error) => {
                assert!(expected.is_none() && matches!(error, HandshakeError::Alpn), "{error}");
                assert!(connected.unwrap_err().to_string().contains("NoApplicationProtocol"));
            }
        }
    }
}

/// Makes a client's first message, with a version and a list of cipher suites.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(u16::try_from(2 * suites.len()).unwrap().to_be_bytes());
    body.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    body.extend([1, 0]);
    // Groups, formats of points, and schemes of signatures.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3];
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut message = vec![22, 3, 1];
    message.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend([1, 0]);
    message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend(body);
    message
}

const ECDHE_ECDSA_AES128_GCM: u16 = 0xc02b;
const RSA_AES128_CBC: u16 = 0x002f;
const ECDHE_ECDSA_AES128_CBC: u16 = 0xc009;

/// Sends bytes to a server, and returns its error and its answer.
async fn answer(tls: &ServerTls, sent: &[u8]) -> (HandshakeError, Vec<u8>) {
    let (near, mut far) = duplex(64 * 1024);
    far.write_all(sent).await.unwrap();
    let serve = async {
        let mut failed = tls.accept(near).await.unwrap_err();
        let error = std::mem::replace(&mut failed.error, HandshakeError::ClosedByPeer);
        failed.close(if error.is_http() { b"speak TLS" } else { b"" }).await;
        error
    };
    let mut read = Vec::new();
    let listen = async {
        far.read_to_end(&mut read).await.unwrap();
        drop(far);
    };
    let (error, ()) = tokio::join!(serve, listen);
    (error, read)
}

#[tokio::test]
async fn weak_versions_and_ciphers_are_refused() {
    let (tls, _) = simple();
    let good = [ECDHE_ECDSA_AES128_GCM];
    let cases: [(u16, &[u16], &str, u8); 6] = [
        (0x0300, &good, "version", 70),
        (0x0301, &good, "version", 70),
        (0x0302, &good, "version", 70),
        (0x0303, &[RSA_AES128_CBC], "cipher", 40),
        (0x0303, &[ECDHE_ECDSA_AES128_CBC], "cipher", 40),
        (0x0303, &[], "protocol", 50),
    ];
    for (version, suites, expected, alert) in cases {
        let (error, answer) = answer(&tls, &hello(version, suites)).await;
        assert_eq!(error.label(), expected, "{version:x} {suites:x?}: {error}");
        assert_eq!(
            answer.first_chunk().map(|[kind, _, _, _, _, level, alert]| [*kind, *level, *alert]),
            Some([21, 2, alert])
        );
    }
    // The same message is fine with a good suite: the server answers with its own.
    let (near, mut far) = duplex(64 * 1024);
    far.write_all(&hello(0x0303, &good)).await.unwrap();
    let mut first = [0; 6];
    tokio::select! {
        failed = tls.accept(near) => panic!("{failed:?}"),
        read = far.read_exact(&mut first) => assert_eq!(read.unwrap(), 6),
    }
    assert_eq!((first[0], first[5]), (22, 2), "a ServerHello");
}

#[tokio::test]
async fn other_protocols_are_recognised() {
    let (tls, _) = simple();
    let cases: [(&[u8], bool); 8] = [
        (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", true),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", true),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
        (b"SSH-2.0-OpenSSH_9.9\r\n", false),
        (b"get / HTTP/1.1\r\n\r\n", false),
        (b"\r\n\r\n\0\r\nQUIT\n", false),
        (b"\x80\x2e\x01\x00\x02", false),
        (b"\x15\x03\x01\x00\x02\x01\x00", false),
    ];
    for (sent, is_http) in cases {
        let (error, answer) = answer(&tls, sent).await;
        assert_eq!(error.is_http(), is_http, "{error}");
        assert_eq!(answer, if is_http { &b"speak TLS"[..] } else { b"" });
        let HandshakeError::NotTls(bytes) = error else { panic!("{error}") };
        assert_eq!(bytes, sent);
    }
}

/// The first byte of a request alone does not tell what it is.
#[tokio::test]
async fn a_method_is_waited_for() {
    let (tls, _) = simple();
    let (near, mut far) = duplex(64);
    far.write_all(b"GET / HT").await.unwrap();
    let HandshakeError::NotTls(read) = tls.accept(Trickle(near)).await.unwrap_err().error else { panic!() };
    assert_eq!(read, b"GET / HT");
}

#[tokio::test]
async fn clients_that_leave_are_told_apart() {
    let (tls, authority) = simple();
    let whole = hello(0x0303, &[ECDHE_ECDSA_AES128_GCM]);
    for sent in [&[][..], &whole[..1], &whole[..20], &whole] {
        let (near, mut far) = duplex(64 * 1024);
        far.write_all(sent).await.unwrap();
        far.shutdown().await.unwrap();
        let error = tls.accept(near).await.unwrap_err().error;
        assert!(matches!(error, HandshakeError::ClosedByPeer), "{} bytes: {error}", sent.len());
    }
    // A client that trusts another authority says so.
    let other = Arc::new(client_config(&Authority::new("other"), None));
    let error = connect(&tls, &other, "a.test").await.0.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the client ended the handshake: it does not trust the authority of the server's certificate"
    );
    let client = Arc::new(client_config(&authority, None));
    let error = connect(&tls, &client, "b.test").await.0.unwrap_err();
    assert_eq!(error.label(), "alert", "a certificate for another host");
}
