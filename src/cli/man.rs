//! `scopegate man`: the manual, shown by `man` on a terminal and written as roff elsewhere.

use super::{CommandError, print};
use clap::Command;
use std::io::{self, IsTerminal, Write};
use std::process::{self, Stdio};

/// Prints the manual of the whole program, or of one command.
///
/// # Errors
/// When there is no such command.
pub fn run(mut whole: Command, name: Option<&str>) -> Result<(), CommandError> {
    // Gives each command its whole name, as in `scopegate-token(1)`.
    whole.build();
    let mut page = match name {
        None => whole,
        Some(name) => {
            let known: Vec<String> = whole.get_subcommands().map(|one| one.get_name().to_owned()).collect();
            whole.find_subcommand(name).cloned().ok_or_else(|| {
                CommandError::usage(format!("there is no command {name:?}; there are: {}", known.join(", ")))
            })?
        }
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page.clone())
        .render(&mut roff)
        .map_err(|error| CommandError::failed(format!("cannot write the page: {error}")))?;
    if !io::stdout().is_terminal() {
        return print(&String::from_utf8_lossy(&roff));
    }
    // People read the page and not its source; without `man` they read the help.
    if show(&roff).is_ok() { Ok(()) } else { print(&page.render_long_help().to_string()) }
}

/// Has `man` show a page.
fn show(roff: &[u8]) -> io::Result<()> {
    let mut man =
        process::Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = man.stdin.take() {
        // A reader who leaves the pager early has read enough.
        let _ = stdin.write_all(roff);
    }
    if man.wait()?.success() { Ok(()) } else { Err(io::Error::other("man failed")) }
}
