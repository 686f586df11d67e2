//! Judges a logged request by the present configuration, as far as its line holds what the decision depends on.

use super::line::LogLine;
use super::told::rule_named;
use crate::authorize::operations::Spec;
use crate::cli::explain::{Explanation, Question, Who, explain};
use crate::config::{Caller, Config, Peer};
use crate::identify::client::PeerUser;
use crate::identify::identity::Identity;
use crate::net::terminal::plain;
use crate::refusal::Rule;
use crate::s3::operation::Operation;
use crate::store::judge::ABSENT_UPLOAD;
use http::Method;
use http1::Fields;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fmt::Write;

/// The length from which a logged path may be cut, in bytes.
const MAYBE_CUT: usize = 1021;

/// What the present configuration does with a logged request.
#[derive(Debug)]
pub(super) struct Judged {
    /// The explanation as JSON, if the request could be rebuilt.
    pub(super) explanation: Option<Value>,
    text: String,
    /// What was assumed, because the line does not hold it.
    pub(super) assumed: Vec<String>,
    pub(super) verdict: Verdict,
}

/// Whether the present configuration decides as was decided then.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same(String),
    Different(String),
    Unknown(String),
}

impl Verdict {
    /// Returns the word for it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Same(_) => "same",
            Self::Different(_) => "different",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Returns the reason.
    pub(super) fn reason(&self) -> &str {
        let (Self::Same(reason) | Self::Different(reason) | Self::Unknown(reason)) = self;
        reason
    }
}

impl Judged {
    /// Judges the request of a line. `fields` are headers that the line does not hold.
    pub(super) fn of(config: &Config, line: &LogLine, fields: &Fields, with_policy: bool) -> Self {
        let mut assumed = Vec::new();
        match explained(config, line, fields, &mut assumed) {
            Ok(explanation) => {
                let verdict = verdict(line, &explanation);
                let text = explanation.text(with_policy);
                let json = serde_json::from_str(&explanation.json(with_policy)).ok();
                Self { explanation: json, text, assumed, verdict }
            }
            Err(why) => {
                Self { explanation: None, text: String::new(), assumed, verdict: Verdict::Unknown(why) }
            }
        }
    }

    /// Tells it in words.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for what in &self.assumed {
            let _ = writeln!(text, "  assumed: {what}");
        }
        let verdict = match &self.verdict {
            Verdict::Same(why) => format!("the decision would be the same: {why}"),
            Verdict::Different(why) => format!("the decision would be different: {why}"),
            Verdict::Unknown(why) => format!("whether the decision would be the same cannot be said: {why}"),
        };
        let _ = writeln!(text, "{}{}", self.text, plain(&verdict));
        text
    }
}

/// Rebuilds the request and explains it.
///
/// # Errors
/// Says what the line lacks.
fn explained<'c>(
    config: &'c Config,
    line: &LogLine,
    fields: &Fields,
    assumed: &mut Vec<String>,
) -> Result<Explanation<'c>, String> {
    let (method, target) = request(line, assumed)?;
    let listener = line.get("listener").ok_or("the line is cut off before the listener")?;
    if !config.listeners.iter().any(|own| *own.name == *listener) {
        return Err(format!("the configuration has no listener {listener:?}"));
    }
    if !fields.has("host") {
        assumed
            .push("the request was for the listener's own address; -H 'Host: ...' says another".to_owned());
    }
    let ask = |who| {
        let request = Some((&method, &*target, fields.clone()));
        let question = Question { who, refused: None, listener: Some(listener), request };
        explain(config, &question).map_err(|error| error.to_string())
    };
    let logged = line.get("mapping").filter(|name| *name != "-");
    let asked_by_mapping = |why: String, assumed: &mut Vec<String>| match logged {
        Some(name) if config.mappings.iter().any(|mapping| *mapping.name == *name) => {
            assumed.push(format!("the client still gets the mapping {name:?}, because {why}"));
            ask(Who::Mapping(name))
        }
        Some(name) => Err(format!("the configuration has no mapping {name:?}, and {why}")),
        None => Err(why),
    };
    let caller = match caller(config, line)? {
        Ok(caller) => caller,
        Err(why) => return asked_by_mapping(why, assumed),
    };
    if let Some(user) = uid(line) {
        assumed.push(format!("the client's group id is {user}, as its user id"));
    }
    let is_named = caller.identity.is_some();
    let explanation = ask(Who::Client(caller))?;
    let rule = explanation.refusal().map(|(rule, _)| rule);
    let needs_more = matches!(rule, Some(Rule::CredentialsRequired | Rule::CertificateRequired));
    if needs_more && !is_named && logged.is_some() {
        return asked_by_mapping("the line has no identity".to_owned(), assumed);
    }
    Ok(explanation)
}

/// Rebuilds method and target. The query is as short as the operation allows.
fn request(line: &LogLine, assumed: &mut Vec<String>) -> Result<(Method, String), String> {
    let lacks = |what: &str| format!("the line does not hold {what}");
    let method = line.get("method").filter(|method| *method != "-");
    let method = method.ok_or_else(|| lacks("a method: the client's bytes were not a request"))?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| lacks("a valid method"))?;
    let path = line.get("path").ok_or_else(|| lacks("the path"))?;
    if path.len() >= MAYBE_CUT || path.contains("***") {
        return Err(lacks("the whole path"));
    }
    if path.contains(char::is_control) {
        return Err("its path has characters that no request can have".to_owned());
    }
    let operation = line.get("operation").unwrap_or("-");
    let spec = Spec::named(operation);
    match spec {
        None if Operation::OWN.iter().any(|own| own.name() == operation) => {
            return Err(format!("the headers decide on {operation}, and the log does not hold them"));
        }
        Some(spec) if spec.copies() => {
            return Err("the source of the copy is in a header, which the log does not hold".to_owned());
        }
        _ => {}
    }
    let query = spec.map(|spec| query_of(spec, line)).unwrap_or_default();
    let (question, shown) =
        if query.is_empty() { ("", "none".to_owned()) } else { ("?", format!("{query:?}")) };
    assumed.push(format!("the query was {shown}, for the log has no queries"));
    Ok((method, format!("{path}{question}{query}")))
}

/// Returns the shortest query that selects an operation.
fn query_of(spec: &Spec, line: &LogLine) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut pairs: Vec<String> = spec
        .selects
        .iter()
        .map(|select| match *select {
            "uploadId" => format!("uploadId={ABSENT_UPLOAD}"),
            "partNumber" => "partNumber=1".to_owned(),
            select => select.to_owned(),
        })
        .collect();
    for (field, name) in [("prefix", "prefix"), ("version", "versionId")] {
        let value = line.get(field).filter(|value| !value.is_empty());
        if let Some(value) = value.filter(|_| spec.query.iter().any(|parameter| parameter.name == name)) {
            pairs.push(format!("{name}={}", encoded(value)));
        }
    }
    pairs.join("&")
}

/// Returns the user id of a client of a unix socket.
fn uid(line: &LogLine) -> Option<u32> {
    line.get("identity")?.strip_prefix("uid:")?.parse().ok()
}

/// Rebuilds the client. The inner error says why its identity cannot be rebuilt.
fn caller(config: &Config, line: &LogLine) -> Result<Result<Caller, String>, String> {
    let user = uid(line).map(|uid| PeerUser { uid, gid: uid });
    let client = line.get("client").ok_or("the line is cut off before the client")?;
    let peer = match (client.parse(), line.get("peer")) {
        (Ok(address), Some("unix")) => Peer::Balancer(user, address),
        (Ok(address), _) => Peer::Address(address),
        (Err(_), None) if client == "unix" => Peer::Unix(user),
        (Err(_), _) => return Err("the line does not hold the client's address".to_owned()),
    };
    let identity = match line.get("identity").filter(|_| user.is_none()) {
        None => Ok(None),
        Some(name) => declared(config, name).map(Some),
    };
    Ok(identity.map(|identity| Caller { peer, certificate: None, identity }))
}

/// Returns the identity of this name that the configuration declares.
///
/// # Errors
/// When it declares several, or none.
fn declared(config: &Config, name: &str) -> Result<Identity, String> {
    let is_user = config.users.configured.iter().any(|user| *user.name == *name);
    let is_token = config.tokens.configured.iter().any(|token| *token.name == *name);
    let is_key = config.keys.names().any(|key| key == name);
    match (is_user, is_token, is_key) {
        (true, false, false) => Ok(Identity::User(name.into())),
        (false, true, false) => Ok(Identity::Token(name.into())),
        (false, false, true) => Ok(Identity::Key(name.into())),
        (false, false, false) => Err(format!(
            "the configuration declares no user, token or key {name:?}: it is from a file, a JWT or a certificate, hashed, or gone"
        )),
        _ => Err(format!("several of a user, a token and a key have the name {name:?}")),
    }
}

/// Compares the decision that the log has with the present one.
fn verdict(line: &LogLine, explanation: &Explanation<'_>) -> Verdict {
    let now = explanation.refusal().map(|(rule, _)| rule);
    let decided = |rule: Option<Rule>| match rule {
        Some(rule) => format!("refused by rule {}", rule.name()),
        None => "allowed".to_owned(),
    };
    let then = match line.get("rule") {
        None if line.is_cut() && line.get("total_us").is_none() => {
            return Verdict::Unknown("the line is cut off before the rule".to_owned());
        }
        None => None,
        Some(name) => match rule_named(name) {
            None => {
                return Verdict::Unknown(format!("this version of scopegate has no rule {name:?}"));
            }
            Some(rule) => Some(rule),
        },
    };
    if let Some(what) = then.and_then(hidden_cause) {
        let rule = then.map_or("", Rule::name);
        return Verdict::Unknown(format!(
            "rule {rule} depends on {what}, which the log does not hold; without it, the request is {}",
            decided(now)
        ));
    }
    if let Some(why) = other_operation(line, explanation) {
        return Verdict::Unknown(why);
    }
    let (mapping, logged) = (explanation.mapping(), line.get("mapping").filter(|name| *name != "-"));
    if let Some(rule) = then.filter(|rule| then != now && explanation.may_refuse_by(*rule)) {
        return Verdict::Same(format!("refused by rule {}, unless another way finds something", rule.name()));
    }
    if then != now {
        return Verdict::Different(format!("it was {}, and is {} now", decided(then), decided(now)));
    }
    if mapping != logged {
        let named = |mapping: Option<&str>| {
            mapping.map_or("no mapping".to_owned(), |name| format!("the mapping {name:?}"))
        };
        let (before, after) = (named(logged), named(mapping));
        return Verdict::Different(format!(
            "it is {} as before, by {after} instead of {before}",
            decided(now)
        ));
    }
    match now {
        Some(rule) => Verdict::Same(decided(Some(rule))),
        None => Verdict::Same("allowed; what the store answers may differ".to_owned()),
    }
}

/// Says that the rebuilt request is for another operation than the logged one.
fn other_operation(line: &LogLine, explanation: &Explanation<'_>) -> Option<String> {
    let logged = line.get("operation").filter(|operation| *operation != "-")?;
    let now = explanation.operations();
    // A refusal of the client comes before any operation is known.
    if now.is_empty() || now.iter().any(|operation| operation.name() == logged) {
        return None;
    }
    let now = now.first().map_or("-", |operation| operation.name());
    Some(format!("the request was for {logged}, and what the log holds of it is for {now}"))
}

/// Returns what a rule depends on that no line holds.
fn hidden_cause(rule: Rule) -> Option<&'static str> {
    use Rule as R;
    match rule {
        R::NoMapping
        | R::CredentialsRequired
        | R::CertificateRequired
        | R::IdentityNotAName
        | R::OutsideScope
        | R::RightNotGranted => None,
        R::BadCredentials
        | R::AmbiguousCredentials
        | R::TooManyFailures
        | R::CredentialsUnavailable
        | R::UnknownKey
        | R::WrongSignature
        | R::RequestTimeSkewed
        | R::ExpiredSignature
        | R::HeaderNotSigned
        | R::MalformedSignature
        | R::MalformedPresigned
        | R::UnsupportedSignature
        | R::UnexpectedToken
        | R::UnsignedBody => Some("the client's credentials"),
        R::TooManyIdentities
        | R::QueueFull
        | R::QueueTimeout
        | R::RateLimited
        | R::MemoryFull
        | R::NoRoom
        | R::NoSession
        | R::SessionReplaced
        | R::ShuttingDown
        | R::Upstream
        | R::UpstreamTimeout
        | R::Internal => Some("the load and the state of the store at that time"),
        R::NoSuchFolder => Some("what the store had"),
        _ => Some("the query, a header or the body"),
    }
}
