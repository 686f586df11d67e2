//! Connections that begin with the preface of HTTP/2.

use super::*;

/// Serves what a client sends, and returns the bytes that were handed over and the response.
async fn serve_preface(sent: &[u8], http2: Http2) -> (Option<Vec<u8>>, String) {
    let (mut client, server) = duplex(64 * 1024);
    client.write_all(sent).await.unwrap();
    let mirror = Mirror::default();
    let stopping = watch::Sender::new(false);
    let serving = serve_unless_http2(server, &mirror, &LIMITS, stopping.subscribe(), http2);
    let handed_over = timeout(Duration::from_secs(1), serving).await;
    let handed_over = handed_over.ok().and_then(|served| served.unwrap());
    let read = handed_over.as_ref().map(|it| it.read.to_vec());
    drop(handed_over);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    (read, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(start_paused = true)]
async fn the_preface_of_http_2_is_handed_over_where_it_may_be_spoken() {
    let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for length in [18, 20, whole.len()] {
        let (read, answer) = serve_preface(&whole[..length], Http2::HandOver).await;
        assert_eq!((read.as_deref(), answer.as_str()), (Some(&whole[..length]), ""));
    }
    let (read, answer) = serve_preface(whole, Http2::Refuse).await;
    assert!(read.is_none() && answer.contains("HTTP/2 is served over TLS"), "{answer}");
    // Anything else is HTTP/1.1, and so is a connection after its first request.
    let after = [&b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"[..], whole].concat();
    for (sent, expected) in [
        (&b"PRI * HTTP/2.0\r\nHost: h\r\n\r\n"[..], "HTTP/2 is served"),
        (b"PRI / HTTP/2.0\r\n\r\n", "HTTP/2 is served"),
        (b"PRI * HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 "),
        (&after, "HTTP/2 is served"),
    ] {
        let (read, answer) = serve_preface(sent, Http2::HandOver).await;
        assert!(read.is_none() && answer.contains(expected), "{answer}");
    }
}
