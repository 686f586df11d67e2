//! Client certificates: which are accepted, and that a later check agrees.

use super::*;
use crate::testing::Leaf;
use crate::{CertificateNames, PeerCertificate};
use rcgen::{
    CertificateParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CustomExtension,
    ExtendedKeyUsagePurpose, SanType, SerialNumber,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// What happens to a client.
#[derive(Debug, PartialEq)]
enum Outcome {
    Identified(String),
    Anonymous,
    NoCertificate,
    Refused(String),
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused(reason.to_owned())
}

/// The authorities of a listener's clients, and its own.
struct World {
    servers: Authority,
    root: Authority,
    below: Authority,
    other: Authority,
    files: Files,
}

/// The serial number of the authority below the root.
const BELOW: u64 = 101;

impl World {
    fn new() -> Self {
        let (servers, root, other) =
            (Authority::new("servers"), Authority::new("clients"), Authority::new("other"));
        let below = root.intermediate("below", BELOW);
        let files = Files::default()
            .with_leaf("server", &servers.issue(&server(&["a.test"])))
            .with("clients.pem", &*root.certificate);
        Self { servers, root, below, other, files }
    }

    fn with(mut self, file: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files = self.files.with(file, content);
        self
    }

    fn load(&self, revocations: &[&str], is_required: bool) -> ServerTls {
        self.files.load(&settings_with_clients(revocations, is_required)).unwrap()
    }

    /// Connects a client with this certificate in each version of TLS, and checks that the outcomes agree, with each other
    /// and with the check of a connection that exists.
    async fn outcome(&self, tls: &ServerTls, certificate: Option<&Leaf>) -> Outcome {
        let mut outcomes = Vec::new();
        for (_, version) in VERSIONS {
            let client = Arc::new(client_of_version(version, &self.servers, certificate));
            outcomes.push(match connect(tls, &client, "a.test").await.0 {
                Ok((_, established)) => match established.certificate {
                    Some(certificate) => Outcome::Identified(certificate.names.common_name.unwrap().into()),
                    None => Outcome::Anonymous,
                },
                Err(HandshakeError::NoCertificate) => Outcome::NoCertificate,
                Err(HandshakeError::BadCertificate(reason)) => Outcome::Refused(reason),
                Err(other) => panic!("{other}"),
            });
        }
        let [of_tls12, of_tls13] = outcomes.try_into().unwrap();
        assert_eq!(of_tls12, of_tls13);
        let peer = certificate.map(peer);
        let checked = tls.recheck(peer.as_ref(), SystemTime::now());
        match &of_tls13 {
            Outcome::Identified(_) | Outcome::Anonymous => assert_eq!(checked, Ok(())),
            Outcome::NoCertificate => assert_eq!(checked, Err("a client certificate is required".to_owned())),
            Outcome::Refused(reason) => assert_eq!(checked.as_ref(), Err(reason)),
        }
        of_tls13
    }
}

/// Makes a certificate look like one that was verified before.
fn peer(leaf: &Leaf) -> PeerCertificate {
    let chain = leaf.certificates();
    PeerCertificate { names: CertificateNames::read(&chain[0]).unwrap(), chain: chain.into() }
}

fn changed(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client("alice", 7);
    change(&mut params);
    params
}

#[tokio::test]
async fn certificates_are_verified() {
    let world = World::new();
    let now = SystemTime::now();
    let alice = || Outcome::Identified("alice".to_owned());
    let mut without_chain = world.below.issue(&client("alice", 7));
    without_chain.chain =
        without_chain.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    let cases: [(&str, Option<Leaf>, Outcome); 10] = [
        ("good", Some(world.root.issue(&client("alice", 7))), alice()),
        ("with its chain", Some(world.below.issue(&client("alice", 7))), alice()),
        ("without its chain", Some(without_chain), refused("no authority of this listener issued it")),
        (
            "of another authority",
            Some(world.other.issue(&client("alice", 7))),
            refused("no authority of this listener issued it"),
        ),
        (
            "expired",
            Some(world.root.issue(&changed(|params| params.not_after = (now - DAY / 2).into()))),
            refused("it has expired"),
        ),
        (
            "not yet valid",
            Some(world.root.issue(&changed(|params| params.not_before = (now + DAY / 2).into()))),
            refused("it is not valid yet"),
        ),
        (
            "for servers",
            Some(world.root.issue(&changed(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }))),
            refused("it is not for clients: its extended key usage lacks clientAuth"),
        ),
        (
            "for anything",
            Some(world.root.issue(&changed(|params| params.extended_key_usages.clear()))),
            alice(),
        ),
        (
            "with an unreadable name",
            Some(world.root.issue(&changed(|params| {
                params.subject_alt_names.push(SanType::URI("spiffe://td/\0".try_into().unwrap()));
            }))),
            refused("it cannot be read"),
        ),
        ("none", None, Outcome::Anonymous),
    ];
    for is_required in [false, true] {
        let tls = world.load(&[], is_required);
        for (name, certificate, expected) in &cases {
            if *name == "with an unreadable name" {
                // A connection with it cannot exist.
                let client = Arc::new(client_config(&world.servers, certificate.as_ref()));
                let error = connect(&tls, &client, "a.test").await.0.unwrap_err();
                assert_eq!(error.to_string(), "the client's certificate is not accepted: it cannot be read");
                continue;
            }
            let outcome = world.outcome(&tls, certificate.as_ref()).await;
            match (is_required, certificate) {
                (true, None) => assert_eq!(outcome, Outcome::NoCertificate),
                _ => assert_eq!(outcome, *expected, "{name}"),
            }
        }
    }
}

/// Returns what presents a certificate with any key, which a client of rustls would not.
fn presenting(certificate: &Leaf, key: &Leaf) -> Arc<SingleCertAndKey> {
    let key = crate::provider().key_provider.load_private_key(key.private_key()).unwrap();
    Arc::new(CertifiedKey::new(certificate.certificates(), key).into())
}

/// Anyone can present the certificate of somebody else. Only its owner can sign with its key.
#[tokio::test]
async fn certificates_that_honest_clients_do_not_present_are_refused() {
    let world = World::new();
    let (alice, mallory) = (world.root.issue(&client("alice", 7)), world.root.issue(&client("mallory", 8)));
    let demanding = world.root.issue(&changed(|params| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    }));
    for (resolver, why) in [
        (presenting(&alice, &mallory), "its signature, or that of its issuer, is wrong"),
        (presenting(&demanding, &demanding), "it has an unknown critical extension"),
    ] {
        for is_required in [false, true] {
            let tls = world.load(&[], is_required);
            for (name, version) in VERSIONS {
                let mut client = client_of_version(version, &world.servers, None);
                client.client_auth_cert_resolver = resolver.clone();
                let error = connect(&tls, &Arc::new(client), "a.test").await.0.unwrap_err();
                let expected = format!("the client's certificate is not accepted: {why}");
                assert_eq!(error.to_string(), expected, "TLS {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_client_is_told_why_it_is_refused() {
    let world = World::new();
    let tls = world.load(&[], true);
    let client = Arc::new(client_config(&world.servers, Some(&world.other.issue(&client("alice", 7)))));
    let (near, far) = duplex(64 * 1024);
    let serve = async {
        let failed = tls.accept(near).await.unwrap_err();
        failed.close(b"").await;
    };
    let ask = async {
        // In TLS 1.3 the client's handshake is over before the server has seen its certificate.
        let mut stream = TlsConnector::from(client).connect("a.test".try_into().unwrap(), far).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap_err()
    };
    let ((), error) = tokio::join!(serve, ask);
    assert!(error.to_string().contains("UnknownCA"), "{error}");
}

#[tokio::test]
async fn revocation_lists_are_enforced() {
    let (now, world) = (SystemTime::now(), World::new());
    let lists = [
        ("root.crl", world.root.revoke(&[13], now - DAY, 7 * DAY)),
        ("below.crl", world.below.revoke(&[14], now - DAY, 7 * DAY)),
        ("root-revokes-below.crl", world.root.revoke(&[BELOW], now - DAY, 7 * DAY)),
        ("root-old.crl", world.root.revoke(&[], now - 9 * DAY, 2 * DAY)),
        ("root-newer-without.crl", world.root.revoke(&[], now - DAY / 2, 7 * DAY)),
        (
            "root-number-2.crl",
            world.root.revoke_with(&[7], now - DAY, 7 * DAY, |list| {
                list.crl_number = SerialNumber::from(2);
            }),
        ),
    ];
    let world = lists.into_iter().fold(world, |world, (file, list)| world.with(file, list));
    let (of_root, of_below) = (
        |serial| world.root.issue(&client("alice", serial)),
        |serial| world.below.issue(&client("alice", serial)),
    );
    let alice = || Outcome::Identified("alice".to_owned());
    let unknown = "no revocation list says whether it, or an authority of its chain, is revoked";
    let outdated = "the revocation list of its issuer, or of an authority of its chain, is out of date";
    let cases: [(&[&str], Leaf, Outcome); 15] = [
        (&["root.crl"], of_root(7), alice()),
        (&["root.crl"], of_root(13), refused("it is revoked")),
        // The status of the whole chain must be known.
        (&["root.crl", "below.crl"], of_below(7), alice()),
        (&["root.crl", "below.crl"], of_below(14), refused("it is revoked")),
        (&["root.crl"], of_below(7), refused(unknown)),
        (&["below.crl"], of_below(7), refused(unknown)),
        (&["below.crl"], of_root(7), refused(unknown)),
        (&["root-revokes-below.crl", "below.crl"], of_below(7), refused("it is revoked")),
        (&["root-revokes-below.crl", "below.crl"], of_root(7), alice()),
        (&["root-old.crl"], of_root(7), refused(outdated)),
        // Only the newest list of an authority counts, wherever it stands.
        (&["root-old.crl", "root.crl"], of_root(13), refused("it is revoked")),
        (&["root.crl", "root-old.crl"], of_root(7), alice()),
        (&["root-newer-without.crl", "root.crl"], of_root(13), alice()),
        // Of the same time, the one with the higher number is newer.
        (&["root.crl", "root-number-2.crl"], of_root(7), refused("it is revoked")),
        (&["root-number-2.crl", "root.crl"], of_root(7), refused("it is revoked")),
    ];
    for (files, certificate, expected) in cases {
        let tls = world.load(files, false);
        assert_eq!(world.outcome(&tls, Some(&certificate)).await, expected, "{files:?}");
        assert_eq!(world.outcome(&tls, None).await, Outcome::Anonymous);
    }
    let tls = world.load(&["root-old.crl", "root.crl", "below.crl"], false);
    let used: Vec<_> = tls.revocations().iter().map(|list| list.file.to_str().unwrap()).collect();
    assert_eq!(used, ["root.crl", "below.crl"]);
}

#[test]
fn a_list_replaces_only_lists_of_its_own_authority_and_part() {
    let (now, world) = (SystemTime::now(), World::new());
    // An authority that has renewed its key has the same name as before.
    let renewed = Authority::new("clients");
    let part = |name: &str| {
        let uris = vec![format!("http://clients.test/{name}.crl")];
        world.root.revoke_with(&[], now - DAY, 7 * DAY, |list| {
            list.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris },
                scope: None,
            });
        })
    };
    let whole = |authority: &Authority| authority.revoke(&[], now - DAY, 7 * DAY);
    let lists = [whole(&world.root), whole(&renewed), part("a"), part("b"), part("b"), whole(&renewed)];
    let authorities = format!("{}{}", world.root.certificate, renewed.certificate);
    let world = world.with("clients.pem", authorities).with("all.crl", lists.concat());
    assert_eq!(world.load(&["all.crl"], false).revocations().len(), 4);
}

/// What a reload changes for connections that exist.
#[tokio::test]
async fn connections_are_checked_against_new_settings() {
    let (now, world) = (SystemTime::now(), World::new());
    let list = world.root.revoke(&[13], now - DAY, 7 * DAY);
    let world = world.with("root.crl", list);
    let (good, revoked) =
        (peer(&world.root.issue(&client("alice", 7))), peer(&world.root.issue(&client("bob", 13))));
    let plain = world.files.load(&settings(&["server"])).unwrap();
    let optional = world.load(&[], false);
    let required = world.load(&[], true);
    let revoking = world.load(&["root.crl"], false);
    let far = now + 71 * DAY;
    let no_longer = "the listener no longer asks for client certificates";
    let outdated = "the revocation list of its issuer, or of an authority of its chain, is out of date";
    let cases = [
        (&plain, None, now, Ok(())),
        (&plain, Some(&good), now, Err(no_longer)),
        (&optional, None, now, Ok(())),
        (&optional, Some(&good), now, Ok(())),
        (&optional, Some(&good), far, Err("it has expired")),
        (&required, None, now, Err("a client certificate is required")),
        (&required, Some(&good), now, Ok(())),
        (&revoking, Some(&good), now, Ok(())),
        (&revoking, Some(&good), now + 6 * DAY, Err(outdated)),
        (&revoking, Some(&revoked), now, Err("it is revoked")),
        (&revoking, None, now + 6 * DAY, Ok(())),
    ];
    for (number, (tls, certificate, at, expected)) in cases.into_iter().enumerate() {
        assert_eq!(tls.recheck(certificate, at), expected.map_err(str::to_owned), "{number}");
    }
}
