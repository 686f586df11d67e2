//! Loads the configuration file, or reports why it cannot be used.

use super::configuration::Config;
use super::diagnostic::Diagnostic;
use super::environment::{Environment, SystemEnvironment};
use super::parse;
use crate::net::guarded::{ReadError, read_guarded};
use std::fmt;
use std::path::{Path, PathBuf};

/// Maximum size of a configuration in bytes: 3 KiB for each of 10,000 mappings.
pub(crate) const MAX_CONFIG_BYTES: u64 = 32 << 20;

/// An error from loading a configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read, or every user of the machine can change it.
    Unreadable(ReadError),
    /// The file has these mistakes.
    Wrong(PathBuf, Vec<Diagnostic>),
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Lists every mistake, in the order of the file.
    pub fn parse(source: &str, environment: &dyn Environment) -> Result<Self, Vec<Diagnostic>> {
        parse::parse(source, environment)
    }

    /// Reads a configuration file, with secrets from this process's environment and this machine's files.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or lists every mistake in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &SystemEnvironment)
    }

    /// Reads a configuration file, with secrets from `environment`.
    ///
    /// # Errors
    /// Fails like [`Config::load`].
    pub fn load_with(path: &Path, environment: &dyn Environment) -> Result<Self, ConfigError> {
        // The configuration decides which client gets access, so not everyone may write it.
        let help = "name a configuration with --config FILE; `scopegate init` writes one";
        let source = read_guarded(path, MAX_CONFIG_BYTES, help).map_err(ConfigError::Unreadable)?;
        Self::parse(&source, environment).map_err(|wrong| ConfigError::Wrong(path.to_owned(), wrong))
    }
}

impl ConfigError {
    /// Draws every mistake with its line of the file. See [`Diagnostic::draw`].
    pub fn draw(&self) -> String {
        match self {
            Self::Unreadable(_) => String::new(),
            Self::Wrong(path, mistakes) => {
                let drawn: Vec<String> = mistakes.iter().map(|mistake| mistake.draw(path)).collect();
                drawn.join("\n")
            }
        }
    }

    /// Summarises the error in a sentence.
    pub fn summary(&self) -> String {
        match self {
            Self::Unreadable(ReadError { message, help }) => format!("{message}\n  help: {help}"),
            Self::Wrong(path, mistakes) => {
                let count = mistakes.len();
                format!("{} has {count} mistake{}", path.display(), if count == 1 { "" } else { "s" })
            }
        }
    }

    /// Formats each mistake as one line, for the log.
    pub fn to_lines(&self) -> Vec<String> {
        match self {
            Self::Unreadable(ReadError { message, help }) => vec![format!("{message}; {help}")],
            Self::Wrong(path, mistakes) => mistakes.iter().map(|mistake| mistake.to_line(path)).collect(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_lines().join("\n"))
    }
}

impl std::error::Error for ConfigError {}
