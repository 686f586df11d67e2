//! The TLS of a listener, which changes with its files.

use crate::config::ListenerTls;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use tls::{ServerSettings, ServerTls};

/// The TLS of a listener. Its connections begin with what its files last said without a mistake.
#[derive(Debug)]
pub(crate) struct LiveTls {
    settings: ServerSettings,
    current: ArcSwapOption<ServerTls>,
}

impl LiveTls {
    /// Returns `before` if nothing has changed, so that its tickets stay valid, else the TLS that was read now.
    pub(crate) fn following(before: Option<&Arc<Self>>, read: &ListenerTls) -> Arc<Self> {
        let is_same = |before: &&Arc<Self>| {
            let both = before.current().zip(read.loaded.as_ref());
            before.settings == read.settings && both.is_some_and(|(old, new)| old.is_like(new))
        };
        before.filter(is_same).cloned().unwrap_or_else(|| {
            let current = ArcSwapOption::from(read.loaded.clone());
            Arc::new(Self { settings: read.settings.clone(), current })
        })
    }

    /// Returns the files, and what they are for.
    pub(crate) fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Returns what new connections begin with. `None` if the files were not read: then there can be no connection.
    pub(crate) fn current(&self) -> Option<Arc<ServerTls>> {
        self.current.load_full()
    }

    /// Lets new connections begin with what the files say now.
    pub(crate) fn replace(&self, tls: ServerTls) {
        self.current.store(Some(Arc::new(tls)));
    }
}
