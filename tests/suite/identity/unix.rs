//! Clients of unix sockets, who are known by user and group: real processes of several users.

use crate::support::http::Connection;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::scopegate;
use crate::support::world::start;
use rustix::process::{Uid, getuid};
use rustix::thread::set_thread_res_uid;
use std::env;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use tempfile::TempDir;

/// Users and groups that no machine has. The kernel needs no names.
const ANNA: u32 = 2_100_000_001;
const BERT: u32 = 2_100_000_002;
const CARL: u32 = 2_100_000_003;
const STAFF: u32 = 2_100_000_010;
const GUESTS: u32 = 2_100_000_011;

/// Returns whether processes of other users can be started. If not, a test is skipped, or fails with `CI=true`.
fn can_be_others() -> bool {
    let is_root = getuid().is_root();
    let missing = "only root can start processes of other users";
    assert!(is_root || env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    if !is_root {
        eprintln!("not tested: {missing}");
    }
    is_root
}

/// A folder that every user can enter, for a socket.
fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("s3.sock");
    (folder, socket)
}

/// Returns a configuration with a listener on this socket, and a mapping of `tmp/PREFIX` for each condition.
fn config(minio: &Minio, socket: &Path, access: &str, mappings: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "[upstream]\nendpoints = [\"http://{}\"]\n[issuer]\naccess_key = {{ env = \"ISSUER_KEY\" }}\n\
         secret_key = {{ env = \"ISSUER_SECRET\" }}\n[[listener]]\nname = \"local\"\naddress = \"unix:{}\"\n{access}\n",
        minio.address,
        socket.display()
    );
    for (name, client, prefix) in mappings {
        let _ = write!(
            text,
            "[[mapping]]\nname = \"{name}\"\nclient = {{ {client} }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
             prefix = \"{prefix}\"\nallow = [\"read\"]\n"
        );
    }
    text
}

/// Runs curl as a user with this primary group and further groups. Returns the body and the status, which is 000 if the
/// connection was refused.
fn curl(socket: &Path, (uid, gid, groups): (u32, u32, &str), path: &str) -> String {
    let groups = if groups.is_empty() { "--clear-groups".to_owned() } else { format!("--groups={groups}") };
    let output = Command::new("setpriv")
        .args([format!("--reuid={uid}"), format!("--regid={gid}"), groups])
        .args(["curl", "--silent", "--write-out", "%{http_code}", "--unix-socket"])
        .arg(socket)
        .arg(format!("http://localhost{path}"))
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(complained.is_empty(), "setpriv: {complained}");
    String::from_utf8(output.stdout).unwrap()
}

/// Opens a connection as another user.
fn connect_as(uid: u32, socket: &Path) -> std::io::Result<Connection> {
    let socket = socket.to_owned();
    let connecting = move || {
        let uid = Uid::from_raw(uid);
        // Only this thread becomes the other user.
        set_thread_res_uid(uid, uid, uid).unwrap();
        Connection::open_unix(&socket)
    };
    thread::spawn(connecting).join().unwrap()
}

fn get(connection: &mut Connection, path: &str) -> u16 {
    connection.request("GET", path, &[], b"").unwrap().status()
}

const HELLO: &str = "/tmp/media/hello.txt";
const SECRET: &str = "/tmp/other/secret.txt";

#[test]
fn each_user_of_a_socket_gets_their_own_mapping() {
    if !can_be_others() {
        return;
    }
    let (minio, issuer) = Minio::start_seeded();
    let (_folder, socket) = folder();
    let mappings = [
        ("anna", format!("uid = {ANNA}"), "media/"),
        ("bert", format!("uid = [0, {BERT}]"), "other/"),
        ("staff", format!("gid = {STAFF}"), "media/"),
    ];
    let mappings: Vec<_> =
        mappings.iter().map(|(name, client, prefix)| (*name, &**client, *prefix)).collect();
    let proxy = start(&config(&minio, &socket, "mode = \"0666\"", &mappings), &issuer);
    let (anna, bert) = ((ANNA, GUESTS, ""), (BERT, GUESTS, ""));
    assert_eq!(curl(&socket, anna, HELLO), "hello, media\n200");
    assert!(curl(&socket, anna, SECRET).contains("<Code>AccessDenied</Code>"));
    assert_eq!(curl(&socket, bert, SECRET), "not for everyone\n200");
    assert!(curl(&socket, bert, HELLO).ends_with("403"));
    // A user without a mapping is refused, as a member of no group that has one.
    for carl in [(CARL, GUESTS, ""), (CARL, CARL, ""), (CARL, ANNA, "")] {
        for path in [HELLO, SECRET] {
            let refused = curl(&socket, carl, path);
            assert!(refused.contains("<Rule>no-mapping</Rule>") && refused.ends_with("403"), "{refused}");
        }
    }
    // The primary group counts, and others do not.
    assert_eq!(curl(&socket, (CARL, STAFF, ""), HELLO), "hello, media\n200");
    let member = curl(&socket, (CARL, GUESTS, &STAFF.to_string()), HELLO);
    assert!(member.contains("<Rule>no-mapping</Rule>"), "{member}");

    // Root is one of the users of a mapping here, and of no other.
    let mut root = Connection::open_unix(&socket).unwrap();
    assert_eq!((get(&mut root, HELLO), get(&mut root, SECRET)), (403, 200));
    // The process that connects counts, and not the one that a connection is passed on to.
    let mut passed_on = connect_as(ANNA, &socket).unwrap();
    assert_eq!((get(&mut passed_on, HELLO), get(&mut passed_on, SECRET)), (200, 403));
    let log = proxy.terminate().1;
    assert!(log.contains("mapping=\"anna\"") && log.contains("mapping=\"staff\""), "{log}");
}

#[test]
fn root_is_only_admitted_where_it_is_named() {
    if !can_be_others() {
        return;
    }
    let (minio, issuer) = Minio::start_seeded();
    let (_folder, socket) = folder();
    let mapping = format!("uid = {ANNA}");
    let _proxy = start(&config(&minio, &socket, "", &[("anna", &mapping, "media/")]), &issuer);
    let mut root = Connection::open_unix(&socket).unwrap();
    assert_eq!(get(&mut root, HELLO), 403);
}

/// Returns mode, owner and group of a file.
fn access(path: &Path) -> (u32, u32, u32) {
    let file = fs::symlink_metadata(path).unwrap();
    (file.mode() & 0o7777, file.uid(), file.gid())
}

#[test]
fn the_access_of_a_socket_decides_who_connects() {
    if !can_be_others() {
        return;
    }
    let (minio, issuer) = Minio::start_seeded();
    let (_folder, socket) = folder();
    let text = |access: &str| config(&minio, &socket, access, &[("all", "listener = \"local\"", "media/")]);
    let group = format!("mode = \"0660\"\nowner = {ANNA}\ngroup = {STAFF}");
    let proxy = start(&text(&group), &issuer);
    assert_eq!(access(&socket), (0o660, ANNA, STAFF));
    let (owner, member, guest) = ((ANNA, GUESTS, ""), (BERT, GUESTS, STAFF.to_string()), (CARL, GUESTS, ""));
    let member = (member.0, member.1, &*member.2);
    let may_connect = |who| curl(&socket, who, HELLO);
    assert_eq!(may_connect(owner), "hello, media\n200");
    assert_eq!(may_connect(member), "hello, media\n200");
    assert_eq!(may_connect(guest), "000");

    let mut open = connect_as(ANNA, &socket).unwrap();
    proxy.reload(&text(&format!("mode = \"0600\"\nowner = {CARL}")));
    assert!(wait_for(|| (access(&socket) == (0o600, CARL, 0)).then_some(())).is_some(), "{}", proxy.stderr());
    assert_eq!(may_connect(guest), "hello, media\n200");
    assert_eq!((may_connect(owner), may_connect(member)), ("000".to_owned(), "000".to_owned()));
    assert_eq!(get(&mut open, HELLO), 200, "an open connection stays open");
    assert!(!proxy.stderr().contains("not reloaded"), "{}", proxy.stderr());
}

#[test]
fn a_proxy_that_may_not_give_its_socket_away_says_so() {
    if !can_be_others() {
        return;
    }
    let minio = Minio::start();
    let (folder, socket) = folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let text =
        config(&minio, &socket, &format!("owner = {BERT}"), &[("all", "listener = \"local\"", "media/")]);
    let file = folder.path().join("proxy.toml");
    fs::write(&file, text).unwrap();
    let output = Command::new("setpriv")
        .args([format!("--reuid={ANNA}"), format!("--regid={STAFF}"), "--clear-groups".to_owned()])
        .arg(crate::support::scopegate::binary())
        .args(["serve", "--config"])
        .arg(&file)
        .env("ISSUER_KEY", "none")
        .env("ISSUER_SECRET", "none")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains(&format!("cannot give the socket to owner {BERT}")), "{told}");
    assert!(told.contains("only root may change the owner"), "{told}");
    assert!(!socket.exists(), "it is not left behind");
}

#[test]
fn an_inherited_socket_must_have_the_access_of_its_listener() {
    let (minio, issuer) = Minio::start_seeded();
    let (_folder, path) = folder();
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
    let text = |access: &str| config(&minio, &path, access, &[("all", "listener = \"local\"", "media/")]);
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let inherit = |access: &str| {
        let socket = ("local", socket.try_clone().unwrap().into());
        Proxy::start_inheriting(crate::support::scopegate::binary(), socket, &text(access), &env)
    };
    for same in ["mode = \"0660\"", ""] {
        let proxy = inherit(same);
        assert_eq!(get(&mut Connection::open_unix(&path).unwrap(), HELLO), 200);
        proxy.reload(&text("mode = \"0600\""));
        let told = || proxy.stderr().contains("restart to change its mode, owner or group").then_some(());
        assert!(wait_for(told).is_some(), "{}", proxy.stderr());
        assert_eq!(access(&path).0, 0o660);
    }
    let other = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inherit("mode = \"0600\"")));
    let told = *other.err().unwrap().downcast::<String>().unwrap();
    assert!(told.contains("has mode 0660") && told.contains("SocketMode="), "{told}");
}

#[test]
fn check_knows_the_accounts_of_this_machine() {
    let minio_address: std::net::SocketAddr = "127.0.0.1:9".parse().unwrap();
    let (folder, socket) = folder();
    let check = |access: &str, client: &str, arguments: &[&str]| {
        let text = format!(
            "[upstream]\nendpoints = [\"http://{minio_address}\"]\n[issuer]\naccess_key = {{ env = \"ISSUER_KEY\" }}\n\
             secret_key = {{ env = \"ISSUER_SECRET\" }}\n[[listener]]\nname = \"local\"\naddress = \"unix:{}\"\n{access}\n\
             [[mapping]]\nname = \"all\"\nclient = {{ {client} }}\n[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\n\
             allow = [\"read\"]\n",
            socket.display()
        );
        let file = folder.path().join("proxy.toml");
        fs::write(&file, text).unwrap();
        let env = [("ISSUER_KEY", "none"), ("ISSUER_SECRET", "none")];
        let arguments = [&["check", "--config", file.to_str().unwrap()], arguments].concat();
        let output = scopegate(&arguments, &env, b"");
        let said = [&output.stdout[..], &output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    let (code, said) = check("group = \"root\"", "uid = [\"root\"], gid = [\"root\"]", &[]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = check("", "uid = [\"nobody-of-this-name\"]", &[]);
    assert!(
        code == 78 && said.contains("there is no user \"nobody-of-this-name\" on this machine"),
        "{said}"
    );
    let (code, said) = check("", "uid = [\"nobody-of-this-name\"]", &["--without-secrets"]);
    assert_eq!(code, 0, "the accounts may be those of another machine: {said}");
    let (code, said) = check("", "uid = [\"nobody\"]", &["--without-secrets"]);
    assert!(code == 78 && said.contains("proves nothing"), "{said}");
    let (_, said) = check("mode = \"0666\"", "listener = \"local\"", &[]);
    assert!(said.contains("every user of this machine may connect to the listener \"local\""), "{said}");
}
