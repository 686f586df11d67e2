//! Load balancers that pass on TLS: the PROXY header comes before the handshake.

use super::headers::{BOTH, line};
use super::{BALANCER, Balanced, connect, get};
use crate::support::authority::{Authority, Client};
use crate::support::http::Connection;
use crate::support::process::wait_for;
use crate::support::world::outcome;
use std::io::{self, Write};
use std::time::Duration;
use tempfile::TempDir;

/// Connects, sends `before` in the clear, and completes the handshake.
fn open(world: &Balanced, client: &Client, before: &[u8]) -> io::Result<Connection> {
    let mut socket = connect(BALANCER, world.address());
    socket.set_read_timeout(Some(Duration::from_mins(1)))?;
    socket.write_all(before)?;
    client.connect_over(socket, "localhost").map(Connection::over_any)
}

#[test]
fn a_header_comes_in_the_clear_before_the_handshake() {
    let (authority, folder) = (Authority::new("the authority"), TempDir::new().unwrap());
    let (chain, key) = authority.server(&["s3.example.test", "localhost"]).write(folder.path(), "s3");
    let lines = format!("{BOTH}\ntls = {{ certificates = [{{ chain = {chain:?}, key = {key:?} }}] }}");
    let world = Balanced::start(&lines, "");
    let client = authority.trusting(None);
    for (source, expected) in [("203.0.113.9", "200"), ("198.51.100.9", "403 AccessDenied no-mapping")] {
        let mut connection = open(&world, &client, &line(source)).unwrap();
        for _ in 0..2 {
            connection.send(&get("")).unwrap();
            assert_eq!(outcome(&connection.read_response("GET").unwrap()), expected, "{source}");
        }
    }
    let named = || world.proxy.stderr().contains("client=203.0.113.9 peer=127.0.0.1 ").then_some(());
    assert!(wait_for(named).is_some(), "{}", world.proxy.stderr());

    // What follows the first header is the client's own, before the handshake and within it.
    let mut within = open(&world, &client, &line("198.51.100.9")).unwrap();
    within.send(&[line("203.0.113.9"), get("")].concat()).unwrap();
    assert_eq!(within.read_response("GET").unwrap().status(), 400);
    let twice = [line("198.51.100.9"), line("203.0.113.9")].concat();
    assert!(open(&world, &client, &twice).is_err());
    assert!(open(&world, &client, b"").is_err());
    let missing = || (world.refused("missing") == 1).then_some(());
    assert!(wait_for(missing).is_some(), "{}", world.proxy.stderr());
}
