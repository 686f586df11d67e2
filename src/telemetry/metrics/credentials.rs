//! The metrics of credentials: the last use of each token, and the files that are read again when they change.

use crate::authenticate::tokens::Tokens;
use arc_swap::ArcSwapOption;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the metrics show of credentials.
#[derive(Debug, Default)]
pub(crate) struct CredentialFacts {
    tokens: ArcSwapOption<Tokens>,
    /// What is wrong with the last version of each file; if nothing, it is in effect. Nothing on the way of a request takes
    /// this lock.
    files: Mutex<BTreeMap<&'static str, Vec<String>>>,
}

impl CredentialFacts {
    /// Sets the tokens to show, those of the configuration that takes effect. Its files were read with it.
    pub(crate) fn follow(&self, tokens: &Arc<Tokens>, files: impl Iterator<Item = &'static str>) {
        self.tokens.store(Some(Arc::clone(tokens)));
        *self.lock() = files.map(|file| (file, Vec::new())).collect();
    }

    /// Records what is wrong with the version of a file that was read last. With mistakes it is not in effect.
    pub(crate) fn read(&self, file: &'static str, mistakes: Vec<String>) {
        self.lock().insert(file, mistakes);
    }

    /// Returns the files whose last version is not in effect, with what is wrong.
    pub(crate) fn mistakes(&self) -> Vec<(&'static str, Vec<String>)> {
        let files = self.lock();
        let wrong = files.iter().filter(|(_, mistakes)| !mistakes.is_empty());
        wrong.map(|(file, mistakes)| (*file, mistakes.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Vec<String>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
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
        for (file, mistakes) in &*self.lock() {
            family.encode_family(&[("file", *file)])?.encode_gauge(&i64::from(mistakes.is_empty()))?;
        }
        Ok(())
    }
}
