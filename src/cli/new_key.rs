//! `scopegate new-key`: makes the secret of a local access key, and the lines for the configuration.

use super::{CommandError, print};
use crate::authenticate::keys::is_access_key;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// The number of random bytes in a secret.
const RANDOM: usize = 30;

/// The arguments of `new-key`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first line is the access key, the second is its secret. It is shown this once: save it in a file \
    that only Scopegate can read, and give both lines to the client.\n\n\
    Example:\n  scopegate new-key SGREPORTS"
)]
pub struct Args {
    /// The access key: a name for the client that does not identify a person elsewhere
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Makes a secret and prints it.
///
/// # Errors
/// When the name cannot be an access key, or the system has no random numbers.
pub fn run(args: &Args) -> Result<(), CommandError> {
    let name = &args.name;
    if !is_access_key(name) {
        return Err(CommandError::usage(format!(
            "{name:?} is not an access key: write 3 to 128 letters, digits and / + = _ -, such as SGREPORTS"
        )));
    }
    let mut random = Zeroizing::new([0; RANDOM]);
    getrandom::fill(&mut *random)
        .map_err(|error| CommandError::failed(format!("cannot make a secret: {error}")))?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random));
    // A path has no other use for these characters.
    let file: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
    let lines = Zeroizing::new(format!(
        "{name}\n{}\n\n[[key]]\naccess_key = \"{name}\"\nsecret_key = {{ file = \"/run/secrets/{file}\" }}\n",
        secret.as_str()
    ));
    print(&lines)
}
