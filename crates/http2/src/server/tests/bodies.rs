//! Bodies in both directions, with a client of the `h2` crate.

use super::*;
use crate::bounds::MAX_DRAINED;
use futures_util::future::join_all;
use h2::client;
use http::{Method, Request as ClientRequest};
use std::io::IoSlice;
use tokio::io::ReadBuf;
use tokio::time::{Instant, sleep, timeout};

type Client = client::SendRequest<Bytes>;

/// Runs a client of the `h2` crate.
async fn with_client<T, C: Future<Output = T>>(
    paths: &Paths,
    act: impl FnOnce(Client) -> C,
) -> (io::Result<()>, T) {
    run(paths, |stream| async move {
        let (client, connection) = client::Builder::new()
            .initial_window_size(256 * 1024)
            .initial_connection_window_size(1 << 20)
            .handshake(stream)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let result = act(client).await;
        driver.abort();
        result
    })
    .await
}

fn request(method: Method, path: &str) -> ClientRequest<()> {
    ClientRequest::builder().method(method).uri(format!("http://h{path}")).body(()).unwrap()
}

/// Sends a GET and reads the response: its status and the length of its body, or the reason it ended.
async fn get(client: &Client, path: &str) -> Result<(u16, usize), Option<Reason>> {
    let mut client = client.clone().ready().await.unwrap();
    let (response, _) = client.send_request(request(Method::GET, path), true).unwrap();
    let response = response.await.map_err(|error| error.reason())?;
    let (status, mut body, mut length) = (response.status().as_u16(), response.into_body(), 0);
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| error.reason())?;
        length += data.len();
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok((status, length))
}

/// Sends a PUT of zeros and returns the body of the response.
async fn put(client: &Client, path: &str, length: usize) -> String {
    let mut client = client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(request(Method::PUT, path), false).unwrap();
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(left.min(50_000));
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let piece = room.min(left);
        stream.send_data(Bytes::from(vec![0; piece]), false).unwrap();
        left -= piece;
    }
    stream.send_data(Bytes::new(), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let text = body.data().await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn large_bodies_arrive_whole_on_many_streams() {
    let paths = Paths::default();
    let (_, ()) = with_client(&paths, |client| async move {
        assert_eq!(get(&client, "/zeros/20000000").await, Ok((200, 20_000_000)));
        assert_eq!(put(&client, "/a", 20_000_000).await, "PUT h /a [20000000]");
        let downloads: Vec<_> = (0..100)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { get(&client, "/zeros/300000").await })
            })
            .collect();
        for download in downloads {
            assert_eq!(download.await.unwrap(), Ok((200, 300_000)));
        }
    })
    .await;
    assert_eq!((paths.running.get(), paths.held.get(), paths.taken.get()), (0, 0, 0));
    assert!(paths.peak.get() <= STREAMS as usize);
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_complete() {
    let paths = Paths::default();
    let (_, ()) = with_client(&paths, |client| async move {
        assert_eq!(get(&client, "/breaks/1000").await, Err(Some(Reason::INTERNAL_ERROR)));
        assert_eq!(get(&client, "/zeros/10").await, Ok((200, 10)), "other streams go on");
    })
    .await;
    assert_eq!(paths.events_of(Event::Reset(ResetBy::Broken)), 1);
}

/// A length that is wrong would let a truncated response look complete.
#[tokio::test]
async fn a_body_that_has_not_the_announced_length_never_looks_complete() {
    for (announced, expected) in
        [(9, Err(Some(Reason::INTERNAL_ERROR))), (10, Ok((200, 10))), (11, Err(Some(Reason::INTERNAL_ERROR)))]
    {
        let paths = Paths::default();
        let (_, ()) = with_client(&paths, |client| async move {
            assert_eq!(get(&client, &format!("/announces/{announced}")).await, expected, "{announced}");
        })
        .await;
        assert_eq!(paths.events_of(Event::Reset(ResetBy::Broken)), usize::from(expected.is_err()));
    }
}

/// What manages a connection of HTTP/1.1 is not sent, and a response without a body announces none.
#[tokio::test]
async fn fields_that_http2_forbids_are_left_out() {
    let paths = Paths::default();
    let (_, ()) = with_client(&paths, |client| async move {
        let mut client = client.ready().await.unwrap();
        for (path, names) in [("/fields", &["content-length", "date"][..]), ("/empty", &["date"])] {
            let (response, _) = client.send_request(request(Method::GET, path), true).unwrap();
            let response = response.await.unwrap();
            let mut found: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
            found.sort_unstable();
            assert_eq!(found, names, "{path}");
        }
    })
    .await;
}

/// An upload that breaks off never looks complete, however its client left.
#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_off_never_looks_complete() {
    for resets in [true, false] {
        let paths = Paths::default();
        let (_, ()) = run(&paths, |stream| async {
            let (client, connection) = client::handshake(stream).await.unwrap();
            let driver = tokio::spawn(connection);
            let mut client = client.ready().await.unwrap();
            let (_response, mut stream) = client.send_request(request(Method::PUT, "/a"), false).unwrap();
            stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
            sleep(Duration::from_secs(1)).await;
            if resets {
                stream.send_reset(Reason::CANCEL);
                sleep(Duration::from_secs(1)).await;
            }
            driver.abort();
        })
        .await;
        let seen = paths.seen.take();
        assert!(
            seen.iter().all(|seen| seen == "PUT h /a [the connection ended before the body did]"),
            "{seen:?}"
        );
        assert_eq!(paths.running.get(), 0);
    }
}

/// The work for a request ends when its stream is reset, in each phase.
#[tokio::test(start_paused = true)]
async fn a_reset_ends_the_work() {
    for path in ["/never", "/zeros/100000000", "/held"] {
        let paths = Paths::default();
        let (_, ()) = with_client(&paths, |client| async {
            let mut client = client.ready().await.unwrap();
            let (_response, mut stream) = client.send_request(request(Method::GET, path), true).unwrap();
            sleep(Duration::from_secs(1)).await;
            assert_eq!(paths.running.get(), 1, "{path}");
            stream.send_reset(Reason::CANCEL);
            sleep(Duration::from_secs(1)).await;
            assert_eq!((paths.running.get(), paths.held.get()), (0, 0), "{path}");
            assert_eq!(get(&client, "/zeros/10").await, Ok((200, 10)));
        })
        .await;
        assert_eq!(paths.events_of(Event::Reset(ResetBy::Client)), 1, "{path}");
    }
}

/// A change that was asked for in full is carried out although its client is gone, as in HTTP/1.1.
#[tokio::test(start_paused = true)]
async fn a_whole_upload_outlives_its_connection() {
    for (method, seen) in [(Method::PUT, vec!["PUT h /then [0]".to_owned()]), (Method::GET, vec![])] {
        let paths = Paths::default();
        let (_, ()) = run(&paths, |stream| async {
            let (client, connection) = client::handshake(stream).await.unwrap();
            let driver = tokio::spawn(connection);
            let mut client = client.ready().await.unwrap();
            let (_response, _) = client.send_request(request(method, "/then"), true).unwrap();
            sleep(Duration::from_secs(1)).await;
            driver.abort();
        })
        .await;
        assert_eq!(paths.seen.take(), seen);
        assert_eq!(paths.running.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_is_told_to_continue_when_its_body_is_read() {
    for (path, continues) in [("/a", true), ("/unread", false)] {
        let paths = Paths::default();
        let (_, ()) = with_client(&paths, |client| async move {
            let mut client = client.ready().await.unwrap();
            let mut head = request(Method::PUT, path);
            head.headers_mut().insert("expect", http::HeaderValue::from_static("100-continue"));
            let (mut response, mut stream) = client.send_request(head, false).unwrap();
            let informed = poll_fn(|cx| response.poll_informational(cx));
            let informed = timeout(Duration::from_secs(1), informed).await;
            let informed = informed.ok().flatten().map(|it| it.unwrap().status().as_u16());
            assert_eq!(informed, continues.then_some(100), "{path}");
            let _ = stream.send_data(Bytes::from_static(b"abc"), true);
            assert_eq!(response.await.unwrap().status(), 200);
        })
        .await;
    }
}

/// A client that reads nothing of one response gets the others, and loses that one.
#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_ends_and_stops_no_other() {
    let paths = Paths::default();
    let (_, ()) = with_client(&paths, |client| async {
        let mut client = client.ready().await.unwrap();
        let (stalled, _) = client.send_request(request(Method::GET, "/zeros/100000000"), true).unwrap();
        let mut stalled = stalled.await.unwrap().into_body();
        for _ in 0..5 {
            assert_eq!(get(&client, "/zeros/300000").await, Ok((200, 300_000)));
            sleep(Duration::from_secs(3)).await;
        }
        let ended = loop {
            match stalled.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error.reason(),
                None => panic!("it must not look complete"),
            }
        };
        assert_eq!(ended, Some(Reason::CANCEL));
    })
    .await;
    assert_eq!((paths.events_of(Event::Reset(ResetBy::Stalled)), paths.gone.get()), (1, 1));
}

/// A client that stops in the middle of a body loses that stream alone.
#[tokio::test(start_paused = true)]
async fn a_sender_that_stalls_ends() {
    let paths = Paths::default();
    let start = Instant::now();
    let (_, ()) = with_client(&paths, |client| async {
        let mut client = client.ready().await.unwrap();
        let (response, mut stream) = client.send_request(request(Method::PUT, "/a"), false).unwrap();
        stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        let text = body.data().await.unwrap().unwrap();
        assert_eq!(text, "PUT h /a [the body stood still for too long]");
        assert_eq!(start.elapsed(), LIMITS.stall);
        assert_eq!(get(&client, "/zeros/10").await, Ok((200, 10)));
    })
    .await;
}

/// A client that goes on sending reads the response of a request that was not read, and no reset, up to a bound.
#[tokio::test]
async fn the_rest_of_a_long_body_is_read_after_the_response() {
    let paths = Paths::default();
    let (_, ()) = with_client(&paths, |client| async move {
        assert_eq!(put(&client, "/unread", MAX_DRAINED / 2).await, "PUT h /unread []");
        let mut client = client.ready().await.unwrap();
        let (response, mut stream) = client.send_request(request(Method::PUT, "/unread"), false).unwrap();
        let (mut sent, windows) = (0, (STREAM_WINDOW + FRAME) as usize);
        let reset = loop {
            stream.reserve_capacity(50_000);
            let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
                break poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
            };
            sent += room;
            stream.send_data(Bytes::from(vec![0; room]), false).unwrap();
        };
        assert_eq!((response.await.unwrap().status(), reset), (StatusCode::OK, Reason::NO_ERROR));
        assert!((MAX_DRAINED..MAX_DRAINED + 2 * windows).contains(&sent), "{sent}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_and_bodies_beyond_the_bounds_are_refused() {
    let paths = Paths { places: Some(2), ..Paths::default() };
    let _ = with_client(&paths, |client| async move {
        let mut client = client.ready().await.unwrap();
        let _held = [(); 2].map(|()| client.send_request(request(Method::GET, "/never"), true).unwrap());
        assert_eq!(get(&client, "/zeros/1").await, Err(Some(Reason::REFUSED_STREAM)));
    })
    .await;
    assert_eq!(paths.events_of(Event::Reset(ResetBy::Refused)), 1);

    // Without memory for a body, only requests without one are served.
    let paths = Paths { memory: Some(1000), ..Paths::default() };
    let _ = with_client(&paths, |client| async move {
        assert_eq!(get(&client, "/zeros/1").await, Ok((200, 1)));
        let mut client = client.ready().await.unwrap();
        let (response, _stream) = client.send_request(request(Method::PUT, "/a"), false).unwrap();
        assert_eq!(response.await.unwrap().status(), 503);
    })
    .await;
    // With a little, a body gets the window that every connection has.
    let paths = Paths { memory: Some(70_000), ..Paths::default() };
    let _ = with_client(&paths, |client| async move {
        assert_eq!(put(&client, "/a", 1_000_000).await, "PUT h /a [1000000]");
    })
    .await;
    assert_eq!(paths.taken.get(), 0);
}

/// A stream that counts how often it is written to.
struct Counting {
    stream: DuplexStream,
    writes: Rc<Cell<usize>>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Frames are written four at a time, and the responses of several streams together.
#[tokio::test(start_paused = true)]
async fn the_frames_of_a_turn_are_written_together() {
    const MIB: usize = 1 << 20;
    for (name, requests, length, most) in [("a large body", 1, MIB, 32), ("small responses", 50, 1000, 20)] {
        let paths = Paths::default();
        let running = watch::Sender::new(false);
        let (near, far) = duplex(4 * MIB);
        let writes = Rc::new(Cell::new(0));
        let stream = Counting { stream: far, writes: Rc::clone(&writes) };
        let served = with_event_clock(serve(stream, &paths, &LIMITS, running.subscribe()));
        let asking = async {
            let mut builder = client::Builder::new();
            builder.initial_window_size(1 << 22).initial_connection_window_size(1 << 22);
            let (client, connection) = builder.handshake::<_, Bytes>(near).await.unwrap();
            let path = format!("/zeros/{length}");
            let asking = join_all((0..requests).map(|_| get(&client, &path)));
            tokio::select! {
                all = asking => assert!(all.iter().all(|got| *got == Ok((200, length))), "{name}"),
                _ = connection => panic!("{name}: the connection ended"),
            }
            running.send_replace(true);
        };
        let _ = tokio::join!(served, asking);
        assert!(writes.get() <= most, "{name}: {}", writes.get());
    }
}
