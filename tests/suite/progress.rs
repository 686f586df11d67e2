//! Progress of commands: shown on a terminal, and nowhere else.

use crate::support::minio::Minio;
use crate::support::scopegate::{binary, scopegate};
use crate::support::world::{config, corner};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Runs a command line on a terminal of its own. Returns whether it succeeded, and what the terminal received.
fn on_a_terminal(line: &str, env: &[(&str, &str)]) -> (bool, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", line, "/dev/null"]).env("TERM", "xterm");
    let output = script.envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn get_shows_its_progress_on_a_terminal_only() {
    let (minio, issuer) = Minio::start_seeded();
    minio.put("tmp/media/large", &vec![b'x'; 20_000_000]);
    let endpoint = format!("http://{}", minio.address);
    let env = [("SCOPEGATE_ACCESS_KEY", &*issuer.access_key), ("SCOPEGATE_SECRET_KEY", &*issuer.secret_key)];
    let arguments = ["token", "--endpoint", &endpoint, "--bucket", "tmp", "--prefix", "media/"];
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("token"), scopegate(&arguments, &env, b"").stdout).unwrap();
    let is_whole = |file: &Path| fs::metadata(file).is_ok_and(|file| file.len() == 20_000_000);
    let token = path("token");
    let get = format!("{} get tmp/media/large --token {}", binary().display(), token.display());

    let bar = "of 19.07 MiB";
    for (line, out, is_shown) in [
        (format!("{get} -o {}", path("a").display()), "a", true),
        (format!("{get} > {}", path("b").display()), "b", true),
        (format!("{get} -o {} 2> {}", path("c").display(), path("err").display()), "c", false),
    ] {
        let (is_ok, shown) = on_a_terminal(&line, &[]);
        assert!(is_ok && is_whole(&path(out)), "{line}: {shown}");
        assert_eq!(shown.contains(bar), is_shown, "{line}: {shown:?}");
    }
    assert_eq!(fs::read_to_string(path("err")).unwrap(), "", "stderr is a file");
    // A bar would be in the middle of an object that the terminal shows.
    let (is_ok, shown) = on_a_terminal(&get, &[]);
    assert!(is_ok && shown.len() >= 20_000_000 && !shown.contains(bar));

    let piped = scopegate(&["get", "tmp/media/large", "--token", token.to_str().unwrap()], &[], b"");
    assert_eq!((piped.stdout.len(), piped.stderr), (20_000_000, Vec::new()));
}

#[test]
fn check_live_shows_its_progress_on_a_terminal_only() {
    let (minio, issuer) = Minio::start_seeded();
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let scopes = [("tmp", "media/", "read,list,write")];
    let text = config(minio.address, minio.address, &[corner("one", &scopes), corner("two", &scopes)], "");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, text).unwrap();
    let line = format!("{} check --live --config {}", binary().display(), path.display());
    let (is_ok, shown) = on_a_terminal(&line, &env);
    assert!(is_ok && shown.contains("live ok"), "{shown}");
    for progress in ["mapping 1 of 2: one", "mapping 2 of 2: two: tmp/media/ "] {
        assert!(shown.contains(progress), "no {progress:?}: {shown:?}");
    }
    let last = shown.lines().map(|line| line.rsplit('\r').next().unwrap_or_default());
    assert!(last.clone().any(|line| line.contains("ok mapping \"two\"")), "{shown:?}");

    let piped = scopegate(&["check", "--live", "--config", path.to_str().unwrap()], &env, b"");
    let (out, err) = (String::from_utf8_lossy(&piped.stdout), String::from_utf8_lossy(&piped.stderr));
    assert!(piped.status.success() && err.is_empty(), "{err}");
    assert!(!out.contains("mapping 1 of 2") && !out.contains(['\u{1b}', '\r']), "{out}");
}
