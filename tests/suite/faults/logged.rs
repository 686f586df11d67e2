//! The access log of requests that fail in part, or whose client leaves.

use super::{Fixture, answers};
use crate::support::faults::Step;
use crate::support::http::{Connection, request_bytes};
use crate::support::process::wait_for;
use std::fmt::Write;

/// Waits for the line of the access log with this operation and status.
fn line(fixture: &Fixture, operation: &str, status: u16) -> String {
    let (operation, status) = (format!(" operation={operation:?} "), format!(" status={status} "));
    let found = || {
        let log = fixture.proxy.stderr();
        log.lines().find(|line| line.contains(&operation) && line.contains(&status)).map(str::to_owned)
    };
    wait_for(found)
        .unwrap_or_else(|| panic!("no line with{operation}and{status}in {}", fixture.proxy.stderr()))
}

/// The first keys are deleted, and the store breaks off at the last one.
#[test]
fn a_deletion_that_fails_in_part_logs_the_cause() {
    let fixture = Fixture::start();
    let mut document = "<Delete>".to_owned();
    for key in 0..26 {
        write!(document, "<Object><Key>inbox/{key:060}</Key></Object>").unwrap();
    }
    document.push_str("</Delete>");
    let result = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<DeleteResult/>";
    // The document of one key has some hundred bytes, that of 25 keys has more than 2000.
    let last = Step::When("\r\ncontent-length: 1", vec![Step::Body, Step::Reset]);
    let script = [&[Step::Head, last], &answers(result)[1..]].concat();
    fixture.store.play(script);
    let mut connection = Connection::open(fixture.proxy.address("all")).unwrap();
    let answer = connection.request("POST", "/tmp?delete", &[], document.as_bytes()).unwrap();
    assert_eq!((answer.status(), answer.text().matches("<Error>").count()), (200, 1), "{}", answer.text());
    let line = line(&fixture, "DeleteObjects", 200);
    assert!(line.contains(" error="), "{line}");
    drop(connection);
    fixture.finish();
}

#[test]
fn a_list_whose_client_leaves_logs_what_was_asked() {
    let fixture = Fixture::start();
    fixture.store.play(vec![Step::Head, Step::Stall]);
    let before = fixture.store.requests();
    let mut connection = Connection::open(fixture.proxy.address("all")).unwrap();
    connection.send(&request_bytes("GET", "/tmp/inbox/b/", &[("Accept", "text/html")], b"")).unwrap();
    assert!(wait_for(|| (fixture.store.requests() > before).then_some(())).is_some());
    connection.reset();
    let line = line(&fixture, "ListObjectsV2", 0);
    for field in [" prefix=\"inbox/b/\" ", " mapping=\"all\" ", " path=\"/tmp/inbox/b/\" "] {
        assert!(line.contains(field), "{field} in {line}");
    }
    fixture.finish();
}
