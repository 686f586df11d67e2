//! Handshakes that take long, or never end.

use super::{ONE, Secure, get};
use crate::support::http::Connection;
use crate::support::process::wait_for;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The beginning of a handshake, whose rest never comes.
const BEGINNING: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03];

fn begin(secure: &Secure) -> TcpStream {
    let mut stream = TcpStream::connect(secure.address()).unwrap();
    stream.write_all(BEGINNING).unwrap();
    stream
}

#[test]
fn slow_handshakes_harm_no_others() {
    let secure = Secure::start(ONE);
    let client = secure.authority.trusting(None);
    let slowest = |count: u32| {
        let time = |_| {
            let start = Instant::now();
            assert_eq!(get(&mut secure.open(&client)), "200");
            start.elapsed()
        };
        let mut times: Vec<Duration> = (0..count).map(time).collect();
        times.sort();
        times[usize::try_from(count).unwrap() * 95 / 100]
    };
    let before = slowest(60);
    let slow: Vec<TcpStream> = (0..300).map(|_| begin(&secure)).collect();
    secure.counts("scopegate_tls_handshakes_running", 300);
    let beside = slowest(60);
    // Each handshake is computed, and none waits. The margin is for a busy machine.
    assert!(
        beside < before * 4 + Duration::from_millis(50),
        "{before:?} before, {beside:?} beside {}",
        slow.len()
    );
}

#[test]
fn handshakes_have_a_bound_and_an_address_cannot_take_all() {
    let secure = Secure::start_with(ONE, |_, _| {}, "[limits]\nhandshakes = 40\n");
    let held: Vec<TcpStream> = (0..60).map(|_| begin(&secure)).collect();
    secure.counts("scopegate_tls_handshakes_total{result=\"limit\"}", 30);
    // An address has at most three times as many as are left.
    assert_eq!(secure.metric("scopegate_tls_handshakes_running"), 30);
    let refused = secure.authority.trusting(None).open(secure.address(), "localhost").map(drop);
    assert!(refused.is_err(), "an address has all places");
    drop(held);
    let again = wait_for(|| secure.authority.trusting(None).open(secure.address(), "localhost").ok());
    assert_eq!(get(&mut again.unwrap()), "200");
}

#[test]
fn a_handshake_has_a_deadline() {
    let secure = Secure::start_with(ONE, |_, _| {}, "[limits]\nheader_timeout = \"300ms\"\n");
    let silent = Connection::open(secure.address()).unwrap();
    let mut begun = Connection::open(secure.address()).unwrap();
    begun.send(BEGINNING).unwrap();
    for mut connection in [silent, begun] {
        let start = Instant::now();
        // The end may be a reset, because the server has read only some of the bytes.
        let _ = connection.read_to_end();
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    secure.counts("scopegate_tls_handshakes_total{result=\"timeout\"}", 2);
    assert_eq!(secure.metric("scopegate_tls_handshakes_running"), 0);
    assert_eq!(get(&mut secure.open(&secure.authority.trusting(None))), "200");
}

#[test]
fn a_handshake_does_not_delay_the_shutdown() {
    let secure = Secure::start(ONE);
    let _slow = begin(&secure);
    secure.counts("scopegate_tls_handshakes_running", 1);
    let start = Instant::now();
    let Secure { proxy, .. } = secure;
    let (code, log) = proxy.terminate();
    assert!(code == Some(0) && log.contains("cut_short=false"), "{log}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
