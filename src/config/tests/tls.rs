//! `tls` of a listener: what it means, and the mistakes in it and in its files.

use super::*;
use ::tls::{ClientAuth, FileKind, KeyPairFiles, ServerSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::collections::HashMap;

/// A machine with these files.
struct Machine(HashMap<&'static str, String>);

impl Machine {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["s3.example.test".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        Self(HashMap::from([
            ("tls.crt", certificate.pem()),
            ("tls.key", key.serialize_pem()),
            ("other.key", KeyPair::generate().unwrap().serialize_pem()),
            ("clients.pem", authority.pem()),
            ("empty", String::new()),
        ]))
    }
}

impl Environment for Machine {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        Fake.variable(name)
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        Fake.file(path)
    }

    fn tls_file(&self, path: &Path, kind: FileKind) -> Result<Option<Vec<u8>>, ReadError> {
        let shown = path.display();
        let known = path.to_str().and_then(|path| self.0.get(path));
        // The keys are secret, and nothing else is.
        assert_eq!(
            kind == FileKind::PrivateKey,
            path.extension().is_some_and(|ending| ending == "key"),
            "{shown}"
        );
        let missing =
            || ReadError { message: format!("cannot read {shown}: it is missing"), help: "write it".into() };
        known.map(|content| Some(content.clone().into_bytes())).ok_or_else(missing)
    }
}

/// Returns the example with this value of `tls`.
fn with(tls: &str) -> String {
    let address = "address = \"127.0.0.1:8080\"";
    EXAMPLE.replacen(address, &format!("{address}\ntls = {tls}\n"), 1)
}

fn found(tls: &str, machine: &dyn Environment) -> Vec<String> {
    let mistakes = Config::parse(&with(tls), machine).map_or_else(|mistakes| mistakes, |_| Vec::new());
    let place = |place: Option<Place>| place.map(|Place { line, column, .. }| format!("{line}:{column} "));
    mistakes
        .into_iter()
        .map(|it| format!("{}{} | {}", place(it.place).unwrap_or_default(), it.message, it.help))
        .collect()
}

const PAIR: &str = "certificates = [{ chain = \"tls.crt\", key = \"tls.key\" }]";

#[test]
fn a_listener_has_certificates_and_authorities_of_clients() {
    let machine = Machine::new();
    let read = |tls: &str| {
        let listener = Config::parse(&with(tls), &machine).unwrap().listeners.remove(0);
        assert!(listener.tls.as_ref().unwrap().loaded.is_some());
        listener.tls.unwrap().settings
    };
    let pair = KeyPairFiles { chain: "tls.crt".into(), key: "tls.key".into() };
    let plain = ServerSettings { certificates: vec![pair], clients: None, http2: true };
    assert_eq!(read(&format!("{{ {PAIR} }}")), plain);
    assert_eq!(
        read(&format!("{{ {PAIR}, http2 = false }}")),
        ServerSettings { http2: false, ..plain.clone() }
    );
    for (more, is_required) in [
        ("", true),
        (", client_certificate = \"required\"", true),
        (", client_certificate = \"optional\"", false),
    ] {
        let auth =
            ClientAuth { authorities: vec!["clients.pem".into()], revocations: Vec::new(), is_required };
        let expected = ServerSettings { clients: Some(auth), ..plain.clone() };
        assert_eq!(read(&format!("{{ {PAIR}, client_ca = [\"clients.pem\"]{more} }}")), expected, "{more}");
    }
}

#[test]
fn each_mistake_has_its_place_and_help() {
    let machine = Machine::new();
    let pair =
        |chain: &str, key: &str| format!("{{ certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}] }}");
    let and = |more: &str| format!("{{ {PAIR}, {more} }}");
    let many =
        format!("{{ certificates = [{}] }}", "{ chain = \"tls.crt\", key = \"tls.key\" }, ".repeat(101));
    for (tls, expected) in [
        ("true".to_owned(), "4:7 tls is of type boolean | tls is a table, such as tls = { certificates = ["),
        ("{}".to_owned(), "4:7 tls has no \"certificates\" | add certificates = [{ chain = \"tls.crt\""),
        ("{ certificates = [] }".to_owned(), "4:24 certificates has 0 entries; 1 to 100 are allowed"),
        (many, "4:24 certificates has 101 entries; 1 to 100 are allowed"),
        ("{ certificates = \"tls.crt\" }".to_owned(), "4:24 certificates is of type string"),
        ("{ certificates = [{ chain = \"tls.crt\" }] }".to_owned(), "has no \"key\" | add key = \"tls.key\""),
        (pair("", "tls.key"), "4:35 the path is empty"),
        (pair("absent.crt", "tls.key"), "4:35 absent.crt cannot be read: it is missing | write it"),
        (pair("tls.crt", "absent.key"), "4:52 absent.key cannot be read: it is missing | write it"),
        (pair("tls.crt", "other.key"), "4:35 tls.crt holds no certificate of the private key in other.key"),
        (pair("empty", "tls.key"), "4:35 empty is empty"),
        (and("http2 = 1"), "http2 is of type integer"),
        (
            and("client_crl = [\"clients.crl\"]"),
            "client_crl has no meaning without client_ca | name the authorities",
        ),
        (and("client_certificate = \"optional\""), "client_certificate has no meaning without client_ca"),
        (and("client_ca = []"), "client_ca has 0 entries"),
        (and("client_ca = [\"empty\"]"), "empty is empty"),
        (
            and("client_ca = [\"clients.pem\", \"clients.pem\"]"),
            "\"clients.pem\" is listed twice in client_ca",
        ),
        (
            and("client_ca = [\"clients.pem\"], client_certificate = \"maybe\""),
            "\"maybe\" is not a value of client_certificate",
        ),
        (and("client_ca = [\"clients.pem\"], client_crl = [\"clients.crl\"]"), "clients.crl cannot be read"),
        (
            and("clientca = [\"clients.pem\"]"),
            "unknown key \"clientca\" in tls | did you mean \"client_ca\"?",
        ),
    ] {
        let found = found(&tls, &machine);
        assert!(found.len() == 1 && found[0].contains(expected), "{tls}: no {expected:?} in {found:#?}");
    }
}

#[test]
fn a_private_key_in_place_of_its_path_is_not_shown() {
    let machine = Machine::new();
    let body: String = machine.0["tls.key"].lines().filter(|line| !line.starts_with('-')).collect();
    for key in [body.replace('/', "A"), machine.0["tls.key"].replace('\n', "\\n")] {
        let tls = format!("{{ certificates = [{{ chain = \"tls.crt\", key = \"{key}\" }}] }}");
        let found = found(&tls, &machine);
        assert!(found.len() == 1 && found[0].contains("it may be a private key"), "{found:?}");
        assert!(!found[0].contains(&body[..20]), "{found:?}");
    }
}

#[test]
fn every_mistake_is_found_at_once() {
    let found =
        found("{ certificates = [{ chain = \"absent.crt\", key = \"absent.key\" }] }", &Machine::new());
    assert_eq!(found.len(), 2, "{found:#?}");
}

/// `check --without-secrets` runs where the files are not.
#[test]
fn files_that_are_elsewhere_are_not_needed() {
    let config = Config::parse(&with(&format!("{{ {PAIR} }}")), &WithoutSecrets).unwrap();
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert!(tls.loaded.is_none() && tls.settings.certificates.len() == 1);
}
