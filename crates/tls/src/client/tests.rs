//! Tests a client of TLS against servers of rustls.

use super::*;
use crate::problem::FileKind;
use crate::settings::KeyPairFiles;
use crate::testing::DAY;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, Error as TlsError, HandshakeKind, ProtocolVersion, ServerConfig,
};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, server};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Returns a certificate for these names and its key.
fn issue(issuer: &Issuer, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params =
        CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "the server");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn trust(issuer: &Issuer) -> RootCertStore {
    let mut authorities = Authorities::default();
    authorities.add(Path::new("ca.pem"), &mut |_, _| Ok(issuer.pem().into_bytes())).unwrap();
    authorities.into_store()
}

/// Loads a client's certificate from files with these texts.
fn client_certificate(chain: &str, key: &str) -> Result<ClientCertificate, Vec<Problem>> {
    let files = KeyPairFiles { chain: "client.crt".into(), key: "client.key".into() };
    ClientCertificate::load(&files, &mut |file, kind| {
        assert_eq!(kind == FileKind::PrivateKey, file == files.key);
        Ok(if kind == FileKind::PrivateKey { key } else { chain }.into())
    })
}

fn server((chain, key): &(String, String), clients: Option<&Issuer>) -> ServerConfig {
    use rustls::pki_types::pem::PemObject;
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(issuer) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(trust(issuer)), provider()).build().unwrap(),
        ),
    };
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
}

type Both = (TlsStream<DuplexStream>, server::TlsStream<DuplexStream>);

/// Connects and exchanges a byte in each direction, after which both sides know what the other thinks.
async fn meet(client: &ClientTls, server: &Arc<ServerConfig>, name: &str) -> Result<Both, io::Error> {
    let (near, far) = duplex(1 << 16);
    let acceptor = TlsAcceptor::from(Arc::clone(server));
    let accepted = async {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"x").await?;
        stream.flush().await?;
        io::Result::Ok(stream)
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connected = async {
        let mut stream = client.connect(&name, near).await?;
        stream.read_u8().await?;
        io::Result::Ok(stream)
    };
    let (connected, accepted) = tokio::join!(connected, accepted);
    Ok((connected?, accepted?))
}

fn cause(error: &io::Error) -> &TlsError {
    error.get_ref().and_then(|inner| inner.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

#[tokio::test]
async fn a_server_is_verified_for_the_name_that_is_expected() {
    let issuer = authority("our authority");
    let config = Arc::new(server(&issue(&issuer, &["minio.internal", "10.0.0.1"], |_| {}), None));
    for (expected, connected, is_good) in [
        (None, "minio.internal", true),
        (None, "10.0.0.1", true),
        (None, "other.internal", false),
        (None, "10.0.0.2", false),
        (Some("minio.internal"), "10.0.0.2", true),
        (Some("other.internal"), "minio.internal", false),
    ] {
        let expected = expected.map(|name| ServerName::try_from(name).unwrap());
        let client = ClientTls::new(trust(&issuer), None, expected.clone()).unwrap();
        let met = meet(&client, &config, connected).await;
        assert_eq!(met.is_ok(), is_good, "{expected:?} {connected}");
        match met {
            Ok((near, far)) => {
                let sent = expected
                    .map(|_| "minio.internal")
                    .or((connected == "minio.internal").then_some(connected));
                assert_eq!(far.get_ref().1.server_name(), sent);
                assert_eq!(near.get_ref().1.alpn_protocol(), None, "this server selects no protocol");
            }
            Err(error) => assert!(error.to_string().contains("minio.internal"), "{error}"),
        }
    }
}

#[tokio::test]
async fn an_unknown_authority_is_named() {
    let (ours, theirs) = (authority("our authority"), authority("their\u{1b}[2J \u{202e}authority"));
    let client = ClientTls::new(trust(&ours), None, None).unwrap();
    let config = Arc::new(server(&issue(&theirs, &["minio.internal"], |_| {}), None));
    let error = meet(&client, &config, "minio.internal").await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("the server") && told.contains("authority\", which is not trusted"), "{told}");
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told:?}");
    assert!(error.get_ref().unwrap().is::<UnknownAuthority>());

    // Another key under the same name is another authority.
    let client = ClientTls::new(trust(&authority("their\u{1b}[2J \u{202e}authority")), None, None).unwrap();
    let error = meet(&client, &config, "minio.internal").await.unwrap_err();
    assert!(error.to_string().contains("not trusted"), "{error}");

    let params = CertificateParams::new(vec!["minio.internal".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let alone = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let error = meet(&client, &Arc::new(server(&alone, None)), "minio.internal").await.unwrap_err();
    assert!(error.to_string().contains("signed by itself"), "{error}");
}

/// A change to a certificate that is otherwise right.
type Change = fn(&mut CertificateParams);

#[tokio::test]
async fn a_servers_certificate_must_be_valid_and_for_servers() {
    let issuer = authority("our authority");
    let client = ClientTls::new(trust(&issuer), None, None).unwrap();
    let cases: [(Change, &str); 3] = [
        (|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1), "certificate expired"),
        (|params| params.not_before = rcgen::date_time_ymd(2999, 1, 1), "certificate not valid yet"),
        (
            |params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
            "certificate does not allow extended key usage for server authentication",
        ),
    ];
    for (change, words) in cases {
        let config = Arc::new(server(&issue(&issuer, &["minio.internal"], change), None));
        let error = meet(&client, &config, "minio.internal").await.unwrap_err();
        assert!(matches!(cause(&error), TlsError::InvalidCertificate(_)), "{error:?}");
        assert!(error.to_string().contains(words), "no {words:?} in {error}");
    }
}

/// Anyone can send the certificate of the store. Only the store can sign with its key.
#[tokio::test]
async fn a_server_must_have_the_key_of_its_certificate() {
    let issuer = authority("our authority");
    let (chain, _) = issue(&issuer, &["minio.internal"], |_| {});
    let (_, another_key) = issue(&issuer, &["minio.internal"], |_| {});
    let client = ClientTls::new(trust(&issuer), None, None).unwrap();
    for version in [&TLS12, &TLS13] {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let resolver = Arc::new(mismatched(&chain, &another_key));
        let config = Arc::new(builder.with_no_client_auth().with_cert_resolver(resolver));
        let error = meet(&client, &config, "minio.internal").await.unwrap_err();
        assert_eq!(cause(&error), &TlsError::InvalidCertificate(CertificateError::BadSignature));
    }
}

/// Returns a chain with the key of another certificate.
fn mismatched(chain: &str, key: &str) -> SingleCertAndKey {
    use rustls::pki_types::pem::PemObject;
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    CertifiedKey::new(chain, provider().key_provider.load_private_key(key).unwrap()).into()
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_server_that_asks() {
    let (issuer, clients) = (authority("our authority"), authority("clients"));
    let config = Arc::new(server(&issue(&issuer, &["minio.internal"], |_| {}), Some(&clients)));
    let for_clients = |params: &mut CertificateParams| {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    };
    let certificate = |issuer, change: fn(&mut CertificateParams)| {
        let (chain, key) = issue(issuer, &["scopegate"], change);
        client_certificate(&chain, &key).unwrap()
    };
    let expired = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    for (certificate, alert) in [
        (None, Some(AlertDescription::CertificateRequired)),
        (Some(certificate(&clients, for_clients)), None),
        (Some(certificate(&clients, expired)), Some(AlertDescription::CertificateExpired)),
        (Some(certificate(&issuer, for_clients)), Some(AlertDescription::UnknownCA)),
    ] {
        let client = ClientTls::new(trust(&issuer), certificate, None).unwrap();
        let met = meet(&client, &config, "minio.internal").await;
        assert_eq!(met.is_ok(), alert.is_none());
        match (met, alert) {
            (Ok((_, far)), _) => assert!(far.get_ref().1.peer_certificates().is_some()),
            (Err(error), Some(alert)) => assert_eq!(cause(&error), &TlsError::AlertReceived(alert)),
            (Err(error), None) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn only_the_same_client_resumes_a_session() {
    let issuer = authority("our authority");
    let mut config = server(&issue(&issuer, &["minio.internal"], |_| {}), None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let client = ClientTls::new(trust(&issuer), None, None).unwrap();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (near, _far) = meet(&client, &config, "minio.internal").await.unwrap();
        let near = near.get_ref().1;
        assert_eq!(near.handshake_kind(), Some(kind));
        assert_eq!(near.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(near.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let other = ClientTls::new(trust(&issuer), None, None).unwrap();
    let (near, _far) = meet(&other, &config, "minio.internal").await.unwrap();
    assert_eq!(near.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn each_unusable_file_is_named_with_what_is_wrong() {
    let issuer = authority("our authority");
    let (chain, key) = issue(&issuer, &["scopegate"], |_| {});
    let (_, other_key) = issue(&issuer, &["scopegate"], |_| {});
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert!(client_certificate(&chain, &key).is_ok());
    for (chain, key, file, words) in [
        (&*chain, &*other_key, "client.crt", "no certificate of the private key in client.key"),
        (&chain, &chain, "client.key", "a certificate and no private key"),
        (&chain, "", "client.key", "is empty"),
        (&chain, encrypted, "client.key", "an encrypted private key"),
        (&chain, &key.replace('M', "?"), "client.key", "damaged PEM"),
        (&key, &key, "client.crt", "a private key and no certificate"),
        ("", &key, "client.crt", "is empty"),
        (cut, &key, "client.crt", "cannot be read (number 1)"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", &key, "client.crt", "damaged PEM"),
    ] {
        let problems = client_certificate(chain, key).unwrap_err();
        let [Problem { file: found, what, .. }] = &problems[..] else { panic!("{problems:?}") };
        assert!(found == Path::new(file) && what.contains(words), "no {words:?} in {problems:?}");
    }
    let mut authorities = Authorities::default();
    let text = format!("{}{cut}", issuer.pem());
    let told = authorities.add(Path::new("ca.pem"), &mut |_, _| Ok(text.clone().into())).unwrap_err();
    assert!(told.file == Path::new("ca.pem") && told.what.contains("cannot be read"), "{told:?}");
    assert!(ClientTls::new(RootCertStore::empty(), None, None).is_err());
}

#[test]
fn the_end_of_the_certificate_is_told_in_time() {
    let issuer = authority("our authority");
    let client = |days: u32| {
        let end = SystemTime::now() + DAY * days + DAY / 2;
        let (chain, key) = issue(&issuer, &["scopegate"], |params| params.not_after = end.into());
        let certificate = client_certificate(&chain, &key).unwrap();
        ClientTls::new(trust(&issuer), Some(certificate), None).unwrap()
    };
    let warning = |client: &ClientTls, later: u32| {
        client.warning(SystemTime::now() + DAY * later).map(|problem| problem.what)
    };
    let soon = client(10);
    assert_eq!(soon.certificate().unwrap().file, Path::new("client.crt"));
    assert_eq!(warning(&soon, 0).as_deref(), Some("expires in 10 days"));
    assert_eq!(warning(&soon, 20).as_deref(), Some("expired 9 days ago"));
    assert_eq!(warning(&client(100), 0), None);
    let without = ClientTls::new(trust(&issuer), None, None).unwrap();
    assert!(without.certificate().is_none() && warning(&without, 0).is_none());
}
