//! Commands that tasks run.

use std::process::{Command, ExitStatus, Stdio};

/// Runs a command without input and waits for its end.
///
/// # Errors
/// It cannot be started, or it fails. It has written the reason to stderr itself.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = status(command.stdin(Stdio::null()))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{} failed ({status}); its output is above", shown(command)))
}

/// Runs a command and returns how it ended.
///
/// # Errors
/// It cannot be started.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    command.status().map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))
}

/// Returns the program and, if it has one, its subcommand.
fn shown(command: &Command) -> String {
    let program = command.get_program().display().to_string();
    let first = command.get_args().next().map(|first| first.display().to_string());
    match first.filter(|first| !first.starts_with('-')) {
        Some(subcommand) => format!("`{program} {subcommand}`"),
        None => format!("`{program}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_command() {
        assert_eq!(run(&mut Command::new("true")), Ok(()));
        let failed = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(failed.starts_with("`sh` failed (exit status: 3)"), "{failed}");
        let failed = run(Command::new("false").args(["build", "x"])).unwrap_err();
        assert!(failed.starts_with("`false build` failed"), "{failed}");
        let missing = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(missing.starts_with("cannot start no-such-program: "), "{missing}");
    }
}
