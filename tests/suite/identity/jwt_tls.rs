//! Keys of JWT issuers behind a server that demands certificates of its clients.

use super::jwt::{Idp, Key, claims, config, get, minio, set};
use crate::support::process::wait_for;
use crate::support::tls::{Authority, Terminator, server};
use crate::support::world::start;
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[test]
fn keys_are_fetched_with_a_client_certificate_and_a_name_to_expect() {
    let (minio, keys) = minio();
    let runtime = Runtime::new().unwrap();
    let (idp, key) = (Idp::start(), Key::new("one"));
    idp.serve(&[("/keys", set(&[&key]))]);
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let config_of_server = server(&servers.issue(&["id.internal"]), Some(&clients));
    let front = Terminator::start(&runtime, idp.address(), config_of_server);
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pair = clients.issue(&["scopegate"]);
    for (name, text) in [("ca.pem", servers.pem()), ("client.crt", pair.chain), ("client.key", pair.key)] {
        fs::write(path(name), text).unwrap();
        fs::set_permissions(path(name), Permissions::from_mode(0o600)).unwrap();
    }
    let issuer = "https://id.test/";
    let url = format!("https://localhost:{}/keys", front.address.port());
    let section = |more: &str| {
        let (ca, url) = (path("ca.pem"), &url);
        format!(
            "[[jwt]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudience = \"scopegate\"\n\
             jwks = {{ url = \"{url}\", ca = {ca:?}, server_name = \"id.internal\"{more} }}\n"
        )
    };
    let token = key.token(&claims(issuer, &json!({})));
    let (chain, key_file) = (path("client.crt"), path("client.key"));
    let shown = format!(", certificate = {{ chain = {chain:?}, key = {key_file:?} }}");
    let proxy = start(&config(minio.address, &section(&shown), "{ issuer = \"corp\" }"), &keys);
    let read = get(&proxy, &token);
    assert_eq!(read.status(), 200, "{}", proxy.stderr());

    let proxy = start(&config(minio.address, &section(""), "{ issuer = \"corp\" }"), &keys);
    assert_eq!(get(&proxy, &token).status(), 503);
    let told = wait_for(|| proxy.stderr().contains("wants a certificate of its client").then_some(()));
    assert!(told.is_some(), "{}", proxy.stderr());
}
