//! Times: prefaces, heads and connections that do not come, and the end of the server.

use super::raw::{
    DATA, END_HEADERS, GET, GOAWAY, HEADERS, Outcome, PING, PREFACE, Raw, SETTINGS, WINDOW_UPDATE, block,
    frame, get, put,
};
use super::*;
use crate::bounds::{CONNECTION_WINDOW, DRAIN, FIRST_WINDOW, MAX_LINGER};
use tokio::time::{Instant, sleep, timeout};

/// Sends bytes after nothing else, waits for the end and returns how it came and when.
async fn end_of(sent: &[u8]) -> (Outcome, Duration, Vec<Event>) {
    let paths = Paths::default();
    let start = Instant::now();
    let (_, outcome) = run(&paths, |stream| async {
        let mut raw = Raw(stream);
        raw.send(sent).await;
        let outcome = raw.outcome_within(u32::MAX, Duration::from_mins(5)).await;
        (outcome, start.elapsed())
    })
    .await;
    (outcome.0, outcome.1, paths.events.take())
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_must_end_in_time() {
    let settings = frame(SETTINGS, 0, 0, b"");
    let open = [PREFACE, &settings].concat();
    let head = frame(HEADERS, 0, 1, &block(GET)[..10]);
    for (name, sent, outcome, seconds) in [
        ("nothing", &b""[..], Outcome::Closed, LIMITS.header),
        ("a part of the preface", &PREFACE[..10], Outcome::Closed, LIMITS.header),
        ("no settings", PREFACE, Outcome::GoAway(11), LIMITS.header),
        ("a part of a frame", &[&open[..], &settings[..5]].concat(), Outcome::GoAway(11), LIMITS.header),
        ("a head that does not end", &[&open[..], &head].concat(), Outcome::GoAway(11), LIMITS.header),
        ("a part of a head", &[&open[..], &get(1, GET)[..20]].concat(), Outcome::GoAway(11), LIMITS.header),
        ("no request", &open, Outcome::GoAway(0), LIMITS.idle),
        ("a served request", &[&open[..], &get(1, GET)].concat(), Outcome::GoAway(0), LIMITS.idle),
        (
            "a ping as the first frame",
            &[PREFACE, &frame(PING, 0, 0, &[0; 8])].concat(),
            Outcome::GoAway(11),
            Duration::ZERO,
        ),
    ] {
        let (ended, after, events) = end_of(sent).await;
        assert_eq!((ended, after), (outcome, seconds), "{name}: {events:?}");
    }
}

/// A head that drips does not last longer, whatever the other streams do.
#[tokio::test(start_paused = true)]
async fn a_head_that_drips_ends_the_connection() {
    let paths = Paths::default();
    let start = Instant::now();
    let _ = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let never = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
        raw.send(&get(1, &never)).await;
        for byte in get(3, GET) {
            sleep(Duration::from_secs(1)).await;
            if !raw.send(&[byte]).await {
                break;
            }
        }
        assert_eq!(raw.outcome(3).await, Outcome::GoAway(11));
    })
    .await;
    assert!(start.elapsed() < 2 * LIMITS.header + CLOSE);
    assert_eq!((paths.running.get(), paths.events_of(Event::Closed(ClosedBy::TimedOut))), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_reset() {
    let paths = Paths::default();
    let start = Instant::now();
    let _ = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let never = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
        raw.send(&get(1, &never)).await;
        assert_eq!(raw.outcome_within(1, 2 * LIMITS.request).await, Outcome::Reset(8));
    })
    .await;
    assert_eq!((start.elapsed(), paths.running.get()), (LIMITS.request, 0));
    assert_eq!(paths.events_of(Event::Reset(ResetBy::TimedOut)), 1);
}

/// The time for a request includes its response: one that does not come, and one that the client reads slowly.
#[tokio::test(start_paused = true)]
async fn a_response_that_takes_too_long_is_reset() {
    for path in ["/stuck", "/zeros/900000000"] {
        let paths = Paths::default();
        let start = Instant::now();
        let _ = run(&paths, |stream| async {
            let mut raw = Raw::open(stream).await;
            let head = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", path)];
            raw.send(&get(1, &head)).await;
            assert_eq!(raw.outcome(1).await, Outcome::Status(200));
            // Each second there is room for more than a client must read.
            let updates = [0, 1].map(|stream| frame(WINDOW_UPDATE, 0, stream, &[0, 0, 8, 0])).concat();
            let ended = loop {
                raw.send(&updates).await;
                match raw.outcome(1).await {
                    Outcome::Nothing if start.elapsed() < 2 * LIMITS.request => {}
                    outcome => break outcome,
                }
            };
            assert_eq!(ended, Outcome::Reset(8), "{path}");
        })
        .await;
        assert!(start.elapsed() <= LIMITS.request + Duration::from_secs(2), "{path}: {:?}", start.elapsed());
        assert_eq!(paths.events_of(Event::Reset(ResetBy::TimedOut)), 1, "{path}");
    }
}

/// A client that takes nothing from its socket is not waited for, however large its windows are.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_ends() {
    let paths = Paths::default();
    let start = Instant::now();
    let (served, ()) = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let zeros =
            [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/zeros/900000000")];
        let window = (1_u32 << 30).to_be_bytes();
        raw.send(
            &[get(1, &zeros), frame(WINDOW_UPDATE, 0, 0, &window), frame(WINDOW_UPDATE, 0, 1, &window)]
                .concat(),
        )
        .await;
        sleep(LIMITS.stall / 2).await;
        assert!((100_000..400_000).contains(&paths.taken.get()), "it pays for {} bytes", paths.taken.get());
        sleep(3 * LIMITS.stall).await;
        drop(raw);
    })
    .await;
    assert!(start.elapsed() <= 4 * LIMITS.stall, "{served:?}");
    assert_eq!((paths.running.get(), paths.taken.get()), (0, 0));
}

/// A client that leaves whole responses in its socket is not waited for, although their streams are over.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_responses_unread_ends() {
    let paths = Paths::default();
    let _ = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let zeros = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/zeros/50000")];
        let requests = [1, 3, 5].map(|stream| get(stream, &zeros)).concat();
        raw.send(&[frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()), requests].concat()).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!((paths.running.get(), paths.held.get()), (0, 0));
        assert_eq!(paths.events.borrow()[1..], [Event::Stream; 3]);
        sleep(LIMITS.idle * 3 / 4).await;
        assert_eq!(paths.events_of(Event::Closed(ClosedBy::TimedOut)), 1, "{:?}", paths.events);
    })
    .await;
}

/// The server's end: running streams finish, and the client learns which were not looked at.
#[tokio::test(start_paused = true)]
async fn running_streams_finish_when_the_server_stops() {
    let paths = Paths::default();
    let running = watch::Sender::new(false);
    let start = Instant::now();
    let (served, ()) = run_until(&paths, &running, |stream| async {
        let mut raw = Raw::open(stream).await;
        let held = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/held")];
        raw.send(&get(1, &held)).await;
        sleep(Duration::from_secs(1)).await;
        running.send_replace(true);
        let first = raw.read_until(GOAWAY).await.unwrap();
        assert_eq!((first.code(), &first.payload[..4]), (0, &[0x7f, 0xff, 0xff, 0xff][..]));
        let ping = raw.read_until(PING).await.unwrap();
        // This stream was on its way when the server stopped, and is served.
        raw.send(&get(3, GET)).await;
        raw.send(&frame(PING, 1, 0, &ping.payload)).await;
        let last = raw.read_until(GOAWAY).await.unwrap();
        assert_eq!((last.code(), &last.payload[..4]), (0, &[0, 0, 0, 3][..]));
        // This one is not, and the client knows it from the number above.
        raw.send(&get(5, GET)).await;
        assert_eq!(raw.outcome_within(1, Duration::from_secs(5)).await, Outcome::Status(200));
        assert_eq!(raw.read_until(DATA).await.unwrap().payload, b"held");
        assert_eq!(raw.outcome_within(5, Duration::from_secs(30)).await, Outcome::Closed);
    })
    .await;
    served.unwrap();
    assert_eq!(paths.seen.take(), ["GET h /a [0]", "held"]);
    assert!(start.elapsed() < Duration::from_secs(3) + CLOSE);
    assert_eq!(paths.events_of(Event::Closed(ClosedBy::Stopping)), 1);
}

/// A client that does not tell that it knows of the end cannot open streams for ever.
#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_the_end_opens_no_more_streams() {
    const REFUSED_STREAM: u32 = 7;
    let paths = Paths::default();
    let running = watch::Sender::new(false);
    let held = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/held")];
    let start = Instant::now();
    let (_, outcomes) = run_until(&paths, &running, |stream| async {
        let mut raw = Raw::open(stream).await;
        raw.send(&get(1, &held)).await;
        sleep(Duration::from_secs(1)).await;
        running.send_replace(true);
        let mut outcomes = Vec::new();
        for stream in (3..43).step_by(2) {
            sleep(Duration::from_millis(600)).await;
            if !raw.send(&get(stream, &held)).await {
                break;
            }
            let outcome = raw.outcome_within(stream, Duration::from_millis(100)).await;
            outcomes.push(outcome);
        }
        outcomes
    })
    .await;
    assert_eq!(paths.seen.take(), ["held", "held"], "{outcomes:?}");
    assert!(outcomes.contains(&Outcome::Reset(REFUSED_STREAM)), "{outcomes:?}");
    assert!(start.elapsed() < Duration::from_secs(6) + CLOSE, "{:?}", start.elapsed());
}

/// A client that does not answer the ping of the server's end does not hold it up.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_dead_client_is_bounded() {
    let paths = Paths::default();
    let running = watch::Sender::new(false);
    let start = Instant::now();
    let _ = run_until(&paths, &running, |stream| async {
        let raw = Raw::open(stream).await;
        sleep(Duration::from_secs(1)).await;
        running.send_replace(true);
        sleep(2 * CLOSE).await;
        drop(raw);
    })
    .await;
    assert_eq!(start.elapsed(), Duration::from_secs(1) + 2 * CLOSE);
}

/// What a client sends before it has seen the end does not reset the connection, which could cost it a response.
#[tokio::test(start_paused = true)]
async fn late_frames_do_not_reset_the_connection() {
    let mistake = frame(DATA, 0, 0, b"");
    for (name, sent, code) in [("idle", &b""[..], 0), ("a broken rule", &mistake, 1)] {
        let start = Instant::now();
        let (_, ended) = run(&Paths::default(), |stream| async move {
            let mut raw = Raw::open(stream).await;
            raw.send(sent).await;
            assert_eq!(raw.outcome_within(1, 2 * LIMITS.idle).await, Outcome::GoAway(code), "{name}");
            if let Some(ping) = raw.read_until(PING).await {
                raw.send(&frame(PING, 1, 0, &ping.payload)).await;
            }
            while raw.outcome_within(1, CLOSE).await != Outcome::Closed {}
            for _ in 0..3 {
                sleep(Duration::from_secs(1)).await;
                assert!(raw.send(&frame(PING, 0, 0, &[0; 8])).await, "{name}");
            }
            Instant::now()
        })
        .await;
        assert!(ended.elapsed() < Duration::from_millis(10), "{name}: it ends with the client's side");
        assert!(start.elapsed() < LIMITS.idle + CLOSE, "{name}");
    }
}

/// A client that goes on sending after the end does not hold the connection.
#[tokio::test(start_paused = true)]
async fn what_comes_after_the_end_is_bounded() {
    for (pause, most) in [(Duration::ZERO, MAX_LINGER + (1 << 20)), (Duration::from_millis(100), 1 << 20)] {
        let (_, sent) = run(&Paths::default(), |stream| async move {
            let mut raw = Raw::open(stream).await;
            raw.send(&frame(DATA, 0, 0, b"")).await;
            while raw.outcome_within(1, CLOSE).await != Outcome::Closed {}
            let (start, mut sent) = (Instant::now(), 0);
            while sent <= most && raw.send(&[0; 16 * 1024]).await {
                sent += 16 * 1024;
                sleep(pause).await;
            }
            assert!(start.elapsed() < CLOSE + Duration::from_secs(1));
            sent
        })
        .await;
        assert!((1..=most).contains(&sent), "{sent}");
    }
}

/// A preface that is on its way when the server stops has a second.
#[tokio::test(start_paused = true)]
async fn a_preface_does_not_hold_up_the_end_of_the_server() {
    let paths = Paths::default();
    let running = watch::Sender::new(false);
    let start = Instant::now();
    let (served, ()) = run_until(&paths, &running, |stream| async {
        let mut raw = Raw(stream);
        raw.send(&PREFACE[..10]).await;
        running.send_replace(true);
        assert_eq!(raw.outcome_within(1, LIMITS.header).await, Outcome::Closed);
    })
    .await;
    assert_eq!((served.is_err(), start.elapsed()), (true, Duration::from_secs(1)));
}

/// A body that nothing reads is bounded by the window, and its stream does not stop others.
#[tokio::test(start_paused = true)]
async fn a_body_that_nothing_reads_is_bounded() {
    let paths = Paths::default();
    let _ = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let never = [(":method", "PUT"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block(&never))).await;
        for _ in 0..STREAM_WINDOW / FRAME {
            raw.send(&frame(DATA, 0, 1, &vec![0; FRAME as usize])).await;
        }
        raw.send(&get(3, GET)).await;
        assert_eq!(raw.outcome(3).await, Outcome::Status(200));
        raw.send(&put(5, &[])).await;
        raw.send(&frame(DATA, 0, 1, b"x")).await;
        assert_eq!(raw.outcome(1).await, Outcome::Reset(3), "more than the window is an error");
    })
    .await;
}

/// The bodies that a connection may send before anything reads them are never more than what it has memory for.
#[tokio::test(start_paused = true)]
async fn a_window_is_as_large_as_the_memory_for_it() {
    const MIB: u32 = 1 << 20;
    for (memory, length, window) in [
        (FIRST_WINDOW, None, FIRST_WINDOW),
        (CONNECTION_WINDOW, None, CONNECTION_WINDOW),
        (CONNECTION_WINDOW - 1, None, CONNECTION_WINDOW / 4),
        (CONNECTION_WINDOW, Some("5000000000"), CONNECTION_WINDOW),
        (CONNECTION_WINDOW, Some("1048576"), MIB),
        (CONNECTION_WINDOW, Some("10"), FIRST_WINDOW),
    ] {
        let paths = Paths { memory: Some(memory as usize), ..Paths::default() };
        let _ = run(&paths, |stream| async {
            let mut raw = Raw::open(stream).await;
            let never = [(":method", "PUT"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
            let length = length.map(|length| ("content-length", length));
            let head = never.into_iter().chain(length).collect::<Vec<_>>();
            raw.send(&frame(HEADERS, END_HEADERS, 1, &block(&head))).await;
            let mut granted = FIRST_WINDOW;
            let updates = async {
                while let Some(update) = raw.read_until(WINDOW_UPDATE).await {
                    assert_eq!(update.stream, 0);
                    granted += u32::from_be_bytes(update.payload.try_into().unwrap());
                }
            };
            let _ = timeout(Duration::from_secs(1), updates).await;
            assert_eq!((granted, paths.taken.get()), (window, window as usize));
        })
        .await;
    }
}

/// A request whose body stands still after its response does not hold its stream for long.
#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_after_the_response_ends() {
    let unread = |stream| {
        let head = [(":method", "PUT"), (":scheme", "http"), (":authority", "h"), (":path", "/unread")];
        frame(HEADERS, END_HEADERS, stream, &block(&head))
    };
    let paths = Paths::default();
    let _ = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        raw.send(&unread(1)).await;
        assert_eq!(raw.outcome(1).await, Outcome::Status(200));
        assert_eq!((paths.running.get(), paths.held.get()), (0, 1));
        assert_eq!(raw.outcome_within(1, 2 * LIMITS.stall).await, Outcome::Reset(0));
        assert_eq!(paths.held.get(), 0);
        // One that drips ends as well.
        let start = Instant::now();
        raw.send(&unread(3)).await;
        assert_eq!(raw.outcome(3).await, Outcome::Status(200));
        let dripping = async {
            loop {
                raw.send(&frame(DATA, 0, 3, &[0; FRAME as usize])).await;
                match raw.outcome(3).await {
                    Outcome::Nothing => {}
                    outcome => return outcome,
                }
            }
        };
        assert_eq!(timeout(2 * DRAIN, dripping).await, Ok(Outcome::Reset(0)));
        assert!(start.elapsed() <= DRAIN + Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(paths.held.get(), 0);
    })
    .await;
}
