//! What clients are told that speak the wrong protocol, or send a request to the wrong host.

use super::{ONE, Secure, ask, get, run};
use crate::support::authority::Authority;
use crate::support::http::{self, Connection};
use crate::support::world::{World, corner, outcome};
use std::path::Path;

#[test]
fn plain_http_at_a_port_for_tls_learns_the_url() {
    let secure = Secure::start(ONE);
    let port = secure.address().port();
    let answer = http::get(secure.address(), "/tmp/media/hello.txt").unwrap();
    assert_eq!(outcome(&answer), "400 InvalidRequest");
    assert!(answer.text().contains("this port speaks TLS: use https://localhost/"), "{}", answer.text());
    let (_, told, _) = run("curl", &["-sS", &format!("http://127.0.0.1:{port}/")]);
    assert!(told.contains(&format!("use https://127.0.0.1:{port}/")), "{told}");
    secure.counts("scopegate_tls_handshakes_total{result=\"not-tls\"}", 2);
    secure.said("the client speaks plain HTTP");
    // Another protocol gets no answer that it could not read.
    let mut other = Connection::open(secure.address()).unwrap();
    other.send(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
    assert_eq!(other.read_to_end().unwrap_or_default(), b"");
}

#[test]
fn tls_at_a_port_for_plain_http_is_recognised() {
    let world = World::start(&[corner("reader", &[("tmp", "media/", "read")])]);
    let port = world.proxy.address("reader").port();
    let (code, _, told) = run("curl", &["-sS", &format!("https://127.0.0.1:{port}/")]);
    assert_eq!(code, Some(35));
    assert!(told.contains("wrong version number"), "{told}");
    let series = "scopegate_refusals_total{mapping=\"-\",rule=\"unexpected-tls\"}";
    let counted = crate::support::process::wait_for(|| (world.metric(series) == 1).then_some(()));
    assert!(
        counted.is_some() && world.proxy.stderr().contains("rule=unexpected-tls"),
        "{}",
        world.proxy.stderr()
    );
    // One byte alone tells nothing yet.
    let mut slow = Connection::open(world.proxy.address("reader")).unwrap();
    slow.send(&[0x16]).unwrap();
    slow.send(&[0x03]).unwrap();
    assert_eq!(outcome(&slow.read_response("GET").unwrap()), "400 InvalidRequest unexpected-tls");
}

const TWO: &str = ", { chain = \"@two.crt\", key = \"@two.key\" }]";
const MISDIRECTED: &str = "421 InvalidRequest misdirected";

fn write_two(authority: &Authority, folder: &Path) {
    authority.server(&["two.test", "*.two.test"]).write(folder, "two");
}

#[test]
fn a_request_for_a_host_with_another_certificate_is_misdirected() {
    let secure = Secure::start_with(TWO, write_two, "");
    let text = secure.configuration(TWO, "").replacen(
        "name = \"door\"\n",
        "name = \"door\"\nhosts = [\"one.test\", \"two.test\", \"a.two.test\", \"three.test\"]\n",
        1,
    );
    secure.hang_up(&text);
    let client = secure.authority.trusting(None);
    for (opened_for, host, expected) in [
        ("one.test", "one.test", "200"),
        ("one.test", "ONE.test.:1", "200"),
        // The first certificate is for unknown names and addresses too.
        ("one.test", "three.test", "200"),
        ("one.test", "127.0.0.1", "200"),
        ("one.test", "localhost", "200"),
        ("one.test", "two.test", MISDIRECTED),
        ("one.test", "a.two.test", MISDIRECTED),
        ("two.test", "a.two.test", "200"),
        ("two.test", "one.test", MISDIRECTED),
        ("two.test", "127.0.0.1", MISDIRECTED),
        // An address is not named in the handshake.
        ("127.0.0.1", "two.test", "200"),
    ] {
        let mut connection = client.open(secure.address(), opened_for).unwrap();
        let got = ask(&mut connection, "GET", super::HELLO, host);
        assert_eq!(got, expected, "opened for {opened_for}, asked for {host}");
        // The connection goes on for its own host.
        assert_eq!(ask(&mut connection, "GET", super::HELLO, opened_for), "200");
    }
}

#[test]
fn where_clients_have_certificates_any_other_host_is_misdirected() {
    let more = "], client_ca = [\"@ca.pem\"], client_certificate = \"optional\"";
    let secure = Secure::start(more);
    let text = secure.configuration(more, "").replacen(
        "name = \"door\"\n",
        "name = \"door\"\nhosts = [\"one.test\"]\n",
        1,
    );
    secure.hang_up(&text);
    let mut connection = secure.open(&secure.authority.trusting(None));
    assert_eq!(get(&mut connection), "200");
    assert_eq!(ask(&mut connection, "GET", super::HELLO, "one.test"), MISDIRECTED);
    assert_eq!(ask(&mut connection, "GET", super::HELLO, "127.0.0.1"), MISDIRECTED);
    assert_eq!(ask(&mut connection, "GET", super::HELLO, "LOCALHOST:9"), "200");
}
