//! Client certificates: the names in one that an authority of the listener vouches for.

pub(crate) mod spiffe;

use self::spiffe::SpiffeId;
use crate::s3::signed_body::hex;
use std::borrow::Cow;
use tls::CertificateNames;

/// The most names of one kind that a certificate may have. Each is looked up for every request.
const MAX_NAMES: usize = 100;

/// The most characters of a name that a message shows.
const MAX_SHOWN: usize = 200;

/// A client certificate with the identities that it proves. One kind of names never counts as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    names: CertificateNames,
    /// The SPIFFE id, or the reason why the certificate proves no SPIFFE id.
    spiffe: Result<SpiffeId, String>,
    /// The DNS names in lower case, or the reason why they do not count.
    dns: Result<Vec<Box<str>>, String>,
    /// The URIs, or the reason why they do not count.
    uris: Result<Vec<Box<str>>, String>,
}

impl Certificate {
    /// Makes the certificate with these names. Its chain was verified before.
    pub fn new(names: CertificateNames) -> Self {
        let dns: Vec<Box<str>> = names.dns.iter().map(|name| name.to_ascii_lowercase().into()).collect();
        Self {
            spiffe: spiffe_of(&names),
            dns: bounded(dns, "DNS name"),
            uris: bounded(names.uris.clone(), "URI"),
            names,
        }
    }

    /// Returns the names as they are in the certificate.
    pub fn names(&self) -> &CertificateNames {
        &self.names
    }

    /// Returns the SPIFFE id.
    ///
    /// # Errors
    /// Says why the certificate has none.
    pub fn spiffe(&self) -> Result<&SpiffeId, &str> {
        self.spiffe.as_ref().map_err(String::as_str)
    }

    /// Returns the DNS names, in lower case.
    ///
    /// # Errors
    /// Says why the certificate has none.
    pub fn dns(&self) -> Result<&[Box<str>], &str> {
        self.dns.as_deref().map_err(String::as_str)
    }

    /// Returns the URIs.
    ///
    /// # Errors
    /// Says why the certificate has none.
    pub fn uris(&self) -> Result<&[Box<str>], &str> {
        self.uris.as_deref().map_err(String::as_str)
    }

    /// Returns the common name. It counts only in a certificate without subject alternative names, which replace it.
    ///
    /// # Errors
    /// Says why the certificate has none.
    pub fn common_name(&self) -> Result<&str, &'static str> {
        if self.names.has_alternatives {
            return Err("the certificate has subject alternative names, so its common name does not count");
        }
        let name =
            self.names.common_name.as_deref().ok_or("the certificate has not exactly one common name")?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err("the common name of the certificate is empty or has control characters");
        }
        Ok(name)
    }

    /// Returns whether this is the SHA-256 of the certificate or of its public key.
    pub fn has_digest(&self, sha256: &[u8; 32]) -> bool {
        self.digests().contains(&sha256)
    }

    /// Returns the SHA-256 of the certificate and that of its public key.
    pub(crate) fn digests(&self) -> [&[u8; 32]; 2] {
        [&self.names.sha256, &self.names.key_sha256]
    }

    /// The kinds of names, as configurations call them.
    pub(crate) const KINDS: [&'static str; 5] = ["spiffe", "dns", "uri", "cn", "sha256"];

    /// Describes what the certificate has of each kind, or why it has none.
    pub(crate) fn found(&self) -> [String; Self::KINDS.len()] {
        let all = |names: Result<&[Box<str>], &str>| {
            names.map_or_else(ToOwned::to_owned, |names| {
                names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ")
            })
        };
        let [leaf, key] = self.digests().map(hexadecimal);
        [
            self.spiffe().map_or_else(ToOwned::to_owned, ToString::to_string),
            all(self.dns()),
            all(self.uris()),
            self.common_name().map_or_else(ToOwned::to_owned, shown),
            format!("{leaf} of the certificate, {key} of its public key"),
        ]
    }

    /// Returns the name in logs: the first that the certificate has of its SPIFFE id, common name, DNS names, URIs and
    /// SHA-256. It begins with its kind, so that it is never taken for the name of a user.
    pub fn name(&self) -> Cow<'_, str> {
        if let Ok(id) = self.spiffe() {
            return id.as_str().into();
        }
        let first = |names: Result<&'_ [Box<str>], &str>| names.ok()?.first().cloned();
        let (kind, name) = match (self.common_name(), first(self.dns()), first(self.uris())) {
            (Ok(name), ..) => ("cn", name.into()),
            (_, Some(name), _) => ("dns", name),
            (.., Some(name)) => ("uri", name),
            _ => ("sha256", hexadecimal(&self.names.sha256).into()),
        };
        format!("{kind}:{name}").into()
    }
}

fn spiffe_of(names: &CertificateNames) -> Result<SpiffeId, String> {
    match &names.uris[..] {
        [] => Err("the certificate has no URI".to_owned()),
        [uri] => SpiffeId::parse(uri)
            .map_err(|why| format!("the URI \"{}\" is not a SPIFFE id: {why}", shown(uri))),
        uris => Err(format!("the certificate has {} URIs; one with a SPIFFE id has exactly one", uris.len())),
    }
}

/// Returns a name for a message. The authority may have checked little of it.
fn shown(name: &str) -> String {
    name.escape_debug().take(MAX_SHOWN).collect()
}

fn bounded(names: Vec<Box<str>>, kind: &str) -> Result<Vec<Box<str>>, String> {
    match names.len() {
        0 => Err(format!("the certificate has no {kind}")),
        1..=MAX_NAMES => Ok(names),
        count => {
            Err(format!("the certificate has {count} {kind}s, and none of more than {MAX_NAMES} counts"))
        }
    }
}

/// Writes a digest as configurations do.
pub(crate) fn hexadecimal(digest: &[u8; 32]) -> String {
    String::from_utf8_lossy(&hex(digest)).into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::SystemTime;

    /// Returns names without any, whose digests are these bytes repeated.
    pub(crate) fn no_names(leaf: u8, key: u8) -> CertificateNames {
        CertificateNames {
            uris: Vec::new(),
            dns: Vec::new(),
            has_alternatives: false,
            common_name: None,
            sha256: [leaf; 32],
            key_sha256: [key; 32],
            not_after: SystemTime::UNIX_EPOCH,
        }
    }

    /// Returns a certificate with these URIs and DNS names, and this common name.
    pub(crate) fn certificate(uris: &[&str], dns: &[&str], cn: Option<&str>) -> Arc<Certificate> {
        let all = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<Box<str>>>();
        Arc::new(Certificate::new(CertificateNames {
            uris: all(uris),
            dns: all(dns),
            has_alternatives: !uris.is_empty() || !dns.is_empty(),
            common_name: cn.map(Into::into),
            ..no_names(1, 2)
        }))
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri() {
        let id = |uris: &[&str]| {
            certificate(uris, &["a.test"], None).spiffe().map(ToString::to_string).map_err(str::to_owned)
        };
        assert_eq!(id(&["spiffe://td/a"]).as_deref(), Ok("spiffe://td/a"));
        for (uris, why) in [
            (&[][..], "the certificate has no URI"),
            (&["spiffe://td/a", "spiffe://td/b"], "the certificate has 2 URIs"),
            (&["spiffe://td/a", "https://a.test/"], "the certificate has 2 URIs"),
            (&["https://a.test/"], "the URI \"https://a.test/\" is not a SPIFFE id: it begins with"),
        ] {
            assert!(id(uris).unwrap_err().starts_with(why), "{uris:?}: {:?}", id(uris));
        }
    }

    #[test]
    fn a_common_name_counts_only_without_alternative_names() {
        assert_eq!(certificate(&[], &[], Some("alice")).common_name(), Ok("alice"));
        assert!(certificate(&[], &["a.test"], Some("alice")).common_name().is_err());
        assert!(certificate(&["urn:a"], &[], Some("alice")).common_name().is_err());
        // Such as an address or an email, which Scopegate does not read.
        let other =
            CertificateNames { has_alternatives: true, common_name: Some("alice".into()), ..no_names(1, 2) };
        assert!(Certificate::new(other).common_name().is_err());
        for name in [None, Some(""), Some("ali\0ce"), Some("a\nb")] {
            assert!(certificate(&[], &[], name).common_name().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_certificate_with_very_many_names_has_none() {
        let names: Vec<String> = (0..=MAX_NAMES).map(|number| format!("h{number}.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(certificate(&[], &names, None).dns().unwrap_err().contains("101 DNS names"));
        assert_eq!(certificate(&[], &names[1..], None).dns().unwrap().len(), MAX_NAMES);
        assert!(certificate(&names, &[], None).uris().unwrap_err().contains("101 URIs"));
    }

    #[test]
    fn a_name_in_logs_says_its_kind() {
        for (uris, dns, cn, name) in [
            (&["spiffe://td/a"][..], &["a.test"][..], Some("alice"), "spiffe://td/a"),
            (&["urn:a"], &["A.test"], Some("alice"), "dns:a.test"),
            (&["urn:a"], &[], Some("alice"), "uri:urn:a"),
            (&[], &[], Some("alice"), "cn:alice"),
            (&[], &[], None, &*format!("sha256:{}", "01".repeat(32))),
        ] {
            assert_eq!(certificate(uris, dns, cn).name(), name);
        }
    }
}
