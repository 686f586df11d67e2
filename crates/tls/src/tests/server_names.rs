//! The choice of a certificate by the host that the client names and the signatures that it verifies.

use super::*;
use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Accepts any certificate, and offers these schemes of signatures.
#[derive(Debug)]
struct Any(Vec<SignatureScheme>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// Makes a server with several certificates, and returns them in the same order. The names of their files say what they are.
fn many() -> (ServerTls, Vec<CertificateDer<'static>>) {
    let authority = Authority::new("root");
    let certificates: [(&str, &[&str], &'static SignatureAlgorithm); 7] = [
        ("a", &["a.test", "10.0.0.1"], &PKCS_ECDSA_P256_SHA256),
        ("a-rsa", &["A.test"], &PKCS_RSA_SHA256),
        ("wild", &["*.b.test"], &PKCS_ECDSA_P256_SHA256),
        ("x.b", &["x.b.test"], &PKCS_ECDSA_P256_SHA256),
        ("c-p384", &["c.test", "d.test"], &PKCS_ECDSA_P384_SHA384),
        ("c-ed25519", &["c.test"], &PKCS_ED25519),
        ("c-again", &["c.test"], &PKCS_ECDSA_P384_SHA384),
    ];
    let (mut files, mut leaves) = (Files::default(), Vec::new());
    for (name, names, algorithm) in certificates {
        let leaf = authority.issue_for(&server(names), algorithm);
        leaves.push(leaf.certificates().remove(0));
        files = files.with_leaf(name, &leaf);
    }
    let names = certificates.map(|(name, ..)| name);
    (files.load(&settings(&names)).unwrap(), leaves)
}

const NAMES: [&str; 7] = ["a", "a-rsa", "wild", "x.b", "c-p384", "c-ed25519", "c-again"];
const EVERY: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
];
const RSA: &[SignatureScheme] = &[SignatureScheme::RSA_PSS_SHA256];
const ED25519: &[SignatureScheme] = &[SignatureScheme::ED25519];

#[tokio::test]
async fn the_certificate_fits_name_and_signature() {
    let (tls, leaves) = many();
    let cases: [(Option<&'static str>, &[SignatureScheme], Option<&str>); 16] = [
        (Some("a.test"), EVERY, Some("a")),
        (Some("A.TEST"), EVERY, Some("a")),
        (Some("a.test"), RSA, Some("a-rsa")),
        (Some("y.b.test"), EVERY, Some("wild")),
        (Some("x.b.test"), EVERY, Some("x.b")),
        // A wildcard is one label, and not none.
        (Some("z.y.b.test"), EVERY, Some("a")),
        (Some("b.test"), EVERY, Some("a")),
        (Some("c.test"), EVERY, Some("c-p384")),
        (Some("c.test"), ED25519, Some("c-ed25519")),
        (Some("d.test"), EVERY, Some("c-p384")),
        // Unknown names and none get the first, or the one with the same name and another key.
        (Some("unknown.test"), EVERY, Some("a")),
        (Some("unknown.test"), RSA, Some("a-rsa")),
        (None, EVERY, Some("a")),
        (None, RSA, Some("a-rsa")),
        (None, ED25519, None),
        (Some("y.b.test"), RSA, None),
    ];
    for (name, schemes, expected) in cases {
        for (version_name, version) in VERSIONS {
            let mut client = client_of_version(version, &Authority::new("unused"), None);
            client.dangerous().set_certificate_verifier(Arc::new(Any(schemes.to_vec())));
            client.enable_sni = name.is_some();
            let (accepted, connected) = connect(&tls, &Arc::new(client), name.unwrap_or("a.test")).await;
            let Some(expected) = expected else {
                let error = accepted.unwrap_err();
                assert!(matches!(error, HandshakeError::NoCipher), "{name:?} {schemes:?} {error:?}");
                continue;
            };
            let established = accepted.unwrap().1;
            assert_eq!(established.server_name.as_deref(), name.map(str::to_ascii_lowercase).as_deref());
            let connected = connected.unwrap();
            let chosen = connected.get_ref().1.peer_certificates().unwrap()[0].clone();
            let position = leaves.iter().position(|leaf| *leaf == chosen).unwrap();
            assert_eq!(NAMES[position], expected, "{name:?} {schemes:?} TLS {version_name}");
        }
    }
}

#[test]
fn hosts_may_share_a_connection_if_they_share_a_certificate() {
    let (tls, _) = many();
    let cases = [
        (None, "a.test", true),
        (None, "x.b.test", true),
        (Some("a.test"), "a.test", true),
        (Some("a.test"), "A.Test.", true),
        (Some("a.test"), "10.0.0.1", false),
        (Some("a.test"), "unknown.test", true),
        (Some("unknown.test"), "a.test", true),
        (Some("unknown.test"), "10.9.9.9", true),
        (Some("a.test"), "x.b.test", false),
        (Some("a.test"), "y.b.test", false),
        (Some("y.b.test"), "z.b.test", true),
        (Some("y.b.test"), "x.b.test", false),
        (Some("x.b.test"), "y.b.test", false),
        (Some("x.b.test"), "a.test", false),
        (Some("d.test"), "c.test", false),
        (Some("c.test"), "C.TEST", true),
        (Some("a.test"), "", true),
    ];
    for (server_name, host, expected) in cases {
        assert_eq!(tls.serves_together(server_name, host), expected, "{server_name:?} {host}");
    }
}

#[test]
fn certificates_are_described() {
    let (tls, _) = many();
    let described = |certificate: &crate::CertificateInfo| {
        (
            certificate.file.to_str().unwrap().to_owned(),
            certificate.names.join(" "),
            certificate.key_type.clone(),
        )
    };
    let described: Vec<_> = tls.certificates().iter().map(described).collect();
    let expected = [
        ("a.crt", "a.test 10.0.0.1", "ECDSA P-256"),
        ("a-rsa.crt", "a.test", "RSA 2048"),
        ("wild.crt", "*.b.test", "ECDSA P-256"),
        ("x.b.crt", "x.b.test", "ECDSA P-256"),
        ("c-p384.crt", "c.test d.test", "ECDSA P-384"),
        ("c-ed25519.crt", "c.test", "Ed25519"),
        ("c-again.crt", "c.test", "ECDSA P-384"),
    ];
    assert_eq!(
        described,
        expected.map(|(file, names, key)| (file.to_owned(), names.to_owned(), key.to_owned()))
    );
}
