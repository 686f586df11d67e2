//! Homes: the scopes of a mapping that gives each identity a private part of a bucket.

use super::scope::Scope;
use super::template::{IdentityName, Segment, Source, SpiffeRoot, Template, Unusable, Values};
use crate::identify::client::Client;
use crate::identify::matcher::{Condition, Matcher};
use crate::refusal::{Refusal, Rule};
use crate::s3::names::Prefix;
use std::num::NonZeroUsize;

/// The scopes of a mapping, at least one of which has a template for a prefix.
#[derive(Clone, Debug)]
pub struct Homes {
    scopes: Vec<HomeScope>,
    /// The sources of all templates, each once.
    sources: Vec<Source>,
    /// The issuer of the JWTs that identify the clients.
    issuer: Option<Box<str>>,
    /// What the SPIFFE ids of the clients have in common.
    spiffe: Option<SpiffeRoot>,
    identities: NonZeroUsize,
}

/// A scope with its template. Such a scope has the prefix of an example, which is replaced for each identity.
#[derive(Clone, Debug)]
pub struct HomeScope {
    /// Everything about the scope that is the same for all identities.
    pub scope: Scope,
    /// The template, if the prefix has placeholders.
    pub template: Option<Template>,
}

impl Homes {
    /// Makes the homes of a mapping for clients of `matcher`, of whom `identities` have sessions at once.
    pub fn new(scopes: Vec<HomeScope>, matcher: &Matcher, identities: NonZeroUsize) -> Self {
        let mut sources: Vec<Source> = Vec::new();
        for source in scopes.iter().filter_map(|scope| scope.template.as_ref()).flat_map(Template::sources) {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        let issuer = issuer_of(matcher).map(Into::into);
        Self { scopes, sources, issuer, spiffe: SpiffeRoot::of(matcher), identities }
    }

    /// Returns the scopes.
    pub fn scopes(&self) -> &[HomeScope] {
        &self.scopes
    }

    /// Returns the sources of the placeholders.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Returns how many identities have sessions at once.
    pub const fn identities(&self) -> NonZeroUsize {
        self.identities
    }

    /// Returns whether the values of both mean the same identities.
    pub(crate) fn identify_as(&self, other: &Self) -> bool {
        self.sources == other.sources && self.issuer == other.issuer && self.spiffe == other.spiffe
    }

    /// Returns the values of the placeholders for a client.
    ///
    /// # Errors
    /// When one of them cannot be a segment of a prefix. The client learns no more than that.
    pub fn values(&self, client: &Client<'_>) -> Result<Values, Refusal> {
        let values: Result<Vec<IdentityName>, Unusable> =
            self.sources.iter().map(|source| source.value(client)).collect();
        values.map(Values::new).map_err(|Unusable { source, why }| {
            let message = "the identity of this client cannot name a folder of its own";
            Refusal::new(Rule::IdentityNotAName, message).caused_by(&format!("{source}: {why}"))
        })
    }

    /// Returns the longest values that clients of `matcher` can have.
    pub(crate) fn longest(&self, matcher: &Matcher) -> Values {
        let common = |position| self.spiffe.as_ref()?.segment(position);
        Values::new(self.sources.iter().map(|source| source.longest(matcher, common)))
    }

    /// Returns the scopes of the identity with these values.
    ///
    /// # Errors
    /// When a prefix would be invalid, which no loaded configuration allows.
    pub fn expand(&self, values: &Values) -> Result<Vec<Scope>, &'static str> {
        let expand = |HomeScope { scope, template }: &HomeScope| match template {
            Some(template) => Ok(scope.at(template.expand(&self.sources, values)?)),
            None => Ok(scope.clone()),
        };
        self.scopes.iter().map(expand).collect()
    }

    /// Describes a segment of a template with the identities that its values come from. Equal descriptions mean that equal
    /// values are the same identity.
    pub(crate) fn describe(&self, segment: &Segment, template: &Template) -> String {
        match (segment, &self.issuer) {
            (Segment::Fixed(text), _) => text.to_string(),
            (Segment::Value(source @ Source::Spiffe(position)), _) => {
                let described = self.spiffe.as_ref().map(|root| root.describe(*position, template));
                described.unwrap_or_else(|| source.to_string())
            }
            (Segment::Value(source @ Source::CommonName), _) => source.to_string(),
            // Every issuer has hashes of its own.
            (Segment::Value(source @ Source::SubjectHash), _) | (Segment::Value(source), None) => {
                source.to_string()
            }
            (Segment::Value(source), Some(issuer)) => format!("{source} of {issuer:?}"),
        }
    }
}

impl Scope {
    /// Returns the scope with another prefix.
    fn at(&self, prefix: Prefix) -> Self {
        let scope = Self { prefix, view: None, ..self.clone() };
        match &self.view {
            Some(view) => scope.mounted(view.mount().clone()),
            None => scope,
        }
    }
}

/// Returns the name of the issuer whose JWTs identify the clients of a matcher.
pub(crate) fn issuer_of(matcher: &Matcher) -> Option<&str> {
    matcher.conditions().iter().find_map(|condition| match condition {
        Condition::Jwt(jwt) => Some(&*jwt.issuer),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
