//! `scopegate init`: writes an example configuration.

use super::{CommandError, print};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The example configuration. It shows every key with its default.
const EXAMPLE: &str = include_str!("../../proxy.toml");

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "An existing file is never overwritten.\n\n\
    Example:\n  scopegate init && scopegate check --without-secrets")]
pub struct Args {
    /// The file to write, or - for standard output
    #[arg(default_value = "proxy.toml", value_name = "FILE")]
    pub file: PathBuf,
}

/// Writes the configuration.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn run(args: &Args) -> Result<(), CommandError> {
    if args.file == Path::new("-") {
        return print(EXAMPLE);
    }
    let shown = args.file.display();
    write(&args.file).map_err(|error| {
        CommandError::failed(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!(
                    "{shown} exists already and is not overwritten\n  name another file: scopegate init FILE"
                )
            }
            io::ErrorKind::NotFound => format!("cannot write {shown}: {error}\n  create its folder first"),
            _ => format!("cannot write {shown}: {error}\n  name another file: scopegate init FILE"),
        })
    })?;
    let _ = writeln!(
        io::stderr(),
        "wrote {shown}. Next:\n  1. correct [upstream] endpoints and the scopes\n  2. scopegate check --without-secrets \
         --config {shown}\n  3. set SCOPEGATE_ACCESS_KEY and SCOPEGATE_SECRET_KEY, then scopegate check --live --config \
         {shown}\n  4. scopegate serve --config {shown}"
    );
    Ok(())
}

/// Writes a new file, and removes it again if writing fails.
fn write(path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = file.write_all(EXAMPLE.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}
