//! Reads policy tests: requests with the expected decisions. `scopegate check --tests` runs them.

use super::reader::{At, Reader};
use super::schema::{TEST, TESTS};
use super::table::Table;
use super::{ConfigError, MAX_CONFIG_BYTES};
use crate::identify::certificate::Certificate;
use crate::identify::client::PeerUser;
use crate::identify::identity::Identity;
use crate::net::guarded::ReadError;
use crate::net::guarded::read_guarded;
use crate::refusal::Rule;
use http::{HeaderName, HeaderValue, Method};
use http1::Fields;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// A policy test.
#[derive(Debug)]
pub(crate) struct PolicyTest {
    /// The line of its `[[test]]`, starting at 1.
    pub line: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The client that sends the request.
    pub client: TestClient,
    /// The name of the listener that the client connects to.
    pub listener: Option<String>,
    /// The request's method.
    pub method: Method,
    /// The request's path and query.
    pub target: String,
    /// The request's headers.
    pub fields: Fields,
    /// The expected decision.
    pub expected: Expectation,
    /// The mapping that the client is expected to get.
    pub mapping: Option<String>,
}

/// The client of a test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TestClient {
    /// A client with this connection and these credentials.
    Caller(Caller),
    /// A client that gets this mapping.
    Mapping(String),
}

/// A client that connects and proves an identity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    /// The other end of its connection.
    pub peer: Peer,
    /// The certificate that it shows.
    pub certificate: Option<Arc<Certificate>>,
    /// The identity that it proves by credentials.
    pub identity: Option<Identity>,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A TCP connection from this address.
    Address(IpAddr),
    /// A unix socket, with the process's user if it matters.
    Unix(Option<PeerUser>),
    /// A unix socket, where a load balancer passes on a client at this address.
    Balancer(Option<PeerUser>, IpAddr),
}

/// The decision that a test expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// The request is forwarded, or answered by Scopegate.
    Allowed,
    /// The request is refused, by this rule if one is named.
    Refused(Option<Rule>),
}

/// Reads a file of tests.
///
/// # Errors
/// Fails if the file cannot be read, or lists every mistake in it.
pub(crate) fn read_tests(path: &Path) -> Result<Vec<PolicyTest>, ConfigError> {
    let help = "name a file with [[test]] tables; docs/commands.md shows one";
    let source = read_guarded(path, MAX_CONFIG_BYTES, help).map_err(ConfigError::Unreadable)?;
    let reader = Reader::new(&source);
    let root = reader.parse();
    let root = Table::root(root.get_ref(), &TESTS, &reader);
    let tests: Vec<PolicyTest> = root.tables("test", &TEST).into_iter().filter_map(read_test).collect();
    root.finish();
    let (mistakes, _) = reader.into_diagnostics();
    if !mistakes.is_empty() {
        return Err(ConfigError::Wrong(path.to_owned(), mistakes));
    }
    if tests.is_empty() {
        // A file without tests would always pass.
        let message = format!("{} has no [[test]]", path.display());
        return Err(ConfigError::Unreadable(ReadError { message, help: help.to_owned() }));
    }
    Ok(tests)
}

fn read_test(table: Table<'_>) -> Option<PolicyTest> {
    let reader = table.reader();
    let name = table.string("name").map(|name| name.value.to_owned());
    let caller = read_caller(&table);
    let mapping = table.string("mapping").map(|name| name.value.to_owned());
    let listener = table.string("listener").map(|name| name.value.to_owned());
    let request = table.required("request", "\"GET /tmp/media/hello.txt\"");
    let fields = read_fields(&table);
    let expect = table.required("expect", "\"allowed\" or \"refused\"");
    let rule = table.string("rule");
    let span = table.span();
    table.finish();
    let (client, mapping) = match (caller.ok()?, mapping) {
        (Some(caller), mapping) => (Some(TestClient::Caller(caller)), mapping),
        (None, Some(mapping)) => (Some(TestClient::Mapping(mapping)), None),
        (None, None) => {
            let help = "write from = \"ADDRESS\", unix = true, uid, user, token or key, or mapping = \"NAME\" alone; a mapping \
                        beside the others is the one that this client must get";
            reader.error(span, "[[test]] does not say who the client is", help);
            (None, None)
        }
    };
    let request = request.and_then(|request| read_request(request, reader));
    let expected = expect.and_then(|expect| read_expectation(expect, rule, reader));
    let (method, target) = request?;
    let (client, expected, line) = (client?, expected?, reader.line(span));
    Some(PolicyTest { line, name, client, listener, method, target, fields, expected, mapping })
}

/// A mistake that was noted.
struct Noted;

/// Reads the client of a test, if the test names one.
fn read_caller(table: &Table<'_>) -> Result<Option<Caller>, Noted> {
    let reader = table.reader();
    let from = table.string("from");
    let unix = table.boolean("unix").unwrap_or(false);
    let uid = table.number("uid");
    let gid = table.number("gid");
    let name = |key| table.string(key).map(|name| name.value.into());
    let identities = [
        name("user").map(Identity::User),
        name("token").map(Identity::Token),
        name("key").map(Identity::Key),
    ];
    let mut identities = identities.into_iter().flatten();
    let (identity, other) = (identities.next(), identities.next());
    if other.is_some() {
        let message = "[[test]] has several of user, token and key, and a request carries one credential";
        reader.error(table.span(), message, "keep one");
        return Err(Noted);
    }
    let user = uid.map(|uid| PeerUser { uid, gid: gid.unwrap_or(uid) });
    let is_unix = unix || user.is_some();
    let parse = |text: &str| text.parse().map_err(|_| "write an address, such as \"127.0.0.1\"");
    let address = match from {
        Some(from) => Some(from.parse_with(reader, "is not an address", parse).ok_or(Noted)?),
        None => None,
    };
    let peer = match address {
        Some(address) if is_unix => Some(Peer::Balancer(user, address)),
        Some(address) => Some(Peer::Address(address)),
        None if is_unix => Some(Peer::Unix(user)),
        None => identity.is_some().then_some(Peer::Address(Ipv4Addr::LOCALHOST.into())),
    };
    Ok(peer.map(|peer| Caller { peer, certificate: None, identity }))
}

fn read_request(request: At<&str>, reader: &Reader<'_>) -> Option<(Method, String)> {
    let parts = request.value.split_once(' ').filter(|(_, target)| target.starts_with('/'));
    let parts = parts.and_then(|(method, target)| Some((method.parse().ok()?, target.to_owned())));
    if parts.is_none() {
        let help = "write method and path, such as \"GET /tmp/media/hello.txt\"";
        reader.wrong(request, "is not a request", help);
    }
    parts
}

fn read_fields(table: &Table<'_>) -> Fields {
    let reader = table.reader();
    let list = table.strings("headers").map(|list| list.value).unwrap_or_default();
    let field = |header: At<&str>| {
        let parts = header.value.split_once(':').and_then(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.trim().as_bytes()).ok()?,
                HeaderValue::from_str(value.trim()).ok()?,
            ))
        });
        if parts.is_none() {
            reader.wrong(header, "is not a header", "write \"name: value\"");
        }
        parts
    };
    list.into_iter().filter_map(field).collect()
}

fn read_expectation(expect: At<&str>, rule: Option<At<&str>>, reader: &Reader<'_>) -> Option<Expectation> {
    match (expect.value, rule) {
        ("allowed", None) => Some(Expectation::Allowed),
        ("refused", None) => Some(Expectation::Refused(None)),
        ("refused", Some(name)) => {
            let found = Rule::ALL.into_iter().find(|rule| rule.name() == name.value);
            if found.is_none() {
                let help = "write a rule as `scopegate explain` names it, such as \"outside-scope\"";
                reader.wrong(name, "is not a rule", help);
            }
            found.map(|rule| Expectation::Refused(Some(rule)))
        }
        ("allowed", Some(rule)) => {
            reader.error(rule.span, "rule has no effect with expect = \"allowed\"", "remove one of them");
            None
        }
        _ => {
            reader.wrong(expect, "is not a value of expect", "write one of: allowed, refused");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<PolicyTest>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_tests(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_tests() {
        let text = "[[test]]\nfrom = \"::1\"\nrequest = \"GET /tmp/a?x=y z\"\nheaders = [\"host: a\"]\nexpect = \"allowed\"\n\
                    [[test]]\nmapping = \"m\"\nrequest = \"PUT /\"\nexpect = \"refused\"\nrule = \"outside-scope\"\n\
                    [[test]]\nunix = true\nmapping = \"m\"\nlistener = \"l\"\nname = \"n\"\nrequest = \"GET /\"\nexpect = \"refused\"\n\
                    [[test]]\nuser = \"alice\"\nrequest = \"GET /\"\nexpect = \"refused\"\n\
                    [[test]]\nuid = 7\ngid = 8\nkey = \"AK\"\nrequest = \"GET /\"\nexpect = \"refused\"\n";
        let tests = read(text).unwrap();
        assert_eq!((tests[0].line, &*tests[0].target), (1, "/tmp/a?x=y z"));
        let caller = |peer, identity| TestClient::Caller(Caller { peer, certificate: None, identity });
        assert_eq!(tests[0].client, caller(Peer::Address("::1".parse().unwrap()), None));
        assert!(tests[0].fields.has("host"));
        assert_eq!((&tests[1].client, &tests[1].mapping), (&TestClient::Mapping("m".into()), &None));
        assert_eq!(tests[1].expected, Expectation::Refused(Some(Rule::OutsideScope)));
        assert_eq!(tests[2].mapping.as_deref(), Some("m"));
        assert_eq!(tests[2].client, caller(Peer::Unix(None), None));
        let alice = Some(Identity::User("alice".into()));
        assert_eq!(tests[3].client, caller(Peer::Address(Ipv4Addr::LOCALHOST.into()), alice));
        let user = PeerUser { uid: 7, gid: 8 };
        assert_eq!(tests[4].client, caller(Peer::Unix(Some(user)), Some(Identity::Key("AK".into()))));
        assert_eq!((tests[2].listener.as_deref(), tests[2].name.as_deref()), (Some("l"), Some("n")));
    }

    #[test]
    fn reports_mistakes_with_their_places() {
        let good =
            "[[test]]\nfrom = \"::1\"\nrequest = \"GET /\"\nexpect = \"refused\"\nrule = \"no-mapping\"\n";
        assert!(read(good).is_ok());
        let balanced = read(&good.replacen("from", "unix = true\nfrom", 1)).unwrap();
        let peer = Peer::Balancer(None, "::1".parse().unwrap());
        assert_eq!(
            balanced[0].client,
            TestClient::Caller(Caller { peer, certificate: None, identity: None })
        );
        for (from, to, told) in [
            ("\"::1\"", "\"here\"", ":2:8: \"here\" is not an address"),
            ("from = \"::1\"\n", "", ":1:1: [[test]] does not say who the client is"),
            ("from", "user = \"a\"\nkey", ":1:1: [[test]] has several of user, token and key"),
            ("from = \"::1\"", "uid = 4294967296", ":2:7: "),
            ("GET /", "GET tmp", ":3:11: \"GET tmp\" is not a request"),
            ("\"refused\"", "\"denied\"", ":4:10: \"denied\" is not a value of expect"),
            ("\"refused\"", "\"allowed\"", ":5:8: rule has no effect with"),
            ("no-mapping", "nomapping", ":5:8: \"nomapping\" is not a rule"),
            ("rule =", "rules =", ":5:1: unknown key \"rules\""),
            ("[[test]]", "[[test]", "invalid TOML"),
            ("[[test]]", "# [[test]]\n[x]", ": unknown key \"x\""),
        ] {
            let error = read(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(told), "no {told:?} in {error}");
        }
        assert!(read("# nothing\n").unwrap_err().contains("has no [[test]]"));
    }
}
