//! The configuration: `proxy.toml` as types. Only a file without mistakes becomes a [`Config`].

mod cases;
mod configuration;
mod cors;
mod diagnostic;
mod environment;
mod issuer;
mod limits;
mod listeners;
mod log;
mod mappings;
mod mask;
mod mounts;
mod parse;
mod reach;
mod reader;
mod source;
mod spelling;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod upstream;
mod value;
mod warnings;

pub use cases::{Expectation, PolicyTest, TestClient, read_tests};
pub use configuration::{
    Admin, Config, ConfigError, Issuer, ListenAddress, Listener, Log, LogFormat, LogLevel, MAX_CONFIG_BYTES,
    Upstream,
};
pub use diagnostic::{Diagnostic, Severity};
pub(crate) use environment::read_guarded;
pub use environment::{Environment, Failed, SystemEnvironment, WithoutSecrets};
pub use source::Place;
pub use value::parse_duration;
pub use warnings::root;
