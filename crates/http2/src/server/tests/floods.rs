//! Floods: each ends the connection that sends it, or costs no more than its turn, and leaves other connections alone.

use super::raw::{
    CONTINUATION, DATA, GET, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE,
    block, frame, get, put,
};
use super::*;
use crate::bounds::{TURN_BYTES, TURN_STREAMS};
use tokio::time::{sleep, timeout};

/// A flood: frames by their number.
type Flood = fn(u32) -> Vec<u8>;

const ENHANCE_YOUR_CALM: u32 = 11;

fn rst(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Sends a flood until the server ends the connection; returns the code of its GOAWAY and the number of frames sent.
async fn flood(paths: &Paths, flood: Flood) -> (Option<u32>, u32) {
    let (_, result) = run(paths, |stream| async {
        let Raw(stream) = Raw::open(stream).await;
        let (read, write) = tokio::io::split(stream);
        let (mut read, mut write) = (read, write);
        let is_ended = Cell::new(false);
        let sending = async {
            for number in 0..200_000 {
                let sent = tokio::io::AsyncWriteExt::write_all(&mut write, &flood(number)).await;
                if is_ended.get() || sent.is_err() {
                    return number;
                }
                if number % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            200_000
        };
        let reading = async {
            let mut all = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut all).await;
            is_ended.set(true);
            all
        };
        let patience = Duration::from_mins(1);
        let (sent, all) = tokio::join!(sending, timeout(patience, reading));
        (goaway(&all.unwrap_or_default()), sent)
    })
    .await;
    result
}

/// Returns the code of the last GOAWAY among frames.
fn goaway(mut bytes: &[u8]) -> Option<u32> {
    let mut code = None;
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, after)) = rest.split_at_checked(length) else { break };
        if *kind == GOAWAY {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        bytes = after;
    }
    code
}

#[tokio::test(start_paused = true)]
async fn floods_end_the_connection() {
    let floods: [(&str, Flood, u32); 9] = [
        ("rapid resets", |n| [get(2 * n + 1, GET), rst(2 * n + 1, 8)].concat(), 1000),
        (
            "resets of streams that run",
            |n| {
                let never =
                    [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
                let before = if n == 0 { Vec::new() } else { rst(2 * n - 1, 8) };
                [get(2 * n + 1, &never), before].concat()
            },
            2000,
        ),
        ("settings", |_| frame(SETTINGS, 0, 0, b""), 20_000),
        ("pings", |_| frame(PING, 0, 0, &[0; 8]), 20_000),
        ("priorities", |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), 20_000),
        ("unknown frames", |_| frame(200, 0, 0, b""), 20_000),
        (
            "streams that the server must reset",
            |n| {
                // A window update of nothing is an error of the stream.
                [get(2 * n + 1, GET), frame(WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4])].concat()
            },
            1000,
        ),
        (
            "small pieces of a body",
            |n| {
                if n == 0 { put(1, &[]) } else { frame(DATA, 0, 1, if n % 2 == 0 { b"" } else { b"x" }) }
            },
            200_000,
        ),
        (
            "a head that never ends",
            |n| {
                if n == 0 { frame(HEADERS, 0, 1, &block(GET)) } else { frame(CONTINUATION, 0, 1, b"") }
            },
            1000,
        ),
    ];
    for (name, frames, most) in floods {
        let paths = Paths::default();
        let (code, sent) = flood(&paths, frames).await;
        assert!(code.is_some_and(|code| code != 0), "{name}: {code:?} after {sent}");
        assert!(sent <= most, "{name}: {sent}");
        assert!(paths.peak.get() <= STREAMS as usize, "{name}");
        assert_eq!((paths.running.get(), paths.held.get(), paths.taken.get()), (0, 0, 0), "{name}");
        assert_eq!(
            paths.events_of(Event::Closed(ClosedBy::Flood))
                + paths.events_of(Event::Closed(ClosedBy::Protocol)),
            1,
            "{name}: {:?}",
            paths.events
        );
    }
}

/// A head that grows when it is decompressed: one entry of the table, named thousands of times.
#[tokio::test(start_paused = true)]
async fn a_bomb_of_a_head_is_refused() {
    let paths = Paths::default();
    let (_, code) = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        // A literal with indexing, then references to it.
        let mut bomb = block(GET);
        bomb.extend([0x40, 1, b'a', 127, 0x80 | 0x01, 0x1d]);
        bomb.extend(vec![b'x'; 127 + 1 + 0x1d * 128]);
        bomb.extend(vec![0xbe; 10_000]);
        raw.send(&frame(HEADERS, 5, 1, &bomb)).await;
        raw.read_until(GOAWAY).await.map(|frame| frame.code())
    })
    .await;
    assert_eq!((code, paths.seen.take()), (Some(ENHANCE_YOUR_CALM), vec![]));
}

/// Streams that the server works on are as costly to reset as others.
#[tokio::test(start_paused = true)]
async fn resets_of_streams_that_run_end_the_connection() {
    let paths = Paths::default();
    let (_, sent) = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let never = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
        for number in 0..1000 {
            raw.send(&get(2 * number + 1, &never)).await;
            sleep(Duration::from_millis(1)).await;
            if !raw.send(&rst(2 * number + 1, 8)).await || paths.events_of(Event::Closed(ClosedBy::Flood)) > 0
            {
                assert_eq!(raw.read_until(GOAWAY).await.unwrap().code(), ENHANCE_YOUR_CALM);
                return number;
            }
        }
        1000
    })
    .await;
    assert!((200..=202).contains(&sent), "{sent}");
    assert_eq!((paths.running.get(), paths.held.get()), (0, 0));
}

/// What a connection holds is charged, and a connection without memory ends.
#[tokio::test(start_paused = true)]
async fn a_connection_that_holds_more_than_there_is_memory_for_ends() {
    let window = (1_u32 << 30).to_be_bytes();
    let zeros = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/zeros/900000000")];
    let windows = [frame(WINDOW_UPDATE, 0, 0, &window), frame(WINDOW_UPDATE, 0, 1, &window)].concat();
    for (name, frames) in [
        ("a response that is not read", [get(1, &zeros), windows].concat()),
        ("a head that does not end", frame(HEADERS, 0, 1, &block(&[("x-a", &"x".repeat(8000))]))),
    ] {
        for (memory, ends) in [(1000, 1), (1 << 20, 0)] {
            let paths = Paths { memory: Some(memory), ..Paths::default() };
            let _ = run(&paths, |stream| async {
                let mut raw = Raw::open(stream).await;
                raw.send(&frames).await;
                sleep(Duration::from_secs(1)).await;
                assert_eq!(paths.events_of(Event::Closed(ClosedBy::Memory)), ends, "{name}");
                assert_eq!(paths.taken.get() == 0, ends == 1, "{name}: {}", paths.taken.get());
            })
            .await;
        }
    }
}

/// A client that opens more streams than it may is refused those alone.
#[tokio::test(start_paused = true)]
async fn streams_beyond_the_bound_are_refused() {
    const REFUSED_STREAM: u32 = 7;
    let paths = Paths::default();
    let _ = run(&paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        let never = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/never")];
        for number in 0..STREAMS {
            raw.send(&get(2 * number + 1, &never)).await;
        }
        assert_eq!(raw.outcome(2 * STREAMS - 1).await, raw::Outcome::Nothing);
        // Its client has acknowledged the settings that say how many there may be.
        raw.send(&get(2 * STREAMS + 1, &never)).await;
        assert_eq!(raw.outcome(2 * STREAMS + 1).await, raw::Outcome::Reset(REFUSED_STREAM));
        assert_eq!(paths.running.get(), STREAMS as usize);
    })
    .await;
}

/// A turn of a connection serves no more than its share of the streams that are ready.
#[tokio::test]
async fn a_turn_polls_a_bounded_number_of_streams() {
    let paths = Paths::default();
    let running = watch::Sender::new(false);
    let (near, far) = duplex(64 * 1024);
    let mut raw = Raw::open(near).await;
    for number in 0..STREAMS {
        raw.send(&get(2 * number + 1, GET)).await;
    }
    let mut served = pin!(with_event_clock(serve(far, &paths, &LIMITS, running.subscribe())));
    let (mut before, mut most) = (0, 0);
    while before < STREAMS as usize {
        let is_pending = poll_fn(|cx| Poll::Ready(served.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
        let after = paths.seen.borrow().len();
        (before, most) = (after, most.max(after - before));
        tokio::task::yield_now().await;
    }
    assert!((1..=TURN_STREAMS as usize).contains(&most), "{most}");
}

/// Connections of one thread take turns: a flood costs the others its turns, and no more.
#[tokio::test]
async fn other_connections_are_served_beside_a_flood() {
    let paths = Paths::default();
    let running = watch::Sender::new(false);
    let ((near, far), (other_near, other_far)) = (duplex(1 << 20), duplex(64 * 1024));
    let flooded = with_event_clock(serve(far, &paths, &LIMITS, running.subscribe()));
    let served = with_event_clock(serve(other_far, &paths, &LIMITS, running.subscribe()));
    let sent = Cell::new(0);
    let flooding = async {
        let Raw(mut stream) = Raw::open(near).await;
        let updates = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(100);
        for _ in 0..20_000 {
            if tokio::io::AsyncWriteExt::write_all(&mut stream, &updates).await.is_err() {
                break;
            }
            sent.set(sent.get() + updates.len());
        }
        stream
    };
    let asking = async {
        let mut raw = Raw::open(other_near).await;
        let mut most = 0;
        for number in 0..100 {
            let before = sent.get();
            raw.send(&get(2 * number + 1, GET)).await;
            assert_eq!(
                raw.outcome_within(2 * number + 1, Duration::from_secs(10)).await,
                raw::Outcome::Status(200)
            );
            // The buffer of the flood fills at first.
            most = if number == 0 { 0 } else { most.max(sent.get() - before) };
        }
        most
    };
    let clients = async {
        let (stream, most) = tokio::join!(flooding, asking);
        drop(stream);
        most
    };
    let (_, _, most) = tokio::join!(flooded, served, clients);
    assert!(most > 0 && most <= 8 * TURN_BYTES, "{most} bytes of the flood were read during a request");
}
