//! Tests that files of TLS take effect together when they change.

use super::*;
use crate::net::connect::settings::CertificateFiles;
use rcgen::{CertificateParams, KeyPair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::{TempDir, tempdir};

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
    let certificate = Some(CertificateFiles { chain: path("client.crt"), key: path("client.key") });
    TlsSettings { ca: vec![path("ca.pem")], certificate, server_name: None }
}

fn read(path: &Path, kind: FileKind) -> Result<Option<Text>, ReadError> {
    read_tls_file(path, kind).map(Some)
}

#[test]
fn new_content_takes_effect_for_new_connections() {
    let folder = tempdir().unwrap();
    let followed = FollowedTls::load(settings(&folder), &read).unwrap();
    let first = followed.current().unwrap();
    assert_eq!(followed.read_again(&read), Ok(false));
    assert!(followed.uses(&first), "the content is the same, and so its sessions live on");
    write(&folder, "ca.pem", &certificate().0);
    assert_eq!(followed.read_again(&read), Ok(true));
    assert!(!followed.uses(&first) && followed.uses(&followed.current().unwrap()));
}

#[test]
fn a_mistake_in_any_file_leaves_all_as_they_were() {
    let (chain, key) = certificate();
    for (file, text, part, words) in [
        ("ca.pem", "", Part::Authorities(0), "holds no certificate"),
        ("ca.pem", &*key, Part::Authorities(0), "a private key and no certificate"),
        ("client.crt", "-----BEGIN CERTIFICATE-----\n", Part::Chain, "not valid PEM"),
        ("client.crt", &chain, Part::Key, "not the key of the chain's first certificate"),
        ("client.key", &key, Part::Key, "not the key of the chain's first certificate"),
        ("client.key", &chain, Part::Key, "a certificate and no private key"),
    ] {
        let folder = tempdir().unwrap();
        let followed = FollowedTls::load(settings(&folder), &read).unwrap();
        let first = followed.current().unwrap();
        write(&folder, file, text);
        let mistakes = followed.read_again(&read).unwrap_err();
        assert_eq!((mistakes.len(), mistakes[0].part), (1, part), "{mistakes:?}");
        let TlsMistake { message, .. } = &mistakes[0];
        assert!(message.contains(words) && message.contains("/client") != (file == "ca.pem"), "{message}");
        assert!(!message.contains("PRIVATE KEY"), "{message}");
        assert!(followed.uses(&first));
    }
}

#[test]
fn files_that_others_may_read_or_change_are_refused() {
    for (file, mode, part) in [
        ("client.key", 0o644, Part::Key),
        ("client.crt", 0o602, Part::Chain),
        ("ca.pem", 0o666, Part::Authorities(0)),
    ] {
        let folder = tempdir().unwrap();
        let settings = settings(&folder);
        fs::set_permissions(folder.path().join(file), Permissions::from_mode(mode)).unwrap();
        let mistakes = FollowedTls::load(settings.clone(), &read).unwrap_err();
        assert!(mistakes[0].part == part && mistakes[0].message.contains("mode 0"), "{mistakes:?}");
        fs::remove_file(folder.path().join(file)).unwrap();
        let mistakes = FollowedTls::load(settings, &read).unwrap_err();
        assert!(mistakes[0].message.contains("No such file"), "{mistakes:?}");
    }
}

#[test]
fn the_state_lives_on_while_the_settings_are_the_same() {
    let folder = tempdir().unwrap();
    let settings = settings(&folder);
    let load = |settings: &TlsSettings| FollowedTls::load(settings.clone(), &read).unwrap();
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
