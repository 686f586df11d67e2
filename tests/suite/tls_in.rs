//! TLS of listeners: real clients in front, a real MinIO behind.

mod answers;
mod bounds;
mod clients;
mod http2;
mod reload;
mod revoked;

use crate::support::authority::{Authority, Client};
use crate::support::http::{self, Connection};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::world::{config, corner, start};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const HELLO: &str = "/tmp/media/hello.txt";
const SCOPES: &[(&str, &str, &str)] =
    &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "read,list,write,delete")];

/// A proxy whose listener `door` speaks TLS with the certificate `one` for `localhost` and `one.test`.
struct Secure {
    minio: Minio,
    issuer: Keys,
    authority: Authority,
    folder: TempDir,
    /// The settings besides the certificate.
    more: String,
    proxy: Proxy,
}

impl Secure {
    fn start(more: &str) -> Self {
        Self::start_with(more, |_, _| {}, "")
    }

    /// Starts it with further files, and with further lines in the configuration.
    fn start_with(more: &str, write: impl FnOnce(&Authority, &Path), lines: &str) -> Self {
        let ((minio, issuer), folder) = (Minio::start_seeded(), TempDir::new().unwrap());
        let authority = Authority::new("the authority");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        authority.server(&["localhost", "one.test", "127.0.0.1"]).write(folder.path(), "one");
        write(&authority, folder.path());
        let text = configuration(minio.address, folder.path(), more, lines);
        let proxy = start(&text, &issuer);
        Self { minio, issuer, authority, folder, more: more.to_owned(), proxy }
    }

    fn address(&self) -> SocketAddr {
        self.proxy.address("door")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Returns the configuration with other settings besides the certificate.
    fn configuration(&self, more: &str, lines: &str) -> String {
        configuration(self.minio.address, self.folder.path(), more, lines)
    }

    /// Reads the configuration again as it is, and waits until it is in effect.
    fn hang_up(&self, text: &str) {
        let series = "scopegate_config_reloads_total{result=\"ok\"}";
        let before = self.metric(series);
        self.proxy.reload(text);
        let done = wait_for(|| (self.metric(series) > before).then_some(()));
        assert!(done.is_some(), "{}", self.proxy.stderr());
    }

    /// Returns a connection of a client for `localhost`.
    fn open(&self, client: &Client) -> Connection {
        let opened = client.open(self.address(), "localhost");
        opened.unwrap_or_else(|error| panic!("{error}\n{}", self.proxy.stderr()))
    }

    /// Returns the value of a series, 0 if it does not exist.
    fn metric(&self, series: &str) -> u64 {
        let text = http::get(self.proxy.address("admin"), "/metrics").unwrap().text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a series has at least this value.
    fn counts(&self, series: &str, least: u64) {
        let counted = wait_for(|| (self.metric(series) >= least).then_some(()));
        assert!(counted.is_some(), "{series} is {}: {}", self.metric(series), self.proxy.stderr());
    }

    /// Waits until a series has this value.
    fn becomes(&self, series: &str, value: u64) {
        let became = wait_for(|| (self.metric(series) == value).then_some(()));
        assert!(became.is_some(), "{series} is {}: {}", self.metric(series), self.proxy.stderr());
    }

    /// Waits until the log contains these words.
    fn said(&self, words: &str) {
        let said = wait_for(|| self.proxy.stderr().contains(words).then_some(()));
        assert!(said.is_some(), "no {words:?} in {}", self.proxy.stderr());
    }
}

/// Returns a configuration whose listener `door` has TLS. In `more`, `@` begins a path in the folder.
fn configuration(minio: SocketAddr, folder: &Path, more: &str, lines: &str) -> String {
    let plain = "name = \"door\"\naddress = \"127.0.0.1:0\"\n";
    let folder = folder.display();
    let more = more.replace('@', &format!("{folder}/"));
    let tls = format!(
        "{plain}tls = {{ certificates = [{{ chain = \"{folder}/one.crt\", key = \"{folder}/one.key\" }}{more} }}\n"
    );
    config(minio, minio, &[corner("door", SCOPES)], lines).replace(plain, &tls)
}

/// The end of the list of certificates, if there is only one.
const ONE: &str = "]";

fn get(connection: &mut Connection) -> String {
    ask(connection, "GET", HELLO, "localhost")
}

/// Sends a request for a host. Returns the status and the rule.
fn ask(connection: &mut Connection, method: &str, target: &str, host: &str) -> String {
    match connection.request(method, target, &[("Host", host)], b"") {
        Ok(answer) => crate::support::world::outcome(&answer),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Runs a program. Returns its exit code, and what it wrote to stdout and stderr.
fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program)
        .args(arguments)
        .env_remove("http_proxy")
        .env_remove("https_proxy")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}
