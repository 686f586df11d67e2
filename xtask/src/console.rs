//! Output of the tasks: results on stdout, everything else on stderr.

use std::io::{self, Write};

/// Writes a result to stdout.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn print(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| format!("cannot write to stdout: {error}"))
}

/// Writes progress or an error to stderr.
pub(crate) fn announce(text: &str) {
    // There is no other place to report that stderr failed.
    let _unreported = writeln!(io::stderr(), "xtask: {text}");
}
