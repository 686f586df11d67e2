//! Formats an explanation as text and as JSON.

use super::ways::Way;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::SessionKind;
use crate::authorize::policy::{MAX_POLICY_BYTES, SessionPolicy};
use crate::identify::certificate::Certificate;
use crate::identify::client::Connection;
use crate::identify::identity::Identity;
use crate::identify::matcher::Finding;
use crate::refusal::{Refusal, Rule};
use crate::s3::operation::Operation;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;

/// The explanation of a client's mapping and of the decision on its request.
#[derive(Debug, Default)]
pub(in crate::cli) struct Explanation<'c> {
    /// The client's connection and identity, unless the question names a mapping.
    pub(super) client: Option<(Connection, Option<Identity>)>,
    /// The refusal of a client whom the listener does not serve without a certificate.
    pub(super) turned_away: Option<Refusal>,
    /// The mappings before it that do not match, with what their conditions find.
    pub(super) passed_over: Vec<(&'c str, Vec<Finding>)>,
    /// What the conditions of the mapping that matches find.
    pub(super) matched: Vec<Finding>,
    /// The refusal of credentials that do not verify.
    pub(super) rejected: Option<Refusal>,
    /// The refusal of a client that no mapping admits.
    pub(super) unmatched: Option<Refusal>,
    /// The mapping that matches or that the question names.
    pub(super) mapping: Option<Cow<'c, Mapping>>,
    /// The refusal of a client whose identity cannot name a folder of its own.
    pub(super) homeless: Option<Refusal>,
    /// The request in question.
    pub(super) request: Option<String>,
    /// The decision on the request. `None` without a request or a mapping.
    pub(super) decision: Option<Result<Vec<Way>, Refusal>>,
}

impl Explanation<'_> {
    /// Returns the mapping's name.
    pub(in crate::cli) fn mapping(&self) -> Option<&str> {
        self.mapping.as_ref().map(|mapping| &*mapping.name)
    }

    /// Returns the rule that refuses the request, with its message. Returns `None` without a refusal.
    pub(in crate::cli) fn refusal(&self) -> Option<(Rule, &str)> {
        if let Some(refusal) = self.of_client() {
            return Some((refusal.rule, &refusal.message));
        }
        let refusal = match self.decision.as_ref()? {
            Err(refusal) => refusal,
            // If every way is refused, the first refusal is the response.
            Ok(ways) if ways.iter().all(|way| way.ruling.is_err()) => {
                ways.iter().find_map(|way| way.ruling.as_ref().err())?
            }
            Ok(_) => return None,
        };
        Some((refusal.rule, &refusal.message))
    }

    /// Returns the operations of the ways in which the request is answered, or of its refusal.
    pub(super) fn operations(&self) -> Vec<Operation> {
        match &self.decision {
            Some(Ok(ways)) => ways.iter().filter_map(|way| way.operation).collect(),
            Some(Err(refusal)) => refusal.operation.into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Returns whether this rule refuses the request in one of its ways.
    pub(super) fn may_refuse_by(&self, rule: Rule) -> bool {
        let ways = self.decision.as_ref().and_then(|decision| decision.as_ref().ok());
        ways.into_iter().flatten().any(|way| way.ruling.as_ref().is_err_and(|refusal| refusal.rule == rule))
    }

    /// Returns the refusal of the client, whatever it requests.
    fn of_client(&self) -> Option<&Refusal> {
        let first = self.turned_away.as_ref().or(self.rejected.as_ref());
        first.or(self.unmatched.as_ref()).or(self.homeless.as_ref())
    }

    /// Returns the kind of the session that signs the request, in the first way that asks the store.
    fn session(&self) -> Option<SessionKind> {
        let ways = self.decision.as_ref()?.as_ref().ok()?;
        ways.iter().find_map(|way| way.session)
    }

    /// Returns what an operator can do about the refusal.
    fn help(&self) -> Option<String> {
        let of_request = || self.decision.as_ref()?.as_ref().err();
        let refusal = self.of_client().or_else(of_request)?;
        refusal.help().map(ToString::to_string)
    }

    /// Formats the explanation as text.
    pub(in crate::cli) fn text(&self, with_policy: bool) -> String {
        let mut text = String::new();
        if let Some((connection, identity)) = &self.client {
            let user = connection.user().map(|user| format!(", uid {}, gid {}", user.uid, user.gid));
            let identity = identity.as_ref().map(|identity| format!(", {}", identity.describe()));
            let certificate =
                connection.certificate().map(|certificate| format!(", certificate {}", certificate.name()));
            let bearing = [user, certificate, identity].into_iter().flatten().collect::<String>();
            let _ =
                writeln!(text, "client {connection} at listener {:?}{bearing}", connection.listener().name());
        }
        if let Some(certificate) = self.client.as_ref().and_then(|(connection, _)| connection.certificate()) {
            for (kind, found) in Certificate::KINDS.into_iter().zip(certificate.found()) {
                let _ = writeln!(text, "  its {kind}: {found}");
            }
            text.push_str(
                "  the authorities of the listener must vouch for it, which this command does not check\n",
            );
        }
        if let Some(refusal) = &self.turned_away {
            let _ = writeln!(text, "  the connection is refused: {}", refusal.message);
        }
        if let Some(refusal) = &self.rejected {
            let (rule, why) = (refusal.rule.name(), refusal.cause().unwrap_or_default());
            let _ = writeln!(text, "the credentials are refused by rule {rule}: {why}");
        }
        for (name, findings) in &self.passed_over {
            let _ = writeln!(text, "  mapping {name:?} does not match");
            list(findings, &mut text);
        }
        if let Some(refusal) = &self.unmatched {
            let _ = writeln!(
                text,
                "  no mapping matches: every request is refused by rule {}",
                refusal.rule.name()
            );
        }
        if let Some(mapping) = &self.mapping {
            if !self.matched.is_empty() {
                let _ = writeln!(text, "  mapping {:?} matches", mapping.name);
                list(&self.matched, &mut text);
            }
            describe(mapping, with_policy, &mut text);
        }
        if let Some(refusal) = &self.homeless {
            let _ = write!(text, "  every request is {}", refused(refusal));
        }
        if let (Some(request), Some(decision)) = (&self.request, &self.decision) {
            let _ = write!(text, "\n{request}\n  {}", verdict(decision));
        }
        text
    }

    /// Formats the explanation as one line of JSON.
    pub(in crate::cli) fn json(&self, with_policy: bool) -> String {
        let refusal = self.refusal();
        let asked = self.decision.is_some() || self.mapping.is_none();
        let passed_over: Vec<Value> = self
            .passed_over
            .iter()
            .map(|(name, findings)| json!({ "mapping": name, "because": reason(findings), "conditions": conditions(findings) }))
            .collect();
        let connection = self.client.as_ref().map(|(connection, _)| connection);
        let identity = self.client.as_ref().and_then(|(_, identity)| identity.as_ref());
        let mut answer = json!({
            "client": connection.map(ToString::to_string),
            "listener": connection.map(|connection| &**connection.listener().name()),
            "certificate": connection.and_then(Connection::certificate).map(|certificate| certificate.name()),
            "identity": identity.map(Identity::describe),
            "passed_over": passed_over,
            "mapping": self.mapping(),
            "conditions": conditions(&self.matched),
            "scopes": self.mapping.as_deref().map(scopes),
            "request": self.request,
            "session": self.session().map(SessionKind::name),
            "allowed": asked.then_some(refusal.is_none()),
            "rule": refusal.map(|(rule, _)| rule.name()),
            "status": refusal.map(|(rule, _)| rule.status().as_u16()),
            "code": refusal.map(|(rule, _)| rule.code()),
            "message": refusal.map(|(_, message)| message),
            "cause": self.rejected.as_ref().and_then(Refusal::cause),
            "cause": self.homeless.as_ref().and_then(Refusal::cause),
            "help": self.help(),
            "details": self.decision.as_ref().map(|decision| verdict(decision).lines().map(str::to_owned).collect::<Vec<_>>()),
        });
        if with_policy && let (Some(mapping), Some(answer)) = (&self.mapping, answer.as_object_mut()) {
            let longest = mapping.of_longest_identity();
            let policies = longest.policies().map(|(kind, policy)| {
                (kind.name().to_owned(), serde_json::from_str(policy.json()).unwrap_or(Value::Null))
            });
            answer.insert("policies".to_owned(), Value::Object(policies.collect()));
        }
        format!("{answer}\n")
    }
}

/// Lists findings, one on each line.
fn list(findings: &[Finding], text: &mut String) {
    for finding in findings {
        let _ = writeln!(text, "    {finding}");
    }
}

/// Returns the findings that keep a mapping from matching, in one line.
fn reason(findings: &[Finding]) -> String {
    let failing: Vec<String> =
        findings.iter().filter(|finding| !finding.holds).map(ToString::to_string).collect();
    failing.join("; ")
}

fn conditions(findings: &[Finding]) -> Vec<Value> {
    let condition = |finding: &Finding| json!({ "condition": finding.what, "wanted": finding.wanted, "found": finding.found, "holds": finding.holds });
    findings.iter().map(condition).collect()
}

fn verdict(decision: &Result<Vec<Way>, Refusal>) -> String {
    let ruled = |ruling: &Result<String, Refusal>| match ruling {
        Ok(text) => text.clone(),
        Err(refusal) => refused(refusal),
    };
    match decision {
        Err(refusal) => refused(refusal),
        Ok(ways) => match &ways[..] {
            [Way { how: None, ruling, .. }] => ruled(ruling),
            ways => {
                let mut text = "answered in the first of these ways that finds something:\n".to_owned();
                for Way { how, ruling, .. } in ways {
                    let _ = writeln!(text, "  {}", how.unwrap_or_default());
                    text.extend(ruled(ruling).lines().map(|line| format!("    {line}\n")));
                }
                text
            }
        },
    }
}

fn refused(refusal: &Refusal) -> String {
    let cause = refusal.cause().map(|cause| format!("  cause: {cause}\n")).unwrap_or_default();
    let help = refusal.help().map(|help| format!("  help: {help}\n")).unwrap_or_default();
    let (rule, message) = (refusal.rule, &refusal.message);
    format!(
        "refused by rule {}: {} {}: {message}\n{cause}{help}  more: docs/reference/rules.md\n",
        rule.name(),
        rule.status().as_u16(),
        rule.code()
    )
}

fn scopes(mapping: &Mapping) -> Vec<Value> {
    let scope = |(scope, prefix): (&crate::authorize::scope::Scope, String)| {
        json!({
            "bucket": scope.bucket.as_str(),
            "prefix": prefix,
            "allow": scope.allow.iter().map(crate::authorize::rights::Right::name).collect::<Vec<_>>(),
            "mount": scope.view.as_ref().map(|view| view.mount().to_string()),
        })
    };
    mapping.written_scopes().map(scope).collect()
}

fn describe(mapping: &Mapping, with_policy: bool, text: &mut String) {
    let _ = writeln!(text, "mapping {:?}", mapping.name);
    for (scope, prefix) in mapping.written_scopes() {
        let seen = scope.view.as_ref().map(|view| format!(", seen at {}", view.mount())).unwrap_or_default();
        let _ = write!(text, "  {}/{prefix} allows {}{seen}", scope.bucket, scope.allow);
        if let Some(index) = &scope.index {
            let _ = write!(text, ", index {:?}", index.as_str());
        }
        if scope.site {
            text.push_str(", a site: browsers run its objects");
        }
        text.push('\n');
    }
    if with_policy {
        let most = if mapping.homes.is_some() { ", at most" } else { "" };
        for (kind, policy) in mapping.of_longest_identity().policies() {
            describe_policy(&format!("policy of the session {kind}{most}"), &policy, text);
        }
    }
}

fn describe_policy(what: &str, policy: &SessionPolicy, text: &mut String) {
    let _ = writeln!(text, "{what} ({} of {MAX_POLICY_BYTES} bytes)", policy.size());
    let pretty = serde_json::from_str::<Value>(policy.json())
        .and_then(|policy| serde_json::to_string_pretty(&policy))
        .unwrap_or_default();
    let _ = writeln!(text, "{pretty}");
}
