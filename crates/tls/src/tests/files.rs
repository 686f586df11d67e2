//! Files that cannot be used, and what the operator is told.

use super::*;
use crate::{Problem, ServerSettings};
use rcgen::{KeyPair, RsaKeySize};

const ENCRYPTED_PKCS8: &str =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
const ENCRYPTED_SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB\n-----END EC PRIVATE KEY-----\n";

/// Returns the problems of a certificate as lines.
fn problems(chain: &[u8], key: &[u8]) -> String {
    let files = Files::default().with("server.crt", chain).with("server.key", key);
    files.load(&settings(&["server"])).map_or_else(|problems| lines(&problems), |_| "none".to_owned())
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns the certificates of a chain, each in PEM.
fn split(chain: &str) -> Vec<&str> {
    chain.split_inclusive("-----END CERTIFICATE-----\n").collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn problems_with_certificates_and_keys() {
    let authority = Authority::new("root");
    let below = authority.intermediate("below", 3);
    let leaf = below.issue(&server(&["a.test"]));
    let other = below.issue(&server(&["a.test"]));
    // An authority with the same name and another key.
    let impostor = authority.intermediate("below", 4);
    let (certificate, chain) = (split(&leaf.chain)[0], split(&leaf.chain));
    let reversed: String = chain.iter().rev().copied().collect();
    let der = leaf.certificates()[0].to_vec();
    let damaged = leaf.chain.replacen("MII", "!!!", 1);
    let key = leaf.key.as_bytes();
    let cases: Vec<(&str, String, &str)> = vec![
        ("good", problems(leaf.chain.as_bytes(), key), "none"),
        ("the leaf alone", problems(certificate.as_bytes(), key), "none"),
        ("with words between", problems(format!("Bag Attributes\n{}", leaf.chain).as_bytes(), key), "none"),
        ("one file for both", problems(format!("{}{}", leaf.chain, leaf.key).as_bytes(), key), "none"),
        (
            "key of another",
            problems(leaf.chain.as_bytes(), other.key.as_bytes()),
            "server.crt holds no certificate of the private key in server.key: name the chain and the key that were made together",
        ),
        (
            "swapped",
            problems(key, leaf.chain.as_bytes()),
            "server.crt holds a private key and no certificate: are the files of certificate and key swapped?\n\
             server.key holds a certificate and no private key: are the files of certificate and key swapped?",
        ),
        (
            "empty",
            problems(b"\n", b""),
            "server.crt is empty: write a certificate in PEM to it\nserver.key is empty: write a private key in PEM to it",
        ),
        (
            "DER",
            problems(&der, key),
            "server.crt is in DER and not in PEM: convert it with `openssl x509 -inform der -in server.crt -out NEW`, or, if it \
             is PKCS#12, with `openssl pkcs12 -noenc -in server.crt -out NEW`",
        ),
        (
            "key in DER",
            problems(leaf.chain.as_bytes(), leaf.private_key().secret_der()),
            "server.key is in DER and not in PEM: convert it with `openssl pkey -inform der -in server.key -out NEW`, or, if it \
             is PKCS#12, with `openssl pkcs12 -noenc -in server.key -out NEW`",
        ),
        (
            "encrypted",
            problems(leaf.chain.as_bytes(), ENCRYPTED_PKCS8.as_bytes()),
            "server.key holds an encrypted private key: a server cannot type a passphrase; decrypt it with `openssl pkey -in \
             server.key -out NEW`, readable by this process alone",
        ),
        (
            "encrypted in the old way",
            problems(leaf.chain.as_bytes(), ENCRYPTED_SEC1.as_bytes()),
            "server.key holds an encrypted private key: a server cannot type a passphrase; decrypt it with `openssl pkey -in \
             server.key -out NEW`, readable by this process alone",
        ),
        (
            "two keys",
            problems(leaf.chain.as_bytes(), format!("{}{}", leaf.key, other.key).as_bytes()),
            "server.key holds 2 private keys: leave the one that belongs to the certificate",
        ),
        (
            "text",
            problems(b"hello", b"hello"),
            "server.crt holds no certificate: expected `-----BEGIN CERTIFICATE-----`\n\
             server.key holds no private key: expected `-----BEGIN PRIVATE KEY-----`",
        ),
        (
            "cut off",
            problems(&certificate.as_bytes()[..200], key),
            "server.crt holds damaged PEM: copy the file again, from its first `-----BEGIN` to its end",
        ),
        (
            "damaged",
            problems(damaged.as_bytes(), key),
            "server.crt holds damaged PEM: copy the file again, from its first `-----BEGIN` to its end",
        ),
        (
            "damaged key",
            problems(
                leaf.chain.as_bytes(),
                b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ),
            "server.key holds a private key that is damaged or of an unsupported kind: use ECDSA with P-256, P-384 or P-521, \
             Ed25519, or RSA with 2048 to 8192 bits",
        ),
        (
            "reversed",
            problems(reversed.as_bytes(), key),
            "server.crt begins with the certificate of an authority, and the key belongs to number 2: put the server's own \
             certificate first, then the one that signed it, and so on",
        ),
        (
            "out of order",
            problems(format!("{certificate}{}{}", authority.certificate, below.certificate).as_bytes(), key),
            "server.crt is out of order: certificate 1 was issued by CN=below, and certificate 2 is that of CN=root: put the \
             server's certificate first, then the one that signed it, and so on",
        ),
        (
            "wrong authority of that name",
            problems(format!("{certificate}{}", impostor.certificate).as_bytes(), key),
            "server.crt holds a certificate that the next one did not sign, though their names fit: replace the authority's \
             certificate by the one that issued the server's",
        ),
        (
            "a request",
            problems(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", key),
            "server.crt holds a certificate request and no certificate: name the file that the authority returned for it",
        ),
    ];
    for (name, found, expected) in cases {
        assert_eq!(found, expected, "{name}");
    }
    let unreadable = problems(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key);
    assert!(
        unreadable.starts_with("server.crt holds a certificate that cannot be read (number 1): "),
        "{unreadable}"
    );
}

#[test]
fn keys_of_each_encoding_are_read() {
    let key = KeyPair::generate().unwrap();
    let pkcs8 = key.serialize_pem();
    let certificate = server(&["a.test"]).self_signed(&key).unwrap().pem();
    assert_eq!(problems(certificate.as_bytes(), pkcs8.as_bytes()), "none");
    let der = key.serialize_der();
    let sec1 = unwrap_pkcs8(&der);
    let params = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    assert_eq!(
        problems(certificate.as_bytes(), format!("{params}{}", pem("EC PRIVATE KEY", sec1)).as_bytes()),
        "none"
    );
    let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = server(&["a.test"]).self_signed(&key).unwrap().pem();
    let der = key.serialize_der();
    let pkcs1 = unwrap_pkcs8(&der);
    assert_eq!(problems(certificate.as_bytes(), pem("RSA PRIVATE KEY", pkcs1).as_bytes()), "none");
}

/// Returns the SEC1 or PKCS#1 key in a PKCS#8 one: the content of its third element.
fn unwrap_pkcs8(der: &[u8]) -> &[u8] {
    let (all, _) = element(der);
    let (_, rest) = element(all);
    let (_, rest) = element(rest);
    element(rest).0
}

/// Returns the content of the first element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let count = if der[1] < 0x80 { 0 } else { usize::from(der[1] - 0x80) };
    let long = der[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let length = if count == 0 { usize::from(der[1]) } else { long };
    der[2 + count..].split_at(length)
}

/// Returns a revocation list without its fifth element. Its signature is not looked at when it is loaded.
fn without_next_update(der: &[u8]) -> Vec<u8> {
    let (tbs, signature) = element(element(der).0);
    let after = (0..4).fold(tbs, |rest, _| element(rest).1);
    let (before, behind) = (&tbs[..tbs.len() - after.len()], element(after).1);
    sequence(&[&sequence(&[before, behind].concat()), signature].concat())
}

/// Returns a SEQUENCE of 128 bytes or more with this content.
fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = if content.len() < 256 { &[0x81, length[1]][..] } else { &[0x82, length[0], length[1]] };
    [&[0x30], length, content].concat()
}

/// Returns bytes with the only occurrence of `from` replaced by `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    let [place] = places[..] else { panic!("{places:?}") };
    [&bytes[..place], to, &bytes[place + from.len()..]].concat()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> =
        encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// One look shows everything that must be mended.
#[test]
fn all_problems_are_found_at_once() {
    let files = Files::default().with("a.crt", "").with("clients.pem", "hello").with("clients.crl", "");
    let wanted = ServerSettings {
        certificates: settings(&["a", "b"]).certificates,
        ..settings_with_clients(&["clients.crl"], true)
    };
    let problems = files.load(&wanted).unwrap_err();
    let expected = [
        "a.crt is empty: write a certificate in PEM to it",
        "a.key is missing: write it",
        "b.crt is missing: write it",
        "b.key is missing: write it",
        "clients.pem holds no certificate: expected `-----BEGIN CERTIFICATE-----`",
        "clients.crl is empty: write a revocation list in PEM to it",
    ];
    assert_eq!(lines(&problems), expected.join("\n"));
    let listed: Vec<_> = wanted.files().map(|file| file.to_str().unwrap()).collect();
    assert_eq!(listed, ["a.crt", "a.key", "b.crt", "b.key", "clients.pem", "clients.crl"]);
    // One that works does not make up for one that does not.
    let leaf = Authority::new("root").issue(&server(&["a.test"]));
    let problems = files.with_leaf("a", &leaf).load(&settings(&["a", "b"])).unwrap_err();
    assert_eq!(lines(&problems), "b.crt is missing: write it\nb.key is missing: write it");
    let none = Files::default().load(&settings(&[])).unwrap_err();
    assert_eq!(lines(&none), " no certificate is named: name the files of one");
}

#[test]
fn problems_with_authorities_and_lists() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let leaf = servers.issue(&server(&["a.test"]));
    let load = |authorities: &[u8], list: &[u8]| {
        let files = Files::default()
            .with_leaf("server", &leaf)
            .with("clients.pem", authorities)
            .with("clients.crl", list);
        let loaded = files.load(&settings_with_clients(&["clients.crl"], true));
        loaded.map_or_else(|problems| lines(&problems), |_| "none".to_owned())
    };
    let now = SystemTime::now();
    let good = clients.revoke(&[1, 2], now - DAY, 7 * DAY);
    let authority = clients.certificate.as_bytes();
    let der = {
        use rustls::pki_types::pem::PemObject;
        rustls::pki_types::CertificateRevocationListDer::from_pem_slice(good.as_bytes()).unwrap().to_vec()
    };
    let cases: Vec<(&str, String, &str)> = vec![
        ("good", load(authority, good.as_bytes()), "none"),
        ("in DER", load(authority, &der), "none"),
        (
            "several",
            load(
                format!("{}{}", clients.certificate, servers.certificate).as_bytes(),
                format!("{good}{good}").as_bytes(),
            ),
            "none",
        ),
        (
            "swapped",
            load(good.as_bytes(), authority),
            "clients.pem holds a revocation list and no certificate: name it under the revocation lists instead\n\
             clients.crl holds a certificate and no revocation list: name the file of the authority's revocation list",
        ),
        (
            "damaged",
            load(authority, &der[..der.len() - 1]),
            "clients.crl holds a revocation list that cannot be read: fetch the list from the authority again; expected PEM or DER",
        ),
        (
            "without an end",
            load(authority, &without_next_update(&der)),
            "clients.crl holds a revocation list that does not say when the next one is due: let the authority set nextUpdate \
             (RFC 5280, section 5.1.2.5)",
        ),
        (
            // The identifiers of the list's number and of a delta list differ in one byte.
            "changes alone",
            load(authority, &replaced(&der, &[0x55, 0x1d, 20], &[0x55, 0x1d, 27])),
            "clients.crl holds an unsupported revocation list: UnsupportedDeltaCrl: let the authority issue a complete list of \
             version 2, neither delta nor indirect",
        ),
    ];
    for (name, found, expected) in cases {
        assert_eq!(found, expected, "{name}");
    }
}
