//! Connections after their handshake: what a stream must do for the codecs above it.

use super::*;
use crate::testing::client_config;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Makes the ends of a connection over a pipe of this capacity, after a byte in each direction.
async fn ends(capacity: usize) -> (TlsStream<DuplexStream>, Client) {
    let (tls, authority) = simple();
    let client = Arc::new(client_config(&authority, None));
    let (accepted, connected) = connect_over(capacity, &tls, &client, "a.test").await;
    let (mut server, mut client) = (accepted.unwrap().0, connected.unwrap());
    let exchange = async {
        server.write_all(b"x").await.unwrap();
        server.flush().await.unwrap();
        server.read_u8().await.unwrap();
    };
    let exchange_back = async {
        client.read_u8().await.unwrap();
        client.write_all(b"y").await.unwrap();
        client.flush().await.unwrap();
    };
    tokio::join!(exchange, exchange_back);
    (server, client)
}

/// Asserts that a connection holds no buffer.
fn assert_idle(stream: &TlsStream<DuplexStream>) {
    assert_eq!((stream.incoming.capacity(), stream.buffered()), (0, 0));
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    let (mut server, mut client) = ends(16 * 1024).await;
    assert_idle(&server);
    let sent = vec![7; 300_000];
    let mut read = vec![0; sent.len()];
    let upload = async { server.read_exact(&mut read).await.unwrap() };
    tokio::join!(upload, async {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
    });
    assert_idle(&server);
    let download = async { server.write_all(&sent).await.unwrap() };
    tokio::join!(download, async { client.read_exact(&mut vec![0; 300_000]).await.unwrap() });
    assert_idle(&server);
    // A reader of single bytes leaves a record behind, and it is gone after the last.
    client.write_all(b"abc").await.unwrap();
    client.flush().await.unwrap();
    for expected in b"abc" {
        assert_eq!(server.read_u8().await.unwrap(), *expected);
    }
    assert_idle(&server);
}

/// The codec tells from pending writes that a peer stalls, and has no other way to send the rest.
#[tokio::test]
async fn a_write_is_pending_until_the_stream_below_has_all_of_it() {
    let (mut server, mut client) = ends(1000).await;
    let noop = &mut Context::from_waker(Waker::noop());
    let bytes = vec![5; 3000];
    let write =
        |server: &mut TlsStream<DuplexStream>, cx: &mut Context<'_>| Pin::new(server).poll_write(cx, &bytes);
    assert!(write(&mut server, noop).is_pending());
    // Asked without anyone to wake, and again: nothing is sent twice.
    assert!(write(&mut server, noop).is_pending());
    let finish = async { std::future::poll_fn(|cx| write(&mut server, cx)).await.unwrap() };
    let mut read = vec![0; 3000];
    let (written, _) = tokio::join!(finish, client.read_exact(&mut read));
    assert_eq!((written, read), (3000, bytes.clone()));
    assert_idle(&server);
    // What a flush sent is reported by the next write.
    assert!(write(&mut server, noop).is_pending());
    let flush = async { server.flush().await.unwrap() };
    let mut read = vec![0; 3000];
    tokio::join!(flush, async { client.read_exact(&mut read).await.unwrap() });
    let longer = vec![5; 4000];
    assert!(matches!(Pin::new(&mut server).poll_write(noop, &longer), Poll::Ready(Ok(3000))));
    // A writer that gives up on a pending write and sends something else has a mistake.
    assert!(write(&mut server, noop).is_pending());
    let drain = async { client.read_exact(&mut read).await.unwrap() };
    let wrong = async { server.write_all(b"short").await.unwrap_err() };
    let (_, error) = tokio::join!(drain, wrong);
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn head_and_short_body_are_one_record() {
    let (mut server, mut client) = ends(64 * 1024).await;
    let noop = &mut Context::from_waker(Waker::noop());
    let (head, body) = (vec![b'h'; 300], vec![b'b'; 5000]);
    let slices = [IoSlice::new(&head), IoSlice::new(&body)];
    let written = Pin::new(&mut server).poll_write_vectored(noop, &slices);
    assert!(matches!(written, Poll::Ready(Ok(5300))), "{written:?}");
    // rustls passes on one record at a time.
    let mut read = vec![0; 10_000];
    assert_eq!(client.read(&mut read).await.unwrap(), 5300);
    assert!(read.starts_with(&head) && read[300..5300] == body);
    // A long body is cut into records of the full size.
    let body = vec![b'b'; 100_000];
    let slices = [IoSlice::new(&head), IoSlice::new(&body), IoSlice::new(b"")];
    let write = async { server.write_vectored(&slices).await.unwrap() };
    let (written, read) = tokio::join!(write, async { client.read(&mut [0; 100]).await.unwrap() });
    assert_eq!((written, read), (64 * 1024, 100));
    assert!(matches!(Pin::new(&mut server).poll_write(noop, b""), Poll::Ready(Ok(0))));
}

/// Anyone on the way can close a connection. Only the peer can say that it sends no more.
#[tokio::test]
async fn an_end_is_an_end_only_if_the_peer_says_so() {
    let (mut server, mut client) = ends(64 * 1024).await;
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last");
    // This end may still write, as with TCP.
    server.write_all(b"response").await.unwrap();
    server.shutdown().await.unwrap();
    client.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"lastresponse");
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);

    let (mut server, mut client) = ends(64 * 1024).await;
    client.write_all(b"last").await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    let mut read = Vec::new();
    for _ in 0..2 {
        let error = server.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
    assert_eq!(read, b"last");

    // A peer that closes after it was told that nothing more comes need not answer.
    let (mut server, mut client) = ends(64 * 1024).await;
    server.shutdown().await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    assert_eq!(server.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

/// The last part of a record may be all that a peer ever sends.
#[tokio::test]
async fn a_record_that_breaks_off_is_no_end() {
    let (mut server, client) = ends(64 * 1024).await;
    let (mut below, mut session) = client.into_inner();
    io::Write::write_all(&mut session.writer(), b"body").unwrap();
    let mut record = Vec::new();
    session.write_tls(&mut record).unwrap();
    let (last, first) = record.split_last().unwrap();
    below.write_all(first).await.unwrap();
    let mut read = [0; 10];
    let mut into = ReadBuf::new(&mut read);
    let noop = &mut Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut server).poll_read(noop, &mut into).is_pending());
    below.write_all(&[*last]).await.unwrap();
    assert_eq!(server.read(&mut read).await.unwrap(), 4);
    below.write_all(first).await.unwrap();
    drop(below);
    assert_eq!(server.read(&mut read).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// Tickets cost no write of their own. They are sent with the first response, or at the end.
#[tokio::test]
async fn tickets_go_out_with_the_first_write() {
    let (tls, authority) = simple();
    for writes in [true, false] {
        let client = Arc::new(client_config(&authority, None));
        let (mut server, _, mut client) = establish(&tls, &client).await;
        let (near, session) = client.get_mut();
        assert_eq!(session.tls13_tickets_received(), 0);
        let mut byte = [0];
        let noop = &mut Context::from_waker(Waker::noop());
        assert!(
            Pin::new(near).poll_read(noop, &mut ReadBuf::new(&mut byte)).is_pending(),
            "nothing was sent"
        );
        if writes {
            server.write_all(b"x").await.unwrap();
            client.read_u8().await.unwrap();
        } else {
            server.shutdown().await.unwrap();
            client.read_to_end(&mut Vec::new()).await.unwrap();
        }
        assert_eq!(client.get_ref().1.tls13_tickets_received(), 2);
    }
}

/// The buffers of a thread are free for a stream below another.
#[tokio::test]
async fn streams_nest() {
    let (outer, authority) = simple();
    let client = Arc::new(client_config(&authority, None));
    let (server, _, below) = establish(&outer, &client).await;
    let name = "a.test".try_into().unwrap();
    let (accepted, connected) =
        tokio::join!(outer.accept(server), TlsConnector::from(client).connect(name, below));
    let (mut server, mut client) = (accepted.unwrap().0, connected.unwrap());
    let sent = vec![9; 200_000];
    let mut read = vec![0; sent.len()];
    let echo = async {
        server.read_exact(&mut read).await.unwrap();
        server.write_all(&read).await.unwrap();
        server.flush().await.unwrap();
    };
    let ask = async {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
        let mut back = vec![0; sent.len()];
        client.read_exact(&mut back).await.unwrap();
        assert!(back == sent);
    };
    tokio::join!(echo, ask);
}

#[tokio::test]
async fn both_directions_at_once_do_not_block_each_other() {
    let (server, client) = ends(5000).await;
    let sent: Vec<u8> = (0..=250).cycle().take(500_000).collect();
    let (mut server_reads, mut server_writes) = tokio::io::split(server);
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let (mut up, mut down) = (vec![0; sent.len()], vec![0; sent.len()]);
    let upload = async {
        client_writes.write_all(&sent).await.unwrap();
        client_writes.flush().await.unwrap();
    };
    let download = async { server_writes.write_all(&sent).await.unwrap() };
    let read_up = async { server_reads.read_exact(&mut up).await.unwrap() };
    let read_down = async { client_reads.read_exact(&mut down).await.unwrap() };
    tokio::join!(upload, download, read_up, read_down);
    assert!(up == sent && down == sent);
}
