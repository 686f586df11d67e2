//! Warnings about what works today.

use super::*;
use crate::Problem;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_RSA_SHA256};
use std::time::Duration;

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{} {}", problem.file.display(), problem.what)).collect()
}

/// Makes parameters of a certificate for `a.test` that is valid for this time around `now`.
fn valid(now: SystemTime, before: Duration, after: Duration) -> CertificateParams {
    let mut params = server(&["a.test"]);
    (params.not_before, params.not_after) = ((now - before).into(), (now + after).into());
    params
}

#[test]
fn ends_are_announced() {
    // Times in certificates are whole seconds.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let hour = Duration::from_hours(1);
    let cases = [
        (90 * DAY, 22 * DAY, None),
        (90 * DAY, 21 * DAY, Some("expires in 21 days")),
        (90 * DAY, 2 * DAY, Some("expires in 2 days")),
        (90 * DAY, hour, Some("expires in 1 hour")),
        (90 * DAY, Duration::ZERO, Some("expired 0 hours ago")),
        // A certificate of six hours is renewed after four.
        (3 * hour, 3 * hour, None),
        (4 * hour, 2 * hour, Some("expires in 2 hours")),
    ];
    let authority = Authority::new("root");
    for (before, after, expected) in cases {
        let leaf = authority.issue(&valid(now, before, after));
        let tls = Files::default().with_leaf("server", &leaf).load(&settings(&["server"])).unwrap();
        let expected: Vec<_> = expected.iter().map(|what| format!("server.crt {what}")).collect();
        assert_eq!(lines(&tls.warnings(now)), expected, "{before:?} {after:?}");
    }
    let leaf = authority.issue(&valid(now, DAY, 90 * DAY));
    let tls = Files::default().with_leaf("server", &leaf).load(&settings(&["server"])).unwrap();
    assert_eq!(lines(&tls.warnings(now + 100 * DAY)), ["server.crt expired 10 days ago"]);
    assert_eq!(lines(&tls.warnings(now - 11 * DAY)), ["server.crt is not valid before 10 days from now"]);
}

#[test]
fn oddities_of_certificates_are_told() {
    let authority = Authority::new("root");
    let below = authority.intermediate("below", 3);
    let load = |chain: &str, key: &str| {
        let files = Files::default().with("server.crt", chain).with("server.key", key);
        lines(&files.load(&settings(&["server"])).unwrap().warnings(SystemTime::now()))
    };
    let good = below.issue(&server(&["a.test"]));
    assert!(load(&good.chain, &good.key).is_empty());
    let with_root = format!("{}{}", good.chain, authority.certificate);
    assert_eq!(load(&with_root, &good.key), ["server.crt ends with the root certificate CN=root"]);
    let mut no_names = params("a.test");
    no_names.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = authority.issue(&no_names);
    assert_eq!(load(&leaf.chain, &leaf.key), ["server.crt has no subject alternative name"]);
    let mut for_clients = server(&["a.test"]);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = authority.issue(&for_clients);
    assert_eq!(
        load(&leaf.chain, &leaf.key),
        ["server.crt is not for servers: its extended key usage lacks serverAuth"]
    );
    // A certificate signed with its own key is what small installations use.
    let key = KeyPair::generate().unwrap();
    let own = server(&["a.test"]).self_signed(&key).unwrap().pem();
    assert!(load(&own, &key.serialize_pem()).is_empty());
}

#[test]
fn certificates_in_each_others_way_are_told() {
    let authority = Authority::new("root");
    let files = Files::default()
        .with_leaf("a", &authority.issue(&server(&["a.test"])))
        .with_leaf("rsa", &authority.issue_for(&server(&["a.test"]), &PKCS_RSA_SHA256))
        .with_leaf("b", &authority.issue(&server(&["b.test", "a.test"])));
    let tls = files.load(&settings(&["a", "rsa", "b"])).unwrap();
    let expected = ["b.crt lists a.test, as does a.crt, which is used for it"];
    assert_eq!(lines(&tls.warnings(SystemTime::now())), expected);
}

#[test]
fn authorities_and_lists_are_watched() {
    let (servers, clients, other) =
        (Authority::new("servers"), Authority::new("clients"), Authority::new("other"));
    let now = SystemTime::now();
    let files = Files::default()
        .with_leaf("server", &servers.issue(&server(&["a.test"])))
        .with("clients.crl", clients.revoke(&[], now - 5 * DAY, 6 * DAY + DAY / 2));
    let load = |files: Files, lists: &[&str]| files.load(&settings_with_clients(lists, false)).unwrap();
    let tls = load(files.with("clients.pem", &*clients.certificate), &["clients.crl"]);
    assert!(tls.warnings(now).is_empty());
    let at = |later| lines(&tls.warnings(now + later));
    assert_eq!(at(DAY), ["clients.crl holds the revocation list of CN=clients, which expires in 11 hours"]);
    assert_eq!(
        at(4 * DAY),
        ["clients.crl holds the revocation list of CN=clients, which expired 2 days ago"]
    );
    let of_authority = "clients.pem holds the authority CN=clients, which expires in 19 days";
    assert!(at(50 * DAY).contains(&of_authority.to_owned()), "{:?}", at(50 * DAY));
    let leaf = other.issue(&client("alice", 1));
    let files = Files::default()
        .with_leaf("server", &servers.issue(&server(&["a.test"])))
        .with("clients.crl", clients.revoke(&[], now - DAY, 6 * DAY))
        .with("clients.pem", format!("{}{}{}", clients.certificate, other.certificate, leaf.chain));
    let expected = [
        "clients.pem holds the authority CN=other, which has no revocation list here",
        "clients.pem holds CN=alice, which is not the certificate of an authority",
    ];
    assert_eq!(lines(&load(files, &["clients.crl"]).warnings(now)), expected);
}
