//! Sessions that continue on another connection.

use super::*;
use crate::testing::Leaf;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, SignatureScheme};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connects a client and lets it receive its tickets. Returns the facts, after checking that both ends see the same kind
/// of handshake.
async fn visit(tls: &ServerTls, client: &Arc<ClientConfig>) -> Result<Established, HandshakeError> {
    let (accepted, connected) = connect(tls, client, "a.test").await;
    let (mut stream, established) = accepted?;
    let mut client = connected.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    let kind = client.get_ref().1.handshake_kind();
    assert_eq!(kind == Some(HandshakeKind::Resumed), established.is_resumed);
    Ok(established)
}

struct World {
    servers: Authority,
    clients: Authority,
    files: Files,
}

impl World {
    fn new() -> Self {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let files = Files::default()
            .with_leaf("server", &servers.issue(&server(&["a.test"])))
            .with("clients.pem", &*clients.certificate);
        Self { servers, clients, files }
    }
}

#[tokio::test]
async fn a_resumed_session_keeps_its_certificate() {
    let world = World::new();
    let tls = world.files.load(&settings_with_clients(&[], true)).unwrap();
    let leaf = world.clients.intermediate("below", 3).issue(&client("alice", 7));
    for (name, version) in VERSIONS {
        let client = Arc::new(client_of_version(version, &world.servers, Some(&leaf)));
        for is_resumed in [false, true, true, true] {
            let established = visit(&tls, &client).await.unwrap();
            assert_eq!((established.is_resumed, established.version), (is_resumed, name));
            assert_eq!(established.server_name.as_deref(), Some("a.test"));
            let names = established.certificate.unwrap().names;
            assert_eq!(names.common_name.as_deref(), Some("alice"));
        }
    }
}

/// A ticket of one configuration must not open another, whatever they have in common (CVE-2025-23419).
#[tokio::test]
async fn no_other_server_resumes_a_session() {
    let world = World::new();
    let open = settings_with_clients(&[], false);
    let leaf = world.clients.issue(&client("alice", 7));
    for (_, version) in VERSIONS {
        for certificate in [None, Some(&leaf)] {
            let tls = world.files.load(&open).unwrap();
            let others = [
                world.files.load(&open).unwrap(),
                world.files.load(&settings_with_clients(&[], true)).unwrap(),
                world.files.load(&settings(&["server"])).unwrap(),
            ];
            for other in &others {
                let client = Arc::new(client_of_version(version, &world.servers, certificate));
                assert!(!visit(&tls, &client).await.unwrap().is_resumed);
                assert!(visit(&tls, &client).await.unwrap().is_resumed);
                match visit(other, &client).await {
                    Ok(established) => assert!(!established.is_resumed),
                    Err(error) => {
                        assert!(certificate.is_none() && matches!(error, HandshakeError::NoCertificate));
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_bound_to_its_host() {
    let world = World::new();
    let both = world.servers.issue(&server(&["a.test", "b.test"]));
    let files = Files::default().with_leaf("server", &both);
    let tls = files.load(&settings(&["server"])).unwrap();
    for (_, version) in VERSIONS {
        let client = Arc::new(client_of_version(version, &world.servers, None));
        visit(&tls, &client).await.unwrap();
        let (accepted, connected) = connect(&tls, &client, "b.test").await;
        assert!(!accepted.unwrap().1.is_resumed);
        connected.unwrap();
    }
}

/// Presents the certificate of the moment, as an agent does that renews it.
#[derive(Debug)]
struct Renewing {
    certificates: Vec<Arc<CertifiedKey>>,
    current: AtomicUsize,
}

impl Renewing {
    fn new(leaves: &[Leaf]) -> Self {
        let certified = |leaf: &Leaf| {
            CertifiedKey::from_der(leaf.certificates(), leaf.private_key(), &crate::provider())
                .map(Arc::new)
                .unwrap()
        };
        Self { certificates: leaves.iter().map(certified).collect(), current: AtomicUsize::new(0) }
    }
}

impl ResolvesClientCert for Renewing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certificates.get(self.current.load(Ordering::Relaxed)).cloned()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A client that has renewed its certificate would otherwise be stuck: it would resume with the old one, and be refused.
#[tokio::test]
async fn a_ticket_ends_with_the_certificate() {
    let world = World::new();
    let tls = world.files.load(&settings_with_clients(&[], true)).unwrap();
    // Times in certificates are whole seconds.
    let end = SystemTime::now() + Duration::from_secs(3);
    let mut short = client("old", 7);
    short.not_after = end.into();
    let leaves = [world.clients.issue(&short), world.clients.issue(&client("new", 8))];
    let mut visitors = Vec::new();
    for (_, version) in VERSIONS {
        let resolver = Arc::new(Renewing::new(&leaves));
        let mut client = client_of_version(version, &world.servers, None);
        client.client_auth_cert_resolver = resolver.clone();
        let client = Arc::new(client);
        for is_resumed in [false, true] {
            let established = visit(&tls, &client).await.unwrap();
            assert_eq!(established.is_resumed, is_resumed);
            assert_eq!(established.certificate.unwrap().names.common_name.as_deref(), Some("old"));
        }
        resolver.current.store(1, Ordering::Relaxed);
        visitors.push(client);
    }
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left).await;
    for client in visitors {
        let established = visit(&tls, &client).await.unwrap();
        assert!(!established.is_resumed);
        assert_eq!(established.certificate.unwrap().names.common_name.as_deref(), Some("new"));
        assert!(visit(&tls, &client).await.unwrap().is_resumed);
    }
}

/// What a full handshake would refuse, a resumed one refuses as well.
#[tokio::test]
async fn a_resumed_session_is_verified_again() {
    let world = World::new();
    let now = SystemTime::now();
    let (from, life) = (now - DAY, DAY + Duration::from_secs(3));
    let files = world.files.with("clients.crl", world.clients.revoke(&[], from, life));
    let tls = files.load(&settings_with_clients(&["clients.crl"], true)).unwrap();
    let leaf = world.clients.issue(&client("alice", 7));
    let mut visitors = Vec::new();
    for (_, version) in VERSIONS {
        let client = Arc::new(client_of_version(version, &world.servers, Some(&leaf)));
        visit(&tls, &client).await.unwrap();
        assert!(visit(&tls, &client).await.unwrap().is_resumed);
        visitors.push(client);
    }
    let left = (from + life + Duration::from_secs(1)).duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left).await;
    for client in visitors {
        let error = visit(&tls, &client).await.unwrap_err().to_string();
        assert!(
            error.contains("revocation list of its issuer, or of an authority of its chain, is out of date"),
            "{error}"
        );
    }
}

/// Loading the same files again keeps the tickets of the old object, if the caller keeps it.
#[test]
fn sameness_is_that_of_content_and_settings() {
    let world = World::new();
    let load = |files: &Files, settings| files.load(&settings).unwrap();
    let first = load(&world.files, settings_with_clients(&[], false));
    assert!(first.is_like(&load(&world.files, settings_with_clients(&[], false))));
    assert!(!first.is_like(&load(&world.files, settings_with_clients(&[], true))));
    assert!(!first.is_like(&load(&world.files, settings(&["server"]))));
    let renewed = world.servers.issue(&server(&["a.test"]));
    let authority = world.clients.certificate.clone();
    let with_authority = world.files.with("clients.pem", format!("{authority}\n"));
    assert!(!first.is_like(&load(&with_authority, settings_with_clients(&[], false))));
    let with_renewed = with_authority.with("clients.pem", authority).with_leaf("server", &renewed);
    assert!(!first.is_like(&load(&with_renewed, settings_with_clients(&[], false))));
}
