//! The systemd units in `deploy/`, as `systemd-analyze` judges them.

use crate::support::programs;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const SERVICE: &str = include_str!("../../deploy/systemd/scopegate.service");
const SOCKET: &str = include_str!("../../deploy/systemd/scopegate.socket");
const HOW: &str = "apt-get install systemd";

/// Returns the level of exposure of a unit, from 0 to 10, or `None` if systemd-analyze is missing.
fn exposure(service: &str) -> Option<f32> {
    let folder = TempDir::new().unwrap();
    let unit = folder.path().join("scopegate.service");
    fs::write(&unit, service).unwrap();
    let mut analyze = Command::new(programs::find("systemd-analyze", HOW)?);
    let output = analyze.args(["security", "--offline=true", "--no-pager"]).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, level) =
        said.split_once("exposure level for scopegate.service: ").unwrap_or_else(|| panic!("{said}"));
    Some(level.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn the_service_is_confined() {
    let Some(level) = exposure(SERVICE) else { return };
    assert!(level <= 1.5, "systemd-analyze security says {level}");
    let open = SERVICE.replace("ProtectSystem=strict\n", "").replace("CapabilityBoundingSet=\n", "");
    let open = open.replace("NoNewPrivileges=yes\n", "");
    assert!(exposure(&open).unwrap() > 1.5, "a unit without these settings");
}

/// Debian 12 has systemd 252, which takes `notify-reload` for `simple`.
#[test]
fn systemd_understands_every_line() {
    assert!(SERVICE.contains("\nType=notify\n") && SERVICE.contains("\nExecReload=kill -HUP $MAINPID\n"));
    let Some(analyze) = programs::find("systemd-analyze", HOW) else { return };
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let verify = |service: &str| {
        // The program and its manual are not installed here.
        let service = service.replace("=scopegate ", &format!("={} ", program.display()));
        let service = service.replace("Documentation=man:scopegate(1)\n", "");
        for (name, text) in [("scopegate.service", &*service), ("scopegate.socket", SOCKET)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let units = ["scopegate.service", "scopegate.socket"].map(|name| folder.path().join(name));
        let output = Command::new(&analyze).arg("verify").args(units).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let about = |said: &str| {
        said.lines().filter(|line| line.contains("scopegate")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(about(&verify(SERVICE)), [""; 0]);
    assert!(
        !about(&verify(&SERVICE.replace("ProtectClock=", "ProtectClocks="))).is_empty(),
        "a misspelt setting"
    );
}

/// A `changelog` of the package with another version would name the package wrongly.
#[test]
fn the_package_has_the_version_of_the_program() {
    let changelog = include_str!("../../deploy/debian/changelog");
    let expected = format!("scopegate ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&expected), "{changelog}");
    let chart =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/scopegate/Chart.yaml"));
    assert!(chart.unwrap().contains(&format!("\nappVersion: {}\n", env!("CARGO_PKG_VERSION"))));
}
