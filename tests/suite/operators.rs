//! Commands that operators run around the proxy: `init`, `check` with tests, `explain`, `health`, `man`.

use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::{binary, scopegate};
use crate::support::world::{World, config, corner};
use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const READER: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list")];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Returns exit code, stdout and stderr.
fn run(arguments: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = scopegate(arguments, env, b"");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Writes a configuration for a reader into a new folder.
fn configured(change: impl FnOnce(String) -> String) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let text = change(config(nowhere, nowhere, &[corner("reader", READER)], ""));
    let path = folder.path().join("proxy.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn init_writes_a_valid_configuration_and_never_overwrites() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mine.toml");
    let path = path.to_str().unwrap();
    let (code, out, err) = run(&["init", path], &[]);
    assert_eq!((code, &*out), (0, ""), "{err}");
    assert!(err.contains("scopegate check --without-secrets"), "{err}");
    let (code, out, err) = run(&["check", "--without-secrets", "--config", path], &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("configuration ok") && !out.contains("warning"), "{out}");
    let (code, _, err) = run(&["check", "--config", path], &[]);
    assert!(code == 78 && err.contains("SCOPEGATE_ACCESS_KEY is not set"), "{err}");

    fs::write(path, "mine").unwrap();
    let (code, _, err) = run(&["init", path], &[]);
    assert!(code == 1 && err.contains("exists already and is not overwritten"), "{err}");
    assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    let (code, _, err) = run(&["init", folder.path().join("none/x.toml").to_str().unwrap()], &[]);
    assert!(code == 1 && err.contains("create its folder first"), "{err}");
    let (code, out, _) = run(&["init", "-"], &[]);
    assert!(code == 0 && out.contains("[[mapping]]"), "{out}");
}

#[test]
fn systemd_credentials_are_needed_only_by_the_unit() {
    let (folder, path) = configured(|text| {
        text.replace("{ env = \"ISSUER_KEY\" }", "{ credential = \"access_key\" }")
            .replace("{ env = \"ISSUER_SECRET\" }", "{ credential = \"secret_key\" }")
    });
    for name in ["access_key", "secret_key"] {
        let file = folder.path().join(name);
        fs::write(&file, "issuer\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    }
    let unit = [("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())];
    assert_eq!(run(&["check", "--config", &path], &unit).0, 0);
    let (code, _, err) = run(&["check", "--config", &path], &[]);
    assert!(code == 78 && err.contains("CREDENTIALS_DIRECTORY is not set"), "{err}");
    assert!(err.contains("LoadCredential=access_key:"), "{err}");
    assert_eq!(run(&["check", "--without-secrets", "--config", &path], &[]).0, 0);
    let (code, _, err) = run(&["check", "--without-secrets", "--live", "--config", &path], &[]);
    assert!(code == 2 && err.contains("cannot be used with"), "{err}");
    fs::remove_file(folder.path().join("secret_key")).unwrap();
    let (code, _, err) = run(&["check", "--config", &path], &unit);
    assert!(code == 78 && err.contains("add LoadCredential=secret_key:"), "{err}");
}

#[test]
fn check_warns_of_likely_mistakes() {
    let env = [("ISSUER_KEY", "issuer"), ("ISSUER_SECRET", "not-for-the-log")];
    let (_folder, path) = configured(|text| text.replace("\"127.0.0.0/8\"", "\"10.0.0.0/8\""));
    let (code, out, _) = run(&["check", "--config", &path], &env);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("warning: the listener \"reader\" on 127.0.0.1:0 has no clients"), "{out}");

    let (_folder, path) = configured(|text| {
        text.replace("\"127.0.0.0/8\"", "\"0.0.0.0/0\"")
            .replace("address = \"127.0.0.1:0\"", "address = \"0.0.0.0:0\"")
    });
    let (_, out, _) = run(&["check", "--config", &path], &env);
    assert!(out.contains("warning: the admin listener on 0.0.0.0:0 is reached by everyone"), "{out}");

    let root = [("ISSUER_KEY", "minioadmin"), env[1]];
    let (_, out, _) = run(&["check", "--config", &path], &root);
    assert!(out.contains("warning: the issuer is root"), "{out}");

    let (_folder, path) =
        configured(|text| text.replace("[[listener]]", "[limits]\nconnections = 500\n[[listener]]"));
    let limited = |limit: &str| {
        let shell = format!("ulimit {limit}; exec \"$0\" check --without-secrets --config \"$1\"");
        let output = Command::new("sh").args(["-c", &shell]).arg(binary()).arg(&path).output().unwrap();
        said(&output)
    };
    // `serve` raises the soft limit.
    let (few, enough) = (limited("-n 128"), limited("-Sn 128"));
    assert!(
        few.contains("limits.connections is 500, which takes 564 file descriptors") && few.contains("128"),
        "{few}"
    );
    assert!(!enough.contains("file descriptors"), "{enough}");
}

#[test]
fn check_warns_of_an_issuer_with_root_rights() {
    let (minio, issuer) = Minio::start_seeded();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, config(minio.address, minio.address, &[corner("reader", READER)], "")).unwrap();
    let check = |access: &str, secret: &str| {
        let env = [("ISSUER_KEY", access), ("ISSUER_SECRET", secret)];
        run(&["check", "--live", "--config", path.to_str().unwrap()], &env)
    };
    let (code, out, err) = check(&minio.root.access_key, &minio.root.secret_key);
    assert!(code == 0 && out.contains("warning: the issuer is root"), "{out}{err}");
    let (code, out, err) = check(&issuer.access_key, &issuer.secret_key);
    assert!(code == 0 && out.contains("live ok") && !out.contains("warning"), "{out}{err}");
    let admin = minio.add_user(
        "admin-of-all",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*"]},
            {"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#,
    );
    let (code, out, err) = check(&admin.access_key, &admin.secret_key);
    assert!(
        code == 0 && out.contains("warning: the issuer is root, or may do all that root may"),
        "{out}{err}"
    );
}

#[test]
fn explain_serves_scripts_by_exit_code_and_json() {
    // `explain` needs no secret.
    let (_folder, path) = configured(|text| text);
    let explain = |words: &[&str]| run(&[&["explain", "--config", &path], words].concat(), &[]);
    let from = ["--from", "127.0.0.1"];
    for (expect, request, code) in [
        (None, "/tmp/media/a", 0),
        (None, "/tmp/other/a", 3),
        (Some("allowed"), "/tmp/media/a", 0),
        (Some("refused"), "/tmp/media/a", 1),
        (Some("refused"), "/tmp/other/a", 0),
        (Some("allowed"), "/tmp/other/a", 1),
        (Some("maybe"), "/tmp/other/a", 2),
    ] {
        let expect = expect.map(|expect| ["--expect", expect]).into_iter().flatten();
        let words: Vec<&str> = from.into_iter().chain(expect).chain(["GET", request]).collect();
        let (found, _, err) = explain(&words);
        assert_eq!(found, code, "{words:?}: {err}");
        assert_eq!(err.is_empty(), matches!(code, 0 | 3), "{words:?}: {err}");
    }
    let (code, out, _) = explain(&["--from", "10.0.0.1", "GET", "/tmp/media/a"]);
    assert!(code == 3 && out.contains("network: wants 127.0.0.0/8; found 10.0.0.1: does not hold"), "{out}");
    assert!(
        !explain(&from).1.contains("Statement")
            && explain(&["--mapping", "reader", "--policy"]).1.contains("Statement")
    );

    let json = |words: &[&str]| {
        let (_, out, err) = explain(&[&["--json"], words].concat());
        assert_eq!(out.lines().count(), 1, "{out}{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let allowed = json(&["--from", "127.0.0.1", "GET", "/tmp/media/a"]);
    assert_eq!((&allowed["allowed"], &allowed["mapping"]), (&true.into(), &"reader".into()));
    assert_eq!(allowed["scopes"][0]["allow"], serde_json::json!(["read", "list"]));
    assert_eq!(allowed["session"], "get");
    assert!(allowed["rule"].is_null() && allowed.get("policies").is_none(), "{allowed}");
    let refused = json(&["--from", "127.0.0.1", "GET", "/tmp/other/a"]);
    assert_eq!((&refused["allowed"], &refused["rule"]), (&false.into(), &"outside-scope".into()));
    assert_eq!((&refused["status"], &refused["code"]), (&403.into(), &"AccessDenied".into()));
    let nobody = json(&["--from", "10.0.0.1", "GET", "/tmp/media/a"]);
    assert_eq!((&nobody["allowed"], &nobody["rule"]), (&false.into(), &"no-mapping".into()));
    assert_eq!(nobody["passed_over"][0]["mapping"], "reader");
    let unasked = json(&["--mapping", "reader", "--policy"]);
    assert!(unasked["allowed"].is_null() && unasked["policies"]["get"]["Statement"].is_array(), "{unasked}");
}

/// `explain` predicts what the proxy does.
#[test]
fn explain_agrees_with_the_proxy() {
    let world = World::start(&[corner("reader", READER)]);
    let (_folder, path) = configured(|text| text);
    for (method, target, headers) in [
        ("GET", "/tmp/media/hello.txt", &[][..]),
        ("GET", "/tmp/other/secret.txt", &[]),
        ("GET", "/tmp/media/hello.txt", &[("Host", "evil.test")]),
        ("GET", "/tmp/media/hello.txt", &[("Sec-Fetch-Site", "cross-site")]),
        ("POST", "/tmp?delete", &[("Origin", "http://evil.test")]),
        ("GET", "/", &[("x-minio-a", "b")]),
        ("GET", "/", &[]),
        ("GET", "/?max-buckets=none", &[]),
        ("GET", "/tmp?list-type=2&prefix=media/", &[("Origin", "http://evil.test")]),
        ("PUT", "/tmp/media/x", &[]),
    ] {
        let answer = world.ask("reader", method, target, headers, b"");
        let mut words = vec!["explain", "--config", &path, "--json", "--from", "127.0.0.1"];
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        words.extend([method, target]);
        let explained: Value = serde_json::from_str(&run(&words, &[]).1).unwrap();
        let rule = explained["rule"].as_str().map(str::to_owned);
        assert_eq!(
            rule,
            answer.header("x-scopegate-rule").map(str::to_owned),
            "{method} {target} {headers:?}"
        );
        assert_eq!(explained["allowed"] == true, answer.status() < 400, "{method} {target} {headers:?}");
    }
}

/// The lines of a running proxy, in both formats, explain what it answered, by its own ids and by the store's.
#[test]
fn answered_requests_are_explained_from_the_log() {
    for format in ["text", "json"] {
        let world =
            World::start_with(&[corner("reader", READER)], &format!("[log]\nformat = \"{format}\"\n"));
        let (_folder, path) = configured(|text| text);
        let (_other, narrower) = configured(|text| text.replace("media/", "photos/"));
        // The request, the decision that the log tells, and the judgement by each configuration.
        let cases = [
            ("GET", "/tmp/media/hello.txt", "allowed; the response had status 200", "same", "different"),
            ("GET", "/tmp/media/missing", "its error code was NoSuchKey", "same", "different"),
            ("GET", "/tmp?list-type=2&prefix=media/", "operation: ListObjectsV2", "same", "different"),
            ("PUT", "/tmp/media/x", "refused by rule right-not-granted", "same", "different"),
            ("GET", "/tmp/other/x", "help: add a [[mapping.scope]] that covers this", "same", "same"),
        ];
        for (method, target, told, now, narrowed) in cases {
            let answer = world.ask("reader", method, target, &[], b"");
            let id = answer.header("x-amz-request-id").unwrap().to_owned();
            let log = wait_for(|| Some(world.proxy.stderr()).filter(|log| log.contains(&id))).unwrap();
            let explain = |path: &str, more: &[&str]| {
                let words = [&["explain", "--config", path, "--request-id", &id], more].concat();
                let Output { status, stdout, stderr } = scopegate(&words, &[], log.as_bytes());
                let text = |bytes| String::from_utf8(bytes).unwrap();
                assert_eq!(status.code(), Some(0), "{}", text(stderr));
                text(stdout)
            };
            let text = explain(&path, &[]);
            assert!(text.contains(told), "{format} {target}: {text}");
            for (path, expected) in [(&path, now), (&narrower, narrowed)] {
                let said = explain(path, &["--json", "--log", "-"]);
                let said: Value = serde_json::from_str(&said).unwrap();
                assert_eq!(said["would_be"], expected, "{format} {target}: {said:#}");
            }
        }
    }
    let (_folder, path) = configured(|text| text);
    let (code, _, err) = run(&["explain", "--config", &path, "--request-id", "0123456789ABCDEF"], &[]);
    assert!(
        code == 1 && err.contains("the log is empty: it has no request with the id 0123456789ABCDEF"),
        "{err}"
    );
    for (more, told) in [
        (&["--log", "/"][..], "cannot read the log /: is a directory"),
        (&["--from", "127.0.0.1"], "cannot be used with"),
        (&["GET", "/"], "cannot be used with"),
    ] {
        let words = [&["explain", "--config", &path, "--request-id", "0123456789ABCDEF"], more].concat();
        let (code, _, err) = run(&words, &[]);
        assert!(code == 2 && err.contains(told), "{more:?}: {err}");
    }
}

#[test]
fn check_runs_the_tests_of_a_configuration() {
    let (folder, path) = configured(|text| text);
    let tests = folder.path().join("tests.toml");
    let check = |text: &str| {
        fs::write(&tests, text).unwrap();
        run(&["check", "--without-secrets", "--config", &path, "--tests", tests.to_str().unwrap()], &[])
    };
    let good = "[[test]]\nname = \"media is readable\"\nfrom = \"127.0.0.1\"\nmapping = \"reader\"\n\
                request = \"GET /tmp/media/a\"\nexpect = \"allowed\"\n\
                [[test]]\nfrom = \"127.0.0.1\"\nrequest = \"GET /tmp/other/a\"\nexpect = \"refused\"\nrule = \"outside-scope\"\n\
                [[test]]\nfrom = \"10.0.0.1\"\nrequest = \"GET /tmp/media/a\"\nexpect = \"refused\"\nrule = \"no-mapping\"\n\
                [[test]]\nmapping = \"reader\"\nheaders = [\"host: evil.test\"]\nrequest = \"GET /tmp/media/a\"\nexpect = \"refused\"\n";
    let (code, out, err) = check(good);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("tests.toml:1: media is readable\n") && out.contains(":7: GET /tmp/other/a\n"),
        "{out}"
    );
    for (from, to, told) in [
        ("\"allowed\"", "\"refused\"", "expected a refusal, but it is allowed"),
        ("/tmp/media/a", "/tmp/a", "expected it to be allowed, but rule outside-scope refuses"),
        (
            "\"outside-scope\"",
            "\"no-mapping\"",
            "expected a refusal by rule no-mapping, but rule outside-scope refuses",
        ),
        (
            "mapping = \"reader\"",
            "mapping = \"writer\"",
            "expected the mapping \"writer\", but the client gets \"reader\"",
        ),
    ] {
        let (code, out, err) = check(&good.replacen(from, to, 1));
        assert!(code == 1 && err.contains("1 of the policy tests failed"), "{to}: {out}{err}");
        assert!(out.contains("WRONG test") && out.contains(told), "no {told:?} in {out}");
    }
    let (code, _, err) = check(&good.replacen("GET /tmp", "GET tmp", 1));
    assert!(code == 78 && err.contains("is not a request"), "{err}");
    let (code, _, err) = check("");
    assert!(code == 78 && err.contains("has no [[test]]"), "{err}");
    let (code, _, err) =
        check(&good.replacen("from = \"127.0.0.1\"", "from = \"127.0.0.1\"\nlistener = \"none\"", 1));
    assert!(code == 2 && err.contains("there is no listener \"none\""), "{err}");
}

#[test]
fn health_reports_the_running_proxy() {
    let (mut minio, issuer) = Minio::start_seeded();
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = config(minio.address, minio.address, &[corner("reader", READER)], "").replacen(
        "127.0.0.1:0",
        &format!("0.0.0.0:{port}"),
        1,
    );
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, &text).unwrap();
    let ask = |more: &[&str]| run(&[&["health", "--config", path.to_str().unwrap()], more].concat(), &[]);
    let (code, _, err) = ask(&[]);
    assert!(code == 1 && err.contains("no answer from http://127.0.0.1:"), "{err}");

    let proxy = Proxy::start(&text, &env);
    let address = proxy.address("admin");
    assert_eq!(address.port(), port);
    let ready = wait_for(|| Some(ask(&[])).filter(|(code, ..)| *code == 0)).unwrap();
    assert_eq!(ready, (0, "ok\n".to_owned(), String::new()));
    let named = [("SCOPEGATE_ADMIN_ADDRESS", &*format!("localhost:{port}"))];
    assert_eq!(run(&["health"], &named).0, 0);
    minio.stop();
    let down = wait_for(|| Some(ask(&[])).filter(|(code, ..)| *code == 1)).unwrap();
    assert!(down.2.contains("not ready (status 503)") && down.2.contains("no node answers"), "{}", down.2);
    assert_eq!(ask(&["--live"]).0, 0, "the process still responds");

    for (change, code, words) in [
        (text.replacen(&format!("0.0.0.0:{port}"), "127.0.0.1:0", 1), 78, "has port 0"),
        (text.replacen("[admin]\n", "[upstream.x]\n", 1), 78, "mistake"),
        (
            text.replacen(&format!("[admin]\naddress = \"0.0.0.0:{port}\"\n"), "", 1),
            78,
            "there is no [admin]",
        ),
    ] {
        fs::write(&path, change).unwrap();
        let (found, _, err) = ask(&[]);
        assert!(found == code && err.contains(words), "{found} {err}");
    }
    assert_eq!(run(&["health", "--timeout", "soon"], &[]).0, 2);
}

/// A terminal shows the page, a pipe gets its source.
#[test]
fn the_manual_is_shown_on_a_terminal() {
    let (code, roff, _) = run(&["man", "serve"], &[]);
    assert!(code == 0 && roff.contains(".TH") && roff.contains(".SH"), "{roff}");
    let shown = |path: &str| {
        let command = format!("{} man serve", binary().display());
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("PATH", path)
            .env("PAGER", "cat")
            .env("MANPAGER", "cat")
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        said(&output)
    };
    let path = std::env::var("PATH").unwrap();
    // Bold text is printed as each letter twice.
    let page: String = shown(&path).split('\u{8}').fold(String::new(), |mut text, part| {
        text.pop();
        text + part
    });
    assert!(page.contains("--config") && !page.contains(".SH") && !page.contains(".TH"), "{page}");
    // Without `man`, the help is shown. `script` itself needs a shell.
    let bin = TempDir::new().unwrap();
    for program in ["sh", "script"] {
        let real = std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|path| Path::is_file(path))
            .unwrap();
        std::os::unix::fs::symlink(real, bin.path().join(program)).unwrap();
    }
    let help = shown(bin.path().to_str().unwrap());
    assert!(help.contains("Usage: scopegate serve") && !help.contains(".SH"), "{help}");
}

#[test]
fn the_manual_has_a_page_for_the_configuration() {
    let output = scopegate(&["man", "proxy.toml"], &[], b"");
    let page = said(&output);
    assert!(output.status.success() && page.contains(".TH scopegate"), "{page}");
    assert!(page.contains("requests_per_mapping") && page.contains("1 to 1,000,000"), "{page}");
    let output = scopegate(&["man", "proxy.tml"], &[], b"");
    assert!(!output.status.success() && said(&output).contains("proxy.toml"), "{}", said(&output));
}
