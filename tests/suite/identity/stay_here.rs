//! Credentials that stay in Scopegate: the store and STS receive none of them, and no message shows a secret.

use super::declare::{hash, token, user};
use crate::streaming::SESSION;
use crate::support::http;
use crate::support::keys::Keys;
use crate::support::record::Recorder;
use crate::support::scopegate::scopegate;
use crate::support::sigv4::{Request, borrowed, signed};
use crate::support::world::{self, config, outcome};
use aws_smithy_types::base64;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";

/// Writes a secret to a file that only its owner can read.
fn secret_file(folder: &Path, secret: &str) -> PathBuf {
    let path = folder.join("secret");
    fs::write(&path, secret).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

/// Makes a key with `scopegate new-key`. Returns it with its section, whose secret is in `folder`.
fn new_key(name: &str, folder: &Path) -> (Keys, String) {
    let output = scopegate(&["new-key", name], &[], b"");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (lines, section) = text.split_once("\n\n").unwrap();
    let (access_key, secret) = lines.split_once('\n').unwrap();
    assert!(access_key == name && secret.len() == 40 && !section.contains(secret), "{section}");
    let suggested = format!("/run/secrets/{name}");
    assert!(section.contains(&suggested), "{section}");
    let path = secret_file(folder, &format!("{secret}\n"));
    let keys = Keys { secret_key: secret.to_owned(), ..Keys::random(name) };
    (keys, section.replace(&suggested, path.to_str().unwrap()))
}

/// Returns a mapping for these clients at the listener `web`.
fn mapping(client: &str) -> String {
    format!(
        "[[mapping]]\nname = \"all\"\nclient = {{ {client}, listener = \"web\" }}\n[[mapping.scope]]\n\
         bucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"read\", \"write\"]\n"
    )
}

const WEB: &str = "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nunknown_keys = \"refuse\"\n";

#[test]
fn the_store_and_sts_receive_no_credentials_of_clients() {
    let folder = TempDir::new().unwrap();
    let (key, key_section) = new_key("SGREPORTS", folder.path());
    let (bearer, token_section) = token("ci");
    let store = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let mappings = [
        mapping("user = [\"alice\"]"),
        mapping("token = [\"ci\"]").replace("\"all\"", "\"ci\""),
        mapping("key = [\"SGREPORTS\"]").replace("\"all\"", "\"reports\""),
    ]
    .concat();
    let user = user("alice", &[&hash(PASSWORD)]);
    let more = format!("{user}{token_section}\n{key_section}\n{WEB}{mappings}");
    let text = config(store.address(), sts.address(), &[], &more);
    let proxy = world::start(&text, &Keys::random("issuer"));
    let address = proxy.address("web");
    let host = address.to_string();
    let login = base64::encode(format!("alice:{PASSWORD}"));
    let ask = |method: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = http::request(address, method, "/tmp/inbox/a", headers, body).unwrap();
        assert_eq!(outcome(&answer), "200", "{method}\n{}", proxy.stderr());
    };
    let mut given = vec![login.clone(), PASSWORD.to_owned(), bearer.clone(), key.secret_key.clone()];
    for (method, body) in [("GET", &b""[..]), ("HEAD", b""), ("PUT", b"a body")] {
        ask(method, &[("authorization", &format!("Basic {login}"))], body);
        ask(method, &[("authorization", &format!("Bearer {bearer}"))], body);
        let request = Request { method, host: &host, target: "/tmp/inbox/a", headers: &[], body };
        let headers = signed(&key, "s3", &request);
        let authorization = &headers.iter().find(|(name, _)| name == "authorization").unwrap().1;
        given.push(authorization.rsplit_once("Signature=").unwrap().1.to_owned());
        ask(method, &borrowed(&headers), body);
    }
    given.extend(["SGREPORTS", "Basic ", "Bearer ", "alice"].map(str::to_owned));
    let requests: Vec<String> = [store.received(), sts.received()]
        .concat()
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    let all = requests.concat();
    assert_eq!(all.matches("/tmp/inbox/a HTTP/1.1").count(), 9, "each request reached the store");
    for secret in given {
        assert!(!all.contains(&secret), "{secret:?} in {all}");
    }
    let (_, log) = proxy.terminate();
    for secret in [&*login, PASSWORD, &bearer, &key.secret_key, "Signature="] {
        assert!(!log.contains(secret), "{secret:?} in {log}");
    }
}

#[test]
fn the_configuration_accepts_what_new_key_prints_and_refuses_short_secrets_without_showing_them() {
    let folder = TempDir::new().unwrap();
    let (_, section) = new_key("SGREPORTS", folder.path());
    let unused = "127.0.0.1:1".parse().unwrap();
    let more = format!("{section}\n{WEB}{}", mapping("key = [\"SGREPORTS\"]"));
    let file = folder.path().join("proxy.toml");
    fs::write(&file, config(unused, unused, &[], &more)).unwrap();
    let env = [("ISSUER_KEY", "issuer"), ("ISSUER_SECRET", "issuer-secret")];
    let check = || scopegate(&["check", "--config", file.to_str().unwrap()], &env, b"");
    let output = check();
    assert!(output.status.success(), "{output:?}");
    for (secret, is_accepted) in [("fifteen-is-less", false), ("sixteen-suffices", true)] {
        secret_file(folder.path(), secret);
        let output = check();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), is_accepted, "{said}");
        assert_eq!(said.contains("the secret key has 15 characters; at least 16 are needed"), !is_accepted);
        assert!(!said.contains(secret) && !said.contains("fifteen"), "{said}");
    }
}
