//! `scopegate hash-password`: makes the hash of a password for the configuration.

use super::{CommandError, print};
use crate::authenticate::passwords::{MAX_PASSWORD, PasswordHash};
use std::io::{self, BufRead, IsTerminal, Read};
use zeroize::{Zeroize, Zeroizing};

/// The arguments of `hash-password`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "On a terminal it asks for the password twice, without showing it. Otherwise it reads one line \
    from stdin.\n\n\
    Examples:\n  scopegate hash-password\n  scopegate hash-password < password.txt"
)]
pub struct Args {}

/// Reads a password and prints its hash.
///
/// # Errors
/// When the password cannot be read, or cannot be one of HTTP Basic.
pub fn run(_: &Args) -> Result<(), CommandError> {
    let password = if io::stdin().is_terminal() { ask()? } else { read_line(io::stdin().lock())? };
    check(&password)?;
    let hash = PasswordHash::make(&password)
        .map_err(|error| CommandError::failed(format!("cannot hash the password: {error}")))?;
    print(&format!("{hash}\n"))
}

/// Asks for the password twice on the terminal.
fn ask() -> Result<Zeroizing<String>, CommandError> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            CommandError::failed(format!("cannot read a password from the terminal: {error}"))
        })
    };
    let password = ask("Password: ")?;
    if *ask("The same again: ")? != *password {
        return Err(CommandError::failed("the two passwords differ; run the command again"));
    }
    Ok(password)
}

/// Reads one line. Another line would be a mistake that makes a hash of something else than was meant.
fn read_line(input: impl BufRead) -> Result<Zeroizing<String>, CommandError> {
    let limit = MAX_PASSWORD as u64 + 3;
    // Allocated once, so that no part of the password stays behind in memory.
    let mut text = Zeroizing::new(String::with_capacity(MAX_PASSWORD + 3));
    let read = input.take(limit).read_to_string(&mut text);
    if let Err(error) = read {
        text.zeroize();
        let message = match error.kind() {
            io::ErrorKind::InvalidData => "the password on stdin is not UTF-8".to_owned(),
            _ => format!("cannot read the password from stdin: {error}"),
        };
        return Err(CommandError::failed(message));
    }
    let line = text.strip_suffix('\n').map_or(&**text, |line| line.strip_suffix('\r').unwrap_or(line));
    let length = line.len();
    if line.contains('\n') {
        return Err(CommandError::failed("stdin has more than one line; write the password alone"));
    }
    text.truncate(length);
    Ok(text)
}

/// Checks that a client can send this password.
fn check(password: &str) -> Result<(), CommandError> {
    let wrong = match () {
        () if password.is_empty() => "the password is empty".to_owned(),
        () if password.len() > MAX_PASSWORD => format!("the password has more than {MAX_PASSWORD} bytes"),
        () if password.contains(char::is_control) => "the password has a control character".to_owned(),
        () => return Ok(()),
    };
    Err(CommandError::failed(format!("{wrong}, so no client could send it; choose another")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_line_is_not_part_of_the_password() {
        for (input, password) in [
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret", "secret"),
            (" a b \n", " a b "),
            ("", ""),
        ] {
            assert_eq!(**read_line(input.as_bytes()).unwrap(), *password, "{input:?}");
        }
        for wrong in [&b"a\nb\n"[..], b"a\n\n", b"\xff\n"] {
            assert!(read_line(wrong).is_err(), "{wrong:?}");
        }
        let longest = "x".repeat(MAX_PASSWORD);
        assert!(check(&read_line(format!("{longest}\n").as_bytes()).unwrap()).is_ok());
        assert!(check(&read_line(format!("{longest}x\n").as_bytes()).unwrap()).is_err());
        assert!(check(&read_line("x".repeat(100_000).as_bytes()).unwrap()).is_err());
        assert!(check("a\u{1b}b").is_err() && check("").is_err());
    }
}
