//! Sources of the values of placeholders: parts of a client's identity.

use super::IdentityName;
use crate::identify::certificate::Certificate;
use crate::identify::client::Client;
use crate::identify::identity::{Identity, JwtIdentity, Names};
use crate::identify::matcher::{Condition, Matcher};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;

/// Ids that stand for no user, or for any user of another user namespace.
const NO_USERS: [u32; 2] = [65_534, u32::MAX];

/// The last segment of a SPIFFE id that a placeholder can name.
const LAST_SEGMENT: usize = 32;

/// A part of a client's identity that a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The name of a user.
    User,
    /// The name of a bearer token.
    Token,
    /// The id of a local access key.
    Key,
    /// The user id of the peer of a unix socket.
    Uid,
    /// The common name of a client certificate.
    CommonName,
    /// A segment of the path of a client certificate's SPIFFE id, counted from 1.
    Spiffe(usize),
    /// The subject of a JWT.
    Subject,
    /// The SHA-256, in hexadecimal, of a JWT's issuer and subject, with a zero byte between them.
    SubjectHash,
    /// A claim of a JWT, by its name.
    Claim(Box<str>),
    /// The namespace of a Kubernetes service account.
    Namespace,
    /// The name of a Kubernetes service account. It always follows its namespace.
    Account,
}

/// A value that cannot be a segment of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The placeholder.
    pub source: Source,
    /// The reason, for the log.
    pub why: String,
}

impl Source {
    /// The placeholders, as they are written.
    pub(crate) const WRITTEN: [&'static str; 11] = [
        "{user}",
        "{token}",
        "{key}",
        "{uid}",
        "{cn}",
        "{spiffe:N}",
        "{sub}",
        "{sub:sha256}",
        "{claim:NAME}",
        "{service_account}",
        "{issuer}",
    ];

    /// Parses the name in a placeholder. Returns several sources for one that takes as many segments.
    pub(crate) fn parse(name: &str) -> Option<Vec<Self>> {
        let source = match name {
            "user" => Self::User,
            "token" => Self::Token,
            "key" => Self::Key,
            "uid" => Self::Uid,
            "cn" => Self::CommonName,
            "sub" => Self::Subject,
            "sub:sha256" => Self::SubjectHash,
            "service_account" => return Some(vec![Self::Namespace, Self::Account]),
            _ if name.starts_with("spiffe:") => Self::Spiffe(position(name.strip_prefix("spiffe:")?)?),
            _ => Self::Claim(name.strip_prefix("claim:").filter(|claim| !claim.is_empty())?.into()),
        };
        Some(vec![source])
    }

    /// Returns whether every client that `matcher` admits has this part of an identity, whatever its value.
    pub(crate) fn is_provided_by(&self, matcher: &Matcher) -> bool {
        matcher.conditions().iter().any(|condition| match self {
            Self::User => matches!(condition, Condition::User(_)),
            Self::Token => matches!(condition, Condition::Token(_)),
            Self::Key => matches!(condition, Condition::Key(_)),
            Self::Uid => matches!(condition, Condition::Uid(_) | Condition::Gid(_)),
            Self::CommonName => condition.on_certificate().is_some_and(|it| it.cn.is_some()),
            Self::Spiffe(_) => condition.on_certificate().is_some_and(|it| !it.spiffe.is_empty()),
            _ => matches!(condition, Condition::Jwt(_)),
        })
    }

    /// Returns the key of `client` that provides this part of an identity.
    pub(crate) const fn provider(&self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Key => "key",
            Self::Uid => "uid or gid",
            Self::CommonName => "certificate with cn",
            Self::Spiffe(_) => "certificate with spiffe",
            _ => "jwt",
        }
    }

    /// Returns the names that `matcher` admits, if it lists them.
    pub(crate) fn listed<'m>(&self, matcher: &'m Matcher) -> &'m [Box<str>] {
        let names = matcher.conditions().iter().find_map(|condition| match (self, condition) {
            (Self::User, Condition::User(names))
            | (Self::Token, Condition::Token(names))
            | (Self::Key, Condition::Key(names)) => Some(names),
            (Self::CommonName, Condition::Certificate(condition)) => condition.cn.as_ref(),
            _ => None,
        });
        match names {
            Some(Names::Of(names)) => names,
            Some(Names::Any) | None => &[],
        }
    }

    /// Returns the longest value that a client of `matcher` can have. `common` returns the segment of SPIFFE ids at a
    /// position, if all clients have the same.
    pub(crate) fn longest<'s>(
        &self,
        matcher: &Matcher,
        common: impl Fn(usize) -> Option<&'s str>,
    ) -> IdentityName {
        let listed = self.listed(matcher).iter().map(|name| name.len()).max();
        IdentityName::of_length(match self {
            Self::Uid => 10,
            Self::SubjectHash => 64,
            Self::Spiffe(position) => common(*position).map_or(IdentityName::MAX, str::len),
            _ => listed.unwrap_or(IdentityName::MAX),
        })
    }

    /// Returns the value for a client.
    ///
    /// # Errors
    /// When the client does not have this part of an identity, or when it cannot be a segment of a prefix.
    pub fn value(&self, client: &Client<'_>) -> Result<IdentityName, Unusable> {
        let unusable = |why: String| Unusable { source: self.clone(), why };
        let found = self.find(client).map_err(|why| unusable(why.to_owned()))?;
        IdentityName::parse(&found).map_err(|why| unusable(format!("{} is not a name: {why}", shown(&found))))
    }

    fn find<'c>(&self, client: &'c Client<'_>) -> Result<Cow<'c, str>, &'static str> {
        let identity = client.identity().map(|identity| &**identity);
        match (self, identity) {
            (Self::User, Some(Identity::User(name)))
            | (Self::Token, Some(Identity::Token(name)))
            | (Self::Key, Some(Identity::Key(name))) => Ok((&**name).into()),
            (Self::User | Self::Token | Self::Key, _) => Err("the client did not prove such an identity"),
            (Self::Uid, _) => {
                let uid = client.connection().user().map(|user| user.uid);
                let uid = uid.filter(|uid| !NO_USERS.contains(uid)).ok_or("the user is not known")?;
                Ok(uid.to_string().into())
            }
            (Self::CommonName | Self::Spiffe(_), _) => {
                let certificate = client.connection().certificate().ok_or("the client has no certificate")?;
                self.find_in_certificate(certificate).map(Into::into)
            }
            (_, Some(Identity::Jwt(jwt))) => self.find_in(jwt),
            _ => Err("the client sent no JWT"),
        }
    }

    fn find_in_certificate<'c>(&self, certificate: &'c Certificate) -> Result<&'c str, &'static str> {
        let Self::Spiffe(position) = self else { return certificate.common_name() };
        let id = certificate.spiffe().map_err(|_| "the certificate has no SPIFFE id")?;
        let segment = position.checked_sub(1).and_then(|at| id.segments().nth(at));
        segment.ok_or("the SPIFFE id has fewer segments")
    }

    fn find_in<'c>(&self, jwt: &'c JwtIdentity) -> Result<Cow<'c, str>, &'static str> {
        let account = || jwt.service_account().ok_or("the subject is not a service account");
        match self {
            Self::Namespace => account().map(|(namespace, _)| namespace.into()),
            Self::Account => account().map(|(_, name)| name.into()),
            Self::SubjectHash => Ok(hash(text(jwt, "iss")?, text(jwt, "sub")?).into()),
            Self::Claim(name) if !jwt.may_trust(name) => Err("email_verified is not true"),
            Self::Claim(name) => text(jwt, name).map(Into::into),
            _ => text(jwt, "sub").map(Into::into),
        }
    }
}

/// Parses the position of a segment, which has one spelling.
fn position(text: &str) -> Option<usize> {
    let position = text.parse().ok().filter(|position| (1..=LAST_SEGMENT).contains(position))?;
    (position.to_string() == text).then_some(position)
}

/// Returns a value for a message. A claim may have thousands of characters.
fn shown(value: &str) -> String {
    let beginning: String = value.chars().take(IdentityName::MAX + 1).collect();
    let more = if beginning.len() < value.len() { "..." } else { "" };
    format!("{beginning:?}{more}")
}

/// Returns a claim that is a string. Any other type could have the same text as another identity's string.
fn text<'c>(jwt: &'c JwtIdentity, claim: &str) -> Result<&'c str, &'static str> {
    match jwt.claims.get(claim) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err("the claim is not a string"),
        None => Err("the claim is missing"),
    }
}

fn hash(issuer: &str, subject: &str) -> String {
    let digest = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(subject).finalize();
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Key => "key",
            Self::Uid => "uid",
            Self::CommonName => "cn",
            Self::Spiffe(position) => return write!(f, "{{spiffe:{position}}}"),
            Self::Subject => "sub",
            Self::SubjectHash => "sub:sha256",
            Self::Namespace | Self::Account => "service_account",
            Self::Claim(name) => return write!(f, "{{claim:{name}}}"),
        };
        write!(f, "{{{name}}}")
    }
}
