//! Tests of the test harness: a client that misreads responses would make every other test worthless.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::support::{
    http::{self, Connection},
    proxy::Proxy,
    record::Recorder,
    scopegate::scopegate,
};

const EMPTY: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

fn answered(answer: &[u8], method: &str) -> std::io::Result<http::Response> {
    let upstream = Recorder::start(answer);
    http::request(upstream.address(), method, "/", &[], b"")
}

#[test]
fn reads_bodies_by_length_and_by_chunks() {
    let by_length =
        answered(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: 1\r\nx: 2\r\n\r\nbodyrest", "GET").unwrap();
    assert_eq!((by_length.status(), by_length.text().as_str()), (200, "body"));
    assert_eq!(by_length.head.reason, "OK");
    assert_eq!(by_length.head.all("x").collect::<Vec<_>>(), ["1", "2"]);

    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nbod\r\n1\r\ny\r\n0\r\nT: 1\r\n\r\n";
    assert_eq!(answered(chunked, "GET").unwrap().text(), "body");

    let of_head = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HEAD").unwrap();
    assert_eq!((of_head.status(), of_head.body.len()), (200, 0));

    let after_interim = [b"HTTP/1.1 100 Continue\r\n\r\n", EMPTY].concat();
    assert_eq!(answered(&after_interim, "GET").unwrap().status(), 204);
}

#[test]
fn rejects_invalid_responses() {
    for bad in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nyy\r\n",
        b"220 smtp.test\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
    ] {
        let error = answered(bad, "GET").expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{}: {error}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn the_recorder_keeps_the_bytes_of_each_connection() {
    let upstream = Recorder::start(EMPTY);
    assert_eq!((upstream.connections(), upstream.received().len()), (0, 0));

    let address: SocketAddr = upstream.address();
    let mut kept = Connection::open(address).unwrap();
    assert_eq!(kept.request("PUT", "/a", &[("X-Y", "z")], b"body").unwrap().status(), 204);
    assert_eq!(kept.request("GET", "/b", &[("Host", "h")], b"").unwrap().status(), 204);
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_eq!(http::request(address, "POST", "/c", &chunked, b"1\r\nx\r\n0\r\n\r\n").unwrap().status(), 204);

    assert_eq!(upstream.connections(), 2);
    let first = String::from_utf8(upstream.received().swap_remove(0)).unwrap();
    assert_eq!(
        first,
        "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nX-Y: z\r\n\r\nbodyGET /b HTTP/1.1\r\nHost: h\r\n\r\n"
    );
}

#[test]
fn supports_unix_sockets_and_half_closed_connections() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let mut connection = Connection::open_unix(&path).unwrap();
    connection.send(b"any bytes").unwrap();
    connection.set_read_timeout(Duration::from_millis(1)).unwrap();
    let waiting = connection.read_head().expect_err("an answer before the end of the question");
    assert!(matches!(waiting.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waiting}");
    connection.set_read_timeout(Duration::from_mins(1)).unwrap();
    connection.end_sending().unwrap();
    assert_eq!(connection.read_to_end().unwrap(), b"any bytes");
    server.join().unwrap();
}

/// Creates a shell script that takes the role of the proxy.
fn script(folder: &TempDir, body: &str) -> PathBuf {
    let path = folder.path().join("script");
    // A separate process writes the script. If another test starts a child while this process has the file open for
    // writing, running the script fails with "text file busy".
    let written = Command::new("sh")
        .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#])
        .args([path.as_os_str(), body.as_ref()])
        .status()
        .unwrap();
    assert!(written.success(), "{written}");
    path
}

#[test]
fn starts_finds_and_stops_a_proxy() {
    let folder = TempDir::new().unwrap();
    let stand_in = script(
        &folder,
        r#"[ "$1" = serve ] && [ "$2" = --config ] && cat "$3" >&2
        trap 'echo "ended, $SECRET" >&2; exit 3' TERM
        echo 'INFO listening name=one address=127.0.0.1:4711' >&2
        echo 'INFO listening name=admin address=[::1]:4712' >&2
        while :; do sleep 0.01; done"#,
    );
    let config = "# the configuration\n[[listener]]\n[admin]\n";
    let proxy = Proxy::start_binary(&stand_in, config, &[("SECRET", "of the test")]);
    assert_eq!(proxy.address("one"), "127.0.0.1:4711".parse().unwrap());
    assert_eq!(proxy.address("admin"), "[::1]:4712".parse().unwrap());
    assert!(proxy.stderr().starts_with("# the configuration\n"), "{}", proxy.stderr());
    let (code, stderr) = proxy.terminate();
    assert_eq!(code, Some(3));
    assert!(stderr.ends_with("ended, of the test\n"), "{stderr}");
}

#[test]
#[should_panic(expected = "does not listen; its stderr:\nwhy it does not\n")]
fn shows_the_log_of_a_proxy_that_does_not_start() {
    let folder = TempDir::new().unwrap();
    let stand_in = script(&folder, "echo 'why it does not' >&2; exit 78");
    Proxy::start_binary(&stand_in, "[[listener]]", &[]);
}

#[test]
#[should_panic(expected = "scopegate serve does not listen")]
fn the_real_proxy_does_not_start_without_a_configuration() {
    Proxy::start("# nothing\n[[listener]]", &[]);
}

#[test]
fn runs_other_commands_to_completion() {
    let output = scopegate(&["--help"], &[], b"what no one reads");
    assert!(output.status.success(), "{output:?}");
}

/// Every test searches the output of its proxy for secrets. This test shows that the search works.
#[test]
fn a_secret_that_a_proxy_writes_fails_the_test() {
    let folder = TempDir::new().unwrap();
    let stand_in = script(
        &folder,
        r#"echo "INFO listening name=one address=127.0.0.1:4711 $WORDS" >&2
        while :; do sleep 0.01; done"#,
    );
    let run = |words: &str| {
        let env = [("ISSUER_SECRET", "hush-hush"), ("WORDS", words)];
        let proxy = Proxy::start_binary(&stand_in, "[[listener]]\n", &env);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(proxy))).is_ok()
    };
    assert!(run("nothing"));
    for found in [
        "a hush-hush b",
        "x-amz-security-token: eyJhbGciOi",
        "x.eyJzdWIiOiJh.y",
        "AWS4-HMAC-SHA256 Credential=K/2",
    ] {
        assert!(!run(found), "{found}");
    }
}

/// Collects the source of every test.
fn sources(folder: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn threats_name_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let threats = std::fs::read_to_string(root.join("THREATS.md")).unwrap();
    let mut code = String::new();
    for folder in ["src", "crates", "tests"] {
        sources(&root.join(folder), &mut code);
    }
    let mut named = 0;
    for line in threats.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what")) {
        let tests = line.trim_end_matches('|').rsplit('|').next().unwrap();
        let quoted: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!quoted.is_empty(), "the line names no test: {line}");
        for name in quoted {
            assert!(code.contains(&format!("fn {name}(")), "THREATS.md names {name}, which is not a test");
            named += 1;
        }
    }
    assert!(named > 30, "{named} names were found");
}

/// Collects the paths of the files and folders below `folder`.
fn paths(folder: &std::path::Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            paths(&path, into);
        }
        into.push(path);
    }
}

#[test]
fn pages_for_contributors_name_files_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, least) in [("ARCHITECTURE.md", 10), ("THREATS.md", 60), ("docs/testing.md", 4)] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        let is_path = |name: &&str| {
            let ending = std::path::Path::new(name).extension();
            name.ends_with('/') || ending.is_some_and(|ending| ending == "rs")
        };
        let named: Vec<&str> = quoted.filter(is_path).collect();
        for name in &named {
            let exists = root.join(name).exists() || root.join("src").join(name).exists();
            assert!(exists, "{page} names {name}, which is neither in the repository nor in src");
        }
        assert!(named.len() >= least, "{} paths were found in {page}", named.len());
    }
}

#[test]
fn each_word_of_the_product_is_the_name_of_a_file() {
    let mut files = Vec::new();
    paths(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for word in ["client", "matcher", "scope", "mapping", "mount", "mint", "session", "store", "refusal"] {
        assert!(
            files.iter().any(|file| file.file_stem().unwrap() == word),
            "no file is named after {word:?}"
        );
    }
}
