//! Real clients over TLS.

use super::{ONE, SCOPES, Secure, ask, configuration, get, run};
use crate::support::authority::Authority;
use crate::support::process::wait_for;
use crate::support::world::start;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn curl_reads_and_writes_over_each_version_of_tls() {
    let secure = Secure::start(ONE);
    let url = format!("https://localhost:{}", secure.address().port());
    let authority = secure.path("ca.pem");
    for (most, version) in [("1.2", "1.2"), ("1.3", "1.3")] {
        let curl = |arguments: &[&str]| {
            run("curl", &[&["-sS", "--cacert", &authority, "--tls-max", most], arguments].concat())
        };
        let got = curl(&["-w", " %{http_code}", &format!("{url}/tmp/media/hello.txt")]);
        assert_eq!(
            got,
            (Some(0), "hello, media\n 200".to_owned(), String::new()),
            "{}",
            secure.proxy.stderr()
        );
        let large = secure.path("large");
        let bytes: Vec<u8> = (0..3_000_001_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&large, &bytes).unwrap();
        let target = format!("{url}/tmp/inbox/large-{version}");
        let put = curl(&["-T", &large, "-o", "/dev/null", "-w", "%{http_code}", &target]);
        assert_eq!((put.0, &*put.1), (Some(0), "200"), "{put:?}");
        let back = secure.path("back");
        assert_eq!(curl(&["-o", &back, &target]).0, Some(0));
        assert!(fs::read(&back).unwrap() == bytes, "the object is not what was sent over TLS {version}");
        secure.said(&format!("tls=\"{version}\""));
        let series = format!("scopegate_tls_connections_total{{version=\"{version}\",resumed=\"false\"}}");
        assert!(secure.metric(&series) >= 1);
    }
    let old = run(
        "curl",
        &["-sS", "--cacert", &authority, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &url],
    );
    assert_eq!(old.0, Some(35), "{old:?}");
    // OpenSSL offers no secure cipher suite with TLS 1.1.
    let series = "scopegate_tls_handshakes_total{result=\"cipher\"}";
    assert_eq!(secure.metric(series), 1, "{}", secure.proxy.stderr());
}

#[test]
fn http2_is_chosen_in_the_handshake() {
    let secure = Secure::start(ONE);
    let url = format!("https://localhost:{}/tmp/media/hello.txt", secure.address().port());
    let authority = secure.path("ca.pem");
    for (offered, spoken) in [("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")] {
        let curl = ["-sS", "--cacert", &authority, offered, "-w", " %{http_version}", &url];
        let got = run("curl", &curl);
        assert_eq!(
            got,
            (Some(0), format!("hello, media\n {spoken}"), String::new()),
            "{}",
            secure.proxy.stderr()
        );
    }
    secure.said("protocol=\"HTTP/2.0\"");
    let unknown = secure.authority.trusting(None).offering(&[b"spdy/3"]);
    assert!(unknown.open(secure.address(), "localhost").is_err());
    secure.counts("scopegate_tls_handshakes_total{result=\"alpn\"}", 1);
    let without = format!("{ONE}, http2 = false");
    secure.hang_up(&secure.configuration(&without, ""));
    let got = run("curl", &["-sS", "--cacert", &authority, "--http2", "-w", " %{http_version}", &url]);
    assert_eq!(got.1, "hello, media\n 1.1");
}

#[test]
fn sessions_are_resumed() {
    let secure = Secure::start(ONE);
    let client = secure.authority.trusting(None);
    for resumed in [0, 1, 2] {
        let mut connection = secure.open(&client);
        assert_eq!(get(&mut connection), "200");
        let series = "scopegate_tls_connections_total{version=\"1.3\",resumed=\"true\"}";
        assert_eq!(secure.metric(series), resumed);
    }
    let (port, file, authority) = (secure.address().port(), secure.path("session"), secure.path("ca.pem"));
    let script = format!(
        "openssl s_client -tls1_2 -connect localhost:{port} -CAfile {authority} \"$@\" </dev/null 2>&1 | grep -E '^(New|Reused),'"
    );
    let openssl = |more: &[&str]| run("sh", &[&["-c", &script, "sh"], more].concat()).1;
    assert!(openssl(&["-sess_out", &file]).starts_with("New, "));
    assert!(openssl(&["-sess_in", &file]).starts_with("Reused, "));
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_the_client_asks_for() {
    let more = ", { chain = \"@two.crt\", key = \"@two.key\" }]";
    let write = |authority: &Authority, folder: &Path| {
        authority.server(&["two.test", "*.two.test"]).write(folder, "two");
    };
    let secure = Secure::start_with(more, write, "");
    for (name, shown) in [
        ("one.test", "one.test"),
        ("two.test", "two.test"),
        ("a.two.test", "two.test"),
        ("other.test", "one.test"),
    ] {
        let port = secure.address().port();
        let script = format!(
            "openssl s_client -connect 127.0.0.1:{port} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
        );
        let (_, names, _) = run("sh", &["-c", &script]);
        assert!(names.contains(&format!("DNS:{shown}")), "{name}: {names}");
    }
}

#[test]
fn the_aws_cli_and_python_use_it() {
    let secure = Secure::start(ONE);
    let url = format!("https://localhost:{}", secure.address().port());
    let aws = Command::new("aws")
        .args(["--endpoint-url", &url, "--ca-bundle", &secure.path("ca.pem"), "--no-sign-request"])
        .args(["s3", "cp", "s3://tmp/media/hello.txt", "-"])
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&aws.stderr).into_owned();
    assert_eq!(
        (String::from_utf8_lossy(&aws.stdout).as_ref(), &*said),
        ("hello, media\n", ""),
        "{}",
        secure.proxy.stderr()
    );
    let script = "import ssl, sys, urllib.request\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        print(urllib.request.urlopen(sys.argv[2] + '/tmp/media/hello.txt', context=context).read())";
    let (code, out, err) = run("python3", &["-c", script, &secure.path("ca.pem"), &url]);
    assert_eq!((code, &*out, &*err), (Some(0), "b'hello, media\\n'\n", ""));
}

#[test]
fn a_unix_socket_speaks_tls() {
    let mut secure = Secure::start(ONE);
    let socket = secure.path("s3.sock");
    let text =
        secure.configuration(ONE, "").replacen("127.0.0.1:0\"\ntls", &format!("unix:{socket}\"\ntls"), 1);
    let text = text.replace("network = \"127.0.0.0/8\", ", "");
    secure.proxy = start(&text, &secure.issuer);
    let authority = secure.path("ca.pem");
    let url = "https://localhost/tmp/media/hello.txt";
    let got = run("curl", &["-sS", "--cacert", &authority, "--unix-socket", &socket, url]);
    assert_eq!(got, (Some(0), "hello, media\n".to_owned(), String::new()), "{}", secure.proxy.stderr());
}

#[test]
fn uploads_name_their_location_with_https() {
    let secure = Secure::start(ONE);
    let mut connection = secure.open(&secure.authority.trusting(None));
    let begun =
        connection.request("POST", "/tmp/inbox/parts?uploads", &[("Host", "localhost")], b"").unwrap();
    let id = begun.element("UploadId").unwrap();
    let target = format!("/tmp/inbox/parts?partNumber=1&uploadId={id}");
    let part = connection.request("PUT", &target, &[("Host", "localhost")], b"part").unwrap();
    let tag = part.header("etag").unwrap();
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    );
    let target = format!("/tmp/inbox/parts?uploadId={id}");
    let done = connection.request("POST", &target, &[("Host", "localhost:7")], document.as_bytes()).unwrap();
    assert_eq!(
        done.element("Location").as_deref(),
        Some("https://localhost:7/tmp/inbox/parts"),
        "{}",
        done.text()
    );
}

/// The server sees the end of a client's sending side, and finishes its response.
#[test]
fn running_requests_finish_when_the_server_stops() {
    let secure = Secure::start(ONE);
    let client = secure.authority.trusting(None);
    let (mut idle, mut busy) = (secure.open(&client), secure.open(&client));
    assert_eq!((get(&mut idle), get(&mut busy)), ("200".to_owned(), "200".to_owned()));
    secure.becomes("scopegate_requests_in_flight", 0);
    busy.send(b"PUT /tmp/inbox/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab").unwrap();
    secure.becomes("scopegate_requests_in_flight", 1);
    secure.proxy.signal("TERM");
    secure.said("shutting down");
    assert_eq!(idle.read_to_end().unwrap(), b"", "an idle connection ends with close_notify");
    busy.send(b"cd").unwrap();
    assert_eq!(busy.read_response("PUT").unwrap().status(), 200);
    assert_eq!(busy.read_to_end().unwrap(), b"");
    let stopped = wait_for(|| secure.proxy.stderr().contains("stopped").then_some(()));
    assert!(
        stopped.is_some() && secure.proxy.stderr().contains("cut_short=false"),
        "{}",
        secure.proxy.stderr()
    );
}

#[test]
fn a_request_that_expects_100_continue_gets_it() {
    let secure = Secure::start(ONE);
    let mut connection = secure.open(&secure.authority.trusting(None));
    let head = "PUT /tmp/inbox/expected HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 100);
    connection.send(b"body").unwrap();
    assert_eq!(connection.read_response("PUT").unwrap().status(), 200);
    assert_eq!(ask(&mut connection, "GET", "/tmp/inbox/expected", "localhost"), "200");
}

/// The TLS of a listener does not change which clients match.
#[test]
fn scopes_hold_over_tls() {
    let secure = Secure::start(ONE);
    let mut connection = secure.open(&secure.authority.trusting(None));
    assert_eq!(SCOPES.len(), 2);
    assert_eq!(
        ask(&mut connection, "GET", "/tmp/other/secret.txt", "localhost"),
        "403 AccessDenied outside-scope"
    );
    assert!(configuration(secure.minio.address, secure.folder.path(), &secure.more, "").contains("one.crt"));
}
