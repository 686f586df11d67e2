//! The S3 clients and programs of `tests/clients` that are installed into `target/tools`.

use crate::cargo::tools_folder;
use crate::command::run;
use crate::console::announce;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The module that s5cmd is built from. `go install` with a version would also ask the module proxy for all versions,
/// which not every proxy answers.
const S5CMD: &str = "module build\n\ngo 1.22\n\nrequire github.com/peak/s5cmd/v2 v2.3.0\n";

/// Virtual environments and their requirements.
const PYTHON: [(&str, &str); 3] = [
    ("clients", "requirements.txt"),
    ("clients-s3fs", "requirements-s3fs.txt"),
    ("clients-programs", "requirements-programs.txt"),
];

/// The versions of the AWS SDK for Java: an old one, which many programs still contain, and a current one.
const JAVA: [&str; 2] = ["2.17.295", "2.58.0"];

/// Pinned, because the version that an old Maven picks may be unable to fetch the jars.
const COPY_JARS: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Reports whether `cargo test` with these arguments runs the test of clients.
pub(crate) fn are_tested(arguments: &[OsString]) -> bool {
    let options: Vec<&str> = arguments
        .iter()
        .map_while(|argument| argument.to_str().filter(|argument| *argument != "--"))
        .collect();
    let names_others = ["--test", "--lib", "--bin", "--bins", "--doc", "--bench", "--benches", "--example"];
    options.contains(&"clients") || !options.iter().any(|option| names_others.contains(option))
}

/// Installs the clients that are missing. The test itself decides whether it can do without one.
pub(crate) fn set_up(workspace: &Path) {
    let tools = tools_folder(workspace);
    for (name, requirements) in PYTHON {
        let requirements = workspace.join("tests/clients").join(requirements);
        if let Err(error) = python(&tools.join(name), &requirements) {
            announce(&format!("cannot install the Python clients of {}: {error}", requirements.display()));
        }
    }
    if let Err(error) = s5cmd(&tools) {
        announce(&format!("cannot build s5cmd: {error}"));
    }
    if let Err(error) = node(&tools.join("node"), &workspace.join("tests/clients/node")) {
        announce(&format!("cannot install the SDKs and viewers for JavaScript: {error}"));
    }
    for version in JAVA {
        if let Err(error) = java(&tools.join("java").join(version), workspace, version) {
            announce(&format!("cannot fetch the SDK for Java {version}: {error}"));
        }
    }
}

/// Installs the packages of a lock file unless they are there.
fn node(folder: &Path, wanted: &Path) -> Result<(), String> {
    let lock = wanted.join("package-lock.json");
    let stamp = Stamp::new(folder, &lock)?;
    if stamp.is_current() {
        return Ok(());
    }
    announce("installing the SDKs and viewers for JavaScript (some seconds, once)");
    let failed = |error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(wanted.join(name), folder.join(name)).map_err(failed)?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
    // pdf.js would install a canvas of 30 MB, which only Node.js needs.
    run(npm.arg("--omit=optional").current_dir(folder))?;
    stamp.write()
}

/// Fetches the jars of one version of the SDK unless they are there.
fn java(folder: &Path, workspace: &Path, version: &str) -> Result<(), String> {
    let project = workspace.join("tests/clients/java/pom.xml");
    let stamp = Stamp::new(folder, &project)?;
    if stamp.is_current() {
        return Ok(());
    }
    announce(&format!("fetching the SDK for Java {version} (some seconds, once)"));
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "--file"]).arg(&project).arg(format!("-Dsdk={version}"));
    let mut output = OsString::from("-DoutputDirectory=");
    output.push(folder);
    run(maven.arg(COPY_JARS).arg(output).arg("-DincludeScope=runtime"))?;
    stamp.write()
}

/// Marks a folder as complete with a copy of the file that lists its contents.
struct Stamp {
    path: PathBuf,
    wanted: Vec<u8>,
}

impl Stamp {
    fn new(folder: &Path, wanted: &Path) -> Result<Self, String> {
        let read = fs::read(wanted).map_err(|error| format!("{}: {error}", wanted.display()))?;
        Ok(Self { path: folder.join("installed"), wanted: read })
    }

    fn is_current(&self) -> bool {
        fs::read(&self.path).is_ok_and(|installed| installed == self.wanted)
    }

    fn write(&self) -> Result<(), String> {
        fs::write(&self.path, &self.wanted).map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// Creates a virtual environment unless one with these requirements is there.
///
/// # Errors
/// Python or pip fails.
pub(crate) fn python(environment: &Path, requirements: &Path) -> Result<(), String> {
    let stamp = Stamp::new(environment, requirements)?;
    if stamp.is_current() {
        return Ok(());
    }
    announce(&format!("installing the programs of {} (a minute, once)", requirements.display()));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(pip.arg(requirements))?;
    stamp.write()
}

fn s5cmd(tools: &Path) -> Result<(), String> {
    let place = tools.join("s5cmd");
    if place.is_file() {
        return Ok(());
    }
    announce("building s5cmd (half a minute, once)");
    let folder = tools.join(format!("build-s5cmd-{}", std::process::id()));
    let failed = |error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("go.mod"), S5CMD)).map_err(failed)?;
    let mut go = Command::new("go");
    go.args(["build", "-mod=mod", "-o", "s5cmd", "github.com/peak/s5cmd/v2"]).current_dir(&folder);
    let built = run(go.env("GO111MODULE", "on").env("GOWORK", "off"))
        .and_then(|()| fs::rename(folder.join("s5cmd"), &place).map_err(failed));
    let _left_over = fs::remove_dir_all(&folder);
    built
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_clients_only_if_they_are_tested() {
        for (line, expected) in [
            ("", true),
            ("--test clients", true),
            ("-- --nocapture", true),
            ("--test suite", false),
            ("--lib -- clients", false),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(are_tested(&arguments), expected, "{line}");
        }
    }
}
