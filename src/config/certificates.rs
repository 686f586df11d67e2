//! Reads `certificate` of a mapping's client: the client certificates that it takes.

use super::reader::{At, Reader};
use super::schema::CLIENT_CERTIFICATE;
use super::table::Table;
use super::value::parse_domain;
use crate::identify::certificate::spiffe::SpiffePattern;
use crate::identify::identity::Names;
use crate::identify::matcher::CertificateCondition;
use crate::s3::signed_body::parse_hex;
use std::collections::HashSet;
use std::hash::Hash;
use toml::de::DeValue;

/// Maximum number of values of one kind.
const MAX_VALUES: usize = 1000;
/// Maximum length of a URI, in bytes.
const MAX_URI: usize = 2048;
/// Maximum length of a common name, in bytes. X.520 allows 64 characters.
const MAX_COMMON_NAME: usize = 256;

const EXAMPLE: &str = "certificate = { dns = [\"client.example.test\"] }";
const ANY: &str = "for every client with a certificate, write certificate = \"*\"";

/// Reads the condition on the certificate. Returns `None` if the key is absent or has a mistake.
pub(super) fn read_certificate(client: &Table<'_>) -> Option<CertificateCondition> {
    let value = client.get("certificate")?;
    if let DeValue::String(text) = value.get_ref() {
        let text = At { value: &**text, span: value.span().into() };
        if text.value != "*" {
            client.reader().wrong(
                text,
                "is not a condition on certificates",
                format!("write {EXAMPLE}; {ANY}"),
            );
            return None;
        }
        return Some(CertificateCondition::default());
    }
    let table = client.table("certificate", &CLIENT_CERTIFICATE);
    let reader = table.reader();
    let spiffe = read_list(&table, "spiffe", "is not a SPIFFE id", SpiffePattern::parse);
    let dns = read_list(&table, "dns", "is not a DNS name", parse_dns);
    let uri = read_list(&table, "uri", "is not a URI to compare with", parse_uri);
    let cn = read_common_names(&table);
    let sha256 = read_list(&table, "sha256", "is not a SHA-256", parse_digest);
    let (is_present, span) = (table.is_present(), table.span());
    table.finish();
    let (spiffe, dns, uri, cn, sha256) = (spiffe?, dns?, uri?, cn?, sha256?);
    let condition = CertificateCondition { spiffe, dns, uri, cn, sha256 };
    if is_present && condition.is_any() {
        reader.error(span, "certificate names nothing", format!("write {EXAMPLE}; {ANY}"));
        return None;
    }
    is_present.then_some(condition)
}

/// Reads the values of one kind. Returns an empty list if the key is absent, and `None` if it has a mistake.
fn read_list<T: Clone + Eq + Hash>(
    table: &Table<'_>,
    key: &'static str,
    what: &str,
    parse: fn(&str) -> Result<T, &'static str>,
) -> Option<Vec<T>> {
    if table.span_of(key).is_none() {
        return Some(Vec::new());
    }
    let (list, reader) = (table.strings(key)?, table.reader());
    check_count(&list, key, reader)?;
    let mut seen = HashSet::new();
    let read = |text: At<&str>| {
        let value = text.parse_with(reader, what, parse)?;
        if !seen.insert(value.clone()) {
            reader.wrong(text, &format!("is listed twice in {key}"), "remove one");
        }
        Some(value)
    };
    // Collected first, so that the mistakes in all entries are noted.
    let values: Vec<Option<T>> = list.value.into_iter().map(read).collect();
    values.into_iter().collect()
}

fn check_count(list: &At<Vec<At<&str>>>, key: &str, reader: &Reader<'_>) -> Option<()> {
    let count = list.value.len();
    if (1..=MAX_VALUES).contains(&count) {
        return Some(());
    }
    let message = format!("{key} has {count} entries; 1 to {MAX_VALUES} are allowed");
    reader.error(list.span, message, format!("name what certificates have, such as {EXAMPLE}"));
    None
}

/// Reads `cn`. Its absence is no mistake.
#[expect(clippy::option_option, reason = "a mistake differs from a condition without common names")]
fn read_common_names(table: &Table<'_>) -> Option<Option<Names>> {
    let Some(span) = table.span_of("cn") else { return Some(None) };
    let names = read_list(table, "cn", "is not a common name", parse_common_name)?;
    let is_any = names.iter().any(|name| **name == *"*");
    if is_any && names.len() > 1 {
        let message = "\"*\" is any common name, so the others have no effect";
        table.reader().error(span, message, "write \"*\" alone");
        return None;
    }
    let message = "cn never matches a certificate that has subject alternative names, as nearly all have";
    let help = "prefer spiffe, dns or uri, and let the authority of these clients put such a name into their certificates";
    table.reader().warn(span, message, help);
    Some(Some(if is_any { Names::Any } else { Names::Of(names) }))
}

fn parse_common_name(text: &str) -> Result<Box<str>, &'static str> {
    if (1..=MAX_COMMON_NAME).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(text.into());
    }
    Err("write 1 to 256 bytes without control characters, as in the subject of the certificate")
}

fn parse_dns(text: &str) -> Result<Box<str>, &'static str> {
    if text.contains('*') {
        return Err("DNS names are compared whole: list each name");
    }
    if !text.is_ascii() {
        return Err("write the name as it is in certificates, with labels such as \"xn--bcher-kva\"");
    }
    parse_domain(text).map_err(|_| "write a DNS name without final dot, such as \"client.example.test\"")
}

fn parse_uri(text: &str) -> Result<Box<str>, &'static str> {
    if text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("spiffe://")) {
        return Err(
            "write SPIFFE ids in spiffe, which also makes sure that the certificate has no other URI",
        );
    }
    if text.contains('*') {
        return Err("URIs are compared whole: list each of them");
    }
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    if text.len() > MAX_URI || !is_visible || scheme.is_empty() {
        return Err("write a whole URI of at most 2048 bytes, such as \"https://client.example.test/a\"");
    }
    Ok(text.into())
}

/// Parses a digest with or without colons, as OpenSSL prints it.
fn parse_digest(text: &str) -> Result<[u8; 32], &'static str> {
    parse_hex(text.replace(':', "").as_bytes()).ok_or(
        "write 64 hexadecimal digits, such as `openssl x509 -noout -fingerprint -sha256 -in client.crt` prints after '='",
    )
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake, mistakes};
    use crate::identify::identity::Names;
    use crate::identify::matcher::CertificateCondition;

    const TLS: &str = "tls = { certificates = [{ chain = \"tls.crt\", key = \"tls.key\" }], client_ca = [\"ca.pem\"], \
                       client_certificate = \"optional\" }";

    /// Returns the example with TLS, and with this condition on certificates.
    fn with(condition: &str) -> String {
        let client = format!("client  = {{ certificate = {condition}, listener = \"sidecar\" }}");
        let source = EXAMPLE.replacen(
            "address = \"127.0.0.1:8080\"",
            &format!("address = \"127.0.0.1:8080\"\n{TLS}"),
            1,
        );
        let begin = source.find("client  =").unwrap();
        let end = begin + source[begin..].find('\n').unwrap();
        format!("{}{client}{}", &source[..begin], &source[end..])
    }

    fn read(condition: &str) -> CertificateCondition {
        let config =
            Config::parse(&with(condition), &Fake).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        config.mappings[0].client.on_certificate().unwrap().clone()
    }

    #[test]
    fn reads_each_kind_of_names() {
        let digest = format!("\"{}\"", ["AB"; 32].join(":"));
        let all = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<Box<str>>>();
        assert!(read("\"*\"").is_any());
        let spiffe = read("{ spiffe = [\"spiffe://td/a\", \"spiffe://td/b/*\"] }").spiffe;
        assert_eq!(
            spiffe.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["spiffe://td/a", "spiffe://td/b/*"]
        );
        let many = read(&format!(
            "{{ dns = \"A.Test\", uri = [\"urn:A\"], cn = [\"Alice B\"], sha256 = {digest} }}"
        ));
        assert_eq!((many.dns, many.uri, many.sha256), (all(&["a.test"]), all(&["urn:A"]), vec![[0xAB; 32]]));
        assert_eq!(many.cn, Some(Names::Of(all(&["Alice B"]))));
        assert_eq!(read("{ cn = \"*\" }").cn, Some(Names::Any));
    }

    #[test]
    fn each_mistake_has_its_place_and_help() {
        let long = format!("{{ sha256 = \"{}\" }}", "a".repeat(63));
        for (condition, expected) in [
            ("{}", "certificate names nothing | write certificate = { dns"),
            ("\"alice\"", "\"alice\" is not a condition on certificates"),
            ("7", "certificate is of type integer | certificate is a table, such as certificate = { dns"),
            (
                "{ spife = \"a\", dns = \"a.test\" }",
                "unknown key \"spife\" in certificate | did you mean \"spiffe\"?",
            ),
            ("{ dns = [] }", "dns has 0 entries; 1 to 1000 are allowed"),
            ("{ dns = [\"*.a.test\"] }", "\"*.a.test\" is not a DNS name | DNS names are compared whole"),
            ("{ dns = [\"10.0.0.1\"] }", "\"10.0.0.1\" is not a DNS name | write a DNS name"),
            ("{ dns = [\"bücher.test\"] }", "\"bücher.test\" is not a DNS name | write the name as it is in"),
            ("{ dns = [\"a.test\", \"A.test\"] }", "\"A.test\" is listed twice in dns"),
            ("{ spiffe = [\"spiffe://TD/a\"] }", "is not a SPIFFE id | its trust domain is in lower case"),
            (
                "{ spiffe = [\"spiffe://td/a*\"] }",
                "is not a SPIFFE id | '*' is allowed only as the last segment",
            ),
            (
                "{ spiffe = [\"spiffe://td\"] }",
                "is not a SPIFFE id | it names a trust domain and no workload",
            ),
            ("{ uri = [\"spiffe://td/a\"] }", "write SPIFFE ids in spiffe"),
            ("{ uri = [\"SPIFFE://td/a\"] }", "write SPIFFE ids in spiffe"),
            ("{ uri = [\"https://a.test/*\"] }", "URIs are compared whole"),
            ("{ uri = [\"a.test\"] }", "\"a.test\" is not a URI to compare with | write a whole URI"),
            ("{ cn = [\"\"] }", "\"\" is not a common name"),
            ("{ cn = [\"*\", \"a\"] }", "\"*\" is any common name, so the others have no effect"),
            ("{ sha256 = [\"xyz\"] }", "is not a SHA-256 | write 64 hexadecimal digits"),
            (&long, "is not a SHA-256 | write 64 hexadecimal digits"),
        ] {
            let found = mistakes(&with(condition));
            assert!(found.len() == 1 && found[0].contains(expected), "{condition}: {found:#?}");
        }
    }

    #[test]
    fn a_listener_must_ask_for_certificates() {
        let plain = with("\"*\"").replacen(TLS, "", 1);
        let found = mistakes(&plain);
        let expected = "the mapping \"media-reader\" can never match: its listeners ask for no client certificates | add \
                        client_ca to tls of a [[listener]]";
        assert!(found.iter().any(|told| told.contains(expected)), "{found:#?}");
    }

    #[test]
    fn common_names_are_warned_of() {
        let warned = |condition: &str| {
            let config = Config::parse(&with(condition), &Fake).unwrap();
            config.warnings().iter().any(|warning| warning.message.contains("cn never matches"))
        };
        assert!(warned("{ cn = [\"alice\"] }") && !warned("{ dns = [\"a.test\"] }"));
    }

    #[test]
    fn mappings_that_earlier_ones_cover_are_unreachable() {
        let with_two = |first: &str, second: &str| {
            let source = with(first);
            let scope = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"x/\"\nallow = [\"read\"]\n";
            let client = format!("client = {{ certificate = {second}, listener = \"sidecar\" }}");
            mistakes(&format!("{source}\n[[mapping]]\nname = \"second\"\n{client}\n{scope}"))
        };
        for (first, second, is_covered) in [
            ("{ dns = [\"a.test\", \"b.test\"] }", "{ dns = [\"b.test\"] }", true),
            ("{ dns = [\"a.test\"] }", "{ dns = [\"a.test\", \"b.test\"] }", false),
            ("{ spiffe = [\"spiffe://td/*\"] }", "{ spiffe = [\"spiffe://td/a/*\"] }", true),
            ("{ spiffe = [\"spiffe://td/a/*\"] }", "{ spiffe = [\"spiffe://td/ab/*\"] }", false),
            ("\"*\"", "{ cn = [\"a\"] }", true),
            ("{ cn = [\"a\"] }", "\"*\"", false),
        ] {
            let found = with_two(first, second);
            let is_told = found.iter().any(|told| told.contains("can never be reached"));
            assert_eq!(is_told, is_covered, "{first} {second}: {found:#?}");
            assert_eq!(found.len(), usize::from(is_covered), "{found:#?}");
        }
    }
}
