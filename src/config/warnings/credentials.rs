//! Warns about credentials that others can read or that have no effect, and about certificates that have none.

use super::{Places, can_match, is_at};
use crate::authorize::mapping::Mapping;
use crate::authorize::template::Source;
use crate::config::reader::Reader;
use crate::config::{Config, ListenAddress, Listener};
use crate::identify::client::ClientCertificates;
use crate::identify::identity::{Scheme, Schemes};
use crate::identify::matcher::{CertificateCondition, Condition};
use ipnet::IpNet;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Most warnings about mappings that an earlier one precedes.
const MOST: usize = 20;

/// Most earlier mappings that each is compared with: there may be 10,000.
const COMPARED: usize = 1000;

/// Notes all warnings about credentials.
pub(super) fn check(config: &Config, places: &Places, reader: &Reader<'_>) {
    check_plain_tcp(config, places, reader);
    check_precedence(config, places, reader);
    check_claims(config, places, reader);
    check_certificates(config, places, reader);
}

/// Warns about credentials that cross a network unencrypted.
fn check_plain_tcp(config: &Config, places: &Places, reader: &Reader<'_>) {
    for (listener, span) in config.listeners.iter().zip(&places.listeners) {
        let is_remote =
            matches!(listener.address, ListenAddress::Tcp(address) if !address.ip().is_loopback());
        let schemes = schemes_at(config, listener);
        if !is_remote || listener.tls.is_some() || schemes.is_empty() {
            continue;
        }
        let name = &listener.name;
        let sent = match (schemes.has(Scheme::Basic), schemes.has(Scheme::Bearer)) {
            (true, true) => Some("passwords and tokens"),
            (true, false) => Some("passwords"),
            (false, true) => Some("tokens"),
            (false, false) => None,
        };
        if let Some(sent) = sent {
            let message = format!(
                "the listener {name:?} receives {sent} over plain TCP: everyone on the way can read and use them"
            );
            let help = "add tls to the listener, listen on loopback or on a unix socket behind a proxy that ends TLS, or keep the \
                        network private";
            reader.warn(*span, message, help);
        }
        if schemes.has(Scheme::SigV4) {
            let message = format!(
                "the listener {name:?} receives signed requests over plain TCP: everyone on the way can read them, and send a \
                 copy within 15 minutes"
            );
            reader.warn(
                *span,
                message,
                "add tls to the listener, or listen on loopback or on a unix socket behind a proxy that ends TLS",
            );
        }
    }
}

fn schemes_at(config: &Config, listener: &Listener) -> Schemes {
    let here = config.mappings.iter().filter(|mapping| can_match(mapping, listener));
    here.fold(Schemes::default(), |all, mapping| all.union(mapping.client.schemes()))
}

/// Warns about mappings with credentials or certificates whose clients get an earlier mapping without, if they come from its
/// networks.
fn check_precedence(config: &Config, places: &Places, reader: &Reader<'_>) {
    let mut warned = 0;
    // Only the mappings before the last one with a proof matter, and usually few of them need none.
    let mut open: Vec<&Mapping> = Vec::new();
    for (mapping, span) in config.mappings.iter().zip(&places.mappings) {
        if !mapping.client.needs_proof() {
            open.push(mapping);
            continue;
        }
        let weaker = open.iter().take(COMPARED).find(|open| overlap(config, open, mapping));
        let Some(weaker) = weaker.filter(|_| warned < MOST) else { continue };
        warned += 1;
        let (proof, plural) = if mapping.client.schemes().is_empty() {
            ("certificate", "certificates")
        } else {
            ("credentials", "credentials")
        };
        let message = format!(
            "clients of the mapping {:?} that also match {:?} get {:?}, which comes first and needs no {proof}",
            mapping.name, weaker.name, weaker.name
        );
        let help = format!("mappings are tried in order: put those with {plural} first");
        reader.warn(*span, message, help);
    }
}

/// Warns about listeners that ask for certificates which no mapping looks at, and about mappings that take the names of
/// different authorities for the same.
fn check_certificates(config: &Config, places: &Places, reader: &Reader<'_>) {
    for (listener, span) in config.listeners.iter().zip(&places.listeners) {
        let looks =
            |mapping: &&Mapping| mapping.client.on_certificate().is_some() && can_match(mapping, listener);
        let is_optional = listener.facts().certificates == ClientCertificates::Optional;
        if is_optional && !config.mappings.iter().any(|mapping| looks(&mapping)) {
            let message = format!(
                "the listener {:?} asks for client certificates, and no mapping of it has certificate: they have no effect",
                listener.name
            );
            let help = "add certificate to the client of a mapping, write client_certificate = \"required\", or remove client_ca";
            reader.warn(*span, message, help);
        }
    }
    let mut warned = 0;
    for (mapping, span) in config.mappings.iter().zip(&places.mappings) {
        let names_someone = |condition: &CertificateCondition| condition.sha256.is_empty();
        if !mapping.client.on_certificate().is_some_and(names_someone) || warned >= MOST {
            continue;
        }
        let mut asking = config.listeners.iter().filter(|listener| can_match(mapping, listener));
        let Some(first) = asking.next() else { continue };
        if let Some(other) = asking.find(|other| authorities(other) != authorities(first)) {
            warned += 1;
            let message = format!(
                "the mapping {:?} takes certificates of the authorities of {:?} and of the other ones of {:?}: both can issue \
                 its names",
                mapping.name, first.name, other.name
            );
            let help = "add listener to its client, or let both listeners have the same client_ca";
            reader.warn(*span, message, help);
        }
    }
}

/// Returns the files of the authorities whose client certificates a listener accepts.
fn authorities(listener: &Listener) -> HashSet<&Path> {
    let clients = listener.tls.as_ref().and_then(|tls| tls.settings.clients.as_ref());
    clients.into_iter().flat_map(|clients| &clients.authorities).map(PathBuf::as_path).collect()
}

/// Returns whether a client that proves what `mapping` wants can match `open`, which wants no credentials.
fn overlap(config: &Config, open: &Mapping, mapping: &Mapping) -> bool {
    let meet = config.listeners.iter().any(|listener| {
        let reach = |mapping: &Mapping| {
            is_at(mapping, listener) && mapping.client.can_match_at(&listener.name, listener.facts())
        };
        reach(open) && reach(mapping)
    });
    let touch = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    let networks = match (open.client.networks(), mapping.client.networks()) {
        (Some(one), Some(other)) => one.iter().any(|one| other.iter().any(|other| touch(one, other))),
        _ => true,
    };
    let ids = |of: fn(&Condition) -> Option<&[u32]>| {
        let ids = |mapping: &Mapping| mapping.client.conditions().iter().find_map(of).map(<[u32]>::to_vec);
        match (ids(open), ids(mapping)) {
            (Some(one), Some(other)) => one.iter().any(|id| other.contains(id)),
            _ => true,
        }
    };
    meet && networks && ids(uids) && ids(gids)
}

/// Claims that people choose or change themselves at many issuers.
const CHOSEN: [&str; 5] = ["preferred_username", "name", "nickname", "given_name", "family_name"];
/// Claims whose case many issuers ignore.
const CASELESS: [&str; 3] = ["email", "upn", "unique_name"];

/// Warns about claims that identify people, and that others can have as well.
fn check_claims(config: &Config, places: &Places, reader: &Reader<'_>) {
    for (mapping, span) in config.mappings.iter().zip(&places.mappings) {
        let of_prefixes = claims_of_prefixes(mapping).map(|name| (name, "prefix"));
        let mut uses: Vec<(&str, &str)> = of_prefixes.chain(claims_of_client(mapping)).collect();
        uses.sort_unstable();
        uses.dedup();
        for (claim, place) in uses {
            let why = match claim {
                _ if CHOSEN.contains(&claim) => {
                    "people can change it at many issuers, and then have the rights of another"
                }
                _ if CASELESS.contains(&claim) => {
                    "many issuers ignore its case, and Scopegate does not: \"Ada\" and \"ada\" are two people here"
                }
                _ => continue,
            };
            let message = format!(
                "the mapping {:?} tells people apart by the claim {claim:?} in {place}: {why}",
                mapping.name
            );
            let help = "use sub, which never changes ({sub} or {sub:sha256} in a prefix), or make sure that this issuer forbids it";
            reader.warn(*span, message, help);
        }
    }
}

fn claims_of_prefixes(mapping: &Mapping) -> impl Iterator<Item = &str> {
    let sources = mapping.homes.iter().flat_map(|homes| homes.sources());
    sources.filter_map(|source| if let Source::Claim(name) = source { Some(&**name) } else { None })
}

/// Returns the claims in the conditions on a mapping's client, with the place of the condition.
fn claims_of_client(mapping: &Mapping) -> impl Iterator<Item = (&str, &'static str)> {
    let conditions = mapping.client.conditions().iter().filter_map(|condition| match condition {
        Condition::Jwt(jwt) => Some(jwt),
        _ => None,
    });
    let claims = conditions.flat_map(|jwt| &jwt.claims);
    claims.filter_map(|claim| if let [name] = &claim.path[..] { Some((&**name, "client")) } else { None })
}

fn uids(condition: &Condition) -> Option<&[u32]> {
    if let Condition::Uid(ids) = condition { Some(ids) } else { None }
}

fn gids(condition: &Condition) -> Option<&[u32]> {
    if let Condition::Gid(ids) = condition { Some(ids) } else { None }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake};

    const SECTIONS: &str = "[[user]]\nname = \"alice\"\npassword = [\"$argon2id$v=19$m=19456,t=2,p=1$jHwkGfbAUPGBk0QcIPt2Og$bi3yu0Fojh6aOljZgf+dB1ou+dGAJ1OT/V9fVr4CKq4\"]\n\
        [[token]]\nname = \"ci\"\nsha256 = \"3e744b9dc39389baf0c5a0660589b8402f3dbb49b89b3e75f2c9355852a3c677\"\n\
        [[key]]\naccess_key = \"SGREPORTS\"\nsecret_key = { file = \"/run/secrets/long\" }\n";

    /// Returns the warnings about a listener at this address, and mappings for these clients in order.
    fn warned(address: &str, clients: &[&str]) -> Vec<String> {
        let head = EXAMPLE.split("[[mapping]]").next().unwrap().replace("127.0.0.1:8080", address);
        with_head(&head, clients)
    }

    /// Returns the warnings about the listeners in `head`, and mappings for these clients in order.
    fn with_head(head: &str, clients: &[&str]) -> Vec<String> {
        let mapping = |(number, client): (usize, &&str)| {
            format!(
                "[[mapping]]\nname = \"m{number}\"\nclient = {{ {client} }}\n\
                 [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"a{number}/\"\nallow = [\"read\"]\n"
            )
        };
        let source =
            head.to_owned() + SECTIONS + &clients.iter().enumerate().map(mapping).collect::<String>();
        let config = Config::parse(&source, &Fake).unwrap();
        config.warnings().iter().map(|warning| warning.message.clone()).collect()
    }

    #[test]
    fn warns_of_credentials_over_plain_tcp_beyond_loopback() {
        let (user, token, key) = ("user = [\"alice\"]", "token = [\"ci\"]", "key = [\"SGREPORTS\"]");
        for address in ["127.0.0.1:8080", "[::1]:8080", "unix:/run/s3.sock"] {
            let told = warned(address, &[user, token, key]);
            assert!(told.iter().all(|told| !told.contains("plain TCP")), "{address}: {told:?}");
        }
        for (clients, expected) in [
            (&[user][..], "receives passwords over plain TCP"),
            (&[token], "receives tokens over plain TCP"),
            (&[user, token], "receives passwords and tokens over plain TCP"),
            (&[key], "receives signed requests over plain TCP"),
        ] {
            let told = warned("10.0.0.1:8080", clients);
            let matching = told.iter().filter(|told| told.contains("plain TCP")).count();
            assert!(
                matching == 1 && told.iter().any(|told| told.contains(expected)),
                "{clients:?}: {told:?}"
            );
        }
    }

    #[test]
    fn tls_keeps_credentials_from_being_read() {
        let address =
            "10.0.0.1:8080\"\ntls = { certificates = [{ chain = \"tls.crt\", key = \"tls.key\" }] } #";
        let told = warned(address, &["user = [\"alice\"]", "key = [\"SGREPORTS\"]"]);
        assert!(told.iter().all(|told| !told.contains("plain TCP")), "{told:?}");
    }

    #[test]
    fn warns_of_claims_that_others_can_have_as_well() {
        let issuer = "[[jwt]]\nname = \"corp\"\nissuer = \"https://id.test/\"\naudience = [\"scopegate\"]\n";
        let head = EXAMPLE.split("[[mapping]]").next().unwrap();
        let told = |claims: &str, prefix: &str| {
            let source = format!(
                "{head}{issuer}[[mapping]]\nname = \"people\"\nclient = {{ jwt = {{ issuer = \"corp\"{claims} }} }}\n\
                 [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"{prefix}\"\nallow = [\"read\"]\n"
            );
            let config = Config::parse(&source, &Fake).unwrap();
            let all = config.warnings().iter().filter(|warning| warning.message.contains("by the claim"));
            all.map(|warning| warning.message.clone()).collect::<Vec<_>>()
        };
        let claims = |path: &str| format!(", claims = [{{ path = {path}, is = \"x\" }}]");
        for (claims, prefix, expected) in [
            ("", "home/{sub}/", &[][..]),
            ("", "home/{claim:tenant}/", &[]),
            (
                "",
                "home/{claim:preferred_username}/",
                &["\"preferred_username\" in prefix: people can change it"],
            ),
            ("", "home/{claim:email}/", &["\"email\" in prefix: many issuers ignore its case"]),
            (&claims("[\"name\"]"), "home/", &["\"name\" in client: people can change it"]),
            (&claims("[\"upn\"]"), "{claim:name}/", &["\"name\" in prefix", "\"upn\" in client"]),
            (&claims("[\"realm\", \"name\"]"), "home/", &[]),
        ] {
            let told = told(claims, prefix);
            let is_expected = |(told, expected): (&String, &&str)| told.contains(expected);
            assert!(
                told.len() == expected.len() && told.iter().zip(expected).all(is_expected),
                "{claims} {prefix}: {told:?}"
            );
        }
    }

    #[test]
    fn warns_of_mappings_without_credentials_that_come_first() {
        let (all, ten, eleven) =
            ("network = \"0.0.0.0/0\"", "network = \"10.0.0.0/8\"", "network = \"11.0.0.0/8\"");
        let (alice, at_ten) = ("user = [\"alice\"]", "user = [\"alice\"], network = \"10.1.0.0/16\"");
        for (clients, precedes) in [
            (&[all, alice][..], true),
            (&[ten, alice], true),
            (&[eleven, at_ten], false),
            (&[alice, all], false),
            (&[at_ten, ten], false),
        ] {
            let told = warned("0.0.0.0:8080", clients);
            let found = told.iter().any(|told| told.contains("which comes first and needs no credentials"));
            assert_eq!(found, precedes, "{clients:?}: {told:?}");
        }
    }

    /// Returns a listener that asks for certificates of this authority.
    fn asking(name: &str, address: &str, authority: &str, mode: &str) -> String {
        format!(
            "[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\ntls = {{ certificates = [{{ chain = \"a.crt\", key = \
             \"a.key\" }}], client_ca = [\"{authority}\"], client_certificate = \"{mode}\" }}\n"
        )
    }

    #[test]
    fn warns_of_certificates_that_nobody_looks_at_or_that_two_authorities_issue() {
        let rest = EXAMPLE.split("[[mapping]]").next().unwrap().split("[admin]").nth(1).unwrap();
        let told = |listeners: &[String], clients: &[&str]| {
            with_head(&format!("{}[admin]{rest}", listeners.concat()), clients).join("\n")
        };
        let (optional, required) = ("optional", "required");
        let one = |mode| asking("one", "0.0.0.0:1", "one.pem", mode);
        let two = |authority| asking("two", "0.0.0.0:2", authority, required);
        let (all, dns) = ("network = \"0.0.0.0/0\"", "certificate = { dns = [\"a.test\"] }");
        let digest = format!("certificate = {{ sha256 = [\"{}\"] }}", "a".repeat(64));
        let here = "certificate = { dns = [\"a.test\"] }, listener = \"one\"";
        for (listeners, clients, unused, first, ambiguous) in [
            (vec![one(optional)], vec![all], true, false, false),
            (vec![one(required)], vec![all], false, false, false),
            (vec![one(optional)], vec![dns, all], false, false, false),
            (vec![one(optional)], vec![all, dns], false, true, false),
            (vec![one(required), two("two.pem")], vec![dns], false, false, true),
            (vec![one(required), two("one.pem")], vec![dns], false, false, false),
            (vec![one(required), two("two.pem")], vec![&digest], false, false, false),
            (vec![one(required), two("two.pem")], vec![here, all], false, false, false),
        ] {
            let told = told(&listeners, &clients);
            assert_eq!(told.contains("they have no effect"), unused, "{clients:?}: {told}");
            assert_eq!(
                told.contains("which comes first and needs no certificate"),
                first,
                "{clients:?}: {told}"
            );
            assert_eq!(told.contains("both can issue its names"), ambiguous, "{clients:?}: {told}");
        }
    }
}
