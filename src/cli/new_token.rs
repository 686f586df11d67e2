//! `scopegate new-token`: makes a bearer token, and the lines for the configuration.

use super::{CommandError, print};
use crate::authenticate::tokens::{PREFIX, is_name, new_token};
use zeroize::Zeroizing;

/// The arguments of `new-token`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first line is the token. It is shown this once: Scopegate keeps only its SHA-256.\n\n\
    Example:\n  scopegate new-token ci"
)]
pub struct Args {
    /// Name of the token in the configuration, the log and the metrics
    pub name: String,
}

/// Makes a token and prints it.
///
/// # Errors
/// When the name is not one, or the system has no random numbers.
pub fn run(args: &Args) -> Result<(), CommandError> {
    let name = &args.name;
    if name.starts_with(PREFIX) {
        return Err(CommandError::usage("NAME is a token; write a name for it, such as ci"));
    }
    if !is_name(name) {
        return Err(CommandError::usage(format!(
            "{name:?} is not a name: write 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'"
        )));
    }
    let (token, digest) =
        new_token().map_err(|error| CommandError::failed(format!("cannot make a token: {error}")))?;
    let lines = format!("{}\n\n[[token]]\nname   = \"{name}\"\nsha256 = \"{digest}\"\n", token.as_str());
    print(&Zeroizing::new(lines))
}
