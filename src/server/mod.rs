//! The process that serves: listeners, workers, sessions, health, reload and shutdown.
//!
//! May use: `proxy`, `telemetry`, `store`, `mint`, `config`, `sessions`, `authenticate`, `authorize`, `bounds`, `identify`, `refusal`, `s3`, `sigv4`, `net`.

mod accept;
mod admin;
mod arriving;
mod connection;
pub(crate) mod descriptors;
mod ended;
pub(crate) mod entrance;
mod file_group;
mod files;
mod health;
mod inherited;
mod issuer;
mod listen;
mod listening;
mod mistakes;
mod notify;
mod opening;
mod probe;
mod reload;
mod running;
mod securing;
mod sessions;
mod socket_file;
mod status;
mod supervisor;
mod tls_connections;
mod tls_files;
mod worker;

pub(crate) use ended::Ended;
pub(crate) use inherited::Inherited;
pub(crate) use supervisor::Server;
