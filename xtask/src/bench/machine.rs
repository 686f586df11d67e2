//! The machine and the programs of a run.

use super::programs::{Programs, version};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Returns the lines of a list.
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
            "load average before the run: {}",
            read("/proc/loadavg").split_whitespace().next().unwrap_or("unknown")
        ),
        format!("commit: {}", output(workspace, "git", &["describe", "--always", "--dirty"])),
    ];
    for (name, binary) in builds {
        lines.push(format!("{name}: {}", version(binary, "--version")));
    }
    lines.extend(programs.versions());
    lines.push(version(minio, "--version"));
    if let Err(why) = &programs.envoy {
        lines.push(format!("Envoy: **not measured**, {}", why.lines().next().unwrap_or_default()));
    }
    lines
}

/// Returns the output of a program, or "unknown".
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
    line.map_or("unknown processor", |(_, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_processor() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n"), "A CPU @ 2 GHz");
        assert_eq!(processor("Features : fp\n"), "unknown processor");
    }
}
