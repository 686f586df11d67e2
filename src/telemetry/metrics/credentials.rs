//! The metrics of credentials: the last use of each token, and the files that are read again when they change.

use crate::authenticate::tokens::Tokens;
use arc_swap::ArcSwapOption;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What the metrics show of credentials.
#[derive(Debug, Default)]
pub(crate) struct CredentialFacts {
    tokens: ArcSwapOption<Tokens>,
    /// Whether the last version of each file is in effect. Nothing on the way of a request takes this lock.
    files: Mutex<BTreeMap<&'static str, bool>>,
}

impl CredentialFacts {
    /// Sets the tokens to show, those of the configuration that takes effect. Its files were read with it.
    pub(crate) fn follow(&self, tokens: &Arc<Tokens>, files: impl Iterator<Item = &'static str>) {
        self.tokens.store(Some(Arc::clone(tokens)));
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files.map(|file| (file, true)).collect();
    }

    /// Records whether the version of a file that was read last is in effect.
    pub(crate) fn read(&self, file: &'static str, is_in_effect: bool) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(file, is_in_effect);
    }

    /// Encodes the metrics.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Last use of a bearer token, in seconds since 1970";
        let mut family =
            encoder.encode_descriptor("token_last_used_seconds", help, None, MetricType::Gauge)?;
        for (name, seconds) in self.tokens.load().iter().flat_map(|tokens| tokens.last_used()) {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            family.encode_family(&[("token", &*name)])?.encode_gauge(&seconds)?;
        }
        let help = "Whether the version of a file that was read last is in effect";
        let mut family =
            encoder.encode_descriptor("file_last_read_successful", help, None, MetricType::Gauge)?;
        for (file, is_in_effect) in &*self.files.lock().unwrap_or_else(PoisonError::into_inner) {
            family.encode_family(&[("file", *file)])?.encode_gauge(&i64::from(*is_in_effect))?;
        }
        Ok(())
    }
}
