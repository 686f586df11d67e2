//! Homes: a prefix and a session for each identity. The identities are users of a unix socket.

use super::declare::{self, user};
use crate::limits::from_another_address;
use crate::support::http::{self, Connection, Response, request_bytes};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::sigv4::direct;
use crate::support::sts;
use crate::support::world::{outcome, start};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Gid, Uid, getuid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use tempfile::TempDir;

/// Users and a group that no machine has.
const ALICE: u32 = 2_100_000_101;
const BOB: u32 = 2_100_000_102;
const STAFF: u32 = 2_100_000_110;

/// Returns whether requests of other users can be made. If not, a test is skipped, or fails with `CI=true`.
fn can_be_others() -> bool {
    let is_root = getuid().is_root();
    assert!(is_root || env::var_os("CI").is_none_or(|ci| ci != "true"), "only root can be other users");
    is_root
}

/// A MinIO, and a proxy on a unix socket that knows its clients as members of [`STAFF`].
struct Homes {
    minio: Minio,
    issuer: Keys,
    proxy: Proxy,
    folder: TempDir,
}

impl Homes {
    fn start(mapping: &str, scopes: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        std::os::unix::fs::chown(folder.path(), None, Some(STAFF)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), mode).unwrap();
        let (minio, issuer) = Minio::start_seeded();
        let proxy = start(&config(&minio, &folder.path().join("s3.sock"), mapping, scopes), &issuer);
        Self { minio, issuer, proxy, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s3.sock")
    }

    /// Opens a connection as a user.
    fn connect(&self, uid: u32) -> Connection {
        let socket = self.socket();
        let connecting = move || {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(STAFF));
            // Only this thread becomes the other user.
            set_thread_res_gid(gid, gid, gid).unwrap();
            set_thread_res_uid(uid, uid, uid).unwrap();
            Connection::open_unix(&socket).unwrap()
        };
        thread::spawn(connecting).join().unwrap()
    }

    fn metric(&self, series: &str) -> u64 {
        let text = http::get(self.proxy.address("admin"), "/metrics").unwrap().text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    fn minted(&self) -> u64 {
        self.metric("scopegate_mints_total{mapping=\"homes\",result=\"minted\"}")
    }

    /// Returns what `explain` says about a request of a user, with the status of the command.
    fn explain(&self, arguments: &[&str]) -> (i32, String) {
        let file = self.folder.path().join("explained.toml");
        fs::write(&file, config(&self.minio, &self.socket(), "", &["home/{uid}/"])).unwrap();
        let arguments = [&["explain", "--config", file.to_str().unwrap()], arguments].concat();
        let output = scopegate(&arguments, &[], b"");
        let said = [&output.stdout[..], &output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }
}

/// Returns a configuration with one mapping. A mount follows the prefix of a scope after an `@`.
fn config(minio: &Minio, socket: &Path, mapping: &str, scopes: &[&str]) -> String {
    let mut text = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nendpoints = [\"http://{}\"]\n[issuer]\n\
         access_key = {{ env = \"ISSUER_KEY\" }}\nsecret_key = {{ env = \"ISSUER_SECRET\" }}\n\
         [limits]\nmints_per_second = 1000\n\
         [[listener]]\nname = \"local\"\naddress = \"unix:{}\"\nmode = \"0666\"\n\
         [[mapping]]\nname = \"homes\"\nclient = {{ gid = {STAFF} }}\n{mapping}\n",
        minio.address,
        socket.display()
    );
    for scope in scopes {
        let (prefix, mount) =
            scope.split_once('@').map_or((*scope, None), |(prefix, mount)| (prefix, Some(mount)));
        let mount = mount.map(|mount| format!("mount = \"{mount}\"\n")).unwrap_or_default();
        let _ = write!(
            text,
            "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"{prefix}\"\n\
             allow = [\"read\", \"list\", \"write\", \"delete\"]\n{mount}"
        );
    }
    text
}

fn ask(client: &mut Connection, method: &str, path: &str, body: &[u8]) -> Response {
    client.request(method, path, &[], body).unwrap()
}

/// Method, path and body of a request.
type Asked = (&'static str, String, Vec<u8>);

/// Returns requests for everything below a folder of the bucket.
fn requests(folder: &str) -> Vec<Asked> {
    let delete = format!("<Delete><Object><Key>{folder}a</Key></Object></Delete>");
    vec![
        ("GET", format!("/tmp/{folder}a"), vec![]),
        ("HEAD", format!("/tmp/{folder}a"), vec![]),
        ("GET", format!("/tmp/{folder}a?tagging="), vec![]),
        ("PUT", format!("/tmp/{folder}new"), b"x".to_vec()),
        ("DELETE", format!("/tmp/{folder}a"), vec![]),
        ("POST", format!("/tmp/{folder}a?uploads="), vec![]),
        ("GET", format!("/tmp/?list-type=2&prefix={folder}"), vec![]),
        ("GET", format!("/tmp/?prefix={folder}"), vec![]),
        ("GET", format!("/tmp/?uploads=&prefix={folder}"), vec![]),
        ("POST", "/tmp/?delete=".to_owned(), delete.into_bytes()),
    ]
}

#[test]
fn each_identity_reaches_its_own_home_and_no_other() {
    if !can_be_others() {
        return;
    }
    let homes = Homes::start("", &["home/{uid}/"]);
    for person in [ALICE, BOB] {
        homes.minio.put(&format!("tmp/home/{person}/a"), format!("of {person}").as_bytes());
    }
    homes.minio.put(&format!("tmp/home/{ALICE}0/a"), b"of neither");
    let (mut alice, mut bob) = (homes.connect(ALICE), homes.connect(BOB));
    for (client, own, other) in [(&mut alice, ALICE, BOB), (&mut bob, BOB, ALICE)] {
        let read = ask(client, "GET", &format!("/tmp/home/{own}/a"), b"");
        assert_eq!((read.status(), read.text()), (200, format!("of {own}")));
        assert_eq!(ask(client, "PUT", &format!("/tmp/home/{own}/b"), b"mine").status(), 200);
        let list = ask(client, "GET", &format!("/tmp/?list-type=2&prefix=home/{own}/"), b"");
        assert!(
            list.status() == 200 && list.text().contains(&format!("<Key>home/{own}/b</Key>")),
            "{}",
            list.text()
        );
        assert!(!list.text().contains(&other.to_string()), "{}", list.text());
        assert_eq!(ask(client, "DELETE", &format!("/tmp/home/{own}/b"), b"").status(), 204);
    }
    let before = homes.minted();
    assert!(before >= 2, "each has a session");
    for folder in
        [format!("home/{BOB}/"), format!("home/{ALICE}0/"), "home/".to_owned(), "home/identity/".to_owned()]
    {
        for (method, path, body) in requests(&folder) {
            let answer = ask(&mut alice, method, &path, &body);
            let text = answer.text();
            let refused =
                answer.status() == 403 || (path.contains("delete=") && text.contains("AccessDenied"));
            let empty_list = path.contains("uploads=&prefix=") && !text.contains("<Upload>");
            assert!(refused || empty_list, "{method} {path}: {} {text}", outcome(&answer));
            assert!(!text.contains("of 2") && !text.contains("of neither"), "{method} {path}: {text}");
        }
    }
    let copy = [("x-amz-copy-source", &*format!("/tmp/home/{BOB}/a"))];
    let copied = alice.request("PUT", &format!("/tmp/home/{ALICE}/stolen"), &copy, b"").unwrap();
    assert_eq!(outcome(&copied), "403 AccessDenied copy-source");
    assert_eq!(ask(&mut bob, "GET", &format!("/tmp/home/{BOB}/a"), b"").text(), format!("of {BOB}"));
    let log = homes.proxy.terminate().1;
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn the_policy_of_a_home_alone_refuses_every_other() {
    if !can_be_others() {
        return;
    }
    let homes = Homes::start("", &["home/{uid}/"]);
    let (alice, bob) = (ALICE.to_string(), BOB.to_string());
    let (_, said) = homes.explain(&["--uid", &alice, "--gid", &STAFF.to_string(), "--policy", "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(explained["scopes"][0]["prefix"], format!("home/{alice}/"));
    let policies = explained["policies"].as_object().unwrap();
    let session = |policy: &serde_json::Value| sts::scoped(&homes.minio, &homes.issuer, &policy.to_string());
    let folders = [format!("home/{bob}/"), "home/".to_owned(), String::new(), format!("home/{alice}0/")];
    for folder in [&[format!("home/{alice}/")][..], &folders].concat() {
        homes.minio.put(&format!("tmp/{folder}a"), b"a");
    }
    let own =
        direct(&homes.minio, &session(&policies["get"]), "GET", &format!("/tmp/home/{alice}/a"), &[], b"");
    assert_eq!(own.status(), 200, "{}", own.text());
    // The session for lists of uploads lists those of the whole bucket, which Scopegate filters.
    let restricted = policies.iter().filter(|(kind, _)| *kind != "uploads");
    let sessions: Vec<_> = restricted.map(|(kind, policy)| (kind, session(policy))).collect();
    for (folder, (kind, session)) in
        folders.iter().flat_map(|folder| sessions.iter().map(move |one| (folder, one)))
    {
        // A delete of several objects needs the right to delete each, as a delete of one does.
        let requests = requests(folder).into_iter().filter(|(_, path, ..)| !path.contains("delete="));
        for (method, path, body) in requests {
            let answer = direct(&homes.minio, session, method, &path, &[], &body);
            assert_eq!(answer.status(), 403, "{kind}: {method} {path}: {}", outcome(&answer));
        }
    }
}

#[test]
fn explain_shows_the_home_of_an_identity() {
    if !can_be_others() {
        return;
    }
    let homes = Homes::start("", &["home/{uid}/"]);
    let (alice, staff) = (ALICE.to_string(), STAFF.to_string());
    let own = format!("/tmp/home/{alice}/a");
    let (code, said) = homes.explain(&["--uid", &alice, "--gid", &staff, "GET", &own]);
    assert!(code == 0 && said.contains(&format!("  tmp/home/{alice}/ allows")), "{said}");
    let other = format!("/tmp/home/{BOB}/a");
    let (code, said) = homes.explain(&["--uid", &alice, "--gid", &staff, "GET", &other]);
    assert!(code == 3 && said.contains("outside-scope"), "{said}");
    let (code, said) = homes.explain(&["--uid", "65534", "--gid", &staff, "GET", &own]);
    assert!(code == 3 && said.contains("refused by rule identity-not-a-name"), "{said}");
    assert!(said.contains("cause: {uid}: the user is not known"), "{said}");
    let (code, said) = homes.explain(&["--mapping", "homes"]);
    assert!(code == 0 && said.contains("tmp/home/{uid}/ allows"), "{said}");
    let (code, said) = homes.explain(&["--mapping", "homes", "GET", &own]);
    assert!(
        code == 2 && said.contains("each identity of the mapping \"homes\" has its own prefix"),
        "{said}"
    );
    let file = homes.folder.path().join("explained.toml");
    let output = scopegate(
        &["check", "--live", "--config", file.to_str().unwrap()],
        &[("ISSUER_KEY", &homes.issuer.access_key), ("ISSUER_SECRET", &homes.issuer.secret_key)],
        b"",
    );
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        said.contains("mapping \"homes\", sessions get, list, bucket, put, delete, copy, other, uploads, ")
            && said.contains("live ok"),
        "{said}"
    );
    assert!(said.contains("sessions for each identity, for 1000 of them at once"), "{said}");
    assert!(said.contains("    ok tmp/home/{uid}/ "), "the prefix is shown as it was written: {said}");
}

#[test]
fn mounted_people_never_read_each_others_names() {
    if !can_be_others() {
        return;
    }
    let homes = Homes::start("", &["people/{uid}/@/"]);
    for person in [ALICE, BOB] {
        for key in ["a.txt", "b/c.txt", "d.txt"] {
            homes.minio.put(
                &format!("tmp/people/{person}/{key}"),
                format!("{key} of {}", person - ALICE).as_bytes(),
            );
        }
    }
    homes.minio.put(&format!("tmp/people/{BOB}/only-bob.txt"), b"secret");
    let (mut alice, mut bob) = (homes.connect(ALICE), homes.connect(BOB));
    assert_eq!(ask(&mut alice, "GET", "/a.txt", b"").text(), "a.txt of 0");
    assert_eq!(ask(&mut bob, "GET", "/a.txt", b"").text(), "a.txt of 1");
    let html = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let mut shown = Vec::new();
    for path in [
        "/",
        "/?list-type=2",
        "/?list-type=2&delimiter=/",
        "/?list-type=2&max-keys=1",
        "/?max-keys=1",
        "/?versions=",
        "/?uploads=",
        "/?location=",
        "/b/",
        "/b",
        "/absent",
        "/only-bob.txt",
        "/absent/",
        "/tmp/",
        "/people/",
        "/?list-type=2&prefix=../",
        "/..%2f",
        "/?list-type=2&start-after=zzz",
        "/b/c.txt?tagging=",
        &format!("/{BOB}/a.txt"),
        &format!("/tmp/people/{BOB}/a.txt"),
        &format!("/?list-type=2&prefix={BOB}/"),
    ] {
        for headers in [&[][..], &html] {
            let answer = alice.request("GET", path, headers, b"").unwrap();
            let head: String =
                ["location", "x-scopegate-rule"].iter().filter_map(|name| answer.header(name)).collect();
            let text = format!("{head}{}", answer.text());
            // What the client itself wrote may come back.
            for name in [&*BOB.to_string(), &ALICE.to_string(), "people", "secret", " of 1"] {
                assert!(path.contains(name) || !text.contains(name), "{path} shows {name}: {text}");
            }
            shown.push(answer.text());
        }
    }
    assert!(shown.iter().any(|text| text.contains("b/c.txt")) && !shown[0].contains("only-bob"), "{shown:?}");
    // A position in one person's list leads to that of another.
    let page = ask(&mut bob, "GET", "/?list-type=2&max-keys=1", b"").text();
    let token = page.split("<NextContinuationToken>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let token = token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let next = ask(&mut alice, "GET", &format!("/?list-type=2&continuation-token={token}"), b"").text();
    assert!(
        next.contains("<Key>d.txt</Key>") && !next.contains("only-bob") && !next.contains(&BOB.to_string()),
        "{next}"
    );
    let put = ask(&mut alice, "PUT", "/only-bob.txt", b"of alice");
    assert_eq!(put.status(), 200);
    assert_eq!(
        ask(&mut bob, "GET", "/only-bob.txt", b"").text(),
        "secret",
        "the same name is another object"
    );
}

#[test]
fn a_thousand_identities_have_sessions_and_one_more_takes_the_place_of_the_idlest() {
    if !can_be_others() {
        return;
    }
    let homes = Homes::start("identities = 1000", &["home/{uid}/"]);
    let first = 2_100_010_000;
    let get = |number: u32| {
        let uid = first + number;
        ask(&mut homes.connect(uid), "GET", &format!("/tmp/home/{uid}/a"), b"").status()
    };
    for number in 0..1000 {
        assert_eq!(get(number), 404, "{number}: {}", homes.proxy.stderr());
    }
    let counts = || (homes.metric("scopegate_identities{mapping=\"homes\"}"), homes.minted());
    // One session to read, and one for the list that looks for a folder of the absent name.
    assert_eq!(counts(), (1000, 2000));
    assert_eq!(homes.metric("scopegate_sessions_open{mapping=\"homes\"}"), 2000);
    assert_eq!((get(0), counts()), (404, (1000, 2000)), "it has sessions");
    assert_eq!((get(1000), counts()), (404, (1000, 2002)));
    assert_eq!(homes.metric("scopegate_sessions_open{mapping=\"homes\"}"), 2000);
    assert_eq!(homes.metric("scopegate_identities_dropped_total{mapping=\"homes\"}"), 1);
    assert_eq!((get(0), counts()), (404, (1000, 2002)), "it was used since");
    assert_eq!((get(1), counts()), (404, (1000, 2004)), "it was the idlest");
}

#[test]
fn a_reload_keeps_the_sessions_of_identities() {
    if !can_be_others() {
        return;
    }
    let homes = Homes::start("", &["home/{uid}/"]);
    homes.minio.put(&format!("tmp/home/{ALICE}/a"), b"a");
    homes.minio.put(&format!("tmp/files/{ALICE}/a"), b"moved");
    let mut alice = homes.connect(ALICE);
    let own = format!("/tmp/home/{ALICE}/a");
    assert_eq!((ask(&mut alice, "GET", &own, b"").status(), homes.minted()), (200, 1));
    let reload = |mapping: &str, scopes: &[&str]| {
        let count = || homes.metric("scopegate_config_reloads_total{result=\"ok\"}");
        let before = count();
        homes.proxy.reload(&config(&homes.minio, &homes.socket(), mapping, scopes));
        assert!(wait_for(|| (count() > before).then_some(())).is_some(), "{}", homes.proxy.stderr());
    };
    reload("identities = 5", &["home/{uid}/"]);
    assert_eq!(homes.metric("scopegate_identities{mapping=\"homes\"}"), 1);
    assert_eq!((ask(&mut alice, "GET", &own, b"").status(), homes.minted()), (200, 1));
    // Another prefix takes another session.
    reload("", &["files/{uid}/"]);
    assert_eq!(ask(&mut alice, "GET", &own, b"").status(), 403);
    assert_eq!(ask(&mut alice, "GET", &format!("/tmp/files/{ALICE}/a"), b"").text(), "moved");
    assert_eq!(homes.minted(), 2);
}

/// Hashes of "alice's" and "bob's" by `htpasswd -nbB -C 4`, which are quick to check.
const HASHES: [&str; 2] = [
    "$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6",
    "$2y$04$P1m6p1xXGbugfMFr0YWNEu1Ufe.cNV62M1F0xt/QpJPKj1Mu3mi.G",
];

/// Returns a configuration with these users of "alice's" password, and bob, and a home for each.
fn of_users(minio: &Minio, names: &[&str], limits: &str) -> String {
    let mut users = user("bob", &[HASHES[1]]);
    for name in names {
        users += &user(name, &[HASHES[0]]);
    }
    let text =
        declare::config(minio, "", &format!("{users}{limits}"), &[("homes", "user = \"*\"", "{user}/")]);
    text.replace("[\"read\"]", "[\"read\", \"list\", \"write\"]")
}

fn basic(user: &str) -> String {
    let password = if user == "bob" { "bob's" } else { "alice's" };
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn names_that_cannot_be_a_folder_are_refused_and_never_changed() {
    let (minio, issuer) = Minio::start_seeded();
    let hostile =
        ["a b", "..", "alice/", "a*", "al?ce", "${aws}", "alicé", "alice.", "%61lice", "xl.meta", "_a"];
    let proxy = start(&of_users(&minio, &[&["alice", "Alice"], &hostile[..]].concat(), ""), &issuer);
    minio.put("tmp/alice/a", b"of alice");
    let get = |name: &str, path: &str| {
        let login = basic(name);
        http::request(proxy.address("web"), "GET", path, &[("Authorization", &*login)], b"").unwrap()
    };
    assert_eq!(get("alice", "/tmp/alice/a").text(), "of alice");
    for other in ["Alice", "bob"] {
        assert_eq!(outcome(&get(other, "/tmp/alice/a")), "403 AccessDenied outside-scope");
    }
    for name in hostile {
        for path in ["/tmp/alice/a", "/tmp/", "/"] {
            let refused = get(name, path);
            assert_eq!(outcome(&refused), "403 AccessDenied identity-not-a-name", "{name} {path}");
            assert!(!refused.element("Message").unwrap().contains(name), "{name}");
        }
    }
    let count = 3 * hostile.len();
    let line =
        format!("scopegate_refusals_total{{mapping=\"homes\",rule=\"identity-not-a-name\"}} {count}\n");
    // A request is counted when its response has been written.
    let scrape = || http::get(proxy.address("admin"), "/metrics").unwrap().text();
    let metrics = wait_for(|| Some(scrape()).filter(|metrics| metrics.contains(&line)));
    let metrics = metrics.unwrap_or_else(|| panic!("no {line} in {}", scrape()));
    assert!(metrics.contains("scopegate_identities{mapping=\"homes\"} 3\n"), "{metrics}");
    assert!(!metrics.contains("alice") && !metrics.contains("bob"), "no identity is a label");
    let log = proxy.terminate().1;
    assert!(log.contains("is not a name: it holds only"), "{log}");
}

/// Requests of one identity count together, from whatever address, and those of two from one address do not.
#[test]
fn one_identity_leaves_places_for_another() {
    let (minio, issuer) = Minio::start_seeded();
    let limits = "[limits]\nrequests_per_mapping = 4\nqueue_per_mapping = 0\n";
    let proxy = start(&of_users(&minio, &["alice"], limits), &issuer);
    let web = proxy.address("web");
    let login = basic("alice");
    let headers = [("Authorization", &*login), ("Content-Length", "9")];
    let upload = request_bytes("PUT", "/tmp/alice/a", &headers, b"x");
    let open = || {
        let mut connection = Connection::open(web).unwrap();
        connection.send(&upload).unwrap();
        connection
    };
    let slow: Vec<Connection> = (0..3).map(|_| open()).collect();
    let is_running = || {
        let metrics = http::get(proxy.address("admin"), "/metrics").unwrap().text();
        metrics.contains("scopegate_requests_running{mapping=\"homes\"} 3\n").then_some(())
    };
    assert!(wait_for(is_running).is_some(), "{}", proxy.stderr());
    let from_elsewhere = |name: &str| {
        let mut other = from_another_address(web);
        let login = basic(name);
        let path = format!("/tmp/{name}/none");
        other
            .write_all(&request_bytes(
                "GET",
                &path,
                &[("Authorization", &*login), ("Connection", "close")],
                b"",
            ))
            .unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).unwrap();
        answer
    };
    let refused = from_elsewhere("alice");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("queue-full"), "{refused}");
    let login = basic("bob");
    let bob = http::request(web, "GET", "/tmp/bob/none", &[("Authorization", &*login)], b"").unwrap();
    assert_eq!(outcome(&bob), "404 NoSuchKey", "bob connects from the address of alice's slow requests");
    drop(slow);
}
