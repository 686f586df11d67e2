//! Measures what TLS costs a server: `cargo run -p scopegate-tls --release --example measure`.
//!
//! One thread serves, another is the client. The figures are of the CPU time of the thread that serves, and of the memory
//! of a process that serves. `baseline` measures the same with the stream of tokio-rustls.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::cast_precision_loss,
    reason = "a tool for developers"
)]

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, NamedGroup, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::future::Future;
use std::io::IoSlice;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tls::{FileKind, KeyPairFiles, Problem, Read, ServerSettings, ServerTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const MIB: usize = 1024 * 1024;
/// The bytes of a body.
const BODY: usize = 1024 * MIB;
/// The handshakes that are averaged.
const HANDSHAKES: usize = 2000;
/// The idle connections that are averaged.
const IDLE: usize = 2000;

/// A stream of a server.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What serves: this crate, or tokio-rustls.
enum Server {
    Own(ServerTls),
    Baseline(TlsAcceptor),
}

impl Server {
    async fn accept(&self, stream: TcpStream) -> Box<dyn Stream> {
        match self {
            Self::Own(tls) => Box::new(tls.accept(http1::Socket::from(stream)).await.unwrap().0),
            Self::Baseline(acceptor) => Box::new(acceptor.accept(stream).await.unwrap()),
        }
    }
}

/// Makes a server, and the certificate that its clients trust.
fn server(is_baseline: bool, algorithm: &'static SignatureAlgorithm) -> (Server, CertificateDer<'static>) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (chain, pem) = (certificate.pem(), key.serialize_pem());
    if is_baseline {
        let chain = vec![certificate.der().clone()];
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        return (Server::Baseline(Arc::new(config).into()), certificate.der().clone());
    }
    let pair = KeyPairFiles { chain: "chain".into(), key: "key".into() };
    let settings = ServerSettings { certificates: vec![pair], clients: None, http2: true };
    let mut read = |_: &Path, kind: FileKind| -> Result<Vec<u8>, Problem> {
        Ok(if kind == FileKind::PrivateKey { pem.clone() } else { chain.clone() }.into_bytes())
    };
    let read: &mut Read<'_> = &mut read;
    (Server::Own(ServerTls::load(&settings, read).unwrap()), certificate.der().clone())
}

fn client(
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    quantum: bool,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut provider = (*tls::provider()).clone();
    if !quantum {
        provider.kx_groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Returns the CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

async fn connect(address: std::net::SocketAddr, connector: &TlsConnector) -> impl Stream + use<> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    connector.connect("a.test".try_into().unwrap(), stream).await.unwrap()
}

/// Runs a client on a thread of its own, and `serve` on this one. Returns its CPU time.
fn measure<F, C, S>(act: C, serve: S) -> Duration
where
    F: Future<Output = ()>,
    C: FnOnce(std::net::SocketAddr) -> F + Send,
    S: AsyncFnOnce(TcpListener) -> Duration,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || run(act(address)));
        run(async { serve(TcpListener::from_std(listener).unwrap()).await })
    })
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().await.unwrap().0;
    stream.set_nodelay(true).unwrap();
    stream
}

fn bodies(name: &str, is_baseline: bool) {
    let (server, trusted) = server(is_baseline, &PKCS_ECDSA_P256_SHA256);
    let connector = client(&trusted, &TLS13, false);
    let client = connector.clone();
    let down = measure(
        async move |address| {
            let mut stream = connect(address, &client).await;
            let mut room = vec![0; 256 * 1024];
            let mut left = BODY;
            while left > 0 {
                left -= stream.read(&mut room).await.unwrap();
            }
        },
        async |listener| {
            let mut stream = server.accept(accept(&listener).await).await;
            let chunk = vec![7; 256 * 1024];
            let before = cpu();
            for _ in 0..BODY / chunk.len() {
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let written = stream.write_vectored(&[IoSlice::new(rest)]).await.unwrap();
                    rest = &rest[written..];
                }
            }
            stream.flush().await.unwrap();
            cpu() - before
        },
    );
    let up = measure(
        async move |address| {
            let mut stream = connect(address, &connector).await;
            let chunk = vec![7; 256 * 1024];
            for _ in 0..BODY / chunk.len() {
                stream.write_all(&chunk).await.unwrap();
            }
            stream.flush().await.unwrap();
            stream.read_u8().await.unwrap();
        },
        async |listener| {
            let mut stream = server.accept(accept(&listener).await).await;
            let mut room = vec![0; 256 * 1024];
            let mut left = BODY;
            let before = cpu();
            while left > 0 {
                left -= stream.read(&mut room).await.unwrap();
            }
            let spent = cpu() - before;
            stream.write_all(b"x").await.unwrap();
            stream.flush().await.unwrap();
            spent
        },
    );
    let rate = |spent: Duration| (BODY / MIB) as f64 / spent.as_secs_f64();
    println!("{name}: {:.0} MiB/s to the client, {:.0} MiB/s from it", rate(down), rate(up));
}

fn handshakes(name: &str, is_baseline: bool) {
    for (key, algorithm) in [("P-256", &PKCS_ECDSA_P256_SHA256), ("RSA 2048", &PKCS_RSA_SHA256)] {
        for (version, of, quantum) in
            [("1.2", &TLS12, false), ("1.3", &TLS13, false), ("1.3 post-quantum", &TLS13, true)]
        {
            let (server, trusted) = server(is_baseline, algorithm);
            let rate = |resumes: bool| {
                let shared = client(&trusted, of, quantum);
                let trusted = &trusted;
                let spent = measure(
                    async move |address| {
                        for _ in 0..=HANDSHAKES {
                            let connector =
                                if resumes { shared.clone() } else { client(trusted, of, quantum) };
                            let mut stream = connect(address, &connector).await;
                            stream.write_all(b"x").await.unwrap();
                            stream.flush().await.unwrap();
                            stream.read_u8().await.unwrap();
                        }
                    },
                    async |listener| {
                        let mut before = Duration::ZERO;
                        for count in 0..=HANDSHAKES {
                            let mut stream = server.accept(accept(&listener).await).await;
                            stream.read_u8().await.unwrap();
                            stream.write_all(b"x").await.unwrap();
                            stream.flush().await.unwrap();
                            if count == 0 {
                                before = cpu();
                            }
                        }
                        cpu() - before
                    },
                );
                HANDSHAKES as f64 / spent.as_secs_f64()
            };
            println!(
                "{name}: TLS {version}, {key}: {:.0} full and {:.0} resumed handshakes/s",
                rate(false),
                rate(true)
            );
        }
    }
}

/// The client of [`idle`], in a process of its own: opens connections, uses each, and leaves them open.
fn open(address: &str, tls: bool) {
    let (_, trusted) = server(true, &PKCS_ECDSA_P256_SHA256);
    let mut config = (**client(&trusted, &TLS13, false).config()).clone();
    config.dangerous().set_certificate_verifier(Arc::new(trust::Anyone));
    let connector = TlsConnector::from(Arc::new(config));
    run(async {
        let mut open: Vec<Box<dyn Stream>> = Vec::new();
        for _ in 0..IDLE {
            let mut stream: Box<dyn Stream> = if tls {
                Box::new(connect(address.parse().unwrap(), &connector).await)
            } else {
                Box::new(TcpStream::connect(address).await.unwrap())
            };
            stream.write_all(&vec![7; 100_000]).await.unwrap();
            stream.flush().await.unwrap();
            stream.read_exact(&mut vec![0; 100_000]).await.unwrap();
            open.push(stream);
        }
        let _ = tokio::io::stdin().read_u8().await;
    });
}

mod trust {
    //! A client that trusts everyone.

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(super) struct Anyone;

    impl ServerCertVerifier for Anyone {
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
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn idle(name: &str, server: Option<&Server>) {
    let mut counted = 0;
    let mut grown = 0;
    let info = allocation_counter::measure(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let mut process = Command::new(std::env::current_exe().unwrap())
                .args(["open", &address, if server.is_some() { "tls" } else { "tcp" }])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut open: Vec<Box<dyn Stream>> = Vec::with_capacity(2 * IDLE);
            let serve = async |open: &mut Vec<Box<dyn Stream>>| {
                let stream = accept(&listener).await;
                let mut stream: Box<dyn Stream> = match server {
                    Some(server) => server.accept(stream).await,
                    None => Box::new(stream),
                };
                let mut room = vec![0; 100_000];
                stream.read_exact(&mut room).await.unwrap();
                stream.write_all(&room).await.unwrap();
                stream.flush().await.unwrap();
                open.push(stream);
            };
            // The first of them set up what all share.
            for _ in 0..IDLE / 10 {
                serve(&mut open).await;
            }
            let before = resident();
            for _ in IDLE / 10..IDLE {
                serve(&mut open).await;
            }
            grown = (resident() - before) / (IDLE - IDLE / 10);
            counted = open.len();
            std::mem::forget(open);
            process.stdin.take();
            process.kill().unwrap();
            process.wait().unwrap();
        });
    });
    let allocated = usize::try_from(info.bytes_current).unwrap() / counted;
    println!(
        "{name}: an idle connection takes {allocated} bytes of Rust's allocator, {grown} of the process"
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["open", address, kind] = arguments[..] {
        return open(address, kind == "tls");
    }
    let all = [("tls", false), ("tokio-rustls", true)];
    let is_wanted = |what: &str| arguments.is_empty() || arguments.contains(&what);
    if is_wanted("idle") {
        idle("plain", None);
        for (name, is_baseline) in all {
            idle(name, Some(&server(is_baseline, &PKCS_ECDSA_P256_SHA256).0));
        }
    }
    for (name, is_baseline) in all {
        if is_wanted("bodies") {
            bodies(name, is_baseline);
        }
        if is_wanted("handshakes") {
            handshakes(name, is_baseline);
        }
    }
}
