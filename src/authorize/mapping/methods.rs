//! The methods allowed at a path, and the refusal of requests that are not an operation.

use super::{Located, Mapping, bad_target, locate};
use crate::authorize::mount::View;
use crate::authorize::operations::{Spec, Unknown, is_declined, refusing_rule};
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::refusal::{Refusal, Rule};
use crate::s3::operation::Operation;
use crate::s3::target::{Query, Resource, decode_path};
use crate::s3::verb::{Verb, Verbs};
use http::Method;
use std::sync::Arc;

/// Maximum number of characters of the client's text that a message quotes.
const QUOTED: usize = 64;

impl Mapping {
    /// Returns the methods that clients of the mapping may use with this path and query. `*` stands for the whole
    /// server (RFC 9110, section 9.3.7).
    ///
    /// # Errors
    /// When the target is invalid, or the mapping grants nothing there.
    pub fn methods(&self, path: &str, query: Option<&str>) -> Result<Verbs, Refusal> {
        if path == "*" {
            return Ok(Verbs::ALL);
        }
        let (resource, view) = self.locate(path)?;
        let query = Query::parse(query).map_err(bad_target)?;
        self.methods_of(&resource, &query, view)
    }

    fn locate<'p>(&self, path: &'p str) -> Result<Located<'_, Resource<'p>>, Refusal> {
        let path = decode_path(path).map_err(bad_target)?;
        let view = self.mount_of(&path);
        let resource = locate(path, view).map_err(bad_target)?;
        self.check_bucket(&resource, view)?;
        Ok((resource, view))
    }

    fn methods_of(
        &self,
        resource: &Resource<'_>,
        query: &Query<'_>,
        view: Option<&Arc<View>>,
    ) -> Result<Verbs, Refusal> {
        let here = |scope: &&Scope| {
            resource.bucket().is_none_or(|bucket| scope.bucket.as_str() == bucket && scope.is_seen_as(view))
                && resource.key().is_none_or(|key| scope.prefix.covers(key))
        };
        let scopes: Vec<&Scope> = self.scopes.iter().filter(here).collect();
        if scopes.is_empty() {
            return Err(self.outside("this path"));
        }
        let is_folder = resource.key().is_some_and(|key| key.ends_with('/'));
        let can = |verb: &Verb| {
            let Ok(row) = Spec::find(&verb.method(), resource, query, false) else { return false };
            let needs = row.rights(query);
            scopes.iter().any(|scope| {
                let lists = is_folder && row.operation.reads_content() && scope.allow.has(Right::List);
                lists || scope.allow.has_all(needs)
            })
        };
        Ok(Verb::ALL.into_iter().filter(can).collect())
    }

    /// Returns the refusal of a request that is not an operation of the table.
    pub(super) fn refuse_unknown(
        &self,
        method: &Method,
        resource: &Resource<'_>,
        query: &Query<'_>,
        view: Option<&Arc<View>>,
        unknown: Unknown,
    ) -> Refusal {
        match unknown {
            Unknown::Operation => match self.methods_of(resource, query, view) {
                Ok(verbs) => {
                    let why = format!(
                        "{method} is not allowed on this path: use a method that the Allow header lists"
                    );
                    let mut refusal = Refusal::new(Rule::MethodNotAllowed, why);
                    refusal.allow = Some(verbs);
                    refusal
                }
                Err(outside) => outside,
            },
            Unknown::Declined(row) => refuse_declined(row.rule(), row.name),
            Unknown::Query(name) => {
                let shown: String = name.chars().take(QUOTED).collect();
                match Verb::of(method) {
                    Some(verb) if is_declined(&name) => {
                        refuse_declined(refusing_rule(verb), &format!("?{shown}"))
                    }
                    _ => {
                        let why = format!("this operation has no query parameter {shown:?}: leave it out");
                        Refusal::new(Rule::UnknownQuery, why)
                    }
                }
            }
        }
    }
}

fn refuse_declined(rule: Rule, what: &str) -> Refusal {
    let why = match rule {
        Rule::NotOffered => "is not offered: no right of a scope grants it",
        _ => "is not supported",
    };
    Refusal::new(rule, format!("{what} {why}"))
}

impl Operation {
    /// Returns whether the operation reads an object's content, as a browser does to open a folder.
    const fn reads_content(self) -> bool {
        matches!(self, Self::GetObject | Self::HeadObject)
    }
}
