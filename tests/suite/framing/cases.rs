//! Raw messages, the expected responses, and the expected requests to the store.

/// One or several messages on one connection.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) sent: Vec<u8>,
    /// The status of every response.
    pub(super) statuses: Vec<u16>,
    /// `METHOD target [body]` of every request to the store.
    pub(super) forwarded: Vec<String>,
}

impl Case {
    /// Returns the method for which responses are parsed.
    pub(super) fn method(&self) -> &'static str {
        if self.sent.starts_with(b"HEAD ") { "HEAD" } else { "GET" }
    }
}

/// Responses after which the beginning of the next request is unknown.
pub(super) const CLOSING: [u16; 5] = [408, 414, 417, 431, 505];

const GET_A: &str = "GET /tmp/media/a []";
const PUT_A: &str = "PUT /tmp/media/a [hello]";

/// Returns all cases.
pub(super) fn cases() -> Vec<Case> {
    [request_lines(), targets(), hosts(), fields(), lengths(), codings(), chunks(), pipelines()].concat()
}

impl Clone for Case {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            sent: self.sent.clone(),
            statuses: self.statuses.clone(),
            forwarded: self.forwarded.clone(),
        }
    }
}

fn case(name: &'static str, sent: impl AsRef<[u8]>, statuses: &[u16], forwarded: &[&str]) -> Case {
    let forwarded = forwarded.iter().map(ToString::to_string).collect();
    Case { name, sent: sent.as_ref().to_vec(), statuses: statuses.to_vec(), forwarded }
}

fn forwarded(name: &'static str, sent: impl AsRef<[u8]>, as_request: &str) -> Case {
    case(name, sent, &[200], &[as_request])
}

fn refused(name: &'static str, sent: impl AsRef<[u8]>, status: u16) -> Case {
    case(name, sent, &[status], &[])
}

fn request_lines() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\n\r\n");
    let mut cases = vec![
        forwarded("a plain request", line("GET /tmp/media/a HTTP/1.1"), GET_A),
        forwarded("an empty line before it", ["\r\n", &line("GET /tmp/media/a HTTP/1.1")].concat(), GET_A),
        forwarded("HTTP/1.0", "GET /tmp/media/a HTTP/1.0\r\n\r\n", GET_A),
        refused("LF without CR", "GET /tmp/media/a HTTP/1.1\nHost: localhost\n\n", 400),
        refused("LF in one line", "GET /tmp/media/a HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400),
        refused("CR without LF", "GET /tmp/media/a HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n", 400),
        refused("a NUL", line("GET /tmp/media/a\0 HTTP/1.1"), 400),
    ];
    for (name, text, status) in [
        ("a tab between", "GET\t/tmp/media/a\tHTTP/1.1", 400),
        ("two blanks", "GET  /tmp/media/a HTTP/1.1", 400),
        ("two blanks before the version", "GET /tmp/media/a  HTTP/1.1", 400),
        ("a blank at the end", "GET /tmp/media/a HTTP/1.1 ", 400),
        ("a blank at the start", " GET /tmp/media/a HTTP/1.1", 400),
        ("no version", "GET /tmp/media/a", 400),
        ("no target", "GET HTTP/1.1", 400),
        ("a version in lower case", "GET /tmp/media/a http/1.1", 400),
        ("HTTP/1.2", "GET /tmp/media/a HTTP/1.2", 505),
        ("HTTP/2.0", "GET /tmp/media/a HTTP/2.0", 505),
        ("HTTP/0.9", "GET /tmp/media/a HTTP/0.9", 505),
        ("HTTP/1.1x", "GET /tmp/media/a HTTP/1.1x", 400),
        ("HTTP/01.1", "GET /tmp/media/a HTTP/01.1", 400),
        ("a method with a bracket", "G(T /tmp/media/a HTTP/1.1", 400),
        ("a method in lower case", "get /tmp/media/a HTTP/1.1", 405),
        ("TRACE", "TRACE /tmp/media/a HTTP/1.1", 405),
        ("CONNECT", "CONNECT localhost:9000 HTTP/1.1", 501),
        ("CONNECT with a path", "CONNECT /tmp/media/a HTTP/1.1", 405),
    ] {
        cases.push(refused(name, line(text), status));
    }
    cases
}

fn targets() -> Vec<Case> {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut cases = vec![
        forwarded("the absolute form", get("http://localhost/tmp/media/a"), GET_A),
        forwarded("the absolute form with a port", get("http://localhost:80/tmp/media/a"), GET_A),
        forwarded(
            "the absolute form, whose host takes precedence",
            "GET http://localhost/tmp/media/a HTTP/1.1\r\nHost: evil.test\r\n\r\n",
            GET_A,
        ),
        refused(
            "the absolute form with a foreign host",
            "GET http://evil.test/tmp/media/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
            403,
        ),
        forwarded("letters of any language", get("/tmp/media/ü"), "GET /tmp/media/%C3%BC []"),
        forwarded("an escape that needs none", get("/tmp/media/%61"), GET_A),
        forwarded("two slashes at the beginning", get("//tmp/media/a"), GET_A),
        forwarded("an escaped slash", get("/tmp%2fmedia%2Fa"), GET_A),
        forwarded(
            "marks that need no encoding",
            get("/tmp/media/!$&'()*+,;=:@"),
            "GET /tmp/media/%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40 []",
        ),
        forwarded("an escape of an escape", get("/tmp/media/%2561"), "GET /tmp/media/%2561 []"),
    ];
    for (name, target) in [
        ("a target without a slash", "tmp/media/a"),
        ("a bang", "!"),
        ("an asterisk", "*"),
        ("host and port", "localhost:80"),
        ("an unknown scheme", "ftp://localhost/tmp/media/a"),
        ("a URL without a host", "http:///tmp/media/a"),
        ("a URL with a user", "http://user@localhost/tmp/media/a"),
        ("a fragment", "/tmp/media/a#b"),
        ("a backslash", "/tmp/media\\a"),
        ("a quote", "/tmp/media/\"a"),
        ("a bracket", "/tmp/media/<a>"),
        ("a brace", "/tmp/media/{a}"),
        ("a bar", "/tmp/media/a|b"),
        ("half an escape", "/tmp/media/%6"),
        ("no escape", "/tmp/media/%zz"),
        ("an escaped NUL", "/tmp/media/a%00"),
        ("a parent", "/tmp/media/../media/a"),
        ("an escaped parent", "/tmp/media/%2e%2e/media/a"),
        ("an overlong parent", "/tmp/media/%c0%ae%c0%ae/a"),
        ("two slashes before the key", "/tmp//media/a"),
    ] {
        cases.push(refused(name, get(target), 400));
    }
    cases.push(refused("a control character", get("/tmp/media/a\u{1}"), 400));
    cases.push(refused("not UTF-8", b"GET /tmp/media/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400));
    cases.push(refused("64 KiB", get(&format!("/tmp/media/{}", "a".repeat(64 * 1024))), 414));
    cases
}

fn hosts() -> Vec<Case> {
    let with = |fields: &str| format!("GET /tmp/media/a HTTP/1.1\r\n{fields}\r\n");
    let mut cases = Vec::new();
    for host in [
        "localhost",
        "localhost:8080",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]:80",
        "tmp.localhost",
        "localhost:",
        // An address cannot be rebound, as a name can.
        "10.0.0.1",
        "[2001:db8::1]:80",
    ] {
        cases.push(forwarded("a good host", with(&format!("Host: {host}\r\n")), GET_A));
    }
    for (name, fields) in [
        ("no host", ""),
        ("an empty host", "Host:\r\n"),
        ("a host twice", "Host: localhost\r\nHost: localhost\r\n"),
        ("two hosts", "Host: localhost\r\nhost: evil.test\r\n"),
        ("a list of hosts", "Host: localhost, localhost\r\n"),
        ("a host with a blank", "Host: local host\r\n"),
        ("a host with a user", "Host: user@localhost\r\n"),
        ("a host with a path", "Host: localhost/a\r\n"),
        ("a host with a scheme", "Host: http://localhost\r\n"),
        ("a host with two ports", "Host: localhost:80:80\r\n"),
        ("a port with a sign", "Host: localhost:+80\r\n"),
        ("a port too large", "Host: localhost:65536\r\n"),
        ("a port of letters", "Host: localhost:http\r\n"),
        ("an open bracket", "Host: [::1\r\n"),
        ("no bracket", "Host: ::1\r\n"),
        ("a folded host", "Host:\r\n localhost\r\n"),
    ] {
        cases.push(refused(name, with(fields), 400));
    }
    for host in ["evil.test", "0.0.0.0", "[::]:80", "localhost.evil.test", "127.0.0.1.evil.test", "10.1"] {
        cases.push(refused("a foreign host", with(&format!("Host: {host}\r\n")), 403));
    }
    cases
}

fn fields() -> Vec<Case> {
    let with = |fields: &str| format!("GET /tmp/media/a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let mut cases = vec![
        forwarded("white space around a value", with("X-Injected: \t a \t\r\n"), GET_A),
        forwarded("no white space", with("X-Injected:a\r\n"), GET_A),
        forwarded("an empty value", with("X-Injected:\r\n"), GET_A),
        forwarded(
            "upgrade",
            with("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA\r\n"),
            GET_A,
        ),
        forwarded(
            "headers of the connection",
            with("TE: trailers\r\nKeep-Alive: timeout=5\r\nTrailer: X\r\n"),
            GET_A,
        ),
        forwarded("a field that connection names", with("Connection: authorization, x-amz-date\r\n"), GET_A),
        refused("another expectation", with("Expect: 200-ok\r\n"), 417),
        refused("too many fields", with(&"X: y\r\n".repeat(101)), 431),
        refused("fields too long", with(&format!("X: {}\r\n", "y".repeat(40_000))), 431),
        refused("a page of another site", with("Sec-Fetch-Site: cross-site\r\n"), 403),
        forwarded("the same site", with("Sec-Fetch-Site: same-origin\r\n"), GET_A),
        refused("the origin of another site", with("Origin: https://evil.test\r\n"), 403),
        refused("a page without an origin", with("Origin: null\r\n"), 403),
        forwarded("an origin of its own", with("Origin: http://localhost\r\n"), GET_A),
        refused("an image on another site", with("Referer: http://evil.test/\r\n"), 403),
        forwarded("an image on the same site", with("Referer: http://localhost/a\r\n"), GET_A),
        forwarded(
            "a link on another site",
            with("Referer: http://evil.test/\r\nUpgrade-Insecure-Requests: 1\r\n"),
            GET_A,
        ),
        forwarded(
            "a link on another site, over TLS",
            with("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"),
            GET_A,
        ),
        refused(
            "a frame on another site",
            with("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"),
            403,
        ),
        refused("a service worker", with("Service-Worker: script\r\n"), 403),
    ];
    for (name, text) in [
        ("a blank before the colon", "X-Injected : a\r\n"),
        ("a tab before the colon", "X-Injected\t: a\r\n"),
        ("a blank at the start", " X-Injected: a\r\n"),
        ("a fold", "X-Injected: a\r\n b\r\n"),
        ("no name", ": a\r\n"),
        ("no colon", "X-Injected\r\n"),
        ("a name with a bracket", "X(Injected): a\r\n"),
        ("a name in UTF-8", "X-Ü: a\r\n"),
        ("a NUL in a value", "X-Injected: a\0b\r\n"),
        ("a bell in a value", "X-Injected: a\u{7}b\r\n"),
        ("a DEL in a value", "X-Injected: a\u{7f}b\r\n"),
        ("a NUL in a name", "X\0Injected: a\r\n"),
    ] {
        cases.push(refused(name, with(text), 400));
    }
    cases
}

fn lengths() -> Vec<Case> {
    let put = |fields: &str, body: &str| {
        format!("PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
    };
    let mut cases = vec![
        forwarded("a length", put("Content-Length: 5\r\n", "hello"), PUT_A),
        forwarded("a length with a zero before it", put("Content-Length: 05\r\n", "hello"), PUT_A),
        forwarded("white space around a length", put("Content-Length: \t5 \r\n", "hello"), PUT_A),
        forwarded("no body", put("Content-Length: 0\r\n", ""), "PUT /tmp/media/a []"),
        forwarded("no length", put("", ""), "PUT /tmp/media/a []"),
        forwarded(
            "HTTP/1.0 with a length",
            "PUT /tmp/media/a HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
            PUT_A,
        ),
    ];
    for value in [
        "+5",
        "-5",
        "5 5",
        "5,5",
        "5, 5",
        "5;",
        "0x5",
        "5.0",
        "5e0",
        "five",
        "",
        "18446744073709551616",
        "99999999999999999999999",
        "5\u{b}",
    ] {
        cases.push(refused("no length", put(&format!("Content-Length: {value}\r\n"), "hello"), 400));
    }
    cases.push(refused("a length twice", put("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400));
    cases.push(refused("two lengths", put("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400));
    cases
}

fn codings() -> Vec<Case> {
    let put = |fields: &str| {
        format!("PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n")
    };
    let mut cases = vec![
        forwarded("chunked", put("Transfer-Encoding: chunked\r\n"), PUT_A),
        forwarded("Chunked", put("Transfer-Encoding: Chunked\r\n"), PUT_A),
        refused(
            "chunked in HTTP/1.0",
            put("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            400,
        ),
    ];
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: cow\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: chunked \u{b}\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
    ] {
        cases.push(refused("a coding that two parsers may read in two ways", put(fields), 400));
    }
    for fields in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: cow, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
    ] {
        cases.push(refused("a coding that is not known", put(fields), 501));
    }
    cases
}

fn chunks() -> Vec<Case> {
    let put = |body: &str| {
        format!("PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let mut cases = Vec::new();
    for body in [
        "5\r\nhello\r\n0\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "005\r\nhello\r\n000\r\n\r\n",
        "5;a=b;c\r\nhello\r\n0;d=\"e\"\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-Injected: a\r\nAuthorization: b\r\nx-minio-force-delete: true\r\nContent-Length: 9\r\n\r\n",
    ] {
        cases.push(forwarded("good chunks", put(body), PUT_A));
    }
    for body in [
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5;a\0=b\r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nA\r\n\r\n",
        "5\r\nhello\r\n0\r\n: a\r\n\r\n",
        "5\r\nhello\r\n0\r\nA : b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\rc\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
    ] {
        let mut bad = refused(
            "bad chunks",
            put(&format!("{body}GET /tmp/media/a HTTP/1.1\r\nHost: localhost\r\n\r\n")),
            400,
        );
        bad.forwarded.clear();
        cases.push(bad);
    }
    cases
}

fn pipelines() -> Vec<Case> {
    let get = "GET /tmp/media/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    vec![
        case("two requests", get.repeat(2), &[200, 200], &[GET_A, GET_A]),
        case(
            "a request after a body",
            ["PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", get].concat(),
            &[200, 200],
            &[PUT_A, GET_A],
        ),
        case(
            "a request after chunks",
            [
                "PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                get,
            ]
            .concat(),
            &[200, 200],
            &[PUT_A, GET_A],
        ),
        case("a refusal and a request", [get.replace("/media/", "/other/").as_str(), get].concat(), &[403, 200], &[GET_A]),
        case("a bad message behind a good one", [get, "GET / HTTP/1.1\r\n\r\n"].concat(), &[200, 400], &[GET_A]),
        case(
            "bytes after the last request",
            ["GET /tmp/media/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", get].concat(),
            &[200],
            &[GET_A],
        ),
        case(
            "a request in the body of another",
            format!("PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{get}", get.len()),
            &[200],
            &[&format!("PUT /tmp/media/a [{get}]")],
        ),
    ]
}
