//! The head of a request: an accepted head means the same to a second reader, and after it was written and read again.

use super::reference::{Framing as Second, Message, find};
use bytes::Bytes;
use http::Version;
use http::header::HOST;
use http1::{Framing, HeadLimits, Host, RequestHead};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b": ",
    b"Host: h\r\n",
    b"Host: [::1]:80\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: +5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\n",
    b"Expect: 100-continue\r\n",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b"http://h:1",
    b"https://[::1]/",
    b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT h:443",
    b"GET ",
    b"PUT ",
    b"%2e%2e/",
    b"\xc3\xbc",
    b"Upgrade: h2c\r\n",
    b"X: \t y \t\r\n",
];

pub(super) const LIMITS: HeadLimits = HeadLimits { bytes: 8192, fields: 100 };

pub(crate) fn check(input: &[u8]) -> String {
    let parsed = RequestHead::parse(Bytes::copy_from_slice(input), LIMITS);
    // The parser's precondition: every line ends in CRLF, and the input ends with the empty line.
    let promised = find(input, b"\r\n\r\n").is_some_and(|end| end > 0 && end + 4 == input.len())
        && !input.starts_with(b"\r\n")
        && input.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() == 2 * count_lines(input);
    let head = match parsed {
        Ok(head) if promised => head,
        Ok(_) => return "unpromised".to_owned(),
        Err(malformed) => return format!("{:?} {}", malformed.reason, malformed.why),
    };
    check_head(&head, input);
    let again = write(&head);
    let reread = RequestHead::parse(Bytes::from(again.clone()), LIMITS)
        .unwrap_or_else(|why| panic!("rejected after it was written: {why:?}: {}", again.escape_ascii()));
    assert_eq!(meant(&head), meant(&reread), "it means something else after it was written");
    format!(
        "{} {:?} {:?} {} {} {}",
        head.request.method,
        head.version,
        std::mem::discriminant(&head.framing),
        head.keep_alive,
        head.expects_continue,
        head.request.fields().has(HOST.as_str())
    )
}

fn count_lines(input: &[u8]) -> usize {
    input.windows(2).filter(|pair| pair == b"\r\n").count()
}

/// Compares a head with that of the second reader.
pub(super) fn check_head(head: &RequestHead, input: &[u8]) {
    let (message, _) = Message::read(input).expect("the second reader accepts it");
    let [method, target, version] = message.line;
    assert_eq!(head.request.method.as_str().as_bytes(), method);
    assert_eq!(format!("{:?}", head.version).as_bytes(), version);
    let (authority, path) = meaning(target);
    assert_eq!(head.request.target.to_string().as_bytes(), path);

    let fields = head.request.fields();
    let hosts: Vec<&[u8]> = fields.all(HOST.as_str()).collect();
    let named = message.all("host");
    assert!(named.len() == 1 || (named.is_empty() && head.version == Version::HTTP_10), "{named:?}");
    assert_eq!(hosts, authority.map_or(named, |authority| vec![authority]));
    assert_eq!(head.request.host(), hosts.first().map(|host| Host::parse(host).expect("it is one host")));

    let count = |name: &str| fields.all(name).count();
    assert!(count("content-length") + count("transfer-encoding") <= 1, "the head has two framings");
    let framing = match message.framing {
        Second::Absent => Framing::Empty,
        Second::Length(length) => Framing::Length(length),
        Second::Chunked => Framing::Chunked,
    };
    assert_eq!(head.framing, framing);
    let is_host = |name: &[u8]| name.eq_ignore_ascii_case(b"host");
    for (name, value) in fields.iter().filter(|(name, _)| !is_host(name)) {
        let name = std::str::from_utf8(name).expect("a token is ASCII");
        assert!(
            value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)),
            "{name}: {value:?}"
        );
        assert!(message.all(&name.to_ascii_lowercase()).contains(&value), "{name}: {value:?}");
    }
    let others = message.fields.iter().filter(|(name, _)| name != b"host").count();
    assert_eq!(fields.iter().filter(|(name, _)| !is_host(name)).count(), others);
}

/// Returns the meaning of a head.
fn meant(head: &RequestHead) -> impl PartialEq + std::fmt::Debug {
    let RequestHead { request, version, framing, keep_alive, expects_continue } = head;
    let asked = (request.method.clone(), request.target.clone(), request.fields().clone());
    (asked, *version, *framing, *keep_alive, *expects_continue)
}

/// Returns the host and the path of a target.
fn meaning(target: &[u8]) -> (Option<&[u8]>, Vec<u8>) {
    let lower = target.to_ascii_lowercase();
    let Some(scheme) = [&b"http://"[..], b"https://"].into_iter().find(|scheme| lower.starts_with(scheme))
    else {
        return (None, target.to_vec());
    };
    let rest = &target[scheme.len()..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let slash: &[u8] = if path.starts_with(b"/") { b"" } else { b"/" };
    (Some(authority), [slash, path].concat())
}

fn write(head: &RequestHead) -> Vec<u8> {
    let mut text =
        format!("{} {} {:?}\r\n", head.request.method, head.request.target, head.version).into_bytes();
    for (name, value) in head.request.fields().iter() {
        text.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    text
}
