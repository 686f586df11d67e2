//! Child processes on a core of their own, and their CPU time and memory.

use crate::proc;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// The open files of a process with 10,000 connections and some more.
const MIN_FILES: u64 = 12_000;
/// More than any section needs.
const MAX_FILES: u64 = 40_000;

/// A process and its children. They are ended when this is dropped or this program dies.
pub(crate) struct Tree {
    child: Child,
    /// The id of the process, then those of its children.
    ids: Vec<u32>,
}

/// Returns a command that runs `program` on one core and gets SIGTERM if this program dies.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &core.to_string()]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Moves the main thread of this program to one core. Everything that it starts later inherits the core.
///
/// # Errors
/// The kernel does not allow it.
pub(crate) fn stay_on_core(core: usize) -> Result<(), String> {
    quiet("taskset", &["--pid", "--cpu-list", &core.to_string(), &std::process::id().to_string()])
}

/// Raises the limit of open files of this program and its children.
///
/// # Errors
/// The hard limit is too low.
pub(crate) fn raise_file_limit() -> Result<(), String> {
    let hard = proc::hard_file_limit()?;
    if hard < MIN_FILES {
        return Err(format!(
            "10,000 connections need {MIN_FILES} open files, but the hard limit is {hard}; \
            raise it, for example with `ulimit -Hn {MIN_FILES}` as root"
        ));
    }
    let limit = hard.min(MAX_FILES);
    quiet("prlimit", &["--pid", &std::process::id().to_string(), &format!("--nofile={limit}:{hard}")])
}

/// Runs a command and shows its output only if it fails.
fn quiet(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}` failed: {}", arguments.join(" "), stderr.trim()))
}

impl Tree {
    /// Starts a command.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(mut command: Command) -> Result<Self, String> {
        let child = command.spawn().map_err(|error| {
            format!("cannot start {}: {error}", command.get_args().last().unwrap_or(OsStr::new("")).display())
        })?;
        let ids = vec![child.id()];
        Ok(Self { child, ids })
    }

    /// Returns the process that was started.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Updates the list of children. Processes start their children some time after they were started themselves.
    pub(crate) fn find_children(&mut self) {
        let mut ids = vec![self.child.id()];
        let parents: Vec<(u32, u32)> = proc::processes().collect();
        let mut next = 0;
        while let Some(parent) = ids.get(next).copied() {
            ids.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
            next += 1;
        }
        self.ids = ids;
    }

    /// Reports whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns the CPU time of all its processes.
    ///
    /// # Errors
    /// A process has ended, or the kernel does not report it.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        self.ids.iter().copied().map(proc::cpu_time).sum()
    }

    /// Returns the memory of all its processes in KiB.
    ///
    /// # Errors
    /// A process has ended, or the kernel does not report it.
    pub(crate) fn memory(&self) -> Result<u64, String> {
        self.ids.iter().copied().map(proc::proportional_kib).sum()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ended_already = quiet("kill", &["-TERM", &self.child.id().to_string()]);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let children = self.ids.iter().skip(1);
        let living: Vec<u32> = proc::processes().map(|(id, _)| id).collect();
        for id in children.filter(|id| living.contains(id)) {
            let _ended_already = quiet("kill", &["-KILL", &id.to_string()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::process::wait_for;
    use std::fs;

    #[test]
    fn children_are_counted_and_end_with_their_parent() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & wait"]).stdin(Stdio::null());
        let mut tree = Tree::start(command).unwrap();
        let found = wait_for(|| {
            tree.find_children();
            (tree.ids.len() == 2).then_some(())
        });
        assert!(found.is_some());
        assert!(tree.memory().unwrap() > 0 && tree.cpu().unwrap() > Duration::ZERO);
        let sleeper = tree.ids[1];
        drop(tree);
        let ended = wait_for(|| {
            let stat = fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
        assert!(ended.is_some());
    }
}
