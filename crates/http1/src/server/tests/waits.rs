//! Tests of the deadlines of heads, bodies and idle connections, and of stopping the server.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_wait_has_a_deadline() {
    local(async {
        // The bytes sent, the response, and the seconds after which the connection ends.
        let cases: [(&[u8], &[u16], u64); 6] = [
            (b"", &[], 20),
            (b"GET / HT", &[408], 5),
            (b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &[200], 20),
            (b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b", &[200, 408], 5),
            (b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", &[400], 10),
            (b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n", &[], 100),
        ];
        for (sent, answers, seconds) in cases {
            let (mut client, _, task) = connect(Mirror::default());
            let start = Instant::now();
            client.write_all(sent).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(
                (&*statuses(&answer), start.elapsed().as_secs()),
                (answers, seconds),
                "{}",
                sent.escape_ascii()
            );
            drop(client);
            let _ = task.await.unwrap();
        }
    })
    .await;
}

/// Sends one byte at a time, more slowly than a head or body may arrive.
#[tokio::test(start_paused = true)]
async fn a_trickle_holds_nothing_open() {
    local(async {
        for (start, answers, limit) in [
            (&b"GET / HTTP/1.1\r\nHost: h\r\nX: "[..], &[408_u16][..], 6),
            (b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\n\r\n", &[400], 11),
        ] {
            let (mut client, _, _task) = connect(Mirror::default());
            let begun = Instant::now();
            client.write_all(start).await.unwrap();
            let mut answer = Vec::new();
            let mut buf = [0; 1024];
            loop {
                match timeout(Duration::from_millis(500), client.read(&mut buf)).await {
                    Ok(Ok(0) | Err(_)) => break,
                    Ok(Ok(length)) => answer.extend_from_slice(&buf[..length]),
                    Err(_) => drop(client.write_all(b"x").await),
                }
                if !answer.is_empty() {
                    break;
                }
            }
            assert_eq!(statuses(&String::from_utf8_lossy(&answer)), answers);
            assert!(begun.elapsed().as_secs() <= limit, "{:?}", begun.elapsed());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn gives_up_readers_that_take_nothing() {
    local(async {
        let (mut client, _, task) = connect(Mirror::default());
        let start = Instant::now();
        let length = 200_000;
        client
            .write_all(format!("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        client.write_all(&vec![b'x'; length]).await.unwrap();
        assert!(task.await.unwrap().is_err());
        assert_eq!(start.elapsed().as_secs(), 10);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_running_request_end_and_a_new_connection_begin() {
    local(async {
        for (sent, answers, seconds) in
            [(&b""[..], &[][..], 1), (b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &[200_u16], 0)]
        {
            let (mut client, server) = duplex(1 << 16);
            client.write_all(sent).await.unwrap();
            let start = Instant::now();
            let task = tokio::task::spawn_local(async move {
                serve(server, &Mirror::default(), &LIMITS, watch::channel(true).1).await
            });
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!((&*statuses(&answer), start.elapsed().as_secs()), (answers, seconds), "{answer}");
            drop(client);
            task.await.unwrap().unwrap();
        }
    })
    .await;
}

/// The buffer for a request is kept for a moment after each request and then dropped. The idle time of the connection
/// is the same either way.
#[tokio::test(start_paused = true)]
async fn a_busy_connection_has_the_same_idle_time() {
    local(async {
        for pause in [BUSY_WINDOW / 2, BUSY_WINDOW * 3, LIMITS.idle.saturating_sub(BUSY_WINDOW)] {
            let (mut client, server) = duplex(1 << 16);
            let task = tokio::task::spawn_local(async move {
                serve(server, &Mirror::default(), &LIMITS, running()).await
            });
            for _ in 0..3 {
                client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
                let mut answer = [0; 1024];
                let length = client.read(&mut answer).await.unwrap();
                assert_eq!(statuses(&String::from_utf8_lossy(&answer[..length])), [200]);
                sleep(pause).await;
            }
            let start = Instant::now();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(start.elapsed() + pause, LIMITS.idle, "after {pause:?}");
            drop(client);
            task.await.unwrap().unwrap();
        }
    })
    .await;
}

/// A connection drops the buffer for a request if none follows soon.
#[tokio::test(start_paused = true)]
async fn a_busy_connection_drops_its_buffer_soon() {
    let (mut client, server) = duplex(64);
    let start = Instant::now();
    let mut connection = Connection {
        state: Rc::new(RefCell::new(State::new(server, &LIMITS))),
        limits: &LIMITS,
        is_first: false,
        may_be_http2: false,
        charge: Charge::NONE,
        idle_deadline: start + LIMITS.idle,
    };
    let wait = pin!(stopping::wait(running()));
    let mut stopping = Stopping::new(running(), wait);
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(matches!(
        connection.next_head(&Mirror::default(), &mut stopping, WaitMode::Busy).await,
        Ok(Next::Head(_))
    ));
    assert!(matches!(
        connection.next_head(&Mirror::default(), &mut stopping, WaitMode::Busy).await,
        Ok(Next::NotYet)
    ));
    assert_eq!(start.elapsed(), BUSY_WINDOW);
    assert!(matches!(
        connection.next_head(&Mirror::default(), &mut stopping, WaitMode::Idle).await,
        Ok(Next::End)
    ));
    assert_eq!(start.elapsed(), LIMITS.idle);
    let unread = &mut connection.state.borrow_mut().bytes.unread;
    assert!(unread.capacity() == 0 && !unread.try_reclaim(1), "it holds the room of a head");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_an_idle_connection_at_once() {
    local(async {
        for pause in [Duration::ZERO, BUSY_WINDOW * 3] {
            let (mut client, server) = duplex(1 << 16);
            let stop = watch::Sender::new(false);
            let stopping = stop.subscribe();
            let task = tokio::task::spawn_local(async move {
                serve(server, &Mirror::default(), &LIMITS, stopping).await
            });
            client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            assert_ne!(client.read(&mut [0; 1024]).await.unwrap(), 0);
            sleep(pause).await;
            let start = Instant::now();
            stop.send_replace(true);
            assert_eq!(
                (client.read(&mut [0]).await.unwrap(), start.elapsed()),
                (0, Duration::ZERO),
                "{pause:?}"
            );
            drop(client);
            task.await.unwrap().unwrap();
        }
    })
    .await;
}

/// An idle connection costs its task and its state. The memory for a request is allocated when one arrives.
#[tokio::test]
async fn an_idle_connection_is_small() {
    let (_client, server) = duplex(1);
    let mirror = Mirror::default();
    let serving = serve(server, &mirror, &LIMITS, running());
    assert!(size_of_val(&serving) <= 768, "{} bytes of a task", size_of_val(&serving));
    let state = size_of::<State<Socket>>() + size_of::<Shared<Socket>>();
    assert!(state <= 544, "{state} bytes of state");
}
