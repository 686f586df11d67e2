//! Session policies: parsed once into types, then asked. Default deny, and an explicit deny wins.
//!
//! A policy that this store would not enforce in full is rejected.
//! Grammar: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use serde::Deserialize;

/// A session policy.
#[derive(Debug)]
pub(super) struct Policy(Vec<Statement>);

/// The error of an invalid policy. It does not quote the policy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A question to a policy.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// The actions, such as `s3:GetObject`. Any one of them is enough.
    pub(super) any_of: &'a [&'a str],
    /// `bucket` or `bucket/key`.
    pub(super) resource: &'a str,
    /// The prefix of a listing. Without one, no condition holds.
    pub(super) prefix: Option<&'a str>,
}

impl Policy {
    /// Parses a policy.
    ///
    /// # Errors
    /// When the text is not JSON, or says anything that this store would not enforce.
    pub(super) fn parse(json: &str) -> Result<Self, Malformed> {
        let document: Document =
            serde_json::from_str(json).map_err(|_| Malformed("not a policy document this store knows"))?;
        if document.version != "2012-10-17" {
            return Err(Malformed("Version must be 2012-10-17"));
        }
        let written = document.statement.into_vec();
        if written.is_empty() {
            return Err(Malformed("Statement must not be empty"));
        }
        written.into_iter().map(Statement::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the policy of a session minted without one, which allows everything.
    pub(super) fn everything() -> Self {
        let all = || vec![Pattern("*".to_owned())];
        Self(vec![Statement { effect: Effect::Allow, actions: all(), resources: all(), prefix: Vec::new() }])
    }

    pub(super) fn allows(&self, question: Question<'_>) -> bool {
        let says = |effect| self.0.iter().any(|statement| statement.says(effect, question));
        says(Effect::Allow) && !says(Effect::Deny)
    }
}

#[derive(Debug)]
struct Statement {
    effect: Effect,
    actions: Vec<Pattern>,
    resources: Vec<Pattern>,
    /// The conditions on the prefix, all of which must hold.
    prefix: Vec<PrefixTest>,
}

impl Statement {
    fn parse(written: WrittenStatement) -> Result<Self, Malformed> {
        let actions = patterns(written.action, action)?;
        let prefix = written.condition.map_or_else(|| Ok(Vec::new()), Condition::tests)?;
        // MinIO refuses a condition on a key that an action of the statement does not have.
        if !prefix.is_empty() && !actions.iter().all(Pattern::lists) {
            return Err(Malformed("s3:prefix is a condition of listing only"));
        }
        Ok(Self { effect: written.effect, actions, resources: patterns(written.resource, resource)?, prefix })
    }

    fn says(&self, effect: Effect, question: Question<'_>) -> bool {
        self.effect == effect
            && self.actions.iter().any(|action| question.any_of.iter().any(|asked| action.matches(asked)))
            && self.resources.iter().any(|resource| resource.matches(question.resource))
            && self.prefix.iter().all(|test| question.prefix.is_some_and(|prefix| test.holds(prefix)))
    }
}

/// A condition on `s3:prefix`: one of its values must match, by `StringLike` or `StringEquals`.
#[derive(Debug)]
enum PrefixTest {
    Like(Vec<Pattern>),
    Equals(Vec<Pattern>),
}

impl PrefixTest {
    fn holds(&self, prefix: &str) -> bool {
        match self {
            Self::Like(patterns) => patterns.iter().any(|pattern| pattern.matches(prefix)),
            Self::Equals(values) => values.iter().any(|value| value.0 == prefix),
        }
    }
}

/// A text in which `*` stands for any sequence of bytes, including `/`.
#[derive(Debug)]
struct Pattern(String);

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(text) = text.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(text) = text.strip_suffix(last) else { return false };
        // The leftmost match of each piece leaves the most room for the following ones.
        let mut pieces = middle.split('*');
        pieces.try_fold(text, |text, piece| text.split_once(piece).map(|(_, after)| after)).is_some()
    }

    fn lists(&self) -> bool {
        matches!(self.0.as_str(), "s3:ListBucket" | "s3:ListBucketVersions")
    }
}

fn patterns(
    written: OneOrMany,
    check: fn(&str) -> Result<&str, Malformed>,
) -> Result<Vec<Pattern>, Malformed> {
    let written = written.into_vec();
    if written.is_empty() {
        return Err(Malformed("Action, Resource and the values of a condition must not be empty"));
    }
    written.iter().map(|text| plain(check(text)?)).collect()
}

/// Parses a text without wildcards. `?` and `${...}` have a meaning in other policies, which this store does not
/// implement.
fn plain(text: &str) -> Result<Pattern, Malformed> {
    if text.contains(['?', '$', '\\']) {
        return Err(Malformed("the only wildcard of this store is *"));
    }
    Ok(Pattern(text.to_owned()))
}

fn action(text: &str) -> Result<&str, Malformed> {
    let name = text.strip_prefix("s3:").ok_or(Malformed("an Action must begin with s3:"))?;
    let known = |byte: u8| byte.is_ascii_alphabetic() || byte == b'*';
    if name.is_empty() || !name.bytes().all(known) {
        return Err(Malformed("an Action must be the name of one"));
    }
    Ok(text)
}

fn resource(text: &str) -> Result<&str, Malformed> {
    let path =
        text.strip_prefix("arn:aws:s3:::").ok_or(Malformed("a Resource must begin with arn:aws:s3:::"))?;
    if path.is_empty() || path.starts_with('/') {
        return Err(Malformed("a Resource must name a bucket"));
    }
    Ok(path)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Document {
    version: String,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<WrittenStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct WrittenStatement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: OneOrMany,
    resource: OneOrMany,
    condition: Option<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Condition {
    string_like: Option<OnPrefix>,
    string_equals: Option<OnPrefix>,
}

impl Condition {
    fn tests(self) -> Result<Vec<PrefixTest>, Malformed> {
        let like = self.string_like.map(|on| patterns(on.prefix, |text| Ok(text)).map(PrefixTest::Like));
        let equals =
            self.string_equals.map(|on| patterns(on.prefix, |text| Ok(text)).map(PrefixTest::Equals));
        let tests = like.into_iter().chain(equals).collect::<Result<Vec<_>, _>>()?;
        if tests.is_empty() { Err(Malformed("a Condition must not be empty")) } else { Ok(tests) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnPrefix {
    #[serde(rename = "s3:prefix")]
    prefix: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T = String> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests;
