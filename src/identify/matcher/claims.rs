//! Conditions on the claims of a JWT.

use super::finding::Finding;
use crate::identify::identity::JwtIdentity;
use serde_json::Value;

/// The most characters of a claim that a finding shows.
const MAX_SHOWN: usize = 200;

/// A condition on a JWT that verified.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtCondition {
    /// The name of the issuer in the configuration.
    pub issuer: Box<str>,
    /// Conditions on claims, which must all hold.
    pub claims: Vec<ClaimCondition>,
    /// Kubernetes service accounts as namespace and name, one of which the subject must be. Empty admits every subject.
    pub service_accounts: Vec<(Box<str>, Box<str>)>,
}

/// A condition on one claim.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimCondition {
    /// The names from the outermost object to the claim.
    pub path: Vec<Box<str>>,
    /// The test of its value.
    pub test: ClaimTest,
}

/// A test of the value of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimTest {
    /// It equals this string, number or boolean.
    Is(Value),
    /// It is an array that contains this string, number or boolean.
    Has(Value),
    /// It is a string that begins with this one, which ends in `/`.
    Starts(Box<str>),
}

impl JwtCondition {
    /// Checks whether the condition holds.
    pub fn admits(&self, jwt: &JwtIdentity) -> bool {
        self.issuer == jwt.issuer
            && self.admits_account(jwt)
            && self.claims.iter().all(|claim| claim.admits(jwt))
    }

    fn admits_account(&self, jwt: &JwtIdentity) -> bool {
        let account = jwt.service_account();
        let is = |(namespace, name): &(Box<str>, Box<str>)| account == Some((&**namespace, &**name));
        self.service_accounts.is_empty() || self.service_accounts.iter().any(is)
    }

    /// Returns what the condition expects and what it finds.
    pub(super) fn findings(&self, jwt: &JwtIdentity) -> Vec<Finding> {
        let mut findings = vec![Finding {
            what: "jwt issuer".to_owned(),
            wanted: self.issuer.to_string(),
            found: jwt.issuer.to_string(),
            holds: self.issuer == jwt.issuer,
        }];
        if !self.service_accounts.is_empty() {
            let accounts =
                self.service_accounts.iter().map(|(namespace, name)| format!("{namespace}/{name}"));
            findings.push(Finding {
                what: "jwt service_account".to_owned(),
                wanted: accounts.collect::<Vec<_>>().join(", "),
                found: format!("sub {:?}", jwt.subject().unwrap_or_default()),
                holds: self.admits_account(jwt),
            });
        }
        findings.extend(self.claims.iter().map(|claim| claim.finding(jwt)));
        findings
    }

    /// Checks whether this condition holds for every token for which `other` holds.
    pub fn covers(&self, other: &Self) -> bool {
        let accounts = self.service_accounts.is_empty()
            || (!other.service_accounts.is_empty()
                && other.service_accounts.iter().all(|account| self.service_accounts.contains(account)));
        self.issuer == other.issuer
            && accounts
            && self.claims.iter().all(|claim| other.claims.contains(claim))
    }
}

impl ClaimCondition {
    fn admits(&self, jwt: &JwtIdentity) -> bool {
        match (&self.test, jwt.claim(&self.path)) {
            (ClaimTest::Is(wanted), Some(found)) => wanted == found && self.may_trust(jwt),
            (ClaimTest::Has(wanted), Some(Value::Array(found))) => found.contains(wanted),
            (ClaimTest::Starts(wanted), Some(Value::String(found))) => {
                found.starts_with(&**wanted) && self.may_trust(jwt)
            }
            _ => false,
        }
    }

    fn finding(&self, jwt: &JwtIdentity) -> Finding {
        let found = match jwt.claim(&self.path) {
            None => "no such claim".to_owned(),
            Some(_) if !self.may_trust(jwt) => "an address, and email_verified is not true".to_owned(),
            Some(found) => {
                let text = found.to_string();
                let beginning: String = text.chars().take(MAX_SHOWN).collect();
                format!("{beginning}{}", if beginning.len() < text.len() { "..." } else { "" })
            }
        };
        Finding {
            what: format!("jwt claim {}", self.path.join(".")),
            wanted: self.test.describe(),
            found,
            holds: self.admits(jwt),
        }
    }

    fn may_trust(&self, jwt: &JwtIdentity) -> bool {
        if let [name] = &self.path[..] { jwt.may_trust(name) } else { true }
    }
}

impl ClaimTest {
    fn describe(&self) -> String {
        match self {
            Self::Is(value) => value.to_string(),
            Self::Has(value) => format!("an array with {value}"),
            Self::Starts(text) => format!("a string that begins with {text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwt(claims: &Value) -> JwtIdentity {
        JwtIdentity { issuer: "corp".into(), claims: claims.as_object().unwrap().clone() }
    }

    fn condition(path: &[&str], test: ClaimTest) -> JwtCondition {
        let claims = vec![ClaimCondition { path: path.iter().map(|name| (*name).into()).collect(), test }];
        JwtCondition { issuer: "corp".into(), claims, service_accounts: Vec::new() }
    }

    #[test]
    fn tests_of_claims_compare_whole_values_of_one_type() {
        let (is, has) = (ClaimTest::Is, ClaimTest::Has);
        let starts = |text: &str| ClaimTest::Starts(text.into());
        for (path, test, claims, admits) in [
            (&["a"][..], is(json!("x")), json!({ "a": "x" }), true),
            (&["a"], is(json!("x")), json!({ "a": ["x"] }), false),
            (&["a"], is(json!("1")), json!({ "a": 1 }), false),
            (&["a"], is(json!(true)), json!({ "a": true }), true),
            (&["a"], is(json!(true)), json!({ "a": "true" }), false),
            (&["a"], has(json!("x")), json!({ "a": ["y", "x"] }), true),
            (&["a"], has(json!("x")), json!({ "a": "x" }), false),
            (&["a"], has(json!("x")), json!({ "a": "yx" }), false),
            (&["a"], has(json!("x")), json!({ "a": ["xy"] }), false),
            (&["a"], has(json!("x")), json!({}), false),
            (&["a", "b"], has(json!("x")), json!({ "a": { "b": ["x"] } }), true),
            (&["a"], starts("t/"), json!({ "a": "t/x" }), true),
            (&["a"], starts("t/"), json!({ "a": "tx" }), false),
            (&["a"], starts("t/"), json!({ "a": ["t/x"] }), false),
            (&["email"], is(json!("a@b")), json!({ "email": "a@b" }), false),
            (&["email"], is(json!("a@b")), json!({ "email": "a@b", "email_verified": "true" }), false),
            (&["email"], is(json!("a@b")), json!({ "email": "a@b", "email_verified": true }), true),
        ] {
            let (condition, jwt) = (condition(path, test), jwt(&claims));
            assert_eq!(condition.admits(&jwt), admits, "{condition:?} {claims}");
            assert_eq!(condition.findings(&jwt).iter().all(|finding| finding.holds), admits, "{claims}");
        }
    }

    #[test]
    fn service_accounts_are_compared_whole_and_issuers_by_name() {
        let account = |name: &str| (Box::from("data"), Box::from(name));
        let condition =
            |accounts| JwtCondition { issuer: "corp".into(), claims: Vec::new(), service_accounts: accounts };
        let reader = jwt(&json!({ "sub": "system:serviceaccount:data:reader" }));
        assert!(condition(vec![account("x"), account("reader")]).admits(&reader));
        assert!(!condition(vec![account("read")]).admits(&reader));
        assert!(condition(Vec::new()).admits(&reader));
        assert!(!JwtCondition { issuer: "other".into(), ..condition(Vec::new()) }.admits(&reader));
        assert!(condition(Vec::new()).covers(&condition(vec![account("x")])));
        assert!(!condition(vec![account("x")]).covers(&condition(Vec::new())));
        assert!(!condition(vec![account("x")]).covers(&condition(vec![account("x"), account("y")])));
    }
}
