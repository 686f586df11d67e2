//! Child processes on a core of their own, and what the kernel counts for them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// A process with its children. All of them end when this is dropped, and when this program dies.
pub(crate) struct Tree {
    child: Child,
    /// Its own id first.
    ids: Vec<u32>,
}

/// A command that runs `program` on one core, and gets SIGTERM should this program die.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &core.to_string()]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Puts this program's main thread, and all that it starts from now on, on one core.
///
/// # Errors
/// Where the kernel does not allow it.
pub(crate) fn stay_on_core(core: usize) -> Result<(), String> {
    quiet("taskset", &["--pid", "--cpu-list", &core.to_string(), &std::process::id().to_string()])
}

/// Lets this program and its children open as many files as they may.
///
/// # Errors
/// Where that is fewer than 12,000.
pub(crate) fn raise_file_limit() -> Result<(), String> {
    let limits =
        fs::read_to_string("/proc/self/limits").map_err(|error| format!("/proc/self/limits: {error}"))?;
    let hard = hard_file_limit(&limits).ok_or("/proc/self/limits has no limit of open files")?;
    if hard < 12_000 {
        return Err(format!(
            "10,000 connections need 12,000 open files, and the hard limit is {hard}: raise it (ulimit -Hn)"
        ));
    }
    let limit = hard.min(40_000);
    quiet("prlimit", &["--pid", &std::process::id().to_string(), &format!("--nofile={limit}:{hard}")])
}

fn hard_file_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let hard = line.split_whitespace().nth(1)?;
    if hard == "unlimited" { Some(u64::MAX) } else { hard.parse().ok() }
}

/// Runs a command for its effect.
fn quiet(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

impl Tree {
    /// Starts a command.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start(mut command: Command) -> Result<Self, String> {
        let child = command.spawn().map_err(|error| {
            format!("cannot start {}: {error}", command.get_args().last().unwrap_or(OsStr::new("")).display())
        })?;
        let ids = vec![child.id()];
        Ok(Self { child, ids })
    }

    /// The process that was started.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Looks for the children that it has by now.
    pub(crate) fn find_children(&mut self) {
        let mut ids = vec![self.child.id()];
        let parents: Vec<(u32, u32)> = processes().collect();
        let mut next = 0;
        while let Some(parent) = ids.get(next).copied() {
            ids.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
            next += 1;
        }
        self.ids = ids;
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The time on a core of all threads of all its processes.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let mut nanoseconds = 0;
        for id in &self.ids {
            let threads = format!("/proc/{id}/task");
            let listed = fs::read_dir(&threads).map_err(|error| format!("{threads}: {error}"))?;
            for thread in listed.flatten() {
                let file = thread.path().join("schedstat");
                let text =
                    fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                nanoseconds += on_a_core(&text).ok_or_else(|| format!("{}: {text:?}", file.display()))?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The memory of all its processes in KiB, shared pages divided among those who share them.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub(crate) fn memory(&self) -> Result<u64, String> {
        let of = |id: &u32| {
            let file = format!("/proc/{id}/smaps_rollup");
            let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            proportional(&text).ok_or_else(|| format!("{file} has no Pss"))
        };
        self.ids.iter().map(of).sum()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _gone_already = quiet("kill", &["-TERM", &self.child.id().to_string()]);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let living = processes().map(|(id, _)| id).filter(|id| self.ids.iter().skip(1).any(|own| own == id));
        for id in living.collect::<Vec<_>>() {
            let _gone_already = quiet("kill", &["-KILL", &id.to_string()]);
        }
    }
}

/// Every process and its parent.
fn processes() -> impl Iterator<Item = (u32, u32)> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    listed.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((id, parent(&stat)?))
    })
}

/// The parent in `/proc/PID/stat`; the name before it may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The first figure of `schedstat`, in nanoseconds.
fn on_a_core(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

fn proportional(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        assert_eq!(parent("7 (a) b) S 42 7 7 0"), Some(42));
        assert_eq!(on_a_core("174272 1448481 2\n"), Some(174_272));
        assert_eq!(
            proportional("00400000-7ffc rollup\nRss:   9 kB\nPss:     1234 kB\nPss_Dirty: 5 kB\n"),
            Some(1234)
        );
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024   20000   files\n";
        assert_eq!(hard_file_limit(limits), Some(20_000));
    }

    #[test]
    fn a_tree_has_its_children_and_ends_with_them() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & wait"]).stdin(Stdio::null());
        let mut tree = Tree::start(command).unwrap();
        let found = crate::support::process::wait_for(|| {
            tree.find_children();
            (tree.ids.len() == 2).then_some(())
        });
        assert!(found.is_some());
        assert!(tree.memory().unwrap() > 0 && tree.cpu().unwrap() > Duration::ZERO);
        let sleeper = tree.ids[1];
        drop(tree);
        assert!(
            crate::support::process::wait_for(|| {
                let stat = fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
                (stat.is_empty() || stat.contains(") Z ")).then_some(())
            })
            .is_some()
        );
    }
}
