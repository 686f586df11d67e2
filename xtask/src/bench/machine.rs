//! On what was measured, and with what.

use super::programs::{Programs, said};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Lines of a list, each `what: which`.
pub(crate) fn describe(
    workspace: &Path,
    programs: &Programs,
    minio: &Path,
    builds: &[(String, &Path)],
) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mut lines = vec![
        format!("date: {}", output(workspace, "date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        format!("machine: {cores} cores, {}", processor(&read("/proc/cpuinfo"))),
        format!("kernel: Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        format!(
            "load average before it: {}",
            read("/proc/loadavg").split_whitespace().next().unwrap_or("unknown")
        ),
        format!("commit: {}", output(workspace, "git", &["describe", "--always", "--dirty"])),
    ];
    for (name, binary) in builds {
        lines.push(format!("{name}: {}", said(binary, "--version")));
    }
    lines.extend(programs.versions());
    lines.push(said(minio, "--version"));
    if let Err(why) = &programs.envoy {
        lines.push(format!("Envoy: **left out**, {}", why.lines().next().unwrap_or_default()));
    }
    lines
}

/// The first line that a program prints, or that it did not.
fn output(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn processor(cpuinfo: &str) -> &str {
    let name = |line: &'_ str| line.split_once(':').is_some_and(|(name, _)| name.trim() == "model name");
    let line = cpuinfo.lines().find(|line| name(line)).and_then(|line| line.split_once(':'));
    line.map_or("of an unknown kind", |(_, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_found() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n"), "A CPU @ 2 GHz");
        assert_eq!(processor("Features : fp\n"), "of an unknown kind");
    }
}
