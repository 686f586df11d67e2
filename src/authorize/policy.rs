//! The session policies that MinIO enforces: a mapping's scopes, compiled from the table of operations.

use crate::authorize::operations::{SessionKind, Shape, Spec, TABLE};
use crate::authorize::rights::Rights;
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
    /// Compiles the policy of a session of this kind. Returns `None` if the scopes grant none of its operations.
    pub fn of(kind: SessionKind, scopes: &[Scope]) -> Option<Self> {
        let rows = Rows::of(kind, scopes);
        let mut statement = object_statements(&rows, scopes);
        statement.extend(list_statements(&rows, scopes));
        statement.extend(bucket_statements(&rows, scopes));
        (!statement.is_empty()).then(|| Self::of_statements(statement))
    }

    /// Returns whether the scopes grant an operation of this kind of session, so that it has a policy.
    pub fn is_needed(kind: SessionKind, scopes: &[Scope]) -> bool {
        !Rows::of(kind, scopes).rows.is_empty()
    }

    /// Compiles the policy that allows everything that `scopes` grant, except lists of multipart uploads.
    pub fn compile(scopes: &[Scope]) -> Self {
        Self::of(SessionKind::All, scopes).unwrap_or_else(|| Self::of_statements(Vec::new()))
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

/// The rows that a kind of session signs and that its scopes can grant.
struct Rows {
    kind: SessionKind,
    rows: Vec<&'static Spec>,
}

impl Rows {
    /// A copy needs a scope to write to and one to read from.
    fn of(kind: SessionKind, scopes: &[Scope]) -> Self {
        let grants = |needs: Rights| scopes.iter().any(|scope| scope.allow.has_all(needs));
        let signs =
            |row: &Spec| row.forms().any(|needs| kind.signs(row.session_with(needs)) && grants(needs));
        let has_source = |row: &Spec| row.source.is_none_or(|source| grants(source.needs()));
        Self { kind, rows: TABLE.iter().filter(|row| signs(row) && has_source(row)).collect() }
    }

    /// Returns the actions that these rights allow, of the rows that `which` selects and of the sources of their copies.
    fn actions(&self, rights: Rights, which: impl Fn(&Spec) -> bool) -> BTreeSet<&'static str> {
        let signed = self.rows.iter().flat_map(|row| {
            let forms = row.forms().filter(|needs| self.kind.signs(row.session_with(*needs)));
            forms.map(move |needs| (*row, needs))
        });
        let sources = self.rows.iter().filter_map(|row| row.source);
        let sources = sources.flat_map(|source| source.forms().map(move |needs| (source, needs)));
        signed
            .chain(sources)
            .filter(|(row, needs)| rights.has_all(*needs) && which(row))
            .flat_map(|(row, needs)| row.actions_with(needs))
            .collect()
    }
}

/// Returns the statements about objects. Scopes with equal rights share a statement, because the session token
/// contains the policy and must stay short.
fn object_statements(rows: &Rows, scopes: &[Scope]) -> Vec<Statement> {
    let mut by_actions: BTreeMap<BTreeSet<&'static str>, BTreeSet<String>> = BTreeMap::new();
    for scope in scopes {
        let actions = rows.actions(scope.allow, |row| row.shape == Shape::Object);
        let resource = format!("arn:aws:s3:::{}/{}*", scope.bucket, scope.prefix);
        by_actions.entry(actions).or_default().insert(resource);
    }
    allow_each(by_actions)
}

fn list_statements(rows: &Rows, scopes: &[Scope]) -> Vec<Statement> {
    let mut by_bucket: BTreeMap<(&BucketName, BTreeSet<&'static str>), BTreeSet<String>> = BTreeMap::new();
    for scope in scopes {
        let action = rows.actions(scope.allow, |row| row.operation.lists());
        if !action.is_empty() {
            by_bucket.entry((&scope.bucket, action)).or_default().insert(format!("{}*", scope.prefix));
        }
    }
    by_bucket
        .into_iter()
        .map(|((bucket, action), prefix)| {
            // With the whole bucket in scope a list may have no prefix, and no condition would match that.
            let whole = prefix.contains("*");
            Statement {
                effect: "Allow",
                action,
                resource: [format!("arn:aws:s3:::{bucket}")].into(),
                condition: (!whole).then_some(Condition { string_like: PrefixCondition { prefix } }),
            }
        })
        .collect()
}

/// Returns the statements about whole buckets. The store rejects a condition on the prefix of such operations, lists of
/// multipart uploads among them.
fn bucket_statements(rows: &Rows, scopes: &[Scope]) -> Vec<Statement> {
    let mut by_actions: BTreeMap<BTreeSet<&'static str>, BTreeSet<String>> = BTreeMap::new();
    for scope in scopes {
        let actions = rows.actions(scope.allow, |row| row.shape == Shape::Bucket && !row.operation.lists());
        by_actions.entry(actions).or_default().insert(format!("arn:aws:s3:::{}", scope.bucket));
    }
    allow_each(by_actions)
}

/// Returns a statement for each set of actions that is not empty, with the resources that it is allowed on.
fn allow_each(by_actions: BTreeMap<BTreeSet<&'static str>, BTreeSet<String>>) -> Vec<Statement> {
    let allow = |(action, resource)| Statement { effect: "Allow", action, resource, condition: None };
    by_actions.into_iter().filter(|(action, _)| !action.is_empty()).map(allow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::rights::Right;
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
        for kind in SessionKind::ALL.into_iter().filter(|kind| *kind != SessionKind::Uploads) {
            let policy = SessionPolicy::of(kind, &scopes);
            assert!(policy.is_none_or(|policy| !policy.json().contains("MultipartUploads")), "{kind}");
        }
        assert_eq!(SessionPolicy::of(SessionKind::Uploads, &scopes[3..]), None);
    }

    #[test]
    fn size_counts_the_escapes_of_go() {
        let plain = SessionPolicy::compile(&[scope("tmp", "aaa/", &[Right::Delete])]);
        let escaped = SessionPolicy::compile(&[scope("tmp", "a&a/", &[Right::Delete])]);
        assert_eq!(escaped.size(), plain.size() + 5);
    }

    #[test]
    fn each_kind_of_session_has_what_its_operations_need() {
        let scopes = [scope("tmp", "a/", &[Right::Read, Right::Write]), scope("tmp", "b/", &[Right::Read])];
        let object = |actions: &str, prefixes: &[&str]| {
            let resources: Vec<_> =
                prefixes.iter().map(|prefix| format!("\"arn:aws:s3:::tmp/{prefix}*\"")).collect();
            format!(r#"{{"Effect":"Allow","Action":[{actions}],"Resource":[{}]}}"#, resources.join(","))
        };
        let policy = |statements: &[String]| {
            format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
        };
        for (kind, expected) in [
            (SessionKind::Get, Some(policy(&[object("\"s3:GetObject\"", &["a/", "b/"])]))),
            (SessionKind::Put, Some(policy(&[object("\"s3:PutObject\"", &["a/"])]))),
            (
                SessionKind::Copy,
                Some(policy(&[
                    object("\"s3:GetObject\"", &["b/"]),
                    object("\"s3:GetObject\",\"s3:PutObject\"", &["a/"]),
                ])),
            ),
            (SessionKind::List, None),
            (SessionKind::Bucket, None),
            (SessionKind::Versions, None),
            (SessionKind::Delete, None),
            (SessionKind::Uploads, None),
        ] {
            let compiled = SessionPolicy::of(kind, &scopes);
            assert_eq!(compiled.as_ref().map(SessionPolicy::json), expected.as_deref(), "{kind}");
        }
        assert_eq!(SessionPolicy::of(SessionKind::Copy, &scopes[1..]), None, "there is no scope to write to");
    }
}

#[cfg(test)]
mod properties;
