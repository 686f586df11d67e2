//! Writes the line of a request in the access log.

use super::{AccessRecord, micros, shown};
use crate::config::Lines;
use crate::identify::client::Connection;
use crate::identify::identity::Identity;
use crate::refusal::Rule;
use crate::s3::operation::Operation;
use crate::telemetry::log::{Line, Output, turn};
use crate::telemetry::redact::without_credentials;
use crate::trace::parent::TraceParent;
use crate::trace::timeline::Timeline;
use crate::trace::{Texts, Wait, shortened};
use http::Version;
use http::uri::PathAndQuery;
use http1::{Fields, Request, visible};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::Level;

/// The longest client request id that is logged, in bytes.
const MAX_ID: usize = 128;
/// The headers in which a request may already have an id: first that of proxies, then that of the AWS SDKs.
const CLIENT_IDS: [&str; 2] = ["x-request-id", "amz-sdk-invocation-id"];

/// The note of a request whose client half-closed its connection or left.
const CLIENT_ENDED: &str = "the client closed its side of the connection before the answer";

/// The fields of the access log that the metrics do not count.
#[derive(Debug)]
pub(super) struct LineFields {
    target: Option<PathAndQuery>,
    version: Option<Version>,
    client_id: Option<Box<str>>,
    lines: Lines,
    traceparent: Option<Box<str>>,
    identity: OnceCell<Arc<Identity>>,
    pub(super) upstream_id: Option<UpstreamId>,
    pub(super) reason: Option<Box<str>>,
    pub(super) help: Option<Box<str>>,
}

/// A request's id at the store. A copy, because a part of the response's head would keep the whole buffer of that head
/// while the body is sent.
#[derive(Debug)]
pub(super) enum UpstreamId {
    /// An id that needs no allocation, with its length. Those of MinIO and AWS have 16 bytes.
    Short([u8; 22], u8),
    Long(Box<[u8]>),
}

impl UpstreamId {
    pub(super) fn new(id: &[u8]) -> Self {
        let mut bytes = [0; 22];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(id);
                Self::Short(bytes, length)
            }
            _ => Self::Long(id.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// Returns the name of a version of HTTP.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

impl LineFields {
    /// Makes the fields of a request that has just arrived. `request` is `None` for bytes that are not a request.
    pub(super) fn new(lines: Lines, request: Option<&Request>) -> Self {
        Self {
            target: request.map(|request| request.target.clone()),
            version: request.map(|request| request.version),
            client_id: request.and_then(|request| client_id(request.fields())).map(Into::into),
            lines,
            traceparent: request
                .and_then(|request| TraceParent::of(request.fields()))
                .map(|parent| parent.as_str().into()),
            identity: OnceCell::new(),
            upstream_id: None,
            reason: None,
            help: None,
        }
    }

    /// Notes the identity that the client proved. It does so once.
    pub(super) fn identified(&self, identity: Arc<Identity>) {
        let _ = self.identity.set(identity);
    }

    /// Returns whether the log has a line of the request.
    pub(super) fn is_wanted(&self, record: &AccessRecord) -> bool {
        let is_refused = || record.status.is_some_and(|status| matches!(status.as_u16(), 401 | 403));
        !self.lines.only_audit
            || record.rule.is_some()
            || is_refused()
            || record.trace.operation().is_some_and(Operation::changes)
    }

    /// Writes the line of a request that is over.
    pub(super) fn write(&self, record: &AccessRecord, total: Duration, output: &'static Output) {
        let mappings = record.metrics.mapping_names();
        let mapping = record.mapping.get().map_or("-", |row| mappings.of(row));
        let path = without_credentials(self.target.as_ref().map_or("", PathAndQuery::path));
        let identity =
            shown::identity(self.lines.identity, self.identity.get().map(|it| &**it), &record.connection);
        let waited = |wait: Duration| (!wait.is_zero()).then(|| micros(wait));
        let trace = &record.trace;
        turn::write(output, (Level::INFO, "access"), |line| {
            trace.with_texts(|Texts { prefix, node, store_code, target }| {
                line.plain("id", record.request_id().as_str());
                let connection = &record.connection;
                let peer = connection.peer_address();
                write_address(line, "client", record.address, connection);
                if record.address != peer {
                    write_address(line, "peer", peer, connection);
                }
                line.plain("listener", connection.listener().name());
                line.plain_if("tls", connection.tls().map(|tls| tls.version));
                line.plain("mapping", mapping);
                line.text_if("identity", identity.as_deref().map(shortened));
                line.plain("operation", trace.operation().map_or("-", Operation::name));
                line.word("method", record.method.as_str());
                line.plain_if("protocol", self.version.map(protocol));
                line.text("path", shortened(&path));
                line.text_if("prefix", prefix.map(without_credentials).as_deref());
                if let Some(target) = target {
                    let (bucket, key) = target.bucket_and_key();
                    line.plain("bucket", bucket);
                    match key {
                        // Nothing was decoded, so this is a part of a URL, in which nothing needs an escape.
                        Some(Cow::Borrowed(key)) => line.plain("key", shortened(key)),
                        Some(Cow::Owned(key)) => line.text("key", shortened(&key)),
                        None => {}
                    }
                    line.text_if("version", target.version());
                }
                line.number("status", record.status.map_or(0, |status| status.as_u16().into()));
                line.plain_if("rule", record.rule.map(Rule::name));
                line.text_if("reason", self.reason.as_deref());
                line.text_if("help", self.help.as_deref());
                line.number("received", record.received);
                line.number("sent", record.sent);
                line.plain_if("node", node);
                line.number_if("attempts", (trace.attempts() > 1).then(|| trace.attempts()));
                line.number_if("continuations", trace.continuations().filter(|count| *count > 0));
                line.text_if("store_code", store_code);
                line.text_if(
                    "upstream_id",
                    self.upstream_id.as_ref().map(UpstreamId::as_bytes).and_then(visible),
                );
                line.text_if("client_request_id", self.client_id.as_deref());
                line.text_if("traceparent", self.traceparent.as_deref());
                if let Some((of_trace, of_span)) = trace.timeline().map(Timeline::ids) {
                    line.text("trace_id", &of_trace);
                    line.text("span_id", &of_span);
                }
                line.number_if("queue_us", waited(trace.waited(Wait::Queue)));
                line.number_if("session_us", waited(trace.waited(Wait::Session)));
                line.number_if("first_byte_us", record.first_byte.map(micros));
                line.number("total_us", micros(total));
                line.text_if("note", record.client_ended.then_some(CLIENT_ENDED));
                line.text_if("error", record.error.as_deref());
            });
        });
    }
}

/// Writes an address. Only the peer of a unix socket has none.
fn write_address(line: &mut Line<'_>, name: &str, address: Option<IpAddr>, connection: &Connection) {
    match address {
        Some(address) => line.address(name, address),
        None => line.value(name, &connection.peer()),
    }
}

/// Returns the id that a client gave to its request.
fn client_id(fields: &Fields) -> Option<&str> {
    let id = CLIENT_IDS.iter().find_map(|name| fields.get(name)).and_then(visible)?;
    (!id.is_empty()).then(|| id.get(..id.len().min(MAX_ID)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    /// Headers that a client sends.
    type Given<'g> = &'g [(&'static str, &'g [u8])];

    #[test]
    fn a_clients_id_is_visible_and_short() {
        let with = |given: Given| -> Fields {
            let field = |(name, value): &(&'static str, &[u8])| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
            };
            given.iter().map(field).collect()
        };
        let long = [b'a'; 300];
        let cases: [(Given, Option<&str>); 6] = [
            (&[("x-request-id", b"abc-1"), ("amz-sdk-invocation-id", b"other")], Some("abc-1")),
            (&[("amz-sdk-invocation-id", b"other")], Some("other")),
            (&[("x-request-id", b"")], None),
            (&[("x-request-id", b"a\xffb")], None),
            (&[("x-request-id", &long)], Some(str::from_utf8(&long[..MAX_ID]).unwrap())),
            (&[("accept", b"x")], None),
        ];
        for (given, expected) in cases {
            assert_eq!(client_id(&with(given)), expected);
        }
    }

    #[test]
    fn an_upstream_id_of_any_length_is_kept() {
        for length in [0, 1, 16, 21, 22, 23, 300] {
            let id: Vec<u8> = (0..length).map(|at| b'A' + u8::try_from(at % 26).unwrap()).collect();
            assert_eq!(UpstreamId::new(&id).as_bytes(), id);
        }
    }

    #[test]
    fn every_field_is_documented() {
        let page = include_str!("../../../docs/reference/logs.md");
        let (own, _) = include_str!("line.rs").split_once("#[cfg(test)]").unwrap();
        let names: Vec<&str> = own
            .split("            line.")
            .skip(1)
            .filter_map(|call| call.split_once("(\"")?.1.split_once('"'))
            .map(|(name, _)| name)
            .collect();
        assert!(names.contains(&"queue_us") && names.len() > 20, "{names:?}");
        for name in names {
            assert!(page.contains(&format!("`{name}`")), "docs/reference/logs.md lacks {name}");
        }
    }
}
