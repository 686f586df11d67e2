//! Writes spans as OTLP, with the names of OpenTelemetry's semantic conventions.
//!
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>

use super::messages::{
    AnyValue, CLIENT, ExportRequest, ExportResponse, FAILED, INTERNAL, KeyValue, Resource, ResourceSpans,
    SERVER, Scope, ScopeSpans, Span, Status, Value,
};
use super::spans::RequestSpans;
use crate::trace::Wait;
use crate::trace::timeline::{Step, StepKind};
use http::StatusCode;
use prost::Message;

/// The flag of a span that is recorded.
const SAMPLED: u32 = 1;

/// Writes the message for these requests.
pub(super) fn encode(service_name: &str, requests: &[RequestSpans]) -> Vec<u8> {
    message(service_name, requests).encode_to_vec()
}

/// Reads how many spans the collector rejects, and why.
pub(super) fn rejected(response: &[u8]) -> Option<(u64, String)> {
    let partial = ExportResponse::decode(response).ok()?.partial_success?;
    let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
    (rejected > 0).then_some((rejected, partial.error_message))
}

fn message(service_name: &str, requests: &[RequestSpans]) -> ExportRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", service_name),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ],
    };
    let scope = Scope { name: "scopegate".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let spans = requests.iter().flat_map(spans).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans };
    ExportRequest { resource_spans: vec![resource_spans] }
}

fn spans(request: &RequestSpans) -> Vec<Span> {
    let mut spans = vec![server(request)];
    spans.extend(request.steps.iter().map(|step| step_of(request, step)));
    spans
}

/// The span of the request itself.
fn server(request: &RequestSpans) -> Span {
    let mut attributes = vec![
        text("http.request.method", &request.method),
        text("url.scheme", request.scheme),
        text("url.path", &request.path),
        text("scopegate.listener", &request.listener),
        text("scopegate.request_id", &request.request_id),
        number("http.request.body.size", request.received),
        number("http.response.body.size", request.sent),
    ];
    let client = request.client.map(|client| client.to_string());
    let error = request.rule.or(request.store_code.as_deref()).or(request.cut);
    let texts = [
        ("client.address", client.as_deref()),
        ("scopegate.mapping", request.mapping.as_deref()),
        ("rpc.method", request.operation),
        ("aws.s3.bucket", request.bucket.as_deref()),
        ("aws.s3.key", request.key.as_deref()),
        ("aws.request_id", request.upstream_id.as_deref()),
        ("error.type", error),
    ];
    attributes.extend(texts.into_iter().filter_map(|(name, value)| Some(text(name, value?))));
    attributes.extend(request.status.map(status));
    if request.omitted > 0 {
        attributes.push(number("scopegate.omitted_steps", request.omitted.into()));
    }
    // A client's mistake is not an error of the server.
    let is_error = request.cut.is_some() || request.status.is_none_or(|status| status.is_server_error());
    let start = request.nanoseconds_at(request.start);
    Span {
        trace_id: request.trace.number().to_be_bytes().to_vec(),
        span_id: request.span.number().to_be_bytes().to_vec(),
        parent_span_id: request.parent.map(|id| id.number().to_be_bytes().to_vec()).unwrap_or_default(),
        trace_state: request.state.as_deref().unwrap_or_default().to_owned(),
        flags: SAMPLED,
        name: request.operation.unwrap_or(&request.method).to_owned(),
        kind: SERVER,
        start_time_unix_nano: start,
        end_time_unix_nano: request.nanoseconds_at(request.start + request.total),
        attributes,
        status: is_error.then(|| failed(request.rule.or(request.cut).unwrap_or_default())),
    }
}

/// The span of a step, whose parent is the request.
fn step_of(request: &RequestSpans, step: &Step) -> Span {
    let (name, kind, attributes, is_error) = match &step.kind {
        StepKind::Waited(Wait::Queue) => ("wait for the queue", INTERNAL, Vec::new(), false),
        StepKind::Waited(Wait::Session) => ("wait for a session", INTERNAL, Vec::new(), false),
        StepKind::Sent(node, answer) => {
            let address = node.as_deref().map(|node| text("server.address", node));
            let no_answer = answer.is_none().then(|| text("error.type", "no_response"));
            let attributes = address.into_iter().chain(answer.map(status)).chain(no_answer).collect();
            let is_error = answer.is_none_or(|status| status.is_client_error() || status.is_server_error());
            ("send to the store", CLIENT, attributes, is_error)
        }
    };
    Span {
        trace_id: request.trace.number().to_be_bytes().to_vec(),
        span_id: step.span.number().to_be_bytes().to_vec(),
        parent_span_id: request.span.number().to_be_bytes().to_vec(),
        trace_state: String::new(),
        flags: SAMPLED,
        name: name.to_owned(),
        kind,
        start_time_unix_nano: request.nanoseconds_at(step.since),
        end_time_unix_nano: request.nanoseconds_at(step.since + step.took),
        attributes,
        status: is_error.then(|| failed("")),
    }
}

fn failed(message: &str) -> Status {
    Status { message: message.to_owned(), code: FAILED }
}

fn status(status: StatusCode) -> KeyValue {
    number("http.response.status_code", status.as_u16().into())
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::Text(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::parent::{SpanId, TraceId};
    use std::time::{Duration, SystemTime};
    use tokio::time::Instant;

    /// A request that waited and was sent twice.
    fn request() -> RequestSpans {
        let start = Instant::now();
        let step = |kind, at: u64, took: u64| Step {
            span: SpanId::random(),
            kind,
            since: start + Duration::from_millis(at),
            took: Duration::from_millis(took),
        };
        let node = || Some("node:9000".into());
        RequestSpans {
            trace: TraceId::random(),
            span: SpanId::random(),
            parent: None,
            state: None,
            end: SystemTime::UNIX_EPOCH + Duration::from_secs(100),
            start,
            total: Duration::from_secs(1),
            steps: vec![
                step(StepKind::Waited(Wait::Queue), 0, 10),
                step(StepKind::Sent(node(), None), 10, 20),
                step(StepKind::Sent(node(), Some(StatusCode::OK)), 30, 40),
            ],
            omitted: 0,
            operation: Some("GetObject"),
            method: "GET".into(),
            scheme: "http",
            path: "/tmp/a".into(),
            client: Some([10, 0, 0, 1].into()),
            listener: "main".into(),
            mapping: Some("media".into()),
            bucket: Some("tmp".into()),
            key: Some("a".into()),
            request_id: "0123456789ABCDEF".into(),
            upstream_id: Some("FF00".into()),
            status: Some(StatusCode::OK),
            rule: None,
            cut: None,
            store_code: None,
            received: 0,
            sent: 5,
        }
    }

    fn written(request: RequestSpans) -> Vec<Span> {
        let written = encode("s3", &[request]);
        let mut read = ExportRequest::read(&written).unwrap();
        let mut service = read.resource_spans.remove(0);
        assert_eq!(service.resource.unwrap().attributes.remove(0), text("service.name", "s3"));
        service.scope_spans.remove(0).spans
    }

    #[test]
    fn a_request_is_a_span_and_so_is_each_of_its_steps() {
        let spans = written(request());
        let told: Vec<_> = spans.iter().map(|span| (&*span.name, span.kind)).collect();
        let sent = ("send to the store", CLIENT);
        assert_eq!(told, [("GetObject", SERVER), ("wait for the queue", INTERNAL), sent, sent]);
        let server = &spans[0];
        assert!(server.parent_span_id.is_empty() && server.trace_id.len() == 16 && server.span_id.len() == 8);
        for span in &spans[1..] {
            assert_eq!((&span.parent_span_id, &span.trace_id), (&server.span_id, &server.trace_id));
        }
        let times =
            |span: &Span| (span.start_time_unix_nano / 1_000_000, span.end_time_unix_nano / 1_000_000);
        assert_eq!(
            spans.iter().map(times).collect::<Vec<_>>(),
            [(99_000, 100_000), (99_000, 99_010), (99_010, 99_030), (99_030, 99_070)]
        );
        for (name, value) in [
            ("http.request.method", "GET"),
            ("url.path", "/tmp/a"),
            ("http.response.status_code", "200"),
            ("client.address", "10.0.0.1"),
            ("rpc.method", "GetObject"),
            ("aws.s3.bucket", "tmp"),
            ("aws.s3.key", "a"),
            ("scopegate.mapping", "media"),
            ("scopegate.listener", "main"),
            ("scopegate.request_id", "0123456789ABCDEF"),
            ("http.response.body.size", "5"),
            ("aws.request_id", "FF00"),
        ] {
            assert_eq!(server.attribute(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(spans[2].attribute("error.type").as_deref(), Some("no_response"));
        assert_eq!(spans[3].attribute("server.address").as_deref(), Some("node:9000"));
        let failed: Vec<bool> = spans.iter().map(|span| span.status.is_some()).collect();
        assert_eq!(failed, [false, false, true, false]);
    }

    #[test]
    fn only_failures_of_the_server_are_errors() {
        type Cause = Option<&'static str>;
        let cases: [(StatusCode, Cause, Cause, Cause, bool); 5] = [
            (StatusCode::FORBIDDEN, Some("outside-scope"), None, Some("outside-scope"), false),
            (StatusCode::BAD_GATEWAY, Some("upstream"), None, Some("upstream"), true),
            (StatusCode::OK, None, Some("store"), Some("store"), true),
            (StatusCode::INTERNAL_SERVER_ERROR, None, None, None, true),
            (StatusCode::NO_CONTENT, None, None, None, false),
        ];
        for (status, rule, cut, error, is_error) in cases {
            let spans = written(RequestSpans { status: Some(status), rule, cut, ..request() });
            assert_eq!(spans[0].attribute("error.type").as_deref(), error, "{status}");
            assert_eq!(
                spans[0].status.as_ref().map(|status| status.code),
                is_error.then_some(FAILED),
                "{status}"
            );
        }
    }

    /// The bytes of a span, which the official library reads as the same span.
    #[test]
    fn the_wire_format_is_that_of_otlp() {
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "a=1".to_owned(),
            parent_span_id: vec![3; 8],
            flags: 1,
            name: "n".to_owned(),
            kind: CLIENT,
            start_time_unix_nano: 4,
            end_time_unix_nano: 5,
            attributes: vec![number("k", 6)],
            status: Some(failed("m")),
        };
        let hex = span.encode_to_vec().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let expected = "0a1001010101010101010101010101010101120802020202020202021a03613d31220803030303030303032a016e\
                        3003390400000000000000410500000000000000\
                        4a070a016b120218067a0512016d1802850101000000";
        assert_eq!(hex, expected);
    }

    #[test]
    fn rejections_are_read_and_other_responses_are_not() {
        assert_eq!(rejected(b""), None);
        assert_eq!(rejected(b"{}"), None);
        assert_eq!(rejected(&[0x0a, 0x05, 0x08, 0x02, 0x12, 0x01, b'x']), Some((2, "x".to_owned())));
        assert_eq!(rejected(&[0x0a, 0x00]), None);
    }
}
