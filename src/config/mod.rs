//! The configuration file as types, with every mistake shown at its place.
//!
//! May use: `sessions`, `authenticate`, `authorize`, `bounds`, `identify`, `refusal`, `s3`, `sigv4`, `net`.

mod account;
mod accounts;
mod balancers;
mod certificates;
mod client_tls;
mod clients;
mod configuration;
mod cors;
mod declarations;
mod diagnostic;
mod environment;
mod homes;
mod issuer;
mod jwt;
mod keys;
mod limits;
mod listeners;
mod load;
mod log;
mod mappings;
mod mask;
mod mounts;
mod parse;
mod policy_tests;
mod reach;
mod reader;
mod schema;
mod secrets;
mod source;
mod spelling;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod tokens;
mod trace_settings;
mod traces;
mod upstream;
mod users;
mod value;
mod warnings;

pub(crate) use configuration::{
    AccessLog, Admin, IdentityForm, Issuer, Lines, ListenAddress, Listener, ListenerTls, Log, LogLevel,
    ProxyProtocol, SocketAccess, Upstream,
};
pub use configuration::{Config, LogFormat};
pub use diagnostic::Diagnostic;
pub use environment::Environment;
pub(crate) use environment::read_declarations;
pub(crate) use environment::{AsReadable, SystemEnvironment, WithoutSecrets};
pub use load::ConfigError;
pub(crate) use load::MAX_CONFIG_BYTES;
pub(crate) use policy_tests::{Caller, Expectation, Peer, PolicyTest, TestClient, read_tests};
pub(crate) use schema::manual;
pub use source::Place;
pub(crate) use tls::load_tls;
pub(crate) use trace_settings::Traces;
#[cfg(feature = "otlp")]
pub(crate) use trace_settings::{Collector, Sampling};
pub(crate) use value::parse_duration;
pub(crate) use warnings::root;
