//! The Helm chart and the sidecar in `deploy/`: Kubernetes' own schemas accept the manifests, `scopegate check` the
//! configuration in them, and wrong values are refused.

use crate::support::programs;
use crate::support::scopegate::scopegate;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The installed helm does not know which Kubernetes it renders for.
const KUBERNETES: &str = "1.31.0";
const HOW: &str = "cargo xtask tools";

/// Values files with the kinds that they render, in the order of their names.
const VALUES: [(&str, &[&str]); 4] = [
    ("values.yaml", &["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"]),
    (
        "ci/monitored-values.yaml",
        &[
            "ConfigMap",
            "Deployment",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Service",
            "Service",
            "ServiceMonitor",
        ],
    ),
    ("ci/small-values.yaml", &["ConfigMap", "Deployment", "Service"]),
    ("ci/tls-values.yaml", &["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"]),
];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Runs helm on the chart. Returns `None` if helm is missing.
fn helm(command: &[&str], arguments: &[&str]) -> Option<Output> {
    let chart = deploy().join("helm/scopegate");
    let mut helm = Command::new(programs::find("helm", HOW)?);
    helm.args(command).arg(&chart).args(["--kube-version", KUBERNETES]).args(arguments).current_dir(chart);
    Some(helm.output().unwrap())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Renders the chart with a values file.
fn rendered(values: &str) -> Option<String> {
    let output = helm(&["template", "release"], &["--values", values, "--namespace", "data"])?;
    assert!(output.status.success(), "{values}: {}", said(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Returns the manifests of a file without those of the Prometheus operator, which Kubernetes' schemas do not describe.
fn own_to_kubernetes(manifests: &str) -> String {
    let documents = manifests.split("\n---").filter(|document| !document.contains("monitoring.coreos.com"));
    documents.collect::<Vec<_>>().join("\n---")
}

/// Validates manifests. An unknown key is a mistake.
fn validate(manifests: &str) -> Option<Result<(), String>> {
    let program = programs::find("charts/bin/kubernetes-validate", HOW)?;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("manifests.yaml");
    fs::write(&file, manifests).unwrap();
    let output = Command::new(program).args(["--strict"]).arg(&file).output().unwrap();
    Some(if output.status.success() { Ok(()) } else { Err(said(&output)) })
}

/// Returns the `proxy.toml` in a config map.
fn configuration(manifests: &str) -> String {
    let (_, text) = manifests.split_once("  proxy.toml: |").unwrap();
    let text = text.split_once('\n').unwrap().1;
    let lines = text.lines().take_while(|line| line.is_empty() || line.starts_with(' '));
    lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
}

#[test]
fn kubernetes_accepts_what_the_chart_renders_and_scopegate_its_configuration() {
    for (values, kinds) in VALUES {
        let Some(output) = helm(&["lint", "--strict"], &["--values", values]) else { return };
        assert!(output.status.success(), "{values}: {}", said(&output));
        let manifests = rendered(values).unwrap();
        let mut found: Vec<&str> = manifests.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
        found.sort_unstable();
        assert_eq!(found, kinds, "{values}");
        if let Some(Err(why)) = validate(&own_to_kubernetes(&manifests)) {
            panic!("{values}: {why}");
        }
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("proxy.toml");
        fs::write(&file, configuration(&manifests)).unwrap();
        let output = scopegate(&["check", "--without-secrets", "--config", file.to_str().unwrap()], &[], b"");
        assert!(output.status.success(), "{values}: {}", said(&output));
        for needed in
            ["readOnlyRootFilesystem: true", "runAsUser: 65532", "runAsNonRoot: true", "drop: [ALL]"]
        {
            assert!(manifests.contains(needed), "{values}: no {needed}");
        }
    }
}

/// `src/config/tests.rs` shows that the sidecar's limits fit its memory. The chart has the same of both.
#[test]
fn the_chart_has_the_limits_of_the_sidecar() {
    let read = |name: &str| fs::read_to_string(deploy().join(name)).unwrap();
    let (config, sidecar, values) =
        (read("kubernetes/proxy.toml"), read("kubernetes/sidecar.yaml"), read("helm/scopegate/values.yaml"));
    let (_, limits) = config.split_once("[limits]\n").unwrap();
    let limits: Vec<&str> = limits.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(limits.len(), 3, "{limits:?}");
    for line in limits {
        assert!(values.contains(&format!("\n  {line}\n")), "{line}");
    }
    for text in [sidecar, values] {
        assert!(text.contains("limits: { memory: 256Mi }\n"));
    }
}

#[test]
fn every_values_file_is_tested() {
    let listed = fs::read_dir(deploy().join("helm/scopegate/ci")).unwrap();
    let mut files: Vec<String> =
        listed.map(|entry| format!("ci/{}", entry.unwrap().file_name().into_string().unwrap())).collect();
    files.sort();
    let named: Vec<&str> =
        VALUES.iter().map(|(name, _)| *name).filter(|name| name.starts_with("ci/")).collect();
    assert_eq!(files, named);
}

#[test]
fn wrong_values_are_refused() {
    for (value, expected) in [
        ("replica=3", "replica"),
        ("replicas=0", "replicas"),
        ("replicas=two", "replicas"),
        ("image.repository=", "repository"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("issuer.secret=", "secret"),
        ("issuer.access_key=AKIA", "access_key"),
        ("upstream.endpoints=null", "endpoints"),
        ("upstream.endpoints={minio:9000}", "endpoints"),
        ("hosts={http://s3.example.test}", "hosts"),
        ("tls.clientCA=true", "clientCA"),
        ("service.type=Internal", "type"),
        ("service.port=80800", "port"),
        ("spool=3GB", "spool"),
        ("mappings=", "mappings"),
        ("root=[limits]", "root"),
        ("secrets.tls=other", "tls"),
        ("monitoring.interval=often", "interval"),
    ] {
        let Some(output) = helm(&["template", "release"], &["--set", value]) else { return };
        let text = said(&output);
        assert!(!output.status.success() && text.contains("schema"), "{value}: {text}");
        assert!(text.contains(expected), "{value}: {text}");
    }
}

/// Sidecars that start before the program need Kubernetes 1.29.
#[test]
fn kubernetes_accepts_the_sidecar() {
    let sidecar = fs::read_to_string(deploy().join("kubernetes/sidecar.yaml")).unwrap();
    let Some(valid) = validate(&sidecar) else { return };
    assert_eq!(valid, Ok(()));
    let wrong = sidecar.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
    assert!(validate(&wrong).unwrap().is_err_and(|why| why.contains("readOnlyRootFileSystem")));
}
