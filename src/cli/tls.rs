//! TLS towards the store, for commands that have no configuration.

use super::CommandError;
use crate::net::connect::{FollowedTls, TlsSettings};
use crate::net::endpoint::Endpoint;
use crate::net::tls_files::read_tls_file;
use std::io::{self, Write};
use std::path::PathBuf;
use tls::Problem;

/// The authorities of the store.
#[derive(Debug, clap::Args)]
pub struct TlsArgs {
    /// PEM file of the only authorities to trust for the store's certificate, instead of this machine's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
}

impl TlsArgs {
    /// Reads the authorities for `endpoint`.
    ///
    /// # Errors
    /// When a file cannot be used (exit code 2), or no authority is trusted (exit code 1).
    pub(super) fn load(&self, endpoint: &Endpoint) -> Result<FollowedTls, CommandError> {
        if !endpoint.tls() {
            return match self.ca.first() {
                None => Ok(FollowedTls::none()),
                Some(_) => Err(CommandError::usage(format!(
                    "--ca: {endpoint} does not use TLS: write it with https://, or leave --ca out"
                ))),
            };
        }
        if self.ca.is_empty() {
            let tls = FollowedTls::of_machine();
            tls.current().map_err(|why| CommandError::failed(format!("{endpoint}: {why}")))?;
            for note in tls.notes() {
                let _ = writeln!(io::stderr(), "scopegate: {note}");
            }
            return Ok(tls);
        }
        let settings = TlsSettings { ca: self.ca.clone(), ..TlsSettings::default() };
        FollowedTls::load(settings, &read_tls_file).map_err(|problems| {
            let shown = |Problem { file, what, help }| format!("--ca: {} {what}\n  {help}", file.display());
            CommandError::usage(problems.into_iter().map(shown).collect::<Vec<_>>().join("\n"))
        })
    }
}
