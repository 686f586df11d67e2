//! Tells in plain words what the log says of a request: who sent it, what was decided, and where the time went.

use super::line::LogLine;
use crate::net::terminal::plain;
use crate::refusal::Rule;
use std::borrow::Cow;
use std::fmt::Write;

/// The fields that are numbers.
const NUMBERS: [&str; 9] = [
    "status",
    "received",
    "sent",
    "attempts",
    "continuations",
    "queue_us",
    "session_us",
    "first_byte_us",
    "total_us",
];

/// Returns whether a field is a number.
pub(super) fn is_number(name: &str) -> bool {
    NUMBERS.contains(&name)
}

/// Returns the rule of this name.
pub(super) fn rule_named(name: &str) -> Option<Rule> {
    Rule::ALL.into_iter().find(|rule| rule.name() == name)
}

/// A field's text, safe to show on a terminal. Line feeds in it are made visible.
fn shown<'l>(line: &'l LogLine, name: &str) -> Option<Cow<'l, str>> {
    line.get(name).map(plain)
}

/// Tells what happened to a request.
pub(super) fn of(line: &LogLine) -> String {
    let mut text = String::new();
    let or = |name, other: &'static str| shown(line, name).unwrap_or(Cow::Borrowed(other));
    let _ = writeln!(text, "request {} was over at {}", or("id", "-"), plain(line.time()));
    let _ = writeln!(text, "  {} {}", or("method", "-"), or("path", "-"));
    for told in [client(line), mapping(line), operation(line), decision(line), store(line), times(line)] {
        text.push_str(&told);
    }
    for (name, label) in
        [("client_request_id", "the client's own id"), ("traceparent", "traceparent"), ("trace_id", "trace")]
    {
        if let Some(value) = shown(line, name) {
            let _ = writeln!(text, "  {label}: {value}");
        }
    }
    if line.is_cut() {
        text.push_str("  the line is cut off: what it told after this is lost\n");
    }
    text.push_str("  not in the log: the query, the headers and the body\n");
    text
}

fn client(line: &LogLine) -> String {
    let Some(client) = shown(line, "client") else { return String::new() };
    let mut text = format!("  client: {client}");
    if let Some(peer) = shown(line, "peer") {
        let _ = write!(text, ", named by the load balancer {peer}");
    }
    if let Some(listener) = shown(line, "listener") {
        let _ = write!(text, ", at listener \"{listener}\"");
    }
    match (shown(line, "protocol"), shown(line, "tls")) {
        (Some(protocol), Some(tls)) => {
            let _ = write!(text, " over {protocol} and TLS {tls}");
        }
        (Some(protocol), None) => {
            let _ = write!(text, " over {protocol} without TLS");
        }
        _ => {}
    }
    text.push('\n');
    let identity = shown(line, "identity")
        .unwrap_or(Cow::Borrowed("not known: the client proved none, or [log] leaves it out"));
    let _ = writeln!(text, "  identity: {identity}");
    text
}

fn mapping(line: &LogLine) -> String {
    match shown(line, "mapping").as_deref() {
        None => String::new(),
        Some("-") => "  mapping: no mapping matched\n".to_owned(),
        Some(mapping) => format!("  mapping: \"{mapping}\"\n"),
    }
}

fn operation(line: &LogLine) -> String {
    let Some(operation) = shown(line, "operation") else { return String::new() };
    let mut text = match &*operation {
        "-" => "  operation: not known".to_owned(),
        operation => format!("  operation: {operation}"),
    };
    for name in ["bucket", "key", "version", "prefix"] {
        if let Some(value) = shown(line, name) {
            let _ = write!(text, ", {name} \"{value}\"");
        }
    }
    text.push('\n');
    text
}

/// Tells the decision, with the rule's own advice.
fn decision(line: &LogLine) -> String {
    let Some(status) = shown(line, "status") else { return String::new() };
    let Some(name) = shown(line, "rule") else {
        return match &*status {
            "0" => "  decision: the client left before there was a response\n".to_owned(),
            status => format!("  decision: allowed; the response had status {status}\n"),
        };
    };
    let rule = rule_named(&name);
    let code = rule.map(|rule| format!(" {}", rule.code())).unwrap_or_default();
    let mut text = format!("  decision: refused by rule {name}: {status}{code}");
    if let Some(reason) = shown(line, "reason") {
        let _ = write!(text, ": {reason}");
    }
    text.push('\n');
    let of_rule = || rule.and_then(Rule::help).map(Cow::Borrowed);
    if let Some(help) = shown(line, "help").or_else(of_rule) {
        let _ = writeln!(text, "    help: {help}");
    }
    if let Some(advice) = rule.and_then(Rule::advice) {
        let _ = writeln!(text, "    the client was told: {advice}");
    }
    let _ = writeln!(text, "    more: docs/reference/rules.md");
    text
}

fn store(line: &LogLine) -> String {
    let mut text = match shown(line, "node") {
        None => "  store: not asked, as far as the line tells\n".to_owned(),
        Some(node) => {
            let mut text = format!("  store: sent to {node}");
            if let Some(attempts) = shown(line, "attempts") {
                let _ = write!(text, " as the last of {attempts} attempts");
            }
            if let Some(count) = shown(line, "continuations") {
                let _ = write!(text, ", which broke off and was continued {count} times");
            }
            if let Some(code) = shown(line, "store_code") {
                let _ = write!(text, "; its error code was {code}");
            }
            text.push('\n');
            text
        }
    };
    if let Some(id) = shown(line, "upstream_id") {
        let _ = writeln!(text, "    its own request id, which the store's log has: {id}");
    }
    if let (Some(received), Some(sent)) = (shown(line, "received"), shown(line, "sent")) {
        let _ = writeln!(text, "  bodies: {received} bytes from the client, {sent} bytes to the client");
    }
    for (name, label) in [("error", "error"), ("note", "note")] {
        if let Some(value) = shown(line, name) {
            let _ = writeln!(text, "  {label}: {value}");
        }
    }
    text
}

/// Tells where the time went.
fn times(line: &LogLine) -> String {
    let Some(total) = line.number("total_us") else { return String::new() };
    let of = |name| line.number(name).unwrap_or(0);
    let (queue, session) = (of("queue_us"), of("session_us"));
    let mut parts = Vec::new();
    if queue > 0 {
        parts.push(format!("{} in the queue", milliseconds(queue)));
    }
    if session > 0 {
        parts.push(format!("{} waiting for a session", milliseconds(session)));
    }
    if let Some(first) = line.number("first_byte_us") {
        // The waits of parallel parts of one request add up.
        let rest = first.saturating_sub(queue).saturating_sub(session);
        let more = if parts.is_empty() { "" } else { "more " };
        parts.push(format!("{} {more}until the response's head", milliseconds(rest)));
        parts.push(format!("{} for the rest of the response", milliseconds(total.saturating_sub(first))));
    }
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("  time: {} in all{parts}\n", milliseconds(total))
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}
