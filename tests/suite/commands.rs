//! Commands as an operator runs them: the README's walkthrough on a real MinIO, and messages about mistakes.

use crate::support::http;
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::scopegate::scopegate;
use crate::support::world::{config, corner};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use tempfile::TempDir;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn token(minio: &Minio, issuer: &Keys, more: &[&str]) -> Output {
    let endpoint = format!("http://{}", minio.address);
    let arguments = [&["token", "--endpoint", &endpoint, "--bucket", "tmp"], more].concat();
    let env = [("SCOPEGATE_ACCESS_KEY", &*issuer.access_key), ("SCOPEGATE_SECRET_KEY", &*issuer.secret_key)];
    scopegate(&arguments, &env, b"")
}

/// Checks that the command failed with this exit code and these words on stderr, nothing on stdout, and no secret.
fn fails(output: &Output, code: i32, words: &[&str], secrets: &[&str]) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{err}");
    assert_eq!(out, "", "{err}");
    for word in words {
        assert!(err.contains(word), "no {word:?} in {err}");
    }
    for secret in secrets {
        assert!(!err.contains(secret), "a secret in {err}");
    }
}

#[test]
fn a_token_lists_and_gets_only_its_place() {
    let (minio, issuer) = Minio::start_seeded();
    for prefix in ["media/", "media/*"] {
        let made = token(&minio, &issuer, &["--prefix", prefix]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let json: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(
            (&json["Version"], &json["Bucket"], &json["Prefix"]),
            (&1.into(), &"tmp".into(), &"media/".into())
        );
        let listed = scopegate(&["ls", "tmp/media/"], &[], &made.stdout);
        assert_eq!(text(&listed.stdout), "tmp/media/hello.txt\n", "{}", text(&listed.stderr));
        let got = scopegate(&["get", "tmp/media/hello.txt"], &[], &made.stdout);
        assert_eq!(text(&got.stdout), "hello, media\n", "{}", text(&got.stderr));
        let secrets = [
            json["SecretAccessKey"].as_str().unwrap(),
            json["SessionToken"].as_str().unwrap(),
            json["AccessKeyId"].as_str().unwrap(),
        ];
        for command in [
            &["ls", "tmp/other/"][..],
            &["ls", "tmp"],
            &["get", "tmp/other/secret.txt"],
            &["ls", "tmp/media"],
        ] {
            let refused = scopegate(command, &[], &made.stdout);
            fails(
                &refused,
                1,
                &["AccessDenied", "the token covers only tmp/media/ (read,list)", "scopegate token"],
                &secrets,
            );
        }
        minio.revoke_sessions("stsadmin");
        for command in [&["ls", "tmp/media/"][..], &["get", "tmp/media/hello.txt"]] {
            let dead = scopegate(command, &[], &made.stdout);
            fails(&dead, 1, &["InvalidAccessKeyId", "revoked", "scopegate token --endpoint"], &secrets);
        }
        let expired =
            text(&made.stdout).replace(json["Expiration"].as_str().unwrap(), "2020-01-01T00:00:00Z");
        let dead = scopegate(&["ls", "tmp/media/"], &[], expired.as_bytes());
        fails(&dead, 1, &["InvalidAccessKeyId", "the token expired at 2020-01-01T00:00:00Z"], &secrets);
    }
}

#[test]
fn a_denial_within_the_token_blames_its_issuer() {
    let (minio, issuer) = Minio::start_seeded();
    let made = token(&minio, &issuer, &["--prefix", "media/"]);
    minio.disable_user("stsadmin");
    for command in [&["ls", "tmp/media/"][..], &["ls"], &["get", "tmp/media/hello.txt"]] {
        let denied = scopegate(command, &[], &made.stdout);
        fails(&denied, 1, &["AccessDenied", "issuer is disabled or removed", "mc admin user enable"], &[]);
        assert!(!text(&denied.stderr).contains("covers only"), "{}", text(&denied.stderr));
    }
    let elsewhere = scopegate(&["get", "tmp/other/secret.txt"], &[], &made.stdout);
    fails(&elsewhere, 1, &["the token covers only tmp/media/ (read,list)"], &[]);
    // If the token does not allow the request, the issuer is not to blame.
    minio.enable_user("stsadmin");
    let made = token(&minio, &issuer, &["--prefix", "media/", "--allow", "list"]);
    let denied = scopegate(&["get", "tmp/media/hello.txt"], &[], &made.stdout);
    fails(&denied, 1, &["the token covers only tmp/media/ (list)"], &[]);
}

#[test]
fn ls_defaults_to_one_level_of_the_tokens_place() {
    let (minio, issuer) = Minio::start_seeded();
    minio.put("tmp/media/sub/deep/b", b"x");
    minio.put("tmp/media/sub/a", b"x");
    let made = token(&minio, &issuer, &["--prefix", "media/"]);
    let level = "tmp/media/hello.txt\ntmp/media/sub/\n";
    let all = "tmp/media/hello.txt\ntmp/media/sub/a\ntmp/media/sub/deep/b\n";
    for (arguments, expected) in [
        (&["ls"][..], level),
        (&["ls", "tmp/media/"], level),
        (&["ls", "tmp/media/*"], level),
        (&["ls", "tmp/media/h"], "tmp/media/hello.txt\n"),
        (&["ls", "--recursive"], all),
        (&["ls", "-r", "tmp/media/*"], all),
        (&["ls", "-r", "tmp/media/sub/deep/"], "tmp/media/sub/deep/b\n"),
    ] {
        let listed = scopegate(arguments, &[], &made.stdout);
        assert_eq!(text(&listed.stdout), expected, "{arguments:?}: {}", text(&listed.stderr));
        assert_eq!(listed.status.code(), Some(0), "{arguments:?}");
    }
    let lines = text(&scopegate(&["ls", "--json"], &[], &made.stdout).stdout);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["Key"], &lines[0]["Size"]), (&"media/hello.txt".into(), &13.into()));
    assert!(lines[0]["LastModified"].as_str().unwrap().ends_with('Z'));
    assert_eq!(lines[1], serde_json::json!({ "Bucket": "tmp", "Prefix": "media/sub/" }));

    fails(
        &scopegate(&["ls", "tmp/media/none"], &[], &made.stdout),
        1,
        &["no key begins with tmp/media/none"],
        &[],
    );
    fails(
        &scopegate(&["ls", "tmp/media/*.txt"], &[], &made.stdout),
        2,
        &["is a pattern", "--recursive"],
        &[],
    );
    let empty = token(&minio, &issuer, &["--prefix", "empty/"]);
    for arguments in [&["ls"][..], &["ls", "tmp/empty/"]] {
        let listed = scopegate(arguments, &[], &empty.stdout);
        assert_eq!((listed.status.code(), &*text(&listed.stdout)), (Some(0), ""), "{}", text(&listed.stderr));
    }
    let env = text(&token(&minio, &issuer, &["--prefix", "media/", "--format", "env"]).stdout);
    let names: Vec<&str> =
        env.lines().filter_map(|line| line.strip_prefix("export ")?.split('=').next()).collect();
    assert!(names.contains(&"AWS_CREDENTIAL_EXPIRATION"), "{names:?}");
}

#[test]
fn ls_lists_all_pages() {
    let (minio, issuer) = Minio::start_seeded();
    let mut connection = http::Connection::open(minio.address).unwrap();
    let mut expected: Vec<String> = (0..1100).map(|number| format!("tmp/media/many/{number:04} ü")).collect();
    for key in &expected {
        let target = format!("/{}", key.replace(' ', "%20").replace('ü', "%C3%BC"));
        let request = crate::support::sigv4::Request {
            method: "PUT",
            host: &minio.address.to_string(),
            target: &target,
            headers: &[],
            body: b"x",
        };
        let signed = crate::support::sigv4::signed(&minio.root, "s3", &request);
        let answer =
            connection.request("PUT", &target, &crate::support::sigv4::borrowed(&signed), b"x").unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    expected.sort();
    let made = token(&minio, &issuer, &["--prefix", "media/"]);
    let listed = scopegate(&["ls", "tmp/media/many/"], &[], &made.stdout);
    assert_eq!(
        text(&listed.stdout).lines().map(str::to_owned).collect::<Vec<_>>(),
        expected,
        "{}",
        text(&listed.stderr)
    );
    let long = scopegate(&["ls", "--long", "tmp/media/hello.txt"], &[], &made.stdout);
    assert!(text(&long.stdout).contains("13 2"), "{}", text(&long.stdout));
    let got = scopegate(&["get", "tmp/media/many/0007 ü"], &[], &made.stdout);
    assert_eq!(text(&got.stdout), "x", "{}", text(&got.stderr));
}

/// A hostile store cannot control the terminal that its messages are printed on.
#[test]
fn hostile_messages_cannot_control_the_terminal() {
    let hostile = "\u{1b}[2J\u{9b}1m\u{202e}";
    let document =
        format!("<Error><Code>No{hostile}Code</Code><Message>no{hostile}message</Message></Error>");
    let list = format!(
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>media/a</Key>\
         <LastModified>2026{hostile}</LastModified><Size>1</Size></Contents></ListBucketResult>"
    );
    for (status, body, command) in [
        ("404 Not Found", &document, &["get", "tmp/media/a"][..]),
        ("404 Not Found", &document, &["ls", "tmp/media/"]),
        ("200 OK", &list, &["ls", "--long", "tmp/media/"]),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let store = Canned::answer(answer);
        let token = serde_json::json!({
            "Version": 1, "AccessKeyId": "key", "SecretAccessKey": "secret", "SessionToken": "token",
            "Expiration": "2999-01-01T00:00:00Z", "Endpoint": store.url, "Region": "us-east-1",
            "Bucket": "tmp", "Prefix": "media/", "Allow": ["read", "list"],
        });
        let output = scopegate(command, &[], token.to_string().as_bytes());
        store.done();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("No␛[2J") || said.contains(" - tmp/media/a"), "{command:?}: {said:?}");
        let bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!said.contains(bad), "{command:?}: {said:?}");
    }
}

#[test]
fn get_writes_a_complete_file_or_none() {
    let (minio, issuer) = Minio::start_seeded();
    let content = vec![b'x'; 3_000_000];
    minio.put("tmp/media/large", &content);
    let made = token(&minio, &issuer, &["--prefix", "media/"]);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("out");
    let out = path.to_str().unwrap();
    std::fs::write(&path, "before").unwrap();
    fails(&scopegate(&["get", "tmp/media/none", "-o", out], &[], &made.stdout), 1, &["NoSuchKey"], &[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");

    // The store breaks off in the middle.
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\nhalf";
    let breaking = Canned::answer(answer);
    let elsewhere = text(&made.stdout).replace(&format!("http://{}", minio.address), &breaking.url);
    let broken = scopegate(&["get", "tmp/media/large", "-o", out], &[], elsewhere.as_bytes());
    breaking.done();
    fails(&broken, 1, &["the transfer broke off"], &[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    // The server is not a store.
    let other = Canned::answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let elsewhere = text(&made.stdout).replace(&format!("http://{}", minio.address), &other.url);
    let refused = scopegate(&["get", "tmp/media/large", "-o", out], &[], elsewhere.as_bytes());
    other.done();
    fails(&refused, 1, &["status 404 and no S3 error", "Endpoint"], &[]);
    let nowhere = folder.path().join("none/out");
    fails(
        &scopegate(&["get", "tmp/media/large", "-o", nowhere.to_str().unwrap()], &[], &made.stdout),
        1,
        &["create its folder first"],
        &[],
    );

    assert!(scopegate(&["get", "tmp/media/large", "-o", out], &[], &made.stdout).status.success());
    assert!(std::fs::read(&path).unwrap() == content);
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["out"], "the temporary file is removed");
}

#[test]
fn explains_why_a_token_cannot_be_made() {
    let (minio, issuer) = Minio::start_seeded();
    let secrets = [&*issuer.secret_key];
    let wrong_secret = Keys { secret_key: "wrong-secret".into(), ..issuer.clone() };
    fails(
        &token(&minio, &wrong_secret, &["--prefix", "media/"]),
        1,
        &["signature", "secret_key"],
        &["wrong-secret"],
    );
    let unknown = Keys { access_key: "nobody".into(), ..issuer.clone() };
    fails(&token(&minio, &unknown, &["--prefix", "media/"]), 1, &["does not exist", "access_key"], &secrets);
    for (arguments, word) in [
        (&["--prefix", "media"][..], "--prefix: a prefix ends in '/'"),
        (&["--prefix", "me*ia/"], "wildcards"),
        (&["--prefix", "media/", "--duration", "5m"], "--duration"),
        (&["--prefix", "media/", "--allow", "raed"], "is not a right"),
        (&["--prefix", &*format!("{}/", "x".repeat(249)).repeat(4)], "MinIO takes 2048"),
    ] {
        fails(&token(&minio, &issuer, arguments), 2, &[word], &secrets);
    }
    minio.disable_user("stsadmin");
    fails(
        &token(&minio, &issuer, &["--prefix", "media/"]),
        1,
        &["disabled", "mc admin user enable"],
        &secrets,
    );
    let nowhere = scopegate(
        &["token", "--endpoint", "http://127.0.0.1:1", "--bucket", "tmp", "--prefix", "media/"],
        &[("SCOPEGATE_ACCESS_KEY", "a"), ("SCOPEGATE_SECRET_KEY", "hush-hush")],
        b"",
    );
    fails(&nowhere, 1, &["cannot be reached", "check the endpoint"], &["hush-hush"]);
    let no_keys = scopegate(
        &["token", "--endpoint", "http://127.0.0.1:1", "--bucket", "tmp", "--prefix", "media/"],
        &[],
        b"",
    );
    fails(&no_keys, 2, &["SCOPEGATE_ACCESS_KEY"], &[]);
    let elsewhere = Canned::answer("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    let no_sts = scopegate(
        &["token", "--endpoint", &elsewhere.url, "--bucket", "tmp", "--prefix", "media/"],
        &[("SCOPEGATE_ACCESS_KEY", "a"), ("SCOPEGATE_SECRET_KEY", "hush-hush")],
        b"",
    );
    elsewhere.done();
    fails(&no_sts, 1, &["status 405", "name the store's S3 port"], &["hush-hush"]);
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (path, word) in [(empty.as_path(), "empty is empty"), (folder.path(), "is a directory")] {
        let file = path.to_str().unwrap();
        let refused = token(&minio, &issuer, &["--prefix", "media/", "--secret-key-file", file]);
        fails(&refused, 2, &[word, file], &secrets);
    }
    for (input, word) in [("", "it is empty"), ("{}", "--format json"), ("hush-hush", "not JSON")] {
        fails(
            &scopegate(&["ls", "tmp/media/"], &[], input.as_bytes()),
            2,
            &["no token", word],
            &["hush-hush"],
        );
    }
}

#[test]
fn refuses_a_world_writable_token() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hush-hush").unwrap();
    let path = file.path().to_str().unwrap();
    for (mode, words) in [
        (0o600, ["no token", "it is not JSON"]),
        (0o644, ["no token", "it is not JSON"]),
        (0o646, ["has mode 0646: every user of this machine may change it", "chmod o-w "]),
    ] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for command in [&["ls", "tmp/media/", "--token", path], &["get", "tmp/media/a", "--token", path]] {
            fails(&scopegate(command, &[], b""), 2, &words, &["hush-hush"]);
        }
    }
}

#[test]
fn check_reports_each_mistake_with_its_place() {
    let (mut minio, issuer) = Minio::start_seeded();
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let folder = TempDir::new().unwrap();
    let check = |config: &str, more: &[&str], env: &[(&str, &str)]| {
        let path = folder.path().join("proxy.toml");
        std::fs::write(&path, config).unwrap();
        scopegate(&[&["check", "--config", path.to_str().unwrap()], more].concat(), env, b"")
    };
    let scopes = [("tmp", "media/", "read,list"), ("tmp", "inbox/", "read,write,delete")];
    let good = config(minio.address, minio.address, &[corner("client", &scopes)], "");
    let checked = check(&good, &["--live"], &env);
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
    for word in [
        "configuration ok",
        "ok mapping \"client\": sessions get, list, put, delete until",
        "ok tmp/inbox/ write",
        "MINIO_IDLE_TIMEOUT",
        "live ok",
    ] {
        assert!(text(&checked.stdout).contains(word), "{}", text(&checked.stdout));
    }
    let bad = good.replace("\"media/\"", "\"media\"").replace("[admin]", "[admn]");
    let refused = check(&bad, &[], &env);
    fails(
        &refused,
        78,
        &[
            "2 mistakes",
            "error: unknown key \"admn\"",
            "proxy.toml:1:2\n",
            "did you mean \"admin\"?",
            "a prefix ends in '/'",
        ],
        &[&issuer.secret_key],
    );
    let open = good.replace("{ env = \"ISSUER_SECRET\" }", "\"hush-hush\" # or hush-hush");
    fails(
        &check(&open, &[], &env),
        78,
        &["error: secret_key is in plain text", "secret_key = *********** * ** *********\n"],
        &["hush", "\u{1b}"],
    );
    fails(&check(&good, &[], &[]), 78, &["ISSUER_KEY is not set", "ISSUER_SECRET is not set"], &[]);
    fails(
        &scopegate(&["check", "--config", "/nowhere/proxy.toml"], &[], b""),
        78,
        &["cannot read /nowhere/proxy.toml"],
        &[],
    );
    fails(
        &scopegate(&["serve", "--config", "/nowhere/proxy.toml"], &[], b""),
        78,
        &["cannot read /nowhere/proxy.toml"],
        &[],
    );

    let live = |config: &str, env: &[(&str, &str)], words: &[&str]| {
        let checked = check(config, &["--live"], env);
        let said = text(&checked.stdout) + &text(&checked.stderr);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert!(!said.contains(&*issuer.secret_key));
    };
    live(&good, &[env[0], ("ISSUER_SECRET", "not-this-one")], &["WRONG mapping \"client\"", "secret_key"]);
    live(
        &good.replace("bucket = \"tmp\"", "bucket = \"absent\""),
        &env,
        &["WRONG absent/media/ list", "NoSuchBucket"],
    );
    let reader = minio.add_user("reader", crate::support::minio::READ_ONLY);
    let reader = [("ISSUER_KEY", &*reader.access_key), ("ISSUER_SECRET", &*reader.secret_key)];
    live(
        &good,
        &reader,
        &["WRONG tmp/inbox/ write", "the issuer's own policy does not allow this", "ok tmp/media/ read"],
    );
    // A dead node is reported once, for all mappings and rights.
    let corners = [corner("client", &scopes), corner("other", &scopes)];
    let two = config(minio.address, minio.address, &corners, "");
    let node = format!("endpoints = [\"http://{}\"", minio.address);
    assert!(two.contains(&node), "{two}");
    let checked = check(&two.replace(&node, &format!("{node}, \"http://127.0.0.1:1\"")), &["--live"], &env);
    let said = text(&checked.stdout) + &text(&checked.stderr);
    assert_eq!(said.matches("WRONG").count(), 1, "{said}");
    for word in [
        "WRONG http://127.0.0.1:1 cannot be reached: Connection refused",
        "all other checks of it are left out",
        "scopegate: 1 of the live checks failed",
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(said.matches("ok tmp/inbox/ write").count(), 2, "{said}");
    // A server without a configured region accepts any.
    minio.mc(&["admin", "config", "set", "local", "region", "name=eu-central-1"]);
    minio.restart();
    live(&good, &env, &["the region is wrong", "correct region"]);
    let corrected =
        check(&good.replace("[upstream]", "[upstream]\nregion = \"eu-central-1\""), &["--live"], &env);
    assert!(corrected.status.success(), "{}{}", text(&corrected.stdout), text(&corrected.stderr));
}

#[test]
fn serve_fails_if_an_address_is_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("proxy.toml");
    let good = config(address, address, &[corner("client", &[("tmp", "media/", "read")])], "");
    let env = [("ISSUER_KEY", "issuer"), ("ISSUER_SECRET", "not-for-the-log")];
    let listener = format!("name = \"client\"\naddress = \"{address}\"");
    std::fs::write(&path, good.replace("name = \"client\"\naddress = \"127.0.0.1:0\"", &listener)).unwrap();
    let output = scopegate(&["serve", "--config", path.to_str().unwrap()], &env, b"");
    fails(
        &output,
        1,
        &["listener \"client\" cannot bind", &address.to_string(), "stop the program that uses it"],
        &[],
    );
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&["man", "token"], 0),
        (&["man", "nonsense"], 2),
        (&["serve", "--nonsense"], 2),
        (&["nonsense"], 2),
    ] {
        let output = scopegate(arguments, &[], b"");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty());
    }
    assert!(text(&scopegate(&["man", "token"], &[], b"").stdout).contains("secret\\-key\\-file"));
    assert!(text(&scopegate(&["man", "nonsense"], &[], b"").stderr).contains("the commands are: serve, "));
}

/// A command that cannot write its output reports it and does not panic.
#[test]
fn a_full_disk_is_reported() {
    for arguments in [&["completions", "bash"][..], &["man"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = std::process::Command::new(crate::support::scopegate::binary())
            .args(arguments)
            .stdout(full)
            .output()
            .unwrap();
        fails(&output, 1, &["cannot write", "No space left"], &[]);
    }
}

/// A server that always gives the same response.
struct Canned {
    url: String,
    thread: std::thread::JoinHandle<()>,
}

impl Canned {
    fn answer(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Self { url, thread }
    }

    fn done(self) {
        self.thread.join().unwrap();
    }
}
