//! The commands.
//!
//! May use: `server`, `proxy`, `answer`, `telemetry`, `store`, `mint`, `config`, `sessions`, `outgoing`, `authenticate`, `authorize`, `bounds`, `identify`, `trace`, `refusal`, `s3`, `sigv4`, `net`.

pub mod check;
mod command;
#[cfg(feature = "demo")]
pub mod demo;
mod direct;
pub mod explain;
pub mod get;
pub mod hash_password;
pub mod health;
pub mod init;
pub mod ls;
pub mod man;
pub mod new_key;
pub mod new_token;
mod progress;
pub mod serve;
mod store;
mod tls;
pub mod token;
mod uploads;

pub use command::{CommandError, block_on, print, print_coloured};
