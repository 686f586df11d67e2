//! TLS towards the store, for requests and for STS: a terminator with a certificate of its own before the real MinIO.

use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::tls::terminate_tls;
use crate::support::world::{config, corner, outcome};
use std::net::SocketAddr;
use tokio::runtime::Runtime;

#[test]
fn the_store_is_reached_over_tls_if_its_certificate_is_trusted() {
    let runtime = Runtime::new().unwrap();
    let minio = Minio::start();
    let issuer = minio.seed_issuer();
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

    // Another authority's certificates: the store is not believed.
    let (_, other) = terminate_tls(&runtime, minio.address);
    let doubting = [keys[0], keys[1], ("SSL_CERT_FILE", other.path().to_str().unwrap())];
    let proxy = Proxy::start(&config, &doubting);
    let refused = http::get(proxy.address("reader"), "/tmp/media/hello.txt").unwrap();
    assert_eq!(outcome(&refused), "503 ServiceUnavailable no-session");
    let told = wait_for(|| Some(proxy.stderr()).filter(|log| log.contains("invalid peer certificate")));
    assert!(told.is_some(), "{}", proxy.stderr());
}

#[test]
fn a_machine_without_certificates_is_told_so_at_once() {
    let folder = tempfile::TempDir::new().unwrap();
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
    assert!(said.contains("no trusted certificates") && said.contains("ca-certificates"), "{said}");
}
