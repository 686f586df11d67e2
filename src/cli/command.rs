//! Support for all commands: errors with exit codes, and output to the terminal.

use crate::config::ConfigError;
use crate::net::terminal::plain_lines;
use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Runs a command's future on the current thread.
///
/// # Errors
/// Those of the command.
pub fn block_on(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed(format!("cannot start the runtime: {error}")))?;
    LocalSet::new().block_on(&runtime, command)
}

/// Writes to stdout. A reader that leaves early, such as `head`, is not an error.
///
/// # Errors
/// When writing fails for another reason, such as a full disk.
pub fn print(text: &str) -> Result<(), CommandError> {
    print_to(&mut io::stdout(), text)
}

/// Writes coloured text to stdout. The colours are removed unless stdout is a terminal that shows them.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print_coloured(text: &str) -> Result<(), CommandError> {
    print_to(&mut anstream::stdout(), text)
}

fn print_to(stdout: &mut impl Write, text: &str) -> Result<(), CommandError> {
    match stdout.write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::failed(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// The reason why a command failed, with its exit code. It contains no secret.
#[derive(Debug)]
pub struct CommandError {
    /// Text to show before the message: mistakes in a configuration, safe to print and with colours.
    report: String,
    message: String,
    code: u8,
}

impl CommandError {
    fn new(message: impl Into<String>, code: u8) -> Self {
        Self { report: String::new(), message: message.into(), code }
    }

    /// Makes the error of a command that failed: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(message, 1)
    }

    /// Makes the error of a command that was used incorrectly: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(message, 2)
    }

    /// Makes the error of an invalid configuration: exit code 78, `EX_CONFIG` of sysexits.h.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(message, 78)
    }

    /// Makes the error of a refused request, which stdout explains: exit code 3.
    pub fn refused() -> Self {
        Self::new(String::new(), 3)
    }

    /// Returns whether the error has a message for stderr.
    pub fn has_message(&self) -> bool {
        !self.message.is_empty()
    }

    /// Writes the error to stderr, with colours on a terminal.
    pub fn print(&self) {
        if self.has_message() {
            let report = if self.report.is_empty() { String::new() } else { format!("{}\n", self.report) };
            let _ = writeln!(anstream::stderr().lock(), "{report}scopegate: {self}");
        }
    }

    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for CommandError {
    /// Makes the message safe for a terminal, since it may quote a server or a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain_lines(&self.message))
    }
}

impl From<&ConfigError> for CommandError {
    fn from(error: &ConfigError) -> Self {
        Self { report: error.draw(), ..Self::configuration(error.summary()) }
    }
}

impl std::error::Error for CommandError {}
