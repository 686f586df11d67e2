//! Requests with credentials, and the configuration that accepts them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Method, header};
use http1::Request;
use scopegate::internals::{
    Client, Config, Connection, Entrance, Environment, ListenerRegistry, ReadError, Secret,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;
use tempfile::NamedTempFile;

const HOST: &str = "127.0.0.1:8080";
const PATH: &str = "/tmp/media/hello.txt";
const LISTENER: &str = "main";
/// A token with 32 zero bytes.
const TOKEN: &str = "sgt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAZClWt";
const ISSUER: &str = "https://id.test/";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The credentials of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A password that is remembered.
    Basic,
    /// A bearer token of the configuration.
    Token,
    /// A JWT that is remembered.
    RememberedJwt,
    /// A JWT that is verified each time: it has expired, and is accepted within the leeway.
    Es256,
    /// The same with another signature.
    Rs256,
    /// A signature with a local access key.
    SigV4,
}

/// A request with credentials, and what identifies its client.
pub(crate) struct Login {
    entrance: Entrance,
    connection: Connection,
    request: Request,
    _keys: NamedTempFile,
}

impl Login {
    /// Makes the request of `curl http://proxy/tmp/media/hello.txt` with credentials that were sent before.
    pub(crate) fn new(kind: Kind) -> Self {
        let issuer = Issuer::new();
        let keys = NamedTempFile::new().unwrap();
        serde_json::to_writer(&keys, &issuer.public()).unwrap();
        let config = Config::parse(&config(keys.path()), &Secrets).unwrap();
        let mut listeners = ListenerRegistry::default();
        let connection = Connection::tcp([127, 0, 0, 1].into(), listeners.register(&LISTENER.into()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = request(&issuer.credentials(kind));
        let entrance = runtime.block_on(async {
            let entrance = Entrance::new(&config, &listeners).unwrap();
            entrance.identify(&connection, &request).await.unwrap();
            entrance
        });
        Self { entrance, connection, request, _keys: keys }
    }

    /// Identifies the client, which waits for nothing.
    pub(crate) fn identify(&self) -> Client<'_> {
        let identified = pin!(self.entrance.identify(&self.connection, &self.request));
        match identified.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(client) => client.unwrap(),
            Poll::Pending => unreachable!("the credentials were verified before"),
        }
    }
}

/// The secrets of the configuration.
struct Secrets;

impl Environment for Secrets {
    fn variable(&self, _: &str) -> Result<Secret, ReadError> {
        Ok(Secret::new(SECRET.to_owned()))
    }

    fn file(&self, _: &Path) -> Result<Secret, ReadError> {
        self.variable("")
    }
}

fn config(keys: &Path) -> String {
    let digest: Vec<String> = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digest.concat();
    let clients =
        ["user = [\"alice\"]", "token = [\"ci\"]", "key = [\"SGREPORTS\"]", "jwt = { issuer = \"corp\" }"];
    let mapping = |client: &str| {
        format!(
            "[[mapping]]\nname = '{}'\nclient = {{ {client} }}\n[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\n\
             allow = [\"read\"]\n",
            client.split(' ').next().unwrap()
        )
    };
    format!(
        "[[listener]]\nname = \"{LISTENER}\"\naddress = \"{HOST}\"\n\
         [upstream]\nendpoints = [\"http://127.0.0.1:9000\"]\nregion = \"us-east-1\"\n\
         [issuer]\naccess_key = {{ env = \"KEY\" }}\nsecret_key = {{ env = \"SECRET\" }}\n\
         [[user]]\nname = \"alice\"\npassword = [\"$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6\"]\n\
         [[token]]\nname = \"ci\"\nsha256 = \"{digest}\"\n\
         [[key]]\naccess_key = \"SGREPORTS\"\nsecret_key = {{ env = \"SECRET\" }}\n\
         [[jwt]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudience = [\"scopegate\"]\njwks = {{ file = \"{}\" }}\n\
         leeway = \"5m\"\n{}",
        keys.display(),
        clients.map(mapping).concat()
    )
}

fn request(credentials: &[(String, String)]) -> Request {
    let fields = [("host", HOST), ("user-agent", "curl/8.5.0"), ("accept", "*/*")];
    let own = credentials.iter().map(|(name, value)| (&**name, &**value));
    let field = |(name, value): (&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    Request::new(Method::GET, PATH.parse().unwrap(), fields.into_iter().chain(own).map(field).collect())
        .unwrap()
}

/// An issuer of JWTs with two keys.
struct Issuer {
    ecdsa: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        Self {
            ecdsa: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// Returns the public keys.
    fn public(&self) -> Value {
        let rsa = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        // The first byte says that the point is not compressed.
        let (x, y) = self.ecdsa.public_key().as_ref().get(1..).unwrap().split_at(32);
        json!({ "keys": [
            { "kty": "RSA", "kid": "RS256", "n": encoded(&rsa.n), "e": encoded(&rsa.e) },
            { "kty": "EC", "crv": "P-256", "kid": "ES256", "x": encoded(x), "y": encoded(y) },
        ] })
    }

    /// Returns the headers with these credentials.
    fn credentials(&self, kind: Kind) -> Vec<(String, String)> {
        let authorization = match kind {
            Kind::Basic => format!("Basic {}", STANDARD.encode("alice:alice's")),
            Kind::Token => format!("Bearer {TOKEN}"),
            Kind::RememberedJwt => self.token("ES256", 3600),
            Kind::Es256 => self.token("ES256", -1),
            Kind::Rs256 => self.token("RS256", -1),
            Kind::SigV4 => return signed(),
        };
        vec![(header::AUTHORIZATION.to_string(), authorization)]
    }

    /// Returns a token that is valid for this number of seconds, with the claims of usual providers.
    fn token(&self, algorithm: &str, life: i64) -> String {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(since).unwrap();
        let head = json!({ "alg": algorithm, "kid": algorithm, "typ": "JWT" });
        let claims = json!({
            "iss": ISSUER, "sub": "248289761001", "aud": "scopegate", "exp": now + life, "iat": now - 600,
            "groups": ["data", "staff"], "email": "alice@example.test", "email_verified": true,
        });
        let message = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
        let random = SystemRandom::new();
        let signature = if algorithm == "ES256" {
            self.ecdsa.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
            signature
        };
        format!("Bearer {message}.{}", encoded(signature))
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the headers of a signature with a local key.
fn signed() -> Vec<(String, String)> {
    let identity = aws_credential_types::Credentials::new("SGREPORTS", SECRET, None, None, "bench").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let host = [("host", HOST)].into_iter();
    let signable =
        SignableRequest::new("GET", format!("http://{HOST}{PATH}"), host, SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
