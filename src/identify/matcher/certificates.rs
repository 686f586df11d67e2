//! Conditions on the client's certificate.

use super::finding::Finding;
use super::listed;
use crate::identify::certificate::spiffe::SpiffePattern;
use crate::identify::certificate::{Certificate, hexadecimal};
use crate::identify::identity::Names;

/// A condition on a client certificate. A kind of names that is listed must have one of the listed values, and all listed
/// kinds must hold. Without any, every certificate is admitted that an authority of the listener vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateCondition {
    /// SPIFFE ids.
    pub spiffe: Vec<SpiffePattern>,
    /// DNS names, in lower case.
    pub dns: Vec<Box<str>>,
    /// URIs.
    pub uri: Vec<Box<str>>,
    /// Common names.
    pub cn: Option<Names>,
    /// SHA-256 digests of certificates or of their public keys.
    pub sha256: Vec<[u8; 32]>,
}

impl CertificateCondition {
    /// Checks whether the condition holds.
    pub fn admits(&self, certificate: &Certificate) -> bool {
        self.admits_spiffe(certificate)
            && self.admits_dns(certificate)
            && self.admits_uri(certificate)
            && self.admits_cn(certificate)
            && self.admits_digest(certificate)
    }

    fn admits_spiffe(&self, certificate: &Certificate) -> bool {
        self.spiffe.is_empty()
            || certificate.spiffe().is_ok_and(|id| self.spiffe.iter().any(|wanted| wanted.admits(id)))
    }

    fn admits_dns(&self, certificate: &Certificate) -> bool {
        self.dns.is_empty() || certificate.dns().is_ok_and(|names| share(names, &self.dns))
    }

    fn admits_uri(&self, certificate: &Certificate) -> bool {
        self.uri.is_empty() || certificate.uris().is_ok_and(|uris| share(uris, &self.uri))
    }

    fn admits_cn(&self, certificate: &Certificate) -> bool {
        let admits = |wanted: &Names| certificate.common_name().is_ok_and(|name| wanted.admit(name));
        self.cn.as_ref().is_none_or(admits)
    }

    fn admits_digest(&self, certificate: &Certificate) -> bool {
        self.sha256.is_empty() || self.sha256.iter().any(|wanted| certificate.has_digest(wanted))
    }

    /// Returns whether every certificate is admitted.
    pub(crate) fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what the condition expects and what it finds, with one entry for each kind of names.
    pub(super) fn findings(&self, certificate: Option<&Certificate>) -> Vec<Finding> {
        let nothing = || "no client certificate".to_owned();
        if self.is_any() {
            let found = certificate.map_or_else(nothing, |certificate| certificate.name().into_owned());
            let (what, wanted, holds) = ("certificate".to_owned(), "any".to_owned(), certificate.is_some());
            return vec![Finding { what, wanted, found, holds }];
        }
        let found = certificate.map_or_else(|| std::array::from_fn(|_| nothing()), Certificate::found);
        let kinds: [(String, Check); Certificate::KINDS.len()] = [
            (listed(&self.spiffe), Self::admits_spiffe),
            (listed(&self.dns), Self::admits_dns),
            (listed(&self.uri), Self::admits_uri),
            (self.cn.as_ref().map(|names| names.listed().into_owned()).unwrap_or_default(), Self::admits_cn),
            (self.digests(), Self::admits_digest),
        ];
        let finding = |(kind, ((wanted, admits), found)): (&str, ((String, Check), String))| Finding {
            what: format!("certificate {kind}"),
            wanted,
            found,
            holds: certificate.is_some_and(|certificate| admits(self, certificate)),
        };
        let all = Certificate::KINDS.into_iter().zip(kinds.into_iter().zip(found));
        all.map(finding).filter(|finding| !finding.wanted.is_empty()).collect()
    }

    fn digests(&self) -> String {
        self.sha256.iter().map(hexadecimal).collect::<Vec<_>>().join(", ")
    }

    /// Checks whether this condition holds for every certificate for which `other` holds.
    pub fn covers(&self, other: &Self) -> bool {
        let spiffe = covers(&self.spiffe, &other.spiffe, SpiffePattern::covers);
        let cn = match (&self.cn, &other.cn) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => outer.cover(inner),
        };
        spiffe
            && cn
            && covers(&self.dns, &other.dns, PartialEq::eq)
            && covers(&self.uri, &other.uri, PartialEq::eq)
            && covers(&self.sha256, &other.sha256, PartialEq::eq)
    }
}

/// The check of one kind of names.
type Check = fn(&CertificateCondition, &Certificate) -> bool;

fn share(some: &[Box<str>], others: &[Box<str>]) -> bool {
    some.iter().any(|name| others.contains(name))
}

/// Checks whether a kind admits all that another condition admits of it.
fn covers<T>(outer: &[T], inner: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    let covered = |inner: &T| outer.iter().any(|outer| covers(outer, inner));
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(covered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::certificate::tests::{certificate, no_names};

    fn spiffe(patterns: &[&str]) -> CertificateCondition {
        let spiffe = patterns.iter().map(|text| SpiffePattern::parse(text).unwrap()).collect();
        CertificateCondition { spiffe, ..CertificateCondition::default() }
    }

    fn all(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    fn dns(names: &[&str]) -> CertificateCondition {
        CertificateCondition { dns: all(names), ..CertificateCondition::default() }
    }

    fn uri(uris: &[&str]) -> CertificateCondition {
        CertificateCondition { uri: all(uris), ..CertificateCondition::default() }
    }

    fn cn(names: Names) -> CertificateCondition {
        CertificateCondition { cn: Some(names), ..CertificateCondition::default() }
    }

    fn sha256(byte: u8) -> CertificateCondition {
        CertificateCondition { sha256: vec![[byte; 32]], ..CertificateCondition::default() }
    }

    #[test]
    fn each_kind_admits_its_own_names_and_no_neighbours() {
        let workload = certificate(&["spiffe://td/ns/a/sa/x"], &["Host.Test"], Some("alice"));
        let person = certificate(&[], &[], Some("alice"));
        let two_uris = certificate(&["spiffe://td/ns/a/sa/x", "urn:a"], &[], None);
        let none = certificate(&[], &[], None);
        let alice = || cn(Names::Of(all(&["bob", "alice"])));
        for (condition, admitted) in [
            (CertificateCondition::default(), [true, true, true, true]),
            (spiffe(&["spiffe://td/x", "spiffe://td/ns/a/sa/x"]), [true, false, false, false]),
            (spiffe(&["spiffe://td/ns/a/*"]), [true, false, false, false]),
            (spiffe(&["spiffe://td/ns/a/sa/y", "spiffe://td2/*"]), [false; 4]),
            (dns(&["host.test"]), [true, false, false, false]),
            (dns(&["ost.test", "a.host.test", "alice"]), [false; 4]),
            (uri(&["spiffe://td/ns/a/sa/x"]), [true, false, true, false]),
            (uri(&["urn:a"]), [false, false, true, false]),
            (uri(&["urn:A", "urn:"]), [false; 4]),
            (alice(), [false, true, false, false]),
            (cn(Names::Any), [false, true, false, false]),
            (cn(Names::Of(all(&["Alice", "alic", "host.test"]))), [false; 4]),
            (sha256(1), [true; 4]),
            (sha256(2), [true; 4]),
            (sha256(3), [false; 4]),
            (CertificateCondition { dns: all(&["host.test"]), ..sha256(3) }, [false; 4]),
            (
                CertificateCondition { dns: all(&["host.test"]), ..spiffe(&["spiffe://td/*"]) },
                [true, false, false, false],
            ),
        ] {
            let found = [&workload, &person, &two_uris, &none].map(|one| condition.admits(one));
            assert_eq!(found, admitted, "{condition:?}");
            for one in [&workload, &person, &two_uris, &none] {
                let findings = condition.findings(Some(one));
                assert_eq!(findings.iter().all(|it| it.holds), condition.admits(one), "{findings:?}");
            }
            assert!(condition.findings(None).iter().all(|it| !it.holds), "{condition:?}");
        }
        let of_key = Certificate::new(no_names(7, 3));
        assert!(sha256(3).admits(&of_key) && sha256(7).admits(&of_key) && !sha256(1).admits(&of_key));
    }

    #[test]
    fn findings_say_why_a_kind_is_absent() {
        let told = |condition: CertificateCondition, certificate: Option<&Certificate>| {
            condition.findings(certificate).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let workload = certificate(&["spiffe://td/a", "urn:a"], &["a.test"], Some("alice"));
        let wanted = CertificateCondition { cn: Some(Names::Any), ..spiffe(&["spiffe://td/*"]) };
        assert_eq!(
            told(wanted, Some(&workload)),
            "certificate spiffe: wants spiffe://td/*; found the certificate has 2 URIs; one with a SPIFFE id has exactly \
             one: does not hold; certificate cn: wants any; found the certificate has subject alternative names, so its \
             common name does not count: does not hold"
        );
        assert_eq!(
            told(dns(&["b.test", "a.test"]), Some(&workload)),
            "certificate dns: wants b.test, a.test; found a.test: holds"
        );
        let any = || told(CertificateCondition::default(), None);
        assert_eq!(any(), "certificate: wants any; found no client certificate: does not hold");
    }

    #[test]
    fn a_condition_covers_narrower_ones() {
        let any = CertificateCondition::default();
        let both = CertificateCondition { dns: all(&["a"]), ..spiffe(&["spiffe://td/a/*"]) };
        for (outer, inner, covered) in [
            (any.clone(), both.clone(), true),
            (both.clone(), any.clone(), false),
            (dns(&["a", "b"]), both.clone(), true),
            (dns(&["b"]), both.clone(), false),
            (spiffe(&["spiffe://td/*"]), both.clone(), true),
            (both.clone(), dns(&["a"]), false),
            (dns(&["a"]), dns(&["a", "b"]), false),
            (cn(Names::Any), cn(Names::Of(all(&["a"]))), true),
            (cn(Names::Of(all(&["a"]))), cn(Names::Any), false),
            (cn(Names::Any), both.clone(), false),
            (sha256(1), sha256(1), true),
            (sha256(1), sha256(2), false),
            (uri(&["urn:a"]), dns(&["urn:a"]), false),
        ] {
            assert_eq!(outer.covers(&inner), covered, "{outer:?} {inner:?}");
        }
    }
}
