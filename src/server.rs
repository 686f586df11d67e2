//! The server: sockets, one runtime per core, and an orderly end.

mod admin;
mod connection;
mod health;
mod listen;
mod worker;

use crate::browser::AllowedHosts;
use crate::config::Config;
use crate::connect::Connector;
use crate::metrics::Metrics;
use crate::mint::{MintRequest, StsMint};
use crate::proxy::Shared;
use crate::session_table::{Clock, Keeper, MintBudget, Slot};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::watch;

pub use listen::Bound;

/// A server whose sockets are bound; nothing is accepted yet.
#[derive(Debug)]
pub struct Server {
    config: Config,
    listeners: Vec<Bound>,
    admin: Option<std::net::TcpListener>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request was finished.
    Drained,
    /// The drain's time was over before every request was.
    CutShort,
}

impl Server {
    /// Binds every socket of `config`.
    ///
    /// # Errors
    /// When an address cannot be bound, or an endpoint cannot be spoken to over TLS; the message names it.
    pub fn bind(config: Config) -> io::Result<Self> {
        let workers = config.workers.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let listeners = config
            .listeners
            .iter()
            .map(|listener| Bound::bind(listener, workers))
            .collect::<io::Result<_>>()?;
        let admin = config.admin.map(listen::bind_admin).transpose()?;
        // What would keep a worker from starting, such as missing certificates, is said before anything starts.
        for endpoint in &config.upstream.endpoints {
            Connector::new(endpoint.clone(), config.limits.connect_timeout)?;
        }
        Ok(Self { config, listeners, admin })
    }

    /// The bound listeners, in the order of the configuration.
    pub fn listeners(&self) -> &[Bound] {
        &self.listeners
    }

    /// Where the admin listener is bound.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|socket| socket.local_addr().ok())
    }

    /// Serves until `shutdown` is ready, then finishes what runs. Must be called inside a tokio runtime, on which
    /// sessions are kept and the admin listener is answered; requests are served on threads of their own.
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<Ended> {
        let Self { config, listeners, admin } = self;
        let (stop, stopping) = watch::channel(false);
        let shared = start_keepers(&config);
        log_addresses(&listeners, admin.as_ref());
        if let Some(socket) = admin {
            let ready = health::Readiness::new(Arc::clone(&shared), &config, stopping.clone())?;
            admin::start(socket, ready)?;
        }
        let drain = shared.limits.drain_timeout;
        let workers = worker::start(listeners, &shared, &config.upstream, &stopping)?;
        shutdown.await;
        tracing::info!(in_flight = shared.metrics.in_flight(), drain_ms = millis(drain), "shutting down");
        stop.send_replace(true);
        let ended = workers.join(drain).await;
        tracing::info!(cut_short = ended == Ended::CutShort, "stopped");
        Ok(ended)
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One keeper per mapping, on the runtime that this is called in.
fn start_keepers(config: &Config) -> Arc<Shared> {
    let limits = &config.limits;
    let slots: Vec<Arc<Slot>> = config
        .mappings
        .iter()
        .map(|mapping| Arc::new(Slot::new(mapping.mint == crate::mapping::MintWhen::Start)))
        .collect();
    let region = &config.upstream.region;
    let role = config.issuer.role_arn.as_deref();
    let mint = Arc::new(StsMint::new(config.sts(), region, &config.issuer.keys, role, limits.mint_timeout));
    let budget = Arc::new(MintBudget::new(limits.mints_per_second));
    for (mapping, slot) in config.mappings.iter().zip(&slots) {
        let request = MintRequest {
            name: mapping.name.to_string(),
            policy: mapping.policy.clone(),
            duration: mapping.duration,
        };
        let keeper = Keeper {
            slot: Arc::clone(slot),
            mint: Arc::clone(&mint),
            request,
            region: Arc::clone(region),
            clock: Clock::SYSTEM,
            budget: Arc::clone(&budget),
            mint_timeout: limits.mint_timeout,
        };
        tokio::spawn(keeper.run_for_ever());
    }
    let named = config.mappings.iter().zip(&slots).map(|(mapping, slot)| (&*mapping.name, Arc::clone(slot)));
    Arc::new(Shared {
        metrics: Arc::new(Metrics::new(named)),
        mappings: config.mappings.clone(),
        slots,
        hosts: config.listeners.iter().map(AllowedHosts::of).collect(),
        limits: limits.clone(),
        access_log: config.log.access,
        clock: Clock::SYSTEM,
    })
}

fn log_addresses(listeners: &[Bound], admin: Option<&std::net::TcpListener>) {
    for listener in listeners {
        tracing::info!(name = %listener.name(), address = %listener.address(), "listening");
    }
    if let Some(address) = admin.and_then(|socket| socket.local_addr().ok()) {
        tracing::info!(name = %"admin", %address, "listening");
    }
}
