//! Streamed lists: how much memory they take, and how they end early. The stores here are not MinIO, because these
//! lists do not occur in a real store.

use super::ALL;
use crate::support::http::{self, Connection};
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::record::Recorder;
use crate::support::world::{config, corner, start};
use aws_smithy_types::base64;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// The second page never arrives completely. The client notices by the broken connection.
#[test]
fn an_incomplete_list_is_visibly_incomplete() {
    let (minio, issuer) = Minio::start_seeded();
    let token = base64::encode("media/a");
    let page = format!(
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>\
         <Contents><Key>media/a</Key><Size>1</Size></Contents></ListBucketResult>"
    );
    // A store that sends the same token again, in a circle.
    let upstream = Recorder::start(
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len()).as_bytes(),
    );
    let proxy = start(&config(upstream.address(), minio.address, &[corner("all", ALL)], ""), &issuer);
    for form in ["json", "text"] {
        let mut connection = Connection::open(proxy.address("all")).unwrap();
        let request = format!("GET /tmp/media/?format={form} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.send(request.as_bytes()).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")));
        let mut body = Vec::new();
        let error = connection.read_body("GET", &head, &mut body).expect_err("the list is not whole");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
        assert!(
            String::from_utf8_lossy(&body).contains("  a\n")
                || String::from_utf8_lossy(&body).contains("\"a\"")
        );
    }
    let (_, log) = proxy.terminate();
    assert_eq!(log.matches("the store did not answer with a list").count(), 2, "{log}");
}

/// No pages are requested after the client has left.
#[test]
fn a_list_without_a_reader_is_not_requested() {
    let (minio, issuer) = Minio::start_seeded();
    let (upstream, asked) = long(u64::MAX);
    let proxy = start(&config(upstream, minio.address, &[corner("all", ALL)], ""), &issuer);
    let mut connection = Connection::open(proxy.address("all")).unwrap();
    connection.send(b"GET /tmp/media/?format=text HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(connection.read_head().unwrap().status, 200);
    drop(connection);
    let left = || {
        let metrics = http::get(proxy.address("admin"), "/metrics").unwrap().text();
        metrics.contains("scopegate_requests_in_flight 0\n").then_some(())
    };
    assert!(wait_for(left).is_some(), "the request continues without its client");
    let (_, log) = proxy.terminate();
    let pages = asked.recv_timeout(Duration::from_mins(1)).expect("the connection to the store ends");
    assert!(pages < 50, "{pages} pages were asked for, which nobody read");
    assert!(log.contains("the client disconnected"), "{log}");
}

/// The memory for a list does not depend on its length.
#[test]
fn a_long_list_takes_no_more_memory_than_a_short_one() {
    let (minio, issuer) = Minio::start_seeded();
    let peak = |pages: u64| {
        let (upstream, _asked) = long(pages);
        let more = "[limits]\nworkers = 1\n";
        let proxy = start(&config(upstream, minio.address, &[corner("all", ALL)], more), &issuer);
        let list = http::get(proxy.address("all"), "/tmp/media/?format=text").unwrap();
        assert_eq!(list.text().lines().count() as u64, pages * 1000);
        let status = fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let (short, long) = (peak(3), peak(90));
    assert!(long < short + 16 * 1024, "{short} KiB for 3 pages of a megabyte, {long} KiB for 90");
}

/// Starts a store whose lists have this many pages of a thousand names of 900 bytes. It reports the number of requested
/// pages when a connection ends before the last.
pub(super) fn long(pages: u64) -> (SocketAddr, Receiver<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut page = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            // A request ends with an empty line.
            while lines
                .by_ref()
                .find(|line| !line.as_ref().is_ok_and(|line| !line.is_empty()))
                .is_some_and(|end| end.is_ok())
            {
                page += 1;
                if stream.write_all(&long_page(page, page % pages != 0)).is_err() {
                    break;
                }
            }
            let _the_test_is_over = sender.send(page);
        }
    });
    (address, receiver)
}

fn long_page(page: u64, is_truncated: bool) -> Vec<u8> {
    let mut body = format!("<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>");
    let token = base64::encode(format!("media/{page:06}"));
    let _ = write!(body, "<NextContinuationToken>{token}</NextContinuationToken>");
    for number in 0..1000 {
        let _ = write!(body, "<Contents><Key>media/{page:06}{number:0>894}</Key><Size>1</Size></Contents>");
    }
    body += "</ListBucketResult>";
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
