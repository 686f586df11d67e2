//! TLS towards the store and STS with files of the configuration: a private authority, a client certificate, a name to
//! expect, and new versions of the files.

use crate::support::http::{self, request};
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::tls::{Authority, Pair, Terminator, server};
use crate::support::world::{config, corner, outcome, start};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list,write")];

/// A folder with files of TLS.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        // In the way of certbot: a new file takes the old one's name.
        let (fresh, path) = (self.0.path().join("fresh"), self.0.path().join(name));
        fs::write(&fresh, text).unwrap();
        fs::set_permissions(&fresh, Permissions::from_mode(0o600)).unwrap();
        fs::rename(&fresh, &path).unwrap();
    }

    fn write_pair(&self, pair: &Pair) {
        self.write("client.crt", &pair.chain);
        self.write("client.key", &pair.key);
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).into_os_string().into_string().unwrap()
    }
}

/// Returns a configuration whose nodes and STS have these URLs, with these lines in `[upstream]`.
fn over_tls(urls: &[String], lines: &str) -> String {
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    config(nowhere, nowhere, &[corner("reader", SCOPES)], "")
        .replace("endpoint = \"http://127.0.0.1:1\"\n", "")
        .replace("endpoints = [\"http://127.0.0.1:1\"]", &format!("endpoints = {urls:?}\n{lines}"))
}

fn url(host: &str, address: SocketAddr) -> String {
    format!("https://{host}:{}", address.port())
}

fn read(proxy: &Proxy) -> String {
    let got = http::get(proxy.address("reader"), "/tmp/media/hello.txt").unwrap();
    if got.status() == 200 { got.text() } else { outcome(&got) }
}

fn ready(proxy: &Proxy) -> String {
    http::get(proxy.address("admin"), "/readyz").unwrap().text()
}

#[test]
fn everything_works_with_a_minio_of_a_private_authority() {
    let (authority, files) = (Authority::new("our authority"), Files::new());
    files.write("ca.pem", &authority.pem());
    let pair = authority.issue(&["minio.internal"]);
    let minio = Minio::start_over_tls(&pair.chain, &pair.key);
    let issuer = minio.seed_issuer();
    // The address is not among the certificate's names.
    let tls = format!("tls = {{ ca = [{:?}], server_name = \"minio.internal\" }}", files.path("ca.pem"));
    let proxy = start(&over_tls(&[url("127.0.0.1", minio.address)], &tls), &issuer);
    assert_eq!(read(&proxy), "hello, media\n", "{}", proxy.stderr());
    let ask = |method: &str, target: &str, body: &[u8]| {
        request(proxy.address("reader"), method, target, &[], body).unwrap()
    };
    let large = vec![7; 5 << 20];
    assert_eq!(ask("PUT", "/tmp/media/large", &large).status(), 200);
    assert!(http::get(proxy.address("reader"), "/tmp/media/large").unwrap().body == large);
    let listed = ask("GET", "/tmp/?list-type=2&prefix=media/", b"").text();
    assert!(listed.contains("<Key>media/large</Key>"), "{listed}");
    let id = ask("POST", "/tmp/media/parts?uploads", b"").element("UploadId").unwrap();
    let part = ask("PUT", &format!("/tmp/media/parts?partNumber=1&uploadId={id}"), b"a part");
    let tag = part.header("etag").unwrap().to_owned();
    let complete = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    );
    let completed = ask("POST", &format!("/tmp/media/parts?uploadId={id}"), complete.as_bytes());
    assert_eq!(completed.status(), 200, "{}", completed.text());
    assert_eq!(ask("GET", "/tmp/media/parts", b"").text(), "a part");
    assert!(!proxy.stderr().contains("WARN") && !proxy.stderr().contains("ERROR"), "{}", proxy.stderr());

    // Without server_name, the names of the certificate are told.
    let tls = format!("tls = {{ ca = [{:?}] }}", files.path("ca.pem"));
    let proxy = start(&over_tls(&[url("127.0.0.1", minio.address)], &tls), &issuer);
    assert!(ready(&proxy).contains("set server_name to one"), "{}", ready(&proxy));
    let told = wait_for(|| proxy.stderr().contains("minio.internal").then_some(()));
    assert!(told.is_some(), "{}", proxy.stderr());
}

#[test]
fn commands_trust_the_authority_that_they_are_told() {
    let (authority, files) = (Authority::new("our authority"), Files::new());
    files.write("ca.pem", &authority.pem());
    files.write("other.pem", &Authority::new("another authority").pem());
    let pair = authority.issue(&["localhost"]);
    let minio = Minio::start_over_tls(&pair.chain, &pair.key);
    let issuer = minio.seed_issuer();
    let env = [("SCOPEGATE_ACCESS_KEY", &*issuer.access_key), ("SCOPEGATE_SECRET_KEY", &issuer.secret_key)];
    let endpoint = url("localhost", minio.address);
    let (ca, other) = (files.path("ca.pem"), files.path("other.pem"));
    let token = |cas: &[&str]| {
        let place = ["token", "--endpoint", &endpoint, "--bucket", "tmp", "--prefix", "media/"];
        scopegate(&[&place[..], cas].concat(), &env, b"")
    };
    let refused = token(&["--ca", &other]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("by \"CN=our authority\", which is not trusted") && told.contains("--ca ca.pem"),
        "{told}"
    );
    let made = token(&["--ca", &other, "--ca", &ca]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let listed = scopegate(&["ls", "--ca", &ca], &[], &made.stdout);
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "tmp/media/hello.txt\n");
    let got = scopegate(&["get", "--ca", &ca, "tmp/media/hello.txt"], &[], &made.stdout);
    assert_eq!(String::from_utf8_lossy(&got.stdout), "hello, media\n");
    assert_eq!(scopegate(&["ls", "--ca", &other], &[], &made.stdout).status.code(), Some(1));
    assert_eq!(scopegate(&["ls", "--ca", "/absent.pem"], &[], &made.stdout).status.code(), Some(2));
}

#[test]
fn an_unknown_authority_is_named_in_the_log_and_a_bad_change_changes_nothing() {
    let runtime = Runtime::new().unwrap();
    let (minio, issuer) = Minio::start_seeded();
    let (authority, files) = (Authority::new("our authority"), Files::new());
    let front = Terminator::start(&runtime, minio.address, server(&authority.issue(&["localhost"]), None));
    files.write("ca.pem", &Authority::new("another authority").pem());
    let tls = format!("tls = {{ ca = {:?} }}", files.path("ca.pem"));
    let proxy = start(&over_tls(&[url("localhost", front.address)], &tls), &issuer);
    assert_eq!(read(&proxy), "503 ServiceUnavailable no-session");
    let told = ready(&proxy);
    assert!(told.contains("no trusted authority signed the server's certificate"), "{told}");
    let told = wait_for(|| proxy.stderr().contains("our authority").then_some(()));
    assert!(told.is_some() && !proxy.stderr().contains("verif"), "{}", proxy.stderr());

    files.write("ca.pem", &authority.pem());
    assert!(wait_for(|| (read(&proxy) == "hello, media\n").then_some(())).is_some(), "{}", proxy.stderr());
    files.write("ca.pem", "no certificate\n");
    let shown = || http::get(proxy.address("admin"), "/metrics").unwrap().text();
    let bad = "scopegate_file_last_read_successful{file=\"upstream.tls\"} 0";
    assert!(wait_for(|| shown().contains(bad).then_some(())).is_some(), "{}", shown());
    let told = wait_for(|| proxy.stderr().contains("certificates not read again").then_some(()));
    assert!(told.is_some(), "{}", proxy.stderr());
    assert_eq!(read(&proxy), "hello, media\n", "what the file held before stays in effect");
    assert_eq!(proxy.stderr().matches("certificates not read again").count(), 1);
}

/// Reads until it is stopped, and returns the responses other than the object.
fn read_under_load(proxy: &Proxy, change: impl FnOnce(&dyn Fn())) -> Vec<String> {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let load = || {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                failed.extend(Some(read(proxy)).filter(|got| got != "hello, media\n"));
                count.fetch_add(1, Ordering::Relaxed);
            }
            failed
        };
        let clients = [scope.spawn(load), scope.spawn(load)];
        let pass = || {
            let goal = count.load(Ordering::Relaxed) + 20;
            assert!(wait_for(|| (count.load(Ordering::Relaxed) >= goal).then_some(())).is_some());
        };
        change(&pass);
        pass();
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

fn reads_again(proxy: &Proxy, times: usize) {
    let seen = || proxy.stderr().matches("certificates read again").count() >= times;
    assert!(wait_for(|| seen().then_some(())).is_some(), "{}", proxy.stderr());
}

#[test]
fn an_authority_is_rotated_at_two_nodes_without_a_failed_request() {
    let runtime = Runtime::new().unwrap();
    let (minio, issuer) = Minio::start_seeded();
    let (old, new, files) = (Authority::new("old"), Authority::new("new"), Files::new());
    let of = |authority: &Authority| server(&authority.issue(&["localhost"]), None);
    let fronts = [0, 1].map(|_| Terminator::start(&runtime, minio.address, of(&old)));
    files.write("ca.pem", &old.pem());
    let tls = format!("tls = {{ ca = [{:?}] }}", files.path("ca.pem"));
    let urls = fronts.each_ref().map(|front| url("localhost", front.address));
    let proxy = start(&over_tls(&urls, &tls), &issuer);
    let failed = read_under_load(&proxy, |pass| {
        pass();
        files.write("ca.pem", &(old.pem() + &new.pem()));
        reads_again(&proxy, 1);
        fronts[0].change(of(&new));
        pass();
        fronts[1].change(of(&new));
        pass();
        files.write("ca.pem", &new.pem());
        reads_again(&proxy, 2);
    });
    assert_eq!(failed, [] as [String; 0], "{}", proxy.stderr());
    // Neither a session nor an idle connection keeps the old authority's trust.
    for front in &fronts {
        front.change(of(&old));
    }
    assert!(wait_for(|| ready(&proxy).contains("no trusted authority").then_some(())).is_some());
}

#[test]
fn a_client_certificate_is_shown_and_renewed() {
    let runtime = Runtime::new().unwrap();
    let (minio, issuer) = Minio::start_seeded();
    let (authority, old, new) = (Authority::new("servers"), Authority::new("old"), Authority::new("new"));
    let files = Files::new();
    let pair = authority.issue(&["localhost"]);
    let front = Terminator::start(&runtime, minio.address, server(&pair, Some(&old)));
    files.write("ca.pem", &authority.pem());
    let urls = [url("localhost", front.address)];
    let ca = format!("ca = [{:?}]", files.path("ca.pem"));

    let without = start(&over_tls(&urls, &format!("tls = {{ {ca} }}")), &issuer);
    assert!(ready(&without).contains("the server wants a certificate of its client"), "{}", ready(&without));
    let told = wait_for(|| without.stderr().contains("wants a certificate of its client").then_some(()));
    assert!(told.is_some(), "{}", without.stderr());
    assert!(without.stderr().contains("received fatal alert"), "{}", without.stderr());
    drop(without);

    files.write_pair(&new.issue(&["scopegate"]));
    let (chain, key) = (files.path("client.crt"), files.path("client.key"));
    let tls = format!("tls = {{ {ca}, certificate = {{ chain = {chain:?}, key = {key:?} }} }}");
    let proxy = start(&over_tls(&urls, &tls), &issuer);
    assert!(ready(&proxy).contains("the server refuses the certificate of its client"), "{}", ready(&proxy));
    assert!(!proxy.stderr().contains("PRIVATE KEY"));
    files.write_pair(&old.issue(&["scopegate"]));
    assert!(wait_for(|| (read(&proxy) == "hello, media\n").then_some(())).is_some(), "{}", proxy.stderr());

    // The server trusts the new authority alone from now on. Only connections that exist still work.
    front.change(server(&pair, Some(&new)));
    let in_a_week = SystemTime::now() + Duration::from_hours(168);
    files.write_pair(&new.issue_with(&["scopegate"], |params| params.not_after = in_a_week.into()));
    reads_again(&proxy, 2);
    assert_eq!(read(&proxy), "hello, media\n", "a new connection shows the new certificate");
    let seconds = in_a_week.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let metric = "scopegate_client_certificate_expiry_timestamp_seconds";
    let end = format!("{metric}{{section=\"upstream.tls\",file={chain:?}}} {seconds}");
    let shown = || http::get(proxy.address("admin"), "/metrics").unwrap().text();
    assert!(wait_for(|| shown().contains(&end).then_some(())).is_some(), "no {end}");
    let told = format!("tls: upstream.tls: {chain} expires in 6 days; renew it");
    assert!(ready(&proxy).contains(&told), "{}", ready(&proxy));
    let told = wait_for(|| proxy.stderr().contains("section=\"upstream.tls\" problem=").then_some(()));
    assert!(told.is_some(), "{}", proxy.stderr());
    // A reload of the same files changes nothing.
    proxy.reload(&over_tls(&urls, &tls));
    assert!(wait_for(|| proxy.stderr().contains("configuration reloaded").then_some(())).is_some());
    assert_eq!(read(&proxy), "hello, media\n");
}
