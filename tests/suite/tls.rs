//! TLS to the store, for requests and STS, through a TLS terminator in front of a real MinIO.

use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::tls::terminate_tls;
use crate::support::world::{config, corner, outcome};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[test]
fn connects_over_tls_if_the_certificate_is_trusted() {
    let runtime = Runtime::new().unwrap();
    let (minio, issuer) = Minio::start_seeded();
    let (secure, trusted) = terminate_tls(&runtime, minio.address);
    let config = config(secure, secure, &[corner("reader", &[("tmp", "media/", "read")])], "")
        .replace("http://127.0.0.1", "https://localhost");
    let keys = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];

    let trusting = [keys[0], keys[1], ("SSL_CERT_FILE", trusted.path().to_str().unwrap())];
    let proxy = Proxy::start(&config, &trusting);
    for _ in 0..3 {
        let got = http::get(proxy.address("reader"), "/tmp/media/hello.txt").unwrap();
        assert_eq!((got.status(), got.text().as_str()), (200, "hello, media\n"), "{}", proxy.stderr());
    }
    assert_eq!(http::get(proxy.address("admin"), "/readyz").unwrap().status(), 200);

    // With another authority's certificate, the store is not trusted.
    let (_, other) = terminate_tls(&runtime, minio.address);
    let doubting = [keys[0], keys[1], ("SSL_CERT_FILE", other.path().to_str().unwrap())];
    let proxy = Proxy::start(&config, &doubting);
    let refused = http::get(proxy.address("reader"), "/tmp/media/hello.txt").unwrap();
    assert_eq!(outcome(&refused), "503 ServiceUnavailable no-session");
    let told = wait_for(|| Some(proxy.stderr()).filter(|log| log.contains("invalid peer certificate")));
    assert!(told.is_some(), "{}", proxy.stderr());
    assert!(proxy.stderr().contains("SSL_CERT_FILE"), "{}", proxy.stderr());
}

/// A server certificate, and the certificate that a client must trust to accept it.
struct Made {
    certificate: String,
    key: String,
    authority: String,
}

impl Made {
    /// Creates a certificate for `localhost` signed by an authority. `change` modifies it.
    fn signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        certificate.distinguished_name.push(DnType::CommonName, "localhost");
        change(&mut certificate);
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem(), authority: authority.pem() }
    }

    /// Creates a self-signed certificate. `change` modifies it.
    fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut certificate);
        let certificate = certificate.self_signed(&key).unwrap().pem();
        Self { authority: certificate.clone(), certificate, key: key.serialize_pem() }
    }
}

/// Runs `check --live` and `token` for a store at `endpoint` with `trusted` in `SSL_CERT_FILE`, and returns their
/// messages.
fn live(endpoint: &str, trusted: &Path) -> [String; 2] {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy.toml");
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let config = config(nowhere, nowhere, &[corner("reader", &[("tmp", "media/", "read")])], "");
    std::fs::write(&file, config.replace("http://127.0.0.1:1", endpoint)).unwrap();
    let keys = ["ISSUER", "SCOPEGATE_ACCESS", "SCOPEGATE_SECRET"].map(|name| format!("{name}_KEY"));
    let env = [
        (&*keys[0], "issuer"),
        ("ISSUER_SECRET", "not-for-the-log"),
        (&*keys[1], "issuer"),
        (&*keys[2], "not-for-the-log"),
        ("SSL_CERT_FILE", trusted.to_str().unwrap()),
    ];
    let check = ["check", "--live", "--config", file.to_str().unwrap()];
    let token = ["token", "--endpoint", endpoint, "--bucket", "tmp", "--prefix", "media/"];
    [&check[..], &token].map(|command| {
        let output = scopegate(command, &env, b"");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        said
    })
}

#[test]
fn each_certificate_mistake_has_its_own_advice() {
    let folder = TempDir::new().unwrap();
    let trusted = folder.path().join("ca.pem");
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    let stranger = Made { authority: Made::signed(|_| {}).authority, ..Made::signed(|_| {}) };
    let cases = [
        (Made::self_signed(authority), "localhost", "basicConstraints=critical,CA:FALSE"),
        (Made::signed(expired), "localhost", "certificate has expired"),
        (Made::signed(early), "localhost", "is not valid yet"),
        (Made::signed(|_| {}), "127.0.0.1", "certificate is for another name"),
        (stranger, "localhost", "no trusted authority signed"),
        // This certificate is trusted, so the server answers. It does not know the issuer.
        (Made::self_signed(|_| {}), "localhost", "the issuer's access key is unknown to the server"),
    ];
    for (made, host, words) in cases {
        let minio = Minio::start_over_tls(&made.certificate, &made.key);
        std::fs::write(&trusted, &made.authority).unwrap();
        for said in live(&format!("https://{host}:{}", minio.address.port()), &trusted) {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
    }
}

#[test]
fn the_wrong_scheme_is_reported_and_the_node_is_down() {
    let made = Made::signed(|_| {});
    let folder = TempDir::new().unwrap();
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, &made.authority).unwrap();
    let secure = Minio::start_over_tls(&made.certificate, &made.key);
    for said in live(&format!("http://{}", secure.address), &trusted) {
        assert!(said.contains("the endpoint speaks TLS: write it with https://"), "{said}");
    }
    let plain = Minio::start();
    for said in live(&format!("https://localhost:{}", plain.address.port()), &trusted) {
        assert!(said.contains("does not speak TLS: write it with http://"), "{said}");
    }
    // Another TLS server, which answers plain HTTP with a TLS alert.
    let runtime = Runtime::new().unwrap();
    let (terminator, _) = terminate_tls(&runtime, plain.address);
    for said in live(&format!("http://{terminator}"), &trusted) {
        assert!(said.contains("does not answer in HTTP: write it with https://"), "{said}");
    }
    let env = [
        ("ISSUER_KEY", "issuer"),
        ("ISSUER_SECRET", "not-for-the-log"),
        ("SSL_CERT_FILE", trusted.to_str().unwrap()),
    ];
    let reader = [corner("reader", &[("tmp", "media/", "read")])];
    for (endpoint, help) in [
        (format!("http://{}", secure.address), "speaks TLS: write it with https://"),
        (format!("http://{terminator}"), "does not answer in HTTP: write it with https://"),
        (format!("https://localhost:{}", plain.address.port()), "does not speak TLS: write it with http://"),
    ] {
        let text = config(plain.address, plain.address, &reader, "").replacen(
            &format!("http://{}", plain.address),
            &endpoint,
            1,
        );
        let proxy = Proxy::start(&text, &env);
        let ready = http::get(proxy.address("admin"), "/readyz").unwrap();
        assert!(
            ready.status() == 503 && ready.text().contains("no node answers"),
            "{endpoint}: {}",
            ready.text()
        );
        let told = wait_for(|| Some(proxy.stderr()).filter(|log| log.contains(help)));
        assert!(told.is_some(), "{endpoint}: {}", proxy.stderr());
    }
}

#[test]
fn a_path_without_certificates_is_named() {
    let folder = TempDir::new().unwrap();
    for (name, content, words) in [
        ("absent.pem", None, "which cannot be read (No such file"),
        ("empty.pem", Some(""), "holds no certificate in PEM"),
        ("text.pem", Some("not a certificate\n"), "holds no certificate in PEM"),
    ] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        for said in live("https://localhost:1", &path) {
            let named = format!("SSL_CERT_FILE names {}", path.display());
            assert!(said.contains(&named) && said.contains(words), "{said}");
        }
    }
}

#[test]
fn a_machine_without_certificates_is_reported_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("proxy.toml");
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let config = config(nowhere, nowhere, &[corner("reader", &[("tmp", "media/", "read")])], "");
    std::fs::write(&path, config.replace("http://127.0.0.1", "https://localhost")).unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let env = [
        ("ISSUER_KEY", "a"),
        ("ISSUER_SECRET", "not-for-the-log"),
        ("SSL_CERT_FILE", empty.to_str().unwrap()),
    ];
    let output = scopegate(&["serve", "--config", path.to_str().unwrap()], &env, b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no trusted certificates") && said.contains("empty.pem, which holds no certificate"),
        "{said}"
    );
}
