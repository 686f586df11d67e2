//! The Compose file in `deploy/`: its set-up, run on the real MinIO, and its configuration in front of it.

use crate::support::http;
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::programs;
use crate::support::proxy::Proxy;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SETUP: &str = include_str!("../../deploy/compose/setup.sh");
const CONFIG: &str = include_str!("../../deploy/compose/proxy.toml");
const COMPOSE: &str = include_str!("../../deploy/compose/compose.yaml");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose")
}

/// Replaces what names the containers. Each must occur.
fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no {from:?} in {text}");
        text.replace(from, to)
    })
}

/// Runs `setup.sh` as the service `setup` does. Returns whether it succeeded, and what it said.
fn set_up(minio: &Minio, secret: &str) -> (bool, String) {
    let home = TempDir::new().unwrap();
    let policy = folder().join("issuer-policy.json");
    let script = replaced(
        SETUP,
        &[
            ("http://minio:9000", &format!("http://{}", minio.address)),
            ("root-admin", &minio.root.access_key),
            ("/issuer-policy.json", policy.to_str().unwrap()),
        ],
    );
    let mc = PathBuf::from(std::env::var_os("MC_BIN").unwrap());
    let path = format!("{}:{}", mc.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("PATH", path)
        .env("HOME", home.path())
        .env("MC_CONFIG_DIR", home.path())
        .env("MINIO_ROOT_PASSWORD", &minio.root.secret_key)
        .env("ISSUER_SECRET", secret)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_set_up_makes_what_the_configuration_needs() {
    let minio = Minio::start();
    let issuer = Keys::random("stsadmin");
    // The second run is that of a second `docker compose up`.
    for _ in 0..2 {
        let (is_done, said) = set_up(&minio, &issuer.secret_key);
        assert!(is_done, "{said}");
    }
    let config = replaced(
        CONFIG,
        &[
            ("http://minio:9000", &format!("http://{}", minio.address)),
            ("0.0.0.0:8080", "127.0.0.1:0"),
            ("127.0.0.1:9180", "127.0.0.1:0"),
            // The client of a test is not in a container network.
            ("\"10.0.0.0/8\"", "\"127.0.0.0/8\""),
        ],
    );
    assert!(COMPOSE.contains("SCOPEGATE_ACCESS_KEY: stsadmin\n"));
    let env = [("SCOPEGATE_ACCESS_KEY", "stsadmin"), ("SCOPEGATE_SECRET_KEY", &*issuer.secret_key)];
    let proxy = Proxy::start(&config, &env);
    let client = proxy.address("published");
    let hello = http::get(client, "/tmp/media/hello.txt").unwrap();
    assert_eq!((hello.status(), &*hello.text()), (200, "Hello from MinIO.\n"));
    for (method, target, status) in
        [("PUT", "/tmp/inbox/a", 200), ("GET", "/tmp/inbox/a", 200), ("PUT", "/tmp/media/a", 403)]
    {
        let answer = http::request(client, method, target, &[("host", "scopegate")], b"a").unwrap();
        assert_eq!(answer.status(), status, "{method} {target}: {}", answer.text());
    }
}

#[test]
fn the_set_up_fails_if_the_issuer_cannot_be_made() {
    let minio = Minio::start();
    let (is_done, said) = set_up(&minio, "short");
    assert!(!is_done, "MinIO refuses secrets of less than 8 characters: {said}");
}

#[test]
fn docker_compose_accepts_the_file_and_names_missing_secrets() {
    let Some(program) = programs::find("docker-compose", "apt-get install docker-compose") else { return };
    let config = |secrets: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--file", "compose.yaml", "config", "--quiet"]).current_dir(folder());
        command.env_remove("MINIO_ROOT_PASSWORD").env_remove("ISSUER_SECRET");
        command.envs(secrets.iter().map(|name| (*name, "a-long-secret"))).output().unwrap()
    };
    let output = config(&["MINIO_ROOT_PASSWORD", "ISSUER_SECRET"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for given in ["MINIO_ROOT_PASSWORD", "ISSUER_SECRET"] {
        let output = config(&[given]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("choose one of 8 characters or more"), "{said}");
    }
}

/// The container of MinIO has the versions that the tests run.
#[test]
fn the_versions_are_those_of_the_tests() {
    let tools = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("xtask/src/tools.rs")).unwrap();
    let containerfile = fs::read_to_string(folder().join("minio.Containerfile")).unwrap();
    let packages: Vec<&str> =
        containerfile.lines().filter_map(|line| line.strip_prefix("RUN go install ")).collect();
    assert_eq!(packages.len(), 2, "{containerfile}");
    for package in packages {
        assert!(tools.contains(&format!("\"{package}\"")), "xtask/src/tools.rs installs another {package}");
    }
}
