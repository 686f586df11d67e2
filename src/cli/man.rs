//! `scopegate man`: shows the manual with `man` on a terminal, and writes its roff source elsewhere.

use super::{CommandError, print};
use crate::config;
use clap::Command;
use std::io::{self, IsTerminal, Write};
use std::process::{self, Stdio};

/// The name by which people ask for the manual of the configuration.
const CONFIGURATION: &str = "proxy.toml";

/// Shows the manual of the program, of one command, or of the configuration.
///
/// # Errors
/// When the command does not exist.
pub fn run(mut whole: Command, name: Option<&str>) -> Result<(), CommandError> {
    if name == Some(CONFIGURATION) {
        let page = config::manual();
        let shown = io::stdout().is_terminal() && show(page.as_bytes()).is_ok();
        return if shown { Ok(()) } else { print(&page) };
    }
    // Sets the full name of each command, as in `scopegate-token(1)`.
    whole.build();
    let mut page = match name {
        None => whole,
        Some(name) => {
            let known: Vec<String> = whole.get_subcommands().map(|one| one.get_name().to_owned()).collect();
            whole.find_subcommand(name).cloned().ok_or_else(|| {
                CommandError::usage(format!(
                    "there is no command {name:?}; the commands are: {}; {CONFIGURATION} is the configuration",
                    known.join(", ")
                ))
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
    // Without `man`, print the help instead.
    if show(&roff).is_ok() { Ok(()) } else { print(&page.render_long_help().to_string()) }
}

/// Shows a page with `man`.
fn show(roff: &[u8]) -> io::Result<()> {
    let mut man =
        process::Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = man.stdin.take() {
        // A reader who quits the pager early closes the pipe.
        let _ = stdin.write_all(roff);
    }
    if man.wait()?.success() { Ok(()) } else { Err(io::Error::other("man failed")) }
}
