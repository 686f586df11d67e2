//! Prefixes that contain the identity of a client, such as `home/{user}/`.
//!
//! A placeholder is a whole segment, and its value is taken as it is or refused. A value therefore never leaves its
//! segment, and two different identities never get the same prefix.

mod name;
mod source;
mod spiffe;

pub(crate) use name::IdentityName;
pub(crate) use source::{Source, Unusable};
pub(crate) use spiffe::SpiffeRoot;

use crate::s3::names::Prefix;
use std::fmt;

/// The prefix of a scope, with placeholders for parts of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
}

/// A segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A name that is the same for every identity.
    Fixed(Box<str>),
    /// The value of this source.
    Value(Source),
}

/// The values of a mapping's sources for one identity, in the order of the sources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Values(Box<[IdentityName]>);

impl Values {
    /// Makes values, one for each source of a mapping.
    pub fn new(values: impl IntoIterator<Item = IdentityName>) -> Self {
        Self(values.into_iter().collect())
    }

    /// Returns the values.
    pub fn names(&self) -> &[IdentityName] {
        &self.0
    }
}

impl Template {
    /// Parses a prefix with placeholders. `issuer` is the name of the issuer of the mapping's clients, if JWTs identify
    /// them; it is the value of `{issuer}`. Returns `None` for a prefix without placeholders.
    ///
    /// # Errors
    /// Says what is wrong and how to fix it.
    pub fn parse(prefix: &str, issuer: Option<&str>) -> Result<Option<Self>, String> {
        // People write `home/*` for everything below `home/`.
        let prefix = prefix.strip_suffix('*').filter(|rest| rest.ends_with('/')).unwrap_or(prefix);
        let written = split(prefix);
        if !written.iter().any(|segment| is_placeholder(segment)) {
            return written.iter().find_map(|segment| partial(segment)).map_or(Ok(None), Err);
        }
        if !prefix.ends_with('/') {
            return Err("a prefix with a placeholder ends in '/', as in \"home/{user}/\"".to_owned());
        }
        let mut segments = Vec::new();
        for text in written.iter().take(written.len().saturating_sub(1)) {
            segments.extend(Segment::parse(text, issuer)?);
        }
        let template = Self { segments };
        // The values cannot make a prefix invalid, so one set of values tests the fixed segments.
        template.example().map_err(str::to_owned)?;
        Ok(Some(template))
    }

    /// Returns the segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the sources of the placeholders.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Value(source) => Some(source),
            Segment::Fixed(_) => None,
        })
    }

    /// Returns the prefix of the identity with these values of `sources`.
    ///
    /// # Errors
    /// When a source has no value, or when the prefix is too long. A configuration is loaded only if neither can happen.
    pub fn expand(&self, sources: &[Source], values: &Values) -> Result<Prefix, &'static str> {
        let value = |wanted: &Source| {
            let at = sources.iter().position(|source| source == wanted)?;
            values.0.get(at).map(IdentityName::as_str)
        };
        self.filled(value)
    }

    /// Returns the prefix of an identity that is called `identity`.
    ///
    /// # Errors
    /// As [`Template::expand`].
    pub(crate) fn example(&self) -> Result<Prefix, &'static str> {
        self.filled(|_| Some("identity"))
    }

    fn filled<'v>(&self, value: impl Fn(&Source) -> Option<&'v str>) -> Result<Prefix, &'static str> {
        let mut prefix = String::new();
        for segment in &self.segments {
            let text = match segment {
                Segment::Fixed(text) => text,
                Segment::Value(source) => value(source).ok_or("a placeholder has no value")?,
            };
            prefix.push_str(text);
            prefix.push('/');
        }
        Prefix::parse(&prefix)
    }
}

impl Segment {
    /// Parses a segment. The placeholder for a service account becomes two.
    fn parse(text: &str, issuer: Option<&str>) -> Result<Vec<Self>, String> {
        let Some(name) = placeholder(text) else {
            return partial(text).map_or_else(|| Ok(vec![Self::Fixed(text.into())]), Err);
        };
        if name == "issuer" {
            let issuer = issuer.ok_or("{issuer} needs clients that a jwt identifies: add jwt to client")?;
            let name = IdentityName::parse(issuer)
                .map_err(|why| format!("the issuer's name {issuer:?} cannot be a segment: {why}"))?;
            return Ok(vec![Self::Fixed(name.as_str().into())]);
        }
        let sources = Source::parse(name).ok_or_else(|| {
            format!("there is no placeholder {{{name}}}; there are: {}", Source::WRITTEN.join(", "))
        })?;
        Ok(sources.into_iter().map(Self::Value).collect())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Fixed(text) => f.write_str(text)?,
                // The account follows its namespace and is written with it.
                Segment::Value(Source::Account) => continue,
                Segment::Value(source) => source.fmt(f)?,
            }
            f.write_str("/")?;
        }
        Ok(())
    }
}

/// Splits a prefix at its slashes, except those in the name of a claim, which may be a URL.
fn split(prefix: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut rest = prefix;
    loop {
        let name = rest.starts_with("{claim:").then(|| rest.find('}')).flatten().unwrap_or_default();
        let end = rest.get(name..).and_then(|after| after.find('/')).map(|at| name + at);
        let Some((segment, after)) = end.and_then(|end| rest.split_at_checked(end)) else {
            segments.push(rest);
            return segments;
        };
        segments.push(segment);
        rest = after.strip_prefix('/').unwrap_or_default();
    }
}

/// Returns the name in a placeholder.
fn placeholder(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}').filter(|name| !name.contains(['{', '}']))
}

fn is_placeholder(segment: &str) -> bool {
    placeholder(segment).is_some()
}

/// Returns the problem with a placeholder that is only a part of a segment. Other braces are characters like any other.
fn partial(segment: &str) -> Option<String> {
    let mut inside = segment.split('{').skip(1).filter_map(|after| after.split_once('}'));
    let (name, _) = inside.find(|(name, _)| *name == "issuer" || Source::parse(name).is_some())?;
    Some(format!(
        "{{{name}}} is only a part of the segment {segment:?}: a placeholder is a whole segment, as in \"home/{{{name}}}/\", \
         so that no name can look like a part of another"
    ))
}

#[cfg(test)]
mod tests;
