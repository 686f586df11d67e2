//! The same request in the framing of HTTP/1.1 and of HTTP/2: both are refused, or both are the same request with the same
//! decision and the same bytes for the store.

use super::mappings::trusted;
use super::script::{End, Pace, Script, block_on};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use http1::body::BoxError;
use http1::server::ConnectionLimits;
use http1::{Fields, HeadLimits, Malformed, MemoryUse, PeerState, Request, Response, Service};
use http2::{Event, StreamService};
use scopegate::internals::{MemoryBudget, Outgoing, Payer, Payload, Share};
use std::cell::RefCell;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) const WORDS: &[&[u8]] = &[
    b"GET /tmp/a\n",
    b"PUT /tmp/a\n",
    b"OPTIONS *\n",
    b"CONNECT h:1\n",
    b"?list-type=2&prefix=",
    b"?uploads=",
    b"%2e%2e",
    b"//",
    b"\nx-amz-meta-a: b",
    b"\nx-amz-meta-a: c",
    b"\nrange: bytes=0-1",
    b"\nif-match: \"x\"",
    b"\nx-amz-copy-source: /tmp/b",
    b"\ncontent-type: a/b",
    b"\nexpect: 100-continue",
    b"\nexpect: x",
    b"\nx-a: ",
    b"\n\nbody",
    b"\xc3\xbc",
    b"\xff",
    b"\0",
];

const LIMITS: ConnectionLimits = ConnectionLimits {
    head: HeadLimits { bytes: 64 * 1024, fields: 100 },
    header: Duration::from_secs(5),
    idle: Duration::from_secs(20),
    stall: Duration::from_secs(10),
    rate: 1024,
    request: Duration::from_secs(100),
};

/// The longest input, which fits into the windows that every connection has.
const LONGEST: usize = 8 * 1024;

/// A request as the service received it, with what the store would receive.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    host: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    forwarded: String,
}

#[derive(Default)]
struct Recorder(RefCell<Vec<Seen>>);

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

fn answer(status: u16) -> Answer {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    http::Response::builder().status(status).body(body).unwrap().into()
}

impl<B: Body<Data = Bytes, Error = BoxError>> Service<B> for Recorder {
    type Body = UnsyncBoxBody<Bytes, BoxError>;
    type Share = Share;

    async fn call(&self, request: &Request, body: B) -> Answer {
        let Ok(body) = body.collect().await else { return answer(400) };
        let mut fields: Vec<_> = request
            .fields()
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
            .collect();
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        self.0.borrow_mut().push(Seen {
            method: request.method.to_string(),
            target: request.target.to_string(),
            host: format!("{:?}", request.host()),
            fields,
            body: body.to_bytes().to_vec(),
            forwarded: forwarded(request),
        });
        answer(200)
    }

    fn share(&self, used_for: MemoryUse) -> Share {
        MemoryBudget::new(1 << 30).share(Payer::Strangers, used_for.into())
    }

    fn refuse(&self, _: &Malformed) -> Answer {
        answer(400)
    }

    fn note_peer(&self, _: &mut Answer, _: PeerState) {}
}

impl StreamService for Recorder {
    type Place = ();

    fn scheme(&self) -> &'static str {
        "http"
    }

    fn place(&self) -> Option<()> {
        Some(())
    }

    fn record(&self, _: Event) {}
}

/// Returns the request that the store would receive, or the rule that refuses it.
fn forwarded(request: &Request) -> String {
    let (mapping, fields): (_, &Fields) = (trusted(), request.fields());
    let outgoing = mapping
        .grant(&request.method, request.target.path(), request.target.query(), fields)
        .and_then(|grant| {
            let payload = Payload::classify(grant.spec(), fields)?;
            Outgoing::rebuild(grant, fields, payload)
        });
    match outgoing {
        Ok(sent) => {
            format!("{} {} {} {:?}", sent.method(), sent.path(), sent.query(), sent.headers())
        }
        Err(refusal) => format!("{:?}", refusal.rule),
    }
}

/// A request as the input has it: `METHOD target`, lines `name: value`, an empty line and the body.
struct Generated<'a> {
    method: &'a [u8],
    target: &'a [u8],
    fields: Vec<(Vec<u8>, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Generated<'a> {
    /// Reads an input; nothing if it means something in one of the framings alone.
    fn read(input: &'a [u8]) -> Option<Self> {
        let input = input.get(..LONGEST.min(input.len()))?;
        let split = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
        let (head, body) = input.split_at(split);
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = lines.next()?;
        let (method, target) = first.split_at(first.iter().position(|byte| *byte == b' ')?);
        let target = &target[1..];
        // `h2` drops a fragment, and a URL as a target is a form of HTTP/1.1.
        if target.contains(&b'#') || !(target.starts_with(b"/") || target == b"*") {
            return None;
        }
        let mut fields = Vec::new();
        for line in lines.take(50) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
            if !OF_ONE_FRAMING.contains(&&*String::from_utf8_lossy(&name)) {
                fields.push((name, value));
            }
        }
        Some(Self { method, target, fields, body: body.get(2..).unwrap_or_default() })
    }

    fn in_http1(&self) -> Vec<u8> {
        let mut bytes = [self.method, b" ", self.target, b" HTTP/1.1\r\nHost: h\r\n"].concat();
        for (name, value) in &self.fields {
            bytes.extend([&**name, b": ", value, b"\r\n"].concat());
        }
        bytes.extend(format!("Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len()).bytes());
        [&bytes, self.body].concat()
    }

    fn in_http2(&self) -> Vec<u8> {
        let mut block = Vec::new();
        let length = self.body.len().to_string();
        literal(&mut block, b":method", self.method);
        literal(&mut block, b":scheme", b"http");
        literal(&mut block, b":authority", b"h");
        literal(&mut block, b":path", self.target);
        for (name, value) in &self.fields {
            literal(&mut block, name, value);
        }
        literal(&mut block, CONTENT_LENGTH.as_str().as_bytes(), length.as_bytes());
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut bytes, 4, 0, 0, b"");
        // END_HEADERS, and END_STREAM on the body.
        frame(&mut bytes, 1, 4, 1, &block);
        frame(&mut bytes, 0, 1, 1, self.body);
        bytes
    }
}

/// Fields that only one framing has, or that the inputs have once already.
const OF_ONE_FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

fn literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    for text in [name, value] {
        if text.len() < 127 {
            block.push(text.len() as u8);
        } else {
            let mut rest = text.len() - 127;
            block.push(127);
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
        block.extend(text);
    }
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    bytes.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

pub(crate) fn check(input: &[u8]) -> String {
    let Some(generated) = Generated::read(input) else { return "of one framing".to_owned() };
    let running = watch::Sender::new(false);
    let one = Recorder::default();
    let script = Script::new(&generated.in_http1(), Pace::Pieces, End::Waits);
    let _ = block_on(http1::server::serve(script, &one, &LIMITS, running.subscribe()));
    let mut one = one.0.take();
    for seen in &mut one {
        seen.fields.retain(|(name, _)| name != "connection");
    }
    for pace in [Pace::Whole, Pace::Halting] {
        let two = Recorder::default();
        let script = Script::new(&generated.in_http2(), pace, End::Waits);
        let _ = block_on(http2::serve(script, &two, &LIMITS, running.subscribe()));
        assert_eq!(one, two.0.take(), "{pace:?}");
    }
    match one.first() {
        None => "refused".to_owned(),
        Some(seen) => {
            let rule = seen.forwarded.split(' ').next().unwrap_or_default();
            format!("{} {rule} {} {}", seen.method, seen.fields.len().min(4), seen.body.len().min(2))
        }
    }
}
