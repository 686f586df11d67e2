//! Tests of deferred responses, and of clients that send requests ahead.

use super::*;
use std::cell::Cell;

/// Makes a connection without running it.
fn connection(server: DuplexStream) -> Connection<'static, DuplexStream, TestShare> {
    outbox::open_for_test();
    Connection {
        state: Rc::new(RefCell::new(State::new(server, &LIMITS))),
        limits: &LIMITS,
        is_first: true,
        may_be_http2: false,
        charge: Charge::NONE,
        idle_deadline: Instant::now() + LIMITS.idle,
    }
}

/// Runs a test with deferred small responses, and with responses that are sent at once.
async fn either_way<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for others in [2, 0] {
        local(async {
            outbox::open_for_test();
            outbox::set_running_for_test(others);
            test().await;
        })
        .await;
    }
}

/// A small response is deferred while the connection goes on, and is sent in any case.
#[tokio::test(start_paused = true)]
async fn a_response_is_sent_whatever_its_client_does_next() {
    let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    for (next, statuses_then, room) in [
        ("", &[200_u16][..], 1 << 16),
        ("GET /b HTT", &[200], 1 << 16),
        ("GET /b HTT", &[200], 64),
        ("GET /b\r\n\r\n", &[200, 400], 1 << 16),
        (get, &[200, 200], 1 << 16),
    ] {
        either_way(|| async {
            let (mut client, _, task) = connect_over(room, Mirror::default());
            client.write_all(format!("{get}{next}").as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answers = String::new();
            client.read_to_string(&mut answers).await.unwrap();
            assert_eq!(statuses(&answers), statuses_then, "{next:?}");
            let _ = task.await.unwrap();
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_response_waits_for_its_reader_like_a_large_one() {
    either_way(|| async {
        for reads_at in [Some(5), Some(9), None] {
            let (client, _, task) = connect_over(64, Mirror::default());
            let (mut reading, mut writing) = tokio::io::split(client);
            writing.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            let start = Instant::now();
            let Some(seconds) = reads_at else {
                let error = task.await.unwrap().unwrap_err();
                assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
                continue;
            };
            sleep(Duration::from_secs(seconds)).await;
            // The next request is answered after it.
            let next =
                async { writing.write_all(b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await };
            let mut answers = String::new();
            let (sent, read) = tokio::join!(next, reading.read_to_string(&mut answers));
            assert!(sent.is_ok() && read.is_ok() && task.await.unwrap().is_ok());
            assert_eq!(statuses(&answers), [200, 200], "{answers}");
            assert!(answers.find("GET /a []") < answers.find("GET /b []"), "{answers}");
        }
    })
    .await;
}

/// A client that sends many requests ahead is dropped if it reads nothing, and takes turns with the others.
#[tokio::test(start_paused = true)]
async fn pipelined_requests_share_the_outbox() {
    for bytes in [&b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        either_way(|| async {
            let (mut client, _, task) = connect(Mirror::default());
            let other = tokio::task::spawn_local(async {
                for _ in 0..100 {
                    yield_now().await;
                }
            });
            let start = Instant::now();
            // More than one task may do in a turn, and more than the stream holds.
            let _ = timeout(Duration::from_mins(5), client.write_all(&bytes.repeat(5000))).await;
            let ended = timeout(Duration::from_mins(5), task).await;
            assert!(other.is_finished() && ended.is_ok(), "{ended:?}");
            assert!(start.elapsed() <= Duration::from_mins(5) + LIMITS.stall);
        })
        .await;
    }
}

/// A response that cannot be sent at once is sent before the next request is looked at.
#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_response_before_it() {
    either_way(|| async {
        let (mut client, mirror, _task) = connect_over(64, Mirror::default());
        let sent = "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n";
        client.write_all(sent.as_bytes()).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        let answer = read_until(&mut client, "GET /a []").await;
        assert_eq!(statuses(&answer), [200]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(mirror.running.get(), 1, "the next is being answered");
        // A client that waits for `100 Continue` gets it.
        let (mut client, ..) = connect(Mirror::default());
        let sent = "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\
                    Expect: 100-continue\r\n\r\n";
        client.write_all(sent.as_bytes()).await.unwrap();
        let answers = read_until(&mut client, "100 Continue\r\n\r\n").await;
        assert_eq!(statuses(&answers), [200, 100]);
    })
    .await;
}

/// Between two turns of another task, a client gets at most one response, however many requests it has sent.
#[tokio::test(start_paused = true)]
async fn pipelining_clients_take_turns() {
    either_way(|| async {
        let (mut client, mirror, _task) = connect(Mirror::default());
        let sent = 300;
        client.write_all(&b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n".repeat(sent)).await.unwrap();
        let (seen, most) = (Cell::new(0), Cell::new(0));
        while seen.get() < sent {
            yield_now().await;
            let now = mirror.seen.borrow().len();
            most.set(most.get().max(now - seen.replace(now)));
        }
        assert!(most.get() <= 2, "{} at once", most.get());
    })
    .await;
}

/// The end of a long response may be a small part of a large buffer. A response to the only request is sent at once.
#[tokio::test(start_paused = true)]
async fn only_whole_responses_are_deferred() {
    local(async {
        for (streams, others) in [(false, 1), (true, 1), (false, 0), (true, 0)] {
            let (mut client, server) = duplex(1 << 16);
            let mut connection = connection(server);
            outbox::set_running_for_test(others);
            let mut stopping = pin!(stopping::wait(running()));
            let mut stopping = Stopping::new(running(), stopping.as_mut());
            client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            let Next::Head(head) =
                connection.next_head(&Mirror::default(), &mut stopping, WaitMode::Idle).await.unwrap()
            else {
                panic!("no head")
            };
            let mirror = Mirror { streams, ..Mirror::default() };
            assert!(connection.serve_request(head, &mirror, &stopping).await.unwrap());
            let is_left = connection.state.borrow().bytes.is_deferred();
            assert_eq!(is_left, !streams && others > 0, "{streams}, {others}");
        }
    })
    .await;
}

/// A waiting connection holds no buffer that a body was read into.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_holds_no_buffer_of_a_body() {
    local(async {
        let (mut client, server) = duplex(1 << 20);
        let mut connection = connection(server);
        let mut stopping = pin!(stopping::wait(running()));
        let mut stopping = Stopping::new(running(), stopping.as_mut());
        let length = 300_000;
        let put = format!("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        client.write_all(&[put.as_bytes(), &vec![b'x'; length]].concat()).await.unwrap();
        let Next::Head(head) =
            connection.next_head(&Mirror::default(), &mut stopping, WaitMode::Idle).await.unwrap()
        else {
            panic!("no head")
        };
        assert!(connection.serve_request(head, &Mirror::default(), &stopping).await.unwrap());
        let waiting = timeout(
            Duration::from_secs(1),
            connection.next_head(&Mirror::default(), &mut stopping, WaitMode::Idle),
        )
        .await;
        assert!(waiting.is_err());
        assert!(!connection.state.borrow_mut().bytes.unread.try_reclaim(1 << 14));
    })
    .await;
}

/// A response that its client does not read is charged as memory. Without memory, the connection ends.
#[tokio::test(start_paused = true)]
async fn an_unread_response_takes_memory_and_returns_it() {
    local(async {
        for (bytes, ends) in [(1 << 20, false), (10, true)] {
            let memory = TestMemory::new(bytes);
            let (mut client, _, task) =
                connect_over(64, Mirror { memory: memory.clone(), ..Mirror::default() });
            client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            sleep(Duration::from_secs(1)).await;
            assert_eq!(task.is_finished(), ends, "of {bytes} bytes");
            assert_eq!(memory.taken(MemoryUse::Response) == 0, ends, "of {bytes} bytes");
            drop(client);
            let _ = task.await.unwrap();
            assert_eq!(memory.taken(MemoryUse::Response), 0);
        }
    })
    .await;
}
