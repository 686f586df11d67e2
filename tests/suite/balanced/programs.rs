//! The configurations of docs/load-balancers.md, run by nginx and `HAProxy` in front of the proxy.

use super::{Balanced, OBJECT, connect, get};
use crate::identity::declare::replace;
use crate::support::http::Connection;
use crate::support::keys::Keys;
use crate::support::process::{Killed, wait_for};
use crate::support::sigv4::{self, Request};
use crate::support::world::outcome;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Starts a program with a mode, in front of an address.
type Start = fn(&str, SocketAddr) -> Program;

/// The client, whose address the load balancers name.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

/// The address of the load balancers. Almost all servers of other tests use 127.0.0.1, so they do not take a port here first.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 7, 1);

/// Returns the block of the page with this label.
fn block(label: &str) -> String {
    let page = include_str!("../../../docs/load-balancers.md");
    let (_, rest) = page.split_once(&format!("```{label}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Returns whether a program is there. With `CI` set, a missing one is a failure.
fn is_there(path: &str) -> bool {
    let found = Path::new(path).is_file();
    let how = "apt-get install nginx-light libnginx-mod-stream haproxy";
    assert!(found || std::env::var_os("CI").is_none(), "{path} is needed here: {how}");
    if !found {
        eprintln!("left out: {path} is missing ({how})");
    }
    found
}

/// A running load balancer.
struct Program {
    address: SocketAddr,
    _process: Killed,
    folder: TempDir,
}

/// Starts a load balancer with a block of the page, in front of `store`. `around` completes the configuration.
fn start(
    label: &str,
    store: SocketAddr,
    around: impl Fn(&str, &str) -> String,
    command: fn(&Path) -> Command,
) -> Program {
    // Neither program reports the port it was given, so a port that was free a moment ago must do.
    for _ in 0..5 {
        let folder = TempDir::new().unwrap();
        let certificate = folder.path().join("s3.pem");
        let named = rcgen::generate_simple_self_signed(vec!["s3.example.test".to_owned()]).unwrap();
        fs::write(&certificate, named.cert.pem() + &named.signing_key.serialize_pem()).unwrap();
        let address = TcpListener::bind((ADDRESS, 0)).unwrap().local_addr().unwrap();
        let config = block(label)
            .replace("10.0.0.9:8080", &store.to_string())
            .replace("/etc/ssl/s3.pem", &certificate.display().to_string())
            .replace("bind :443", &format!("bind {address}"))
            .replace("listen 443", &format!("listen {address}"));
        let file = folder.path().join("config");
        fs::write(&file, around(&config, &folder.path().display().to_string())).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut process = Killed(child);
        let up = wait_for(|| {
            let is_up = TcpStream::connect(address).is_ok();
            (is_up || process.has_ended()).then_some(is_up)
        });
        if up == Some(true) {
            return Program { address, _process: process, folder };
        }
        eprintln!("{}", fs::read_to_string(folder.path().join("log")).unwrap());
    }
    panic!("{label} does not start");
}

fn haproxy(label: &str, store: SocketAddr) -> Program {
    let around = |config: &str, _: &str| {
        format!("defaults\n timeout connect 10s\n timeout client 30s\n timeout server 30s\n{config}")
    };
    start(label, store, around, |file| {
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(file);
        command
    })
}

fn nginx(label: &str, store: SocketAddr) -> Program {
    let around = |config: &str, at: &str| {
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name}; "))
            .concat();
        let config = config.replacen("http {\n", &format!("http {{ access_log off; {paths}\n"), 1);
        format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
             daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\n{config}"
        )
    };
    start(label, store, around, |file| {
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-e").arg("stderr").arg("-p").arg(file.parent().unwrap()).arg("-c").arg(file);
        command
    })
}

fn has_programs() -> bool {
    is_there("/usr/sbin/haproxy")
        && is_there("/usr/sbin/nginx")
        && is_there("/usr/lib/nginx/modules/ngx_stream_module.so")
}

fn log_of(world: &Balanced) -> String {
    let named = "client=127.0.0.7 peer=127.0.0.1 ";
    wait_for(|| world.proxy.stderr().contains(named).then_some(())).expect("the log names client and peer");
    world.proxy.stderr()
}

#[test]
fn haproxy_and_nginx_name_the_clients_of_tcp_connections() {
    if !has_programs() {
        return;
    }
    let programs: [(&str, &str, Start); 2] = [("haproxy tcp", "v2", haproxy), ("nginx tcp", "v1", nginx)];
    for (label, version, program) in programs {
        let lines = format!("proxy_protocol = {{ from = \"127.0.0.1\", versions = \"{version}\" }}");
        let world = Balanced::start(&lines, "");
        let program = program(label, world.address());
        for (from, expected) in [(CLIENT, "200"), (super::OTHER, "403 AccessDenied no-mapping")] {
            let mut connection = Connection::over(connect(from, program.address)).unwrap();
            connection.send(&get("")).unwrap();
            assert_eq!(outcome(&connection.read_response("GET").unwrap()), expected, "{label}");
        }
        log_of(&world);
    }
}

/// `HAProxy` takes the refusal of its health check for health, and connects by `LOCAL`.
#[test]
fn health_checks_of_haproxy_are_answered() {
    if !has_programs() {
        return;
    }
    let world = Balanced::start("proxy_protocol = { from = \"127.0.0.1\", versions = \"v2\" }", "");
    let folder = TempDir::new().unwrap();
    let at = folder.path().display();
    let backend = block("haproxy check").replace("10.0.0.9:8080", &world.address().to_string());
    let config = format!(
        "global\n stats socket {at}/stats\ndefaults\n timeout connect 10s\n timeout client 30s\n timeout server 30s\n\
         timeout check 10s\n{backend}\nfrontend in\n mode http\n bind {at}/in\n default_backend scopegate\n"
    );
    let file = folder.path().join("config");
    fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    let child = command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _process = Killed(child.unwrap());
    let status = || {
        let mut stats = std::os::unix::net::UnixStream::connect(folder.path().join("stats")).ok()?;
        stats.write_all(b"show stat\n").ok()?;
        let mut text = String::new();
        stats.read_to_string(&mut text).ok()?;
        let line = text.lines().find(|line| line.starts_with("scopegate,scopegate,"))?;
        // A check that has run shows its status code.
        (line.contains(",UP,") && line.contains("L7OK,403")).then_some(())
    };
    assert!(wait_for(status).is_some(), "{}", world.proxy.stderr());
    let refused = || world.proxy.stderr().contains("rule=\"no-mapping\"").then_some(());
    assert!(wait_for(refused).is_some(), "{}", world.proxy.stderr());
}

/// A client of the load balancer that speaks TLS.
fn over_tls(program: &Program, from: Ipv4Addr, request: &[u8]) -> String {
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(program.folder.path().join("s3.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "s3.example.test".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(tls), name).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, connect(from, program.address));
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A server may close without a TLS alert.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// TLS ends at the load balancer. Clients are matched by their address, signatures hold, pages of the own origin are served
/// and those of others are not.
#[test]
fn haproxy_and_nginx_name_the_clients_of_requests_and_end_tls() {
    if !has_programs() {
        return;
    }
    let keys = Keys::random("SGREPORTS");
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    replace(&secret, &keys.secret_key);
    let sections = format!(
        "[[key]]\naccess_key = \"SGREPORTS\"\nsecret_key = {{ file = {secret:?} }}\n\
         [[mapping]]\nname = \"reports\"\nclient = {{ key = \"SGREPORTS\" }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
         prefix = \"media/\"\nallow = [\"read\"]\n"
    );
    let lines =
        "forwarded = { header = \"X-Forwarded-For\", scheme = \"X-Forwarded-Proto\", from = \"127.0.0.1\" }";
    let programs: [(&str, Start); 2] = [("haproxy http", haproxy), ("nginx http", nginx)];
    for (label, program) in programs {
        let world = Balanced::start(lines, &sections);
        let program = program(label, world.address());
        let ask = |from, host: &str, headers: &str| {
            let request =
                format!("GET {OBJECT} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
            let answer = over_tls(&program, from, request.as_bytes());
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            let rule = answer.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("x-scopegate-rule").then(|| format!(" {value}"))
            });
            status + &rule.unwrap_or_default()
        };
        let port = program.address.port();
        let (bare, with_port) = ("s3.example.test".to_owned(), format!("s3.example.test:{port}"));
        for host in [&bare, &with_port] {
            let own = format!("Origin: https://{host}\r\n");
            let other = "Origin: https://evil.test\r\n";
            assert_eq!(ask(CLIENT, host, ""), "200", "{label} {host}");
            assert_eq!(ask(CLIENT, host, &own), "200", "{label} {host}: a page of its own");
            assert_eq!(ask(CLIENT, host, other), "403 cross-site", "{label} {host}");
            // Anyone on the way can write a page that comes over plain HTTP. The client's own claim of the scheme is replaced.
            let plain = format!("Origin: http://{host}\r\nX-Forwarded-Proto: http\r\n");
            assert_eq!(ask(CLIENT, host, &plain), "403 cross-site", "{label} {host}: over plain HTTP");
            assert_eq!(ask(super::OTHER, host, ""), "403 no-mapping", "{label} {host}");
            // The client's own claim stays left of what the load balancer adds.
            for claim in ["X-Forwarded-For: 127.0.0.7\r\n", "X-Forwarded-For: 127.0.0.7, 127.0.0.1\r\n"] {
                let claims = claim.repeat(2);
                assert_eq!(ask(super::OTHER, host, &claims), "403 no-mapping", "{label} {host} {claim}");
            }
            let signed = sigv4::signed(
                &keys,
                "s3",
                &Request { method: "GET", host, target: OBJECT, headers: &[], body: b"" },
            );
            let sent = signed.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
            let lines: Vec<String> = sent.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = lines.concat();
            assert_eq!(ask(super::OTHER, host, &headers), "200", "{label} {host}: signed");
        }
        log_of(&world);
    }
}
