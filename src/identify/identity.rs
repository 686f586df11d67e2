//! Identities that clients prove by credentials in a request.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// A kind of credentials that requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A user and a password: HTTP Basic (RFC 7617).
    Basic,
    /// A bearer token (RFC 6750): one of the configuration, or a JWT.
    Bearer,
    /// A signature with a local key: AWS Signature Version 4.
    SigV4,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Bearer, Self::SigV4];

    /// Returns the name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::SigV4 => "sigv4",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schemes(u8);

impl Schemes {
    /// Returns whether the set contains a scheme.
    pub const fn has(self, scheme: Scheme) -> bool {
        self.0 & scheme.bit() != 0
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the schemes of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Scheme> for Schemes {
    fn from_iter<I: IntoIterator<Item = Scheme>>(schemes: I) -> Self {
        Self(schemes.into_iter().fold(0, |bits, scheme| bits | scheme.bit()))
    }
}

/// The identity that a client proved by credentials. Only the layer `authenticate` makes one from a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Identity {
    /// The name of a user who sent the right password.
    User(Box<str>),
    /// The name of a bearer token.
    Token(Box<str>),
    /// The id of the local access key that signed the request.
    Key(Box<str>),
    /// The claims of a signed token.
    Jwt(JwtIdentity),
}

/// The claims of a JWT that verified.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtIdentity {
    /// The name of the issuer in the configuration.
    pub issuer: Box<str>,
    /// All claims.
    pub claims: Map<String, Value>,
}

impl Identity {
    /// Returns the scheme of the credentials that proved the identity.
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::User(_) => Scheme::Basic,
            Self::Token(_) | Self::Jwt(_) => Scheme::Bearer,
            Self::Key(_) => Scheme::SigV4,
        }
    }

    /// Returns the name in logs: that of the user, token or key, or the subject of a JWT.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Token(name) | Self::Key(name) => name,
            Self::Jwt(jwt) => jwt.subject().unwrap_or_default(),
        }
    }

    /// Describes the identity with its kind, for logs and explanations.
    pub fn describe(&self) -> String {
        match self {
            Self::User(name) => format!("user {name:?}"),
            Self::Token(name) => format!("token {name:?}"),
            Self::Key(name) => format!("key {name:?}"),
            Self::Jwt(jwt) => format!("subject {:?} of issuer {:?}", self.name(), jwt.issuer),
        }
    }
}

impl JwtIdentity {
    /// Returns whether the claim of this name may identify someone: an address counts only if the issuer has verified it.
    pub fn may_trust(&self, claim: &str) -> bool {
        claim != "email" || self.claims.get("email_verified") == Some(&Value::Bool(true))
    }

    /// Returns the subject, `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }

    /// Returns the value of a claim. Each segment of `path` names a member of the object before it.
    pub fn claim(&self, path: &[impl AsRef<str>]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.claims.get(first.as_ref())?, |value, segment| {
            value.as_object()?.get(segment.as_ref())
        })
    }

    /// Returns the namespace and the name of a Kubernetes service account, from its subject.
    /// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>
    pub fn service_account(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.subject()?.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
    }
}

/// The names that a condition admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Every name, written `"*"`.
    Any,
    /// These names.
    Of(Vec<Box<str>>),
}

impl Names {
    /// Returns whether `name` is admitted.
    pub fn admit(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(names) => names.iter().any(|one| **one == *name),
        }
    }

    /// Returns whether every name that `other` admits is admitted.
    pub fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Of(_), Self::Any) => false,
            (Self::Of(_), Self::Of(names)) => names.iter().all(|name| self.admit(name)),
        }
    }

    /// Lists the names for a message.
    pub fn listed(&self) -> Cow<'static, str> {
        match self {
            Self::Any => "any".into(),
            Self::Of(names) => names.join(", ").into(),
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

    #[test]
    fn service_accounts_are_two_whole_names() {
        for (subject, account) in [
            (json!("system:serviceaccount:data:reader"), Some(("data", "reader"))),
            (json!("system:serviceaccount:data:reader:x"), None),
            (json!("system:serviceaccount::reader"), None),
            (json!("system:serviceaccount:data:"), None),
            (json!("system:serviceaccount:data"), None),
            (json!("x:system:serviceaccount:data:reader"), None),
            (json!(7), None),
        ] {
            assert_eq!(jwt(&json!({ "sub": subject })).service_account(), account, "{subject}");
        }
    }

    #[test]
    fn claims_are_found_by_path() {
        let jwt = jwt(&json!({ "a.b": 1, "a": { "b": { "c": true } } }));
        assert_eq!(jwt.claim(&["a", "b", "c"]), Some(&json!(true)));
        assert_eq!(jwt.claim(&["a.b"]), Some(&json!(1)));
        assert_eq!(jwt.claim(&["a", "x"]), None);
        assert_eq!(jwt.claim(&["a.b", "c"]), None);
        assert_eq!(jwt.claim(&[] as &[&str]), None);
    }

    #[test]
    fn names_cover_the_names_that_they_admit() {
        let of = |names: &[&str]| Names::Of(names.iter().map(|name| (*name).into()).collect());
        assert!(Names::Any.cover(&Names::Any) && Names::Any.cover(&of(&["a"])));
        assert!(of(&["a", "b"]).cover(&of(&["b"])) && !of(&["b"]).cover(&of(&["a", "b"])));
        assert!(!of(&["a"]).cover(&Names::Any));
        assert!(of(&["a"]).admit("a") && !of(&["a"]).admit("A") && Names::Any.admit("x"));
    }
}
