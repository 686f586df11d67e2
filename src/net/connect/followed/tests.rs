//! Tests that files of TLS take effect together when they change.

use super::*;
use crate::net::tls_files::read_tls_file;
use rcgen::{CertificateParams, KeyPair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::{TempDir, tempdir};
use tls::KeyPairFiles;

fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

/// Writes an authority and a certificate, and returns the settings that name them.
fn settings(folder: &TempDir) -> TlsSettings {
    let (authority, _) = certificate();
    let (chain, key) = certificate();
    write(folder, "ca.pem", &authority);
    write(folder, "client.crt", &chain);
    write(folder, "client.key", &key);
    let path = |name: &str| folder.path().join(name);
    let certificate = Some(KeyPairFiles { chain: path("client.crt"), key: path("client.key") });
    TlsSettings { ca: vec![path("ca.pem")], certificate, server_name: None }
}

/// Puts new content of the files into effect, and returns whether it is new.
fn follow(followed: &FollowedTls) -> bool {
    followed.replace(followed.read_again(&read_tls_file).unwrap())
}

#[test]
fn new_content_takes_effect_for_new_connections() {
    let folder = tempdir().unwrap();
    let followed = FollowedTls::load(settings(&folder), &read_tls_file).unwrap();
    let first = followed.current().unwrap();
    assert!(!follow(&followed));
    assert!(followed.uses(&first), "the content is the same, and so its sessions live on");
    write(&folder, "ca.pem", &certificate().0);
    assert!(follow(&followed));
    assert!(!followed.uses(&first) && followed.uses(&followed.current().unwrap()));
}

#[test]
fn a_mistake_in_any_file_leaves_all_as_they_were() {
    let (chain, key) = certificate();
    for (file, text, wrong, words) in [
        ("ca.pem", "", "ca.pem", "is empty"),
        ("ca.pem", &*key, "ca.pem", "a private key and no certificate"),
        ("client.crt", "-----BEGIN CERTIFICATE-----\n", "client.crt", "damaged PEM"),
        ("client.crt", &chain, "client.crt", "holds no certificate of the private key in"),
        ("client.key", &key, "client.crt", "holds no certificate of the private key in"),
        ("client.key", &chain, "client.key", "a certificate and no private key"),
    ] {
        let folder = tempdir().unwrap();
        let followed = FollowedTls::load(settings(&folder), &read_tls_file).unwrap();
        let first = followed.current().unwrap();
        write(&folder, file, text);
        let problems = followed.read_again(&read_tls_file).err().unwrap();
        let [Problem { file, what, .. }] = &problems[..] else { panic!("{problems:?}") };
        assert!(file.ends_with(wrong) && what.contains(words), "{problems:?}");
        assert!(!what.contains("PRIVATE KEY"), "{what}");
        assert!(followed.uses(&first));
    }
}

#[test]
fn files_that_others_may_read_or_change_are_refused() {
    for (file, mode) in [("client.key", 0o644), ("client.crt", 0o602), ("ca.pem", 0o666)] {
        let folder = tempdir().unwrap();
        let settings = settings(&folder);
        fs::set_permissions(folder.path().join(file), Permissions::from_mode(mode)).unwrap();
        let problems = FollowedTls::load(settings.clone(), &read_tls_file).unwrap_err();
        assert!(problems[0].file.ends_with(file) && problems[0].what.contains("has mode 0"), "{problems:?}");
        fs::remove_file(folder.path().join(file)).unwrap();
        let problems = FollowedTls::load(settings, &read_tls_file).unwrap_err();
        assert!(problems[0].what.starts_with("cannot be read: No such file"), "{problems:?}");
    }
}

#[test]
fn the_state_lives_on_while_the_settings_are_the_same() {
    let folder = tempdir().unwrap();
    let settings = settings(&folder);
    let load = |settings: &TlsSettings| FollowedTls::load(settings.clone(), &read_tls_file).unwrap();
    let old = load(&settings);
    let first = old.current().unwrap();
    let same = load(&settings).succeeding(&old);
    assert!(same.is(&old) && same.uses(&first));

    write(&folder, "ca.pem", &certificate().0);
    let renewed = load(&settings).succeeding(&old);
    assert!(renewed.is(&old) && !old.uses(&first), "connections of the old content end");

    let other = TlsSettings { certificate: None, ..settings };
    assert!(!load(&other).succeeding(&old).is(&old));
}

#[test]
fn files_that_are_elsewhere_are_no_mistake() {
    let folder = tempdir().unwrap();
    let elsewhere = FollowedTls::load(settings(&folder), &|_: &Path, _| Ok(None)).unwrap();
    assert!(elsewhere.current().is_err() && elsewhere.missing_trust().is_none() && !elsewhere.is_none());
    assert!(FollowedTls::none().is_none());
}
