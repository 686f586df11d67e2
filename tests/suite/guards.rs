//! Requests that a browser can be tricked into: unknown hosts and other sites are refused on every listener,
//! including the admin listener.

use crate::support::http::{self, Connection, Response};
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::world::{config, corner, outcome};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

const ENV: [(&str, &str); 2] = [("ISSUER_KEY", "issuer"), ("ISSUER_SECRET", "not-for-the-log")];
const READER: &[(&str, &str, &str)] = &[("tmp", "media/", "read")];

/// The outcome of a request that passes the guards. It needs no store.
const PASSED: &str = "403 AccessDenied outside-scope";
const FOREIGN: &str = "403 AccessDenied foreign-host";
const CROSS_SITE: &str = "403 AccessDenied cross-site";

/// Returns a configuration with listeners on loopback, on all addresses, and on a unix socket at `socket`.
fn everywhere(socket: &Path, of_listeners: &str) -> String {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let corners = [corner("loopback", READER), corner("public", READER), corner("unix", READER)];
    let text = config(nobody, nobody, &corners, "");
    let (head, rest) = text.split_once("[[listener]]\nname = \"public\"\naddress = \"127.0.0.1:0\"").unwrap();
    let text = format!("{head}[[listener]]\nname = \"public\"\naddress = \"0.0.0.0:0\"{rest}");
    let unix = format!("name = \"unix\"\naddress = \"unix:{}\"", socket.display());
    text.replace("name = \"unix\"\naddress = \"127.0.0.1:0\"", &unix)
        .replace("network = \"127.0.0.0/8\", listener = \"unix\"", "listener = \"unix\"")
        .replace("[[listener]]\n", &format!("[[listener]]\n{of_listeners}"))
}

fn open(proxy: &Proxy, socket: &Path, listener: &str) -> Connection {
    if listener == "unix" {
        return Connection::open_unix(socket).unwrap();
    }
    let address = proxy.address(listener);
    Connection::open(SocketAddr::from(([127, 0, 0, 1], address.port()))).unwrap()
}

#[test]
fn every_listener_refuses_unknown_hosts_and_other_sites() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("s3.sock");
    let proxy = Proxy::start(&everywhere(&socket, ""), &ENV);
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("Host", "127.0.0.1:8080")], PASSED),
        (&[("Host", "localhost")], PASSED),
        (&[("Host", "10.0.0.7:8080")], PASSED),
        (&[("Host", "s3.example.test")], FOREIGN),
        (&[("Host", "0.0.0.0")], FOREIGN),
        (&[("Host", "10.0.0.7"), ("Origin", "http://evil.test")], CROSS_SITE),
        (&[("Host", "10.0.0.7"), ("Referer", "http://evil.test/")], CROSS_SITE),
        (&[("Host", "10.0.0.7"), ("Sec-Fetch-Site", "cross-site")], CROSS_SITE),
    ];
    for listener in ["loopback", "public", "unix"] {
        for (headers, expected) in cases {
            let answer = open(&proxy, &socket, listener).request("GET", "/tmp/other", headers, b"").unwrap();
            assert_eq!(outcome(&answer), expected, "{listener} {headers:?}");
        }
    }
    proxy.reload(&everywhere(&socket, "hosts = [\"s3.example.test\"]\n"));
    for listener in ["loopback", "public", "unix"] {
        let named = || {
            let host = [("Host", "s3.example.test:8080")];
            let answer = open(&proxy, &socket, listener).request("GET", "/tmp/other", &host, b"").unwrap();
            (outcome(&answer) == PASSED).then_some(())
        };
        assert!(wait_for(named).is_some(), "{listener}: the name is configured now");
        let host = [("Host", "evil.test")];
        let answer = open(&proxy, &socket, listener).request("GET", "/tmp/other", &host, b"").unwrap();
        assert_eq!(outcome(&answer), FOREIGN, "{listener}");
    }
}

#[test]
fn the_admin_listener_has_the_same_guards() {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let text = config(nobody, nobody, &[corner("reader", READER)], "");
    let proxy = Proxy::start(&text, &ENV);
    let ask = |path: &str, headers: &[(&str, &str)]| -> Response {
        http::request(proxy.address("admin"), "GET", path, headers, b"").unwrap()
    };
    for path in ["/metrics", "/readyz", "/livez", "/status", "/status.json", "/"] {
        for headers in [
            &[("Host", "evil.test")][..],
            &[("Host", "metrics.example.test")],
            &[("Host", "0.0.0.0")],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script")],
            &[("Origin", "http://evil.test")],
            &[("Origin", "null")],
            &[("Referer", "http://evil.test/")],
            &[("Service-Worker", "script")],
        ] {
            let answer = ask(path, headers);
            assert_eq!(answer.status(), 403, "{path} {headers:?}: {}", answer.text());
            assert!(
                !answer.text().contains("scopegate_") && !answer.text().contains("uptime"),
                "{}",
                answer.text()
            );
        }
    }
    // A kubelet and Prometheus use the pod's address.
    for host in ["10.1.2.3:9180", "[fd00::7]:9180", "localhost:9180"] {
        let answer = ask("/metrics", &[("Host", host), ("User-Agent", "kube-probe/1.31")]);
        assert_eq!(
            (answer.status(), answer.header("x-content-type-options")),
            (200, Some("nosniff")),
            "{host}"
        );
        assert_eq!(ask("/livez", &[("Host", host)]).status(), 200, "{host}");
    }
    for (sent, status) in [
        ("GET /livez HTTP/1.0\r\n\r\n", 200),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n", 400),
        ("GET http://evil.test/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        ("GET /metrics HTTP/1.1\r\nHost: local host\r\n\r\n", 400),
    ] {
        let mut connection = Connection::open(proxy.address("admin")).unwrap();
        connection.send(sent.as_bytes()).unwrap();
        assert_eq!(connection.read_response("GET").unwrap().status(), status, "{sent:?}");
    }
    let refused = ask("/metrics", &[("Host", "metrics.example.test")]).text();
    assert!(refused.contains("\"metrics.example.test\"") && refused.contains("hosts"), "{refused}");
    let posted = http::request(proxy.address("admin"), "POST", "/metrics", &[], b"").unwrap();
    assert_eq!((posted.status(), posted.header("allow")), (405, Some("GET, HEAD")));
    proxy.reload(&text.replace("[admin]\n", "[admin]\nhosts = [\"metrics.example.test\"]\n"));
    let named = || (ask("/metrics", &[("Host", "metrics.example.test:9180")]).status() == 200).then_some(());
    assert!(wait_for(named).is_some(), "the name is configured now");
    assert_eq!(ask("/metrics", &[("Host", "evil.test")]).status(), 403);
}

#[test]
fn check_names_listeners_without_hosts() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = scopegate(&["check", "--config", file.to_str().unwrap()], &ENV, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let note = "clients reach it by an address alone";
    let text = everywhere(&folder.path().join("s3.sock"), "");
    let said = check(&text);
    assert_eq!(said.matches(note).count(), 1, "{said}");
    let (_, after) = said.split_once("listener \"public\" on 0.0.0.0:0\n").unwrap();
    assert!(after.trim_start().starts_with("note: it has no hosts"), "{said}");
    let admin = text.replace("[admin]\naddress = \"127.0.0.1:0\"", "[admin]\naddress = \"0.0.0.0:0\"");
    assert_eq!(check(&admin).matches(note).count(), 2);
    let named = everywhere(&folder.path().join("s3.sock"), "hosts = [\"s3.example.test\"]\n");
    assert_eq!(check(&named).matches(note).count(), 0);
}
