//! Client certificates that are no longer accepted.

use super::{Secure, get};
use crate::support::authority::{Authority, Client};
use crate::support::http::{self, Connection};
use crate::support::process::wait_for;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

const REQUIRED: &str =
    "], client_ca = [\"@clients.pem\"], client_crl = [\"@clients.crl\"], client_certificate = \"required\"";

/// A time in which a connection ends whose certificate has ended, well below the minute between other checks.
const SOON: Duration = Duration::from_secs(30);

/// A proxy that wants certificates of an authority, and that authority.
pub(super) fn start() -> (Secure, Authority) {
    let clients = Authority::new("the authority of clients");
    let write = |_: &Authority, folder: &Path| {
        fs::write(folder.join("clients.pem"), clients.pem()).unwrap();
        fs::write(folder.join("clients.crl"), clients.revocations(&[], 2999)).unwrap();
    };
    let secure = Secure::start_with(REQUIRED, write, "");
    (secure, clients)
}

/// Returns why a client cannot connect. In TLS 1.3 it learns this when it reads.
fn refusal(secure: &Secure, client: &Client) -> Option<String> {
    let mut connection = match client.open(secure.address(), "localhost") {
        Ok(connection) => connection,
        Err(error) => return Some(error.to_string()),
    };
    connection
        .request("GET", super::HELLO, &[("Host", "localhost")], b"")
        .err()
        .map(|error| error.to_string())
}

fn is_refused(secure: &Secure, client: &Client) -> bool {
    refusal(secure, client).is_some()
}

#[test]
fn a_client_without_an_accepted_certificate_does_not_connect() {
    let (secure, clients) = start();
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    assert_eq!(get(&mut secure.open(&alice)), "200");
    let other = Authority::new("the authority of clients");
    for (client, reason) in [
        (secure.authority.trusting(None), "no-certificate"),
        (secure.authority.trusting(Some(&other.client("alice", 7))), "bad-certificate"),
        (secure.authority.trusting(Some(&secure.authority.client("alice", 7))), "bad-certificate"),
    ] {
        let series = format!("scopegate_tls_handshakes_total{{result=\"{reason}\"}}");
        let before = secure.metric(&series);
        assert!(is_refused(&secure, &client));
        secure.counts(&series, before + 1);
    }
    secure.said("reason=\"bad-certificate\"");
}

/// Replaces the revocation list, and waits until it is in effect.
pub(super) fn revoke(secure: &Secure, list: &str) {
    fs::write(secure.path("clients.crl"), list).unwrap();
    secure.hang_up(&secure.configuration(REQUIRED, ""));
}

#[test]
fn a_revoked_certificate_ends_its_connections_and_resumes_no_session() {
    let (secure, clients) = start();
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    let bob = secure.authority.trusting(Some(&clients.client("bob", 8)));
    let (mut idle, mut busy, mut other) = (secure.open(&alice), secure.open(&alice), secure.open(&bob));
    for connection in [&mut idle, &mut busy, &mut other] {
        assert_eq!(get(connection), "200");
    }
    secure.becomes("scopegate_requests_in_flight", 0);
    busy.send(b"PUT /tmp/inbox/running HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab").unwrap();
    secure.becomes("scopegate_requests_in_flight", 1);
    revoke(&secure, &clients.revocations(&[7], 2999));
    assert_eq!(idle.read_to_end().unwrap(), b"", "an idle connection ends");
    busy.send(b"cd").unwrap();
    assert_eq!(busy.read_response("PUT").unwrap().status(), 200, "a running request finishes");
    assert_eq!(busy.read_to_end().unwrap(), b"");
    assert_eq!(get(&mut other), "200", "other clients go on");
    assert!(is_refused(&secure, &alice), "the ticket of a session before does not help");
    assert_eq!(get(&mut secure.open(&bob)), "200");
    secure.said("it is revoked");
}

/// Its handshake goes on with the revocation list that it began with.
#[test]
fn a_certificate_that_is_revoked_during_its_handshake_opens_nothing() {
    let (secure, clients) = start();
    let [alice, bob] = [("alice", 7), ("bob", 8)]
        .map(|(name, number)| secure.authority.trusting(Some(&clients.client(name, number))));
    let begun = [&alice, &bob].map(|client| (client, TcpStream::connect(secure.address()).unwrap()));
    secure.becomes("scopegate_tls_handshakes_running", 2);
    revoke(&secure, &clients.revocations(&[7], 2999));
    let answers = begun.map(|(client, socket)| {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut connection = Connection::over_any(client.connect_over(socket, "localhost").unwrap());
        connection
            .request("GET", super::HELLO, &[("Host", "localhost")], b"")
            .ok()
            .map(|answer| answer.status())
    });
    assert_eq!(answers, [None, Some(200)]);
}

#[test]
fn the_files_alone_revoke_a_certificate() {
    let (secure, clients) = start();
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    let mut idle = secure.open(&alice);
    assert_eq!(get(&mut idle), "200");
    fs::write(secure.path("clients.crl"), clients.revocations(&[7], 2999)).unwrap();
    assert_eq!(idle.read_to_end().unwrap(), b"");
    assert!(is_refused(&secure, &alice));
}

#[test]
fn a_new_authority_ends_the_connections_of_the_old_one() {
    let (secure, clients) = start();
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    let mut idle = secure.open(&alice);
    assert_eq!(get(&mut idle), "200");
    let next = Authority::new("the next authority of clients");
    fs::write(secure.path("clients.pem"), next.pem()).unwrap();
    fs::write(secure.path("clients.crl"), next.revocations(&[], 2999)).unwrap();
    secure.hang_up(&secure.configuration(REQUIRED, ""));
    assert_eq!(idle.read_to_end().unwrap(), b"");
    assert!(is_refused(&secure, &alice));
    let bob = secure.authority.trusting(Some(&next.client("bob", 7)));
    assert_eq!(get(&mut secure.open(&bob)), "200");
}

#[test]
fn demanding_certificates_ends_the_connections_without_one() {
    let (secure, clients) = start();
    secure.hang_up(&secure.configuration(&REQUIRED.replace("required", "optional"), ""));
    let nobody = secure.authority.trusting(None);
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    let (mut without, mut with) = (secure.open(&nobody), secure.open(&alice));
    assert_eq!((get(&mut without), get(&mut with)), ("200".to_owned(), "200".to_owned()));
    secure.hang_up(&secure.configuration(REQUIRED, ""));
    assert_eq!(without.read_to_end().unwrap(), b"");
    assert_eq!(get(&mut with), "200");
    assert!(is_refused(&secure, &nobody), "the ticket of a session before does not help");
}

#[test]
fn a_connection_ends_with_its_certificate() {
    let (secure, clients) = start();
    let usage = rcgen::ExtendedKeyUsagePurpose::ClientAuth;
    let short = clients.issue(&[], usage, |params| {
        params.not_after = (SystemTime::now() + Duration::from_secs(4)).into();
    });
    let mut idle = secure.open(&secure.authority.trusting(Some(&short)));
    assert_eq!(get(&mut idle), "200");
    let start = Instant::now();
    assert_eq!(idle.read_to_end().unwrap(), b"");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(is_refused(&secure, &secure.authority.trusting(Some(&short))));
}

#[test]
fn a_connection_ends_with_the_revocation_list_of_its_certificate() {
    let (secure, clients) = start();
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    let end = SystemTime::now() + Duration::from_secs(8);
    revoke(&secure, &clients.revocations_until(&[], end));
    let mut idle = secure.open(&alice);
    assert_eq!(get(&mut idle), "200");
    let start = Instant::now();
    assert_eq!(idle.read_to_end().unwrap(), b"");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(is_refused(&secure, &alice));
}

#[test]
fn an_outdated_revocation_list_accepts_nobody_and_is_shown() {
    let (secure, clients) = start();
    let alice = secure.authority.trusting(Some(&clients.client("alice", 7)));
    let mut idle = secure.open(&alice);
    assert_eq!(get(&mut idle), "200");
    revoke(&secure, &clients.revocations(&[], 2021));
    assert_eq!(idle.read_to_end().unwrap(), b"");
    assert!(is_refused(&secure, &alice));
    let ready = http::get(secure.proxy.address("admin"), "/readyz").unwrap();
    assert_eq!(ready.status(), 503, "{}", ready.text());
    assert!(ready.text().contains("clients.crl"), "{}", ready.text());
    let file = secure.path("clients.crl");
    let series = format!("scopegate_crl_next_update_timestamp_seconds{{listener=\"door\",file=\"{file}\"}}");
    assert_eq!(secure.metric(&series), 1_609_459_200);
    let mended = wait_for(|| {
        fs::write(&file, clients.revocations(&[], 2999)).unwrap();
        (!is_refused(&secure, &alice)).then_some(())
    });
    assert!(mended.is_some(), "{}", secure.proxy.stderr());
}
