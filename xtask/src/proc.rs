//! Figures that the kernel keeps for processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Returns whether this process has the user id of root.
pub(crate) fn runs_as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Returns the resident memory of a process in KiB.
///
/// # Errors
/// The process has ended, or the kernel does not report it.
pub(crate) fn resident_kib(id: u32) -> Result<u64, String> {
    kib_of(&format!("/proc/{id}/status"), "VmRSS")
}

/// Returns the memory of a process in KiB. A page that several processes share counts in parts.
///
/// # Errors
/// The process has ended, or the kernel does not report it.
pub(crate) fn proportional_kib(id: u32) -> Result<u64, String> {
    kib_of(&format!("/proc/{id}/smaps_rollup"), "Pss")
}

/// Returns the CPU time of all threads of a process.
///
/// # Errors
/// The process has ended, or the kernel does not report it.
pub(crate) fn cpu_time(id: u32) -> Result<Duration, String> {
    let threads = format!("/proc/{id}/task");
    let listed = fs::read_dir(&threads).map_err(|error| format!("cannot read {threads}: {error}"))?;
    let mut nanoseconds = 0;
    for thread in listed.flatten() {
        let file = thread.path().join("schedstat");
        nanoseconds += on_cpu(&read(&file)?).ok_or_else(|| format!("{} has no CPU time", file.display()))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Returns every process and its parent.
pub(crate) fn processes() -> impl Iterator<Item = (u32, u32)> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    listed.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((id, parent(&stat)?))
    })
}

/// Returns the hard limit of open files of this process.
///
/// # Errors
/// The kernel does not report it.
pub(crate) fn hard_file_limit() -> Result<u64, String> {
    let file = "/proc/self/limits";
    hard_limit(&read(file.as_ref())?, "Max open files")
        .ok_or_else(|| format!("{file} has no limit of open files"))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn kib_of(file: &str, name: &str) -> Result<u64, String> {
    kib(&read(file.as_ref())?, name).ok_or_else(|| format!("{file} has no {name}"))
}

/// Returns the figure in a line `NAME:   1234 kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Returns the parent in `/proc/PID/stat`. The name before it may contain spaces and parentheses.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Returns the first figure of `schedstat`: nanoseconds on a CPU.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

fn hard_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let hard = line.split_whitespace().nth(1)?;
    if hard == "unlimited" { Some(u64::MAX) } else { hard.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_files_of_the_kernel() {
        assert_eq!(parent("7 (a) b) S 42 7 7 0"), Some(42));
        assert_eq!(on_cpu("174272 1448481 2\n"), Some(174_272));
        assert_eq!(
            kib("00400000-7ffc rollup\nRss:   9 kB\nPss_Dirty: 5 kB\nPss:     1234 kB\n", "Pss"),
            Some(1234)
        );
        assert_eq!(kib("Name:\tzombie\n", "VmRSS"), None);
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024   20000   files\n";
        assert_eq!(hard_limit(limits, "Max open files"), Some(20_000));
    }

    #[test]
    fn reads_the_figures_of_this_process() {
        let id = std::process::id();
        assert!(resident_kib(id).unwrap() > 0 && proportional_kib(id).unwrap() > 0);
        assert!(cpu_time(id).unwrap() > Duration::ZERO && hard_file_limit().unwrap() > 0);
        assert!(processes().any(|(process, _)| process == id));
    }
}
