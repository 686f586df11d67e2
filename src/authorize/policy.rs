//! The session policy that MinIO enforces: a mapping's scopes, compiled from the table of operations.

use crate::authorize::operations::{SessionKind, Shape, Spec, TABLE};
use crate::authorize::rights::{Right, Rights};
use crate::authorize::scope::Scope;
use crate::s3::names::BucketName;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Largest policy that MinIO accepts, in bytes of the server's own JSON encoding.
pub(crate) const MAX_POLICY_BYTES: usize = 2048;

/// A compiled session policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionPolicy {
    json: Arc<str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

// Resource and Action are always arrays: some stores do not accept a single string.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: &'static str,
    action: BTreeSet<&'static str>,
    resource: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    string_like: PrefixCondition,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct PrefixCondition {
    #[serde(rename = "s3:prefix")]
    prefix: BTreeSet<String>,
}

impl SessionPolicy {
    /// Compiles the policy of a mapping's session of this kind. Returns `None` if the scopes need no such session.
    pub fn of(kind: SessionKind, scopes: &[Scope]) -> Option<Self> {
        match kind {
            SessionKind::Scopes => Some(Self::compile(scopes)),
            SessionKind::Uploads => uploads_statement(scopes).map(|only| Self::of_statements(vec![only])),
        }
    }

    /// Compiles the policy that allows `scopes` and nothing else.
    pub fn compile(scopes: &[Scope]) -> Self {
        let mut statement = object_statements(scopes);
        statement.extend(list_statements(scopes));
        statement.extend(bucket_statement(scopes));
        Self::of_statements(statement)
    }

    fn of_statements(statement: Vec<Statement>) -> Self {
        let policy = Policy { version: "2012-10-17", statement };
        // Serialising maps with string keys and no floats cannot fail.
        let json = serde_json::to_string(&policy).unwrap_or_default();
        Self { json: json.into() }
    }

    /// Returns the policy's JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns its size in bytes as the server counts it. Go escapes `<`, `>`, `&`, U+2028 and U+2029 to six bytes
    /// each.
    pub fn size(&self) -> usize {
        let extra: usize = self
            .json
            .chars()
            .map(|c| match c {
                '<' | '>' | '&' => 5,
                '\u{2028}' | '\u{2029}' => 3,
                _ => 0,
            })
            .sum();
        self.json.len() + extra
    }
}

/// Returns the statements about objects. Scopes with equal rights share a statement, because the session token
/// contains the policy and must stay short.
fn object_statements(scopes: &[Scope]) -> Vec<Statement> {
    let mut by_actions: BTreeMap<BTreeSet<&'static str>, BTreeSet<String>> = BTreeMap::new();
    for scope in scopes {
        let actions = actions(scope.allow, |row| row.shape == Shape::Object);
        if !actions.is_empty() {
            let resource = format!("arn:aws:s3:::{}/{}*", scope.bucket, scope.prefix);
            by_actions.entry(actions).or_default().insert(resource);
        }
    }
    let allow = |(action, resource)| Statement { effect: "Allow", action, resource, condition: None };
    by_actions.into_iter().map(allow).collect()
}

fn list_statements(scopes: &[Scope]) -> Vec<Statement> {
    let mut by_bucket: BTreeMap<(&BucketName, bool), BTreeSet<String>> = BTreeMap::new();
    for scope in scopes.iter().filter(|scope| scope.allow.has(Right::List)) {
        let versions = scope.allow.has(Right::Versions);
        by_bucket.entry((&scope.bucket, versions)).or_default().insert(format!("{}*", scope.prefix));
    }
    by_bucket
        .into_iter()
        .map(|((bucket, versions), prefix)| {
            let rights = Rights::default().with(Right::List);
            let rights = if versions { rights.with(Right::Versions) } else { rights };
            // With the whole bucket in scope a list may have no prefix, and no condition would match that.
            let whole = prefix.contains("*");
            Statement {
                effect: "Allow",
                action: actions(rights, |row| row.operation.lists()),
                resource: [format!("arn:aws:s3:::{bucket}")].into(),
                condition: (!whole).then_some(Condition { string_like: PrefixCondition { prefix } }),
            }
        })
        .collect()
}

/// Returns the statement about whole buckets. Such operations have no prefix, and the store rejects a condition on
/// it.
fn bucket_statement(scopes: &[Scope]) -> Option<Statement> {
    let resource: BTreeSet<String> = scopes
        .iter()
        .filter(|scope| scope.allow.has(Right::List))
        .map(|scope| format!("arn:aws:s3:::{}", scope.bucket))
        .collect();
    let rights = Rights::default().with(Right::List);
    let action = actions(rights, |row| row.shape == Shape::Bucket && !row.operation.lists());
    (!resource.is_empty()).then_some(Statement { effect: "Allow", action, resource, condition: None })
}

/// Returns the statement that allows lists of multipart uploads. The store rejects a condition on their prefix, so
/// the session with this statement has no other.
fn uploads_statement(scopes: &[Scope]) -> Option<Statement> {
    let rows = || TABLE.iter().filter(|row| row.session == SessionKind::Uploads);
    let resource: BTreeSet<String> = scopes
        .iter()
        .filter(|scope| rows().any(|row| scope.allow.has_all(row.needs())))
        .map(|scope| format!("arn:aws:s3:::{}", scope.bucket))
        .collect();
    let action = rows().flat_map(|row| row.actions).copied().collect();
    (!resource.is_empty()).then_some(Statement { effect: "Allow", action, resource, condition: None })
}

/// Returns the actions of the scopes' session.
fn actions(rights: Rights, which: impl Fn(&Spec) -> bool) -> BTreeSet<&'static str> {
    let versions = rights.has(Right::Versions);
    TABLE
        .iter()
        .filter(|row| row.session == SessionKind::Scopes && rights.has_all(row.needs()) && which(row))
        .flat_map(|row| {
            row.actions.iter().chain(versions.then_some(row.version_actions).into_iter().flatten())
        })
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::names::Prefix;

    fn scope(bucket: &str, prefix: &str, allow: &[Right]) -> Scope {
        let rights = allow.iter().copied().collect();
        Scope::new(BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap(), rights)
    }

    #[test]
    fn read_and_list() {
        let policy = SessionPolicy::compile(&[scope("tmp", "media/", &[Right::Read, Right::List])]);
        let expected = concat!(
            r#"{"Version":"2012-10-17","Statement":["#,
            r#"{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectAttributes","s3:GetObjectTagging"],"#,
            r#""Resource":["arn:aws:s3:::tmp/media/*"]},"#,
            r#"{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::tmp"],"#,
            r#""Condition":{"StringLike":{"s3:prefix":["media/*"]}}},"#,
            r#"{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:HeadBucket"],"Resource":["arn:aws:s3:::tmp"]}]}"#
        );
        assert_eq!(policy.json(), expected);
        assert_eq!(policy.size(), expected.len());
    }

    #[test]
    fn each_right_alone() {
        let cases = [
            (Right::Read, vec!["s3:GetObject\""], vec!["Put", "Delete\"", "List", "ObjectVersion"]),
            (Right::List, vec!["s3:ListBucket\"", "s3:HeadBucket"], vec!["Object"]),
            (
                Right::Write,
                vec!["s3:PutObject\"", "s3:AbortMultipartUpload"],
                vec!["s3:GetObject", "s3:DeleteObject\"", "ListBucket"],
            ),
            (Right::Delete, vec!["s3:DeleteObject\""], vec!["Put", "Get", "List", "Tagging"]),
        ];
        for (right, holds, lacks) in cases {
            let policy = SessionPolicy::compile(&[scope("tmp", "media/", &[right])]);
            assert!(holds.iter().all(|action| policy.json().contains(action)), "{right:?} {}", policy.json());
            assert!(
                lacks.iter().all(|action| !policy.json().contains(action)),
                "{right:?} {}",
                policy.json()
            );
        }
    }

    #[test]
    fn scopes_with_equal_rights_share_statements_and_never_widen_each_other() {
        let scopes = [
            scope("tmp", "a/", &[Right::Read]),
            scope("tmp", "b/", &[Right::Read]),
            scope("tmp", "c/", &[Right::Write]),
            scope("tmp", "d/", &[Right::List]),
        ];
        let policy: serde_json::Value = serde_json::from_str(SessionPolicy::compile(&scopes).json()).unwrap();
        let resources = |action: &str| -> Vec<String> {
            policy["Statement"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|statement| statement["Action"].as_array().unwrap().contains(&action.into()))
                .flat_map(|statement| statement["Resource"].as_array().unwrap())
                .map(|resource| resource.as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(resources("s3:GetObject"), ["arn:aws:s3:::tmp/a/*", "arn:aws:s3:::tmp/b/*"]);
        assert_eq!(resources("s3:PutObject"), ["arn:aws:s3:::tmp/c/*"]);
        let lists: Vec<_> =
            policy["Statement"].as_array().unwrap().iter().filter(|s| s.get("Condition").is_some()).collect();
        assert_eq!(lists.len(), 1);
        assert_eq!(lists[0]["Condition"]["StringLike"]["s3:prefix"], serde_json::json!(["d/*"]));
    }

    #[test]
    fn the_whole_bucket_needs_no_condition() {
        let policy = SessionPolicy::compile(&[scope("tmp", "", &[Right::List, Right::Read])]);
        assert!(!policy.json().contains("Condition") && policy.json().contains("arn:aws:s3:::tmp/*"));
    }

    #[test]
    fn the_session_for_lists_of_uploads_can_do_nothing_else() {
        let both = [Right::List, Right::Write];
        let scopes = [
            scope("tmp", "media/", &both),
            scope("tmp", "other/", &both),
            scope("zoo", "", &both),
            scope("lists", "", &[Right::List]),
            scope("writes", "", &[Right::Write]),
        ];
        let uploads = SessionPolicy::of(SessionKind::Uploads, &scopes).unwrap();
        let expected = concat!(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucketMultipartUploads"],"#,
            r#""Resource":["arn:aws:s3:::tmp","arn:aws:s3:::zoo"]}]}"#
        );
        assert_eq!(uploads.json(), expected);
        assert!(!SessionPolicy::compile(&scopes).json().contains("s3:ListBucketMultipartUploads"));
        assert_eq!(SessionPolicy::of(SessionKind::Uploads, &scopes[3..]), None);
    }

    #[test]
    fn size_counts_the_escapes_of_go() {
        let plain = SessionPolicy::compile(&[scope("tmp", "aaa/", &[Right::Delete])]);
        let escaped = SessionPolicy::compile(&[scope("tmp", "a&a/", &[Right::Delete])]);
        assert_eq!(escaped.size(), plain.size() + 5);
    }
}
