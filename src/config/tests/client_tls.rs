//! Tests of the settings of TLS towards servers.

use super::*;
use crate::net::tls_files::read_tls_file;
use ::tls::FileKind;
use rcgen::{CertificateParams, KeyPair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::{TempDir, tempdir};

/// The keys of [`Fake`], and the files of TLS in a folder.
struct Folder(TempDir);

impl Environment for Folder {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        Fake.variable(name)
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        Fake.file(path)
    }

    fn tls_file(&self, path: &Path, kind: FileKind) -> Result<Option<Vec<u8>>, ReadError> {
        read_tls_file(&self.0.path().join(path), kind)
    }
}

impl Folder {
    fn new() -> Self {
        let folder = Self(tempdir().unwrap());
        for name in ["a", "b"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
            folder.write(&format!("{name}.crt"), &params.self_signed(&key).unwrap().pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
        folder.write("empty.pem", "");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
        fs::set_permissions(self.0.path().join(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Returns the mistakes of the example with these lines in `[upstream]` and `[issuer]`.
    fn mistakes(&self, scheme: &str, upstream: &str, issuer: &str) -> Vec<String> {
        let text = EXAMPLE
            .replace("\"http://127.0.0.1:9000\"", &format!("\"{scheme}://127.0.0.1:9000\""))
            .replace("[upstream]", &format!("[upstream]\n{upstream}"))
            .replace("[issuer]", &format!("[issuer]\n{issuer}"));
        let found = Config::parse(&text, self).map(drop).err().unwrap_or_default();
        let line = |found: Diagnostic| {
            let column = found.place.map_or(0, |place| place.column);
            format!("{column} {} | {}", found.message, found.help)
        };
        found.into_iter().map(line).collect()
    }
}

#[test]
fn each_mistake_is_shown_at_its_place() {
    let folder = Folder::new();
    let pair = "certificate = { chain = \"a.crt\", key = \"a.key\" }";
    for good in [
        "ca = \"a.crt\"".to_owned(),
        format!("ca = [\"a.crt\", \"b.crt\"], {pair}, server_name = \"minio.internal\""),
        "ca = \"a.crt\", server_name = \"10.0.0.1\"".to_owned(),
    ] {
        let tls = format!("tls = {{ {good} }}");
        assert_eq!(folder.mistakes("https", &tls, ""), [] as [String; 0]);
        assert_eq!(folder.mistakes("https", &tls, "tls = { ca = \"b.crt\" }"), [] as [String; 0]);
        let plain = folder.mistakes("http", &tls, "");
        assert!(
            plain.len() == 1 && plain[0].starts_with("7 tls is given, and the endpoint http://"),
            "{plain:?}"
        );
    }
    for (tls, place, words) in [
        ("ca = []", 14, "ca has 0 entries"),
        ("ca = [\"a.crt\", \"\"]", 24, "the path is empty"),
        ("ca = 1", 14, "ca is of type integer"),
        ("ca = [\"a.crt\", \"absent.pem\"]", 24, "absent.pem: No such file"),
        ("ca = [\"a.crt\", \"empty.pem\"]", 24, "empty.pem is empty"),
        ("ca = [\"a.key\"]", 15, "a private key and no certificate"),
        ("certificate = { chain = \"a.crt\" }", 23, "has no \"key\""),
        ("certificate = { chain = \"a.crt\", key = \"\" }", 48, "the path is empty"),
        (
            "certificate = { chain = \"a.crt\", key = \"b.key\" }",
            33,
            "a.crt holds no certificate of the private key in b.key",
        ),
        ("certificate = { chain = \"a.key\", key = \"a.key\" }", 33, "a.key holds a private key"),
        (
            "certificate = { chain = \"a.crt\", key = \"a.key\", pin = 1 }",
            57,
            "unknown key \"pin\" in certificate",
        ),
        ("server_name = \"https://minio\"", 23, "is not a name that a certificate can have"),
        ("server_name = 1", 23, "server_name is of type integer"),
        ("insecure = true", 9, "unknown key \"insecure\" in tls"),
    ] {
        let found = folder.mistakes("https", &format!("tls = {{ {tls} }}"), "");
        assert_eq!(found.len(), 1, "{tls}: {found:#?}");
        assert!(found[0].starts_with(&format!("{place} ")) && found[0].contains(words), "{tls}: {found:#?}");
        assert!(!found[0].contains("PRIVATE KEY"), "{found:#?}");
    }
    fs::set_permissions(folder.0.path().join("a.key"), Permissions::from_mode(0o644)).unwrap();
    let found = folder.mistakes("https", &format!("tls = {{ {pair} }}"), "");
    assert!(found[0].contains("has mode 0644") && found[0].contains("chmod 640"), "{found:#?}");
}

#[test]
fn sts_is_reached_like_the_store_unless_it_says_otherwise() {
    let folder = Folder::new();
    let parse = |issuer: &str| {
        let text = EXAMPLE
            .replace("\"http://127.0.0.1:9000\"", "\"https://127.0.0.1:9000\"")
            .replace("[upstream]", "[upstream]\ntls = { ca = \"a.crt\" }")
            .replace("[issuer]", &format!("[issuer]\n{issuer}"));
        Config::parse(&text, &folder).unwrap()
    };
    for (issuer, count) in [
        ("", 1),
        ("endpoint = \"https://sts.test\"", 1),
        ("endpoint = \"http://sts.test\"", 1),
        ("endpoint = \"https://sts.test\"\ntls = { ca = \"b.crt\" }", 2),
        ("tls = { ca = \"b.crt\" }", 2),
    ] {
        let config = parse(issuer);
        assert_eq!(config.tls().count(), count, "{issuer}");
        assert!(config.tls().all(|(_, tls)| tls.current().is_ok()));
    }
    let found = folder.mistakes("https", "", "endpoint = \"http://sts.test\"\ntls = { ca = \"a.crt\" }");
    assert!(found[0].contains("tls is given, and the endpoint http://sts.test"), "{found:#?}");
}

#[test]
fn files_that_are_elsewhere_are_not_read() {
    let text = EXAMPLE
        .replace("\"http://127.0.0.1:9000\"", "\"https://127.0.0.1:9000\"")
        .replace("[upstream]", "[upstream]\ntls = { ca = \"/absent\" }");
    let config = Config::parse(&text, &WithoutSecrets).unwrap();
    assert!(config.tls().all(|(_, tls)| tls.missing_trust().is_none()));
}

#[test]
fn the_end_of_the_certificate_is_told_when_the_configuration_is_read() {
    let folder = Folder::new();
    let end = std::time::SystemTime::now() + std::time::Duration::from_hours(24 * 7);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.not_after = end.into();
    folder.write("a.crt", &params.self_signed(&key).unwrap().pem());
    folder.write("a.key", &key.serialize_pem());
    let tls = "tls = { certificate = { chain = \"a.crt\", key = \"a.key\" }, ca = \"b.crt\" }";
    let text = EXAMPLE
        .replace("\"http://127.0.0.1:9000\"", "\"https://127.0.0.1:9000\"")
        .replace("[upstream]", &format!("[upstream]\n{tls}"));
    let found = Config::parse(&text, &folder).unwrap().warnings().to_vec();
    let told = found.iter().find(|warning| warning.message.contains("a.crt expires in 6 days"));
    assert_eq!(told.and_then(|told| Some(told.place.as_ref()?.column)), Some(33), "{found:#?}");
}
