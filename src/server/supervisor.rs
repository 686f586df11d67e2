//! The server: binds its sockets, serves until it is told to stop, reloads its configuration, and drains.

use super::admin;
use super::ended::Ended;
use super::inherited::Inherited;
use super::listen;
#[cfg(feature = "demo")]
use super::listen::Bound;
use super::listening::{Change, Listening};
use super::notify;
use super::reload;
use super::running::Running;
use crate::config::Config;
use crate::net::connect::Connector;
use crate::telemetry::metrics::CutBy;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::watch;

/// A server whose sockets are bound and that does not accept connections yet.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    workers: usize,
    listeners: Change,
    admin: Option<std::net::TcpListener>,
}

impl Server {
    /// Binds every socket of `config` that was not inherited.
    ///
    /// # Errors
    /// When an address cannot be bound or an endpoint's TLS cannot be set up; the message names it.
    pub(crate) fn bind(config: Config, mut inherited: Inherited) -> io::Result<Self> {
        let workers = config.workers.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        inherited.check_names(&config.listeners, config.admin.is_some())?;
        let listeners = Listening::default()
            .plan(&config.listeners, workers, &mut inherited)
            .map_err(|errors| io::Error::other(errors.join("\n")))?;
        let admin = config.admin.as_ref();
        let admin = admin.map(|admin| listen::bind_admin(admin.address, &mut inherited)).transpose()?;
        inherited.all_claimed()?;
        // Reports errors that would keep a worker from starting, such as missing certificates, before anything starts.
        for (endpoint, tls) in config.endpoints() {
            Connector::new(endpoint.clone(), config.limits.connect_timeout, tls)?;
        }
        for note in config.tls().flat_map(|(_, tls)| tls.notes()) {
            tracing::warn!(%note, "a place for trusted certificates has none");
        }
        Ok(Self { config, workers, listeners, admin })
    }

    /// Returns the bound listeners, in the order of the configuration.
    #[cfg(feature = "demo")]
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &Bound> {
        self.listeners.opened.iter().map(|(.., bound)| bound)
    }

    /// Returns the address of the admin listener.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|socket| socket.local_addr().ok())
    }

    /// Serves until `shutdown` is ready, then finishes running requests. Must be called inside a tokio runtime, which
    /// refreshes the sessions and serves the admin listener; worker threads serve requests. On SIGHUP, reads `source`
    /// again.
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub(crate) async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        source: Option<&Path>,
    ) -> io::Result<Ended> {
        let admin_address = self.admin_address();
        let Self { config, workers, listeners, admin } = self;
        let (stop, stopping) = watch::channel(false);
        let mut hangups = reload::Hangups::listen(source)?;
        let mut running = Running::start(config, workers, listeners, &stopping)?;
        if let (Some(socket), Some(address)) = (admin, admin_address) {
            admin::start(socket, Arc::clone(running.ready()))?;
            tracing::info!(name = %"admin", %address, "listening");
        }
        notify::ready();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                source = hangups.next() => {
                    // Reading a file may take arbitrarily long, and must not delay the shutdown.
                    let loaded = tokio::select! {
                        loaded = reload::load(source) => loaded,
                        () = &mut shutdown => break,
                    };
                    reload::apply(&mut running, loaded);
                }
            }
        }
        notify::stopping();
        let drain = running.shared().generation.load().limits.drain_timeout;
        let in_flight = running.shared().metrics.in_flight();
        tracing::info!(in_flight, drain_ms = millis(drain), "shutting down");
        stop.send_replace(true);
        let metrics = Arc::clone(&running.shared().metrics);
        let ended = running.finish().await;
        let requests_cut = metrics.cut_by(CutBy::Shutdown);
        tracing::info!(cut_short = ended == Ended::CutShort, requests_cut, "stopped");
        Ok(ended)
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
