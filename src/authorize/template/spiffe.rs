//! What the SPIFFE ids of a mapping's clients have in common, and so which identity a segment of one names.

use super::{Source, Template};
use crate::identify::certificate::spiffe::SpiffePattern;
use crate::identify::matcher::Matcher;

/// The common beginning of SPIFFE ids. A segment names the same identity only together with all segments before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpiffeRoot {
    trust_domain: Box<str>,
    /// The segments that all ids have in common, by their position. `None` where they may differ.
    common: Vec<Option<Box<str>>>,
    /// The most segments that an id can have, if they are bounded.
    most: Option<usize>,
}

impl SpiffeRoot {
    /// Returns the root of the SPIFFE ids that `matcher` admits. Returns `None` if it lists none, or ids of several trust
    /// domains.
    pub(crate) fn of(matcher: &Matcher) -> Option<Self> {
        let patterns = &matcher.on_certificate()?.spiffe;
        let trust_domain = patterns.first()?.trust_domain();
        if patterns.iter().any(|pattern| pattern.trust_domain() != trust_domain) {
            return None;
        }
        let common = |at: usize| {
            let mut segments = patterns.iter().map(|pattern| pattern.segments().nth(at));
            let first = segments.next().flatten()?;
            segments.all(|other| other == Some(first)).then(|| first.into())
        };
        let depth = |pattern: &SpiffePattern| pattern.segments().count();
        let is_open = patterns.iter().any(|pattern| matches!(pattern, SpiffePattern::Below(_)));
        let most = patterns.iter().map(depth).max();
        Some(Self {
            trust_domain: trust_domain.into(),
            common: (0..most.unwrap_or_default()).map(common).collect(),
            most: most.filter(|_| !is_open),
        })
    }

    /// Checks that two different identities never get the same values of a template: that each segment up to its last
    /// placeholder is in it, or the same in all ids.
    ///
    /// # Errors
    /// Says what is wrong and how to fix it.
    pub(crate) fn check(&self, template: &Template) -> Result<(), (String, String)> {
        let Some(last) = positions(template).max() else { return Ok(()) };
        if self.most.is_some_and(|most| last > most) {
            let message = format!("no SPIFFE id of this mapping's client has a segment {last}");
            return Err((message, "count the segments after the trust domain, from 1".to_owned()));
        }
        let is_open = |at: &usize| self.segment(*at).is_none() && !positions(template).any(|one| one == *at);
        let Some(open) = (1..last).find(is_open) else { return Ok(()) };
        let message = format!(
            "{{spiffe:{last}}} does not tell the identities of this mapping apart: segment {open} of their SPIFFE ids may differ \
             as well"
        );
        Err((message, format!("write {{spiffe:{open}}} into the prefix too, or list ids that agree on it")))
    }

    /// Describes what a segment names, with everything before it.
    pub(crate) fn describe(&self, position: usize, template: &Template) -> String {
        let before = |at: usize| match self.segment(at) {
            Some(text) if !positions(template).any(|one| one == at) => format!("/{text}"),
            _ => format!("/{{spiffe:{at}}}"),
        };
        let path: String = (1..position).map(before).collect();
        format!("{{spiffe:{position}}} of spiffe://{}{path}", self.trust_domain)
    }

    /// Returns the segment at a position, counted from 1, if all ids have the same.
    pub(crate) fn segment(&self, position: usize) -> Option<&str> {
        self.common.get(position.checked_sub(1)?)?.as_deref()
    }
}

/// Returns the positions of the segments of SPIFFE ids in a template.
fn positions(template: &Template) -> impl Iterator<Item = usize> {
    template.sources().filter_map(|source| match source {
        Source::Spiffe(position) => Some(*position),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::matcher::{CertificateCondition, Condition};

    fn root(patterns: &[&str]) -> Option<SpiffeRoot> {
        let spiffe = patterns.iter().map(|text| SpiffePattern::parse(text).unwrap()).collect();
        let condition = CertificateCondition { spiffe, ..CertificateCondition::default() };
        SpiffeRoot::of(&Matcher::new(vec![Condition::Certificate(condition)]))
    }

    #[test]
    fn every_segment_before_a_placeholder_is_known() {
        const KUBERNETES: &[&str] = &["spiffe://td/ns/*"];
        for (patterns, prefix, told) in [
            (KUBERNETES, "{spiffe:2}/", ""),
            (KUBERNETES, "{spiffe:2}/{spiffe:3}/{spiffe:4}/", ""),
            (KUBERNETES, "{spiffe:4}/x/{spiffe:3}/{spiffe:2}/", ""),
            (KUBERNETES, "{spiffe:4}/", "segment 2 of their SPIFFE ids may differ"),
            (KUBERNETES, "{spiffe:2}/{spiffe:4}/", "segment 3 of their SPIFFE ids may differ"),
            (&["spiffe://td/*"], "{spiffe:1}/", ""),
            (&["spiffe://td/*"], "{spiffe:2}/", "segment 1 of their"),
            (&["spiffe://td/ns/a", "spiffe://td/vm/a"], "{spiffe:2}/", "segment 1 of their"),
            (&["spiffe://td/ns/a", "spiffe://td/vm/a"], "{spiffe:1}/{spiffe:2}/", ""),
            (&["spiffe://td/ns/a", "spiffe://td/ns/b"], "{spiffe:2}/", ""),
            (&["spiffe://td/ns/a", "spiffe://td/ns"], "{spiffe:2}/", ""),
            (&["spiffe://td/ns/a"], "{spiffe:3}/", "no SPIFFE id of this mapping's client has a segment 3"),
        ] {
            let template = Template::parse(prefix, None).unwrap().unwrap();
            let found = root(patterns).unwrap().check(&template).err().unwrap_or_default().0;
            assert_eq!(found.is_empty(), told.is_empty(), "{patterns:?} {prefix}: {found}");
            assert!(found.contains(told), "{patterns:?} {prefix}: {found}");
        }
        assert_eq!(root(&["spiffe://a/x", "spiffe://b/x"]), None, "two trust domains have nothing in common");
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn a_segment_is_described_with_all_before_it() {
        let template = |prefix| Template::parse(prefix, None).unwrap().unwrap();
        let told = |patterns: &[&str], prefix, position| {
            root(patterns).unwrap().describe(position, &template(prefix))
        };
        assert_eq!(told(&["spiffe://td/ns/*"], "{spiffe:2}/", 2), "{spiffe:2} of spiffe://td/ns");
        let both = "{spiffe:2}/{spiffe:3}/";
        let expected = "{spiffe:3} of spiffe://td/ns/{spiffe:2}";
        assert_eq!(told(&["spiffe://td/ns/*"], both, 3), expected);
        assert_eq!(told(&["spiffe://td/ns/a/*"], both, 3), expected, "the same identities");
        assert_ne!(told(&["spiffe://td/vm/*"], "{spiffe:2}/", 2), "{spiffe:2} of spiffe://td/ns");
    }
}
