//! Clients that are known by their certificates: curl in front, a real MinIO behind.

use crate::support::authority::{Authority, Issued};
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::world::start;
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The SPIFFE id of a workload.
const READER: &str = "spiffe://example.test/ns/data/sa/reader";

/// A mapping: its name, the condition on its clients, and its prefix of the bucket `tmp`.
type Mapping<'m> = (&'m str, &'m str, &'m str);

/// A proxy whose listener `door` asks for certificates of an authority.
struct Door {
    minio: Minio,
    folder: TempDir,
    authority: Authority,
    proxy: Proxy,
}

impl Door {
    fn start(mode: &str, mappings: &[Mapping<'_>]) -> Self {
        let ((minio, issuer), folder) = (Minio::start_seeded(), TempDir::new().unwrap());
        let authority = Authority::new("the authority of clients");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        authority.server(&["127.0.0.1"]).write(folder.path(), "server");
        let proxy = start(&config(&minio, folder.path(), mode, mappings), &issuer);
        Self { minio, folder, authority, proxy }
    }

    /// Issues a certificate with this common name, these DNS names and these URIs, and returns its name for [`Door::curl`].
    fn issue(&self, name: &str, cn: &str, dns: &[&str], uris: &[&str]) -> PathBuf {
        self.keep(name, &issue(&self.authority, cn, dns, uris))
    }

    fn keep(&self, name: &str, issued: &Issued) -> PathBuf {
        let (chain, key) = issued.write(self.folder.path(), name);
        fs::rename(key, chain.with_extension("key")).unwrap();
        chain
    }

    /// Sends a request with curl and this certificate. Returns the status, which is 000 without a response, and the
    /// response with its head.
    fn curl(&self, certificate: Option<&Path>, path: &str, more: &[&str]) -> (String, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--write-out", "\n%{http_code}", "--noproxy", "*", "--cacert"]);
        curl.arg(self.folder.path().join("ca.pem"));
        if let Some(chain) = certificate {
            curl.arg("--cert").arg(chain).arg("--key").arg(chain.with_extension("key"));
        }
        let url = format!("https://127.0.0.1:{}{path}", self.proxy.address("door").port());
        let output = curl.args(more).arg(url).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (response, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), response.to_owned())
    }

    fn status(&self, certificate: Option<&Path>, path: &str) -> String {
        self.curl(certificate, path, &[]).0
    }

    /// Stores an object with this content.
    fn put(&self, certificate: &Path, path: &str, content: &str) -> String {
        self.curl(Some(certificate), path, &["--request", "PUT", "--data-binary", content]).0
    }

    /// Waits until the log has a line with all of these words.
    fn logged(&self, words: &[&str]) {
        let has_all = |line: &str| words.iter().all(|word| line.contains(word));
        let found = wait_for(|| self.proxy.stderr().lines().any(has_all).then_some(()));
        assert!(found.is_some(), "no line with {words:?} in {}", self.proxy.stderr());
    }
}

fn issue(authority: &Authority, cn: &str, dns: &[&str], uris: &[&str]) -> Issued {
    authority.issue(dns, ExtendedKeyUsagePurpose::ClientAuth, |params| {
        params.distinguished_name.push(DnType::CommonName, cn);
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
    })
}

fn config(minio: &Minio, folder: &Path, mode: &str, mappings: &[Mapping<'_>]) -> String {
    let folder = folder.display();
    let mut text = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nendpoints = [\"http://{}\"]\n[issuer]\n\
         access_key = {{ env = \"ISSUER_KEY\" }}\nsecret_key = {{ env = \"ISSUER_SECRET\" }}\n\
         [[listener]]\nname = \"door\"\naddress = \"127.0.0.1:0\"\ntls = {{ certificates = [{{ chain = \
         \"{folder}/server.crt\", key = \"{folder}/server.key\" }}], client_ca = [\"{folder}/ca.pem\"], \
         client_certificate = \"{mode}\" }}\n",
        minio.address
    );
    for (name, client, prefix) in mappings {
        let _ = write!(
            text,
            "[[mapping]]\nname = \"{name}\"\nclient = {{ {client} }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
             prefix = \"{prefix}\"\nallow = [\"read\", \"list\", \"write\"]\n"
        );
    }
    text
}

/// Clients without a mapping may send less. Whether a client has one is known only after the handshake.
#[test]
fn a_connection_has_the_bounds_of_the_client_that_its_certificate_names() {
    let known = format!("certificate = {{ spiffe = [\"{READER}\"] }}");
    let door = Door::start("optional", &[("reader", &known, "media/")]);
    let reader = door.issue("reader", "reader", &[], &[READER]);
    let other = door.issue("other", "other", &[], &["spiffe://example.test/ns/other"]);
    let long = format!("x-long: {}", "x".repeat(6000));
    for (certificate, expected) in [(Some(&*reader), "200"), (Some(&*other), "431"), (None, "431")] {
        let answer = door.curl(certificate, "/tmp/media/hello.txt", &["--http1.1", "--header", &long]);
        assert_eq!(answer.0, expected, "{certificate:?}: {}", answer.1);
    }
}

#[test]
fn each_kind_of_names_opens_its_own_mapping() {
    let door = Door::start(
        "optional",
        &[
            ("workload", &format!("certificate = {{ spiffe = [\"{READER}\"] }}"), "workload/"),
            ("below", "certificate = { spiffe = [\"spiffe://example.test/ns/data/*\"] }", "below/"),
            ("host", "certificate = { dns = [\"Host.Test\"] }", "host/"),
            ("uri", "certificate = { uri = [\"urn:example:a\"] }", "uri/"),
            ("person", "certificate = { cn = [\"alice\"] }", "person/"),
        ],
    );
    let issue = |name, cn, dns: &[&str], uris: &[&str]| door.issue(name, cn, dns, uris);
    let clients = [
        (issue("reader", "alice", &[], &[READER]), Some("workload")),
        (issue("other", "x", &[], &["spiffe://example.test/ns/data/sa/other"]), Some("below")),
        (issue("neighbour", "x", &[], &["spiffe://example.test/ns/database/sa/x"]), None),
        (issue("host", "alice", &["host.test"], &[]), Some("host")),
        (issue("subhost", "host.test", &["a.host.test"], &[]), None),
        (issue("two", "x", &[], &[READER, "urn:example:a"]), Some("uri")),
        (issue("person", "alice", &[], &[]), Some("person")),
        (issue("people", "alice2", &[], &[]), None),
    ];
    for (certificate, mapping) in &clients {
        for prefix in ["workload", "below", "host", "uri", "person"] {
            let path = format!("/tmp/{prefix}/object");
            let expected = if *mapping == Some(prefix) { "200" } else { "403" };
            assert_eq!(door.put(certificate, &path, prefix), expected, "{certificate:?} {path}");
            assert_eq!(door.status(Some(certificate), &path), expected, "{certificate:?} {path}");
        }
    }
    door.logged(&["mapping=\"workload\"", &format!("identity=\"{READER}\""), "status=200"]);
    door.logged(&["mapping=\"person\"", "identity=\"cn:alice\"", "status=200"]);
    door.logged(&["mapping=\"host\"", "identity=\"dns:host.test\"", "status=200"]);
    let (_, response) = door.curl(Some(&clients[6].0), "/tmp/person/object", &[]);
    let head = response.to_ascii_lowercase();
    assert!(
        head.contains("\r\ncache-control: private\r\n") && response.ends_with("\r\n\r\nperson"),
        "{response}"
    );
    let (status, response) = door.curl(None, "/tmp/person/object", &[]);
    assert_eq!(status, "403");
    assert!(response.contains("x-scopegate-rule: certificate-required"), "{response}");
    assert!(response.contains("connect with a client certificate"), "{response}");
    let (_, response) = door.curl(Some(&clients[7].0), "/tmp/person/object", &[]);
    assert!(response.contains("x-scopegate-rule: no-mapping"), "{response}");
    for (header, rule) in
        [("Origin: https://evil.test", "cross-site"), ("Sec-Fetch-Site: cross-site", "cross-site")]
    {
        let (status, response) =
            door.curl(Some(&clients[6].0), "/tmp/person/object", &["--request", "PUT", "--header", header]);
        assert!(status == "403" && response.contains(&format!("x-scopegate-rule: {rule}")), "{response}");
    }
}

#[test]
fn a_foreign_authority_identifies_nobody() {
    let person = &[("person", "certificate = { cn = [\"alice\"] }", "person/")];
    for (mode, without) in [("optional", "403"), ("required", "000")] {
        let door = Door::start(mode, person);
        let own = door.issue("own", "alice", &[], &[]);
        let other = Authority::new("the authority of clients");
        let foreign = door.keep("foreign", &issue(&other, "alice", &[], &[]));
        assert_eq!(door.put(&own, "/tmp/person/object", "own"), "200", "{mode}");
        assert_eq!(door.status(Some(&foreign), "/tmp/person/object"), "000", "{mode}");
        assert_eq!(door.status(None, "/tmp/person/object"), without, "{mode}");
    }
}

#[test]
fn people_and_namespaces_have_homes_of_their_own() {
    let door = Door::start(
        "required",
        &[
            ("people", "certificate = { cn = [\"*\"] }", "people/{cn}/"),
            ("namespaces", "certificate = { spiffe = [\"spiffe://example.test/ns/*\"] }", "ns/{spiffe:2}/"),
        ],
    );
    let [alice, bob] = ["alice", "bob"].map(|name| door.issue(name, name, &[], &[]));
    let reader = door.issue("reader", "x", &[], &[READER]);
    let web = door.issue("web", "x", &[], &["spiffe://example.test/ns/web/sa/reader"]);
    let hostile = door.issue("hostile", "../alice", &[], &[]);
    let homes = [
        (&alice, "/tmp/people/alice/a"),
        (&bob, "/tmp/people/bob/a"),
        (&reader, "/tmp/ns/data/a"),
        (&web, "/tmp/ns/web/a"),
    ];
    for (owner, path) in homes {
        assert_eq!(door.put(owner, path, "mine"), "200", "{path}");
    }
    for (owner, own) in homes {
        for (_, path) in homes {
            let expected = if path == own { "200" } else { "403" };
            assert_eq!(door.status(Some(owner), path), expected, "{own} {path}");
        }
    }
    let (status, response) = door.curl(Some(&hostile), "/tmp/people/alice/a", &[]);
    assert_eq!(status, "403");
    assert!(response.contains("x-scopegate-rule: identity-not-a-name"), "{response}");
    assert!(!response.contains("alice is"), "{response}");
    let folders = http::get(door.proxy.address("admin"), "/metrics").unwrap().text();
    assert!(!folders.contains("alice"), "metrics name nobody");

    let file = door.folder.path().join("explained.toml");
    let text = config(
        &door.minio,
        door.folder.path(),
        "required",
        &[("namespaces", "certificate = { spiffe = [\"spiffe://example.test/ns/*\"] }", "ns/{spiffe:2}/")],
    );
    fs::write(&file, text).unwrap();
    let explained = scopegate(
        &[
            "explain",
            "--config",
            file.to_str().unwrap(),
            "--certificate",
            reader.to_str().unwrap(),
            "GET",
            "/tmp/ns/data/a",
        ],
        &[],
        b"",
    );
    let told = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.status.success() && told.contains("allowed: GetObject"), "{told}");
}
