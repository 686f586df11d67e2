//! Conditions on the claims of a JWT.

use crate::identify::identity::JwtIdentity;
use serde_json::Value;

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
        self.mismatch(jwt).is_none()
    }

    /// Explains why the condition does not hold. Returns `None` when it does.
    pub fn mismatch(&self, jwt: &JwtIdentity) -> Option<String> {
        if self.issuer != jwt.issuer {
            return Some(format!("issuer {:?} is wanted, and it is {:?}", self.issuer, jwt.issuer));
        }
        if !self.service_accounts.is_empty() {
            let account = jwt.service_account();
            let is = |(namespace, name): &(Box<str>, Box<str>)| account == Some((&**namespace, &**name));
            if !self.service_accounts.iter().any(is) {
                let wanted: Vec<String> = self
                    .service_accounts
                    .iter()
                    .map(|(namespace, name)| format!("{namespace}/{name}"))
                    .collect();
                let subject = jwt.subject().unwrap_or_default();
                return Some(format!(
                    "service account {} is wanted, and sub is {subject:?}",
                    wanted.join(", ")
                ));
            }
        }
        self.claims.iter().find_map(|claim| claim.mismatch(jwt))
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
    fn mismatch(&self, jwt: &JwtIdentity) -> Option<String> {
        let found = jwt.claim(&self.path);
        let holds = match (&self.test, found) {
            (ClaimTest::Is(wanted), Some(found)) => wanted == found && self.may_trust(jwt),
            (ClaimTest::Has(wanted), Some(Value::Array(found))) => found.contains(wanted),
            (ClaimTest::Starts(wanted), Some(Value::String(found))) => found.starts_with(&**wanted),
            _ => false,
        };
        if holds {
            return None;
        }
        let (wanted, path) = (self.test.describe(), self.path.join("."));
        let found = match found {
            None => "it is absent".to_owned(),
            Some(_) if !self.may_trust(jwt) => "email_verified is not true".to_owned(),
            Some(found) => {
                let text = found.to_string();
                let beginning: String = text.chars().take(100).collect();
                format!("it is {beginning}{}", if beginning.len() < text.len() { "..." } else { "" })
            }
        };
        Some(format!("claim {path} must {wanted}, and {found}"))
    }

    /// Returns whether the claim may identify someone: an address counts only if the issuer has verified it.
    fn may_trust(&self, jwt: &JwtIdentity) -> bool {
        let is_email = matches!(&self.path[..], [name] if **name == *"email");
        !is_email || jwt.claim(&["email_verified"]) == Some(&Value::Bool(true))
    }
}

impl ClaimTest {
    fn describe(&self) -> String {
        match self {
            Self::Is(value) => format!("be {value}"),
            Self::Has(value) => format!("contain {value}"),
            Self::Starts(text) => format!("begin with {text:?}"),
        }
    }
}
