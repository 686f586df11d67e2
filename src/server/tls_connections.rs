//! The open TLS connections of a worker, and the end of those whose client certificate is no longer accepted.
//!
//! A certificate is verified in the handshake, and its connection may last for days. Authorities and revocation lists
//! change in the meantime, and certificates expire. Each connection is checked again when the TLS of its listener
//! changes and when its certificate or a revocation list ends. It ends after its running request.

use crate::identify::client::ListenerId;
use crate::proxy::generation::{Generation, Shared};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tls::{PeerCertificate, RevocationInfo};
use tokio::sync::{Notify, watch};
use tokio::task::yield_now;
use tokio::time::sleep;

/// The longest time between two checks while there are client certificates: an authority of their chains may end earlier
/// than they do.
const INTERVAL: Duration = Duration::from_mins(1);
/// The checks in a row. Each verifies signatures, while the worker serves nobody.
const CHECKS: usize = 16;

/// The open TLS connections of one worker thread.
#[derive(Clone, Default)]
pub(super) struct TlsConnections(Rc<Table>);

#[derive(Default)]
struct Table {
    open: RefCell<BTreeMap<u64, Open>>,
    /// The number of connections opened so far.
    opened: Cell<u64>,
    /// The next check. `None` without client certificates.
    next: Cell<Option<SystemTime>>,
    is_earlier: Notify,
}

struct Open {
    listener: ListenerId,
    certificate: Option<PeerCertificate>,
    end: watch::Sender<bool>,
}

/// The entry of an open connection.
pub(super) struct Registered {
    connections: TlsConnections,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.0.open.borrow_mut().remove(&self.number);
    }
}

impl TlsConnections {
    /// Adds a connection. Returns its entry, and the signal for it to end after its running request.
    pub(super) fn add(
        &self,
        listener: ListenerId,
        certificate: Option<PeerCertificate>,
        is_stopping: bool,
    ) -> (Registered, watch::Receiver<bool>) {
        let table = &self.0;
        let number = table.opened.replace(table.opened.get() + 1);
        let (end, ends) = watch::channel(is_stopping);
        let expires = certificate.as_ref().map(|certificate| certificate.names.not_after);
        table.open.borrow_mut().insert(number, Open { listener, certificate, end });
        if expires.is_some_and(|expires| table.next.get().is_none_or(|next| expires < next)) {
            table.next.set(expires);
            table.is_earlier.notify_one();
        }
        (Registered { connections: self.clone(), number }, ends)
    }

    /// Ends connections whose certificate is no longer accepted, and all of them once the server stops.
    pub(super) async fn watch_over(self, shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
        let mut changes = shared.tls_changes.subscribe();
        loop {
            self.plan_check(&shared);
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                _ = changes.changed() => self.check(&shared).await,
                () = self.until_check(&shared) => self.check(&shared).await,
                () = self.0.is_earlier.notified() => {}
            }
        }
        for open in self.0.open.borrow().values() {
            open.end.send_replace(true);
        }
    }

    /// Sets the time of the next check.
    fn plan_check(&self, shared: &Shared) {
        let (now, generation) = (shared.clock.now(), shared.generation.load());
        let open = self.0.open.borrow();
        let certificates = open.values().filter_map(|open| open.certificate.as_ref());
        let ends = certificates.map(|certificate| certificate.names.not_after);
        let next = ends.min().map(|first| {
            let lists = ends_of_lists(&generation).chain([first]);
            lists.filter(|end| *end > now).fold(now + INTERVAL, SystemTime::min)
        });
        self.0.next.set(next);
    }

    async fn until_check(&self, shared: &Shared) {
        match self.0.next.get() {
            // A certificate is valid until the end of its last second.
            Some(next) => {
                let wait = next.duration_since(shared.clock.now()).unwrap_or_default();
                sleep(wait + Duration::from_secs(1)).await;
            }
            None => std::future::pending().await,
        }
    }

    async fn check(&self, shared: &Shared) {
        let (now, generation) = (shared.clock.now(), shared.generation.load_full());
        let numbers: Vec<u64> = self.0.open.borrow().keys().copied().collect();
        let mut verdicts = HashMap::new();
        for number in numbers {
            let Some((listener, certificate)) = self.facts(number) else { continue };
            let digest = certificate.as_ref().map(|certificate| certificate.names.sha256);
            let count = verdicts.len();
            let accepted = *verdicts
                .entry((listener, digest))
                .or_insert_with(|| is_accepted(&generation, listener, certificate.as_ref(), now));
            if !accepted {
                self.end(number);
            }
            if verdicts.len() > count && verdicts.len() % CHECKS == 0 {
                yield_now().await;
            }
        }
    }

    fn facts(&self, number: u64) -> Option<(ListenerId, Option<PeerCertificate>)> {
        self.0.open.borrow().get(&number).map(|open| (open.listener, open.certificate.clone()))
    }

    fn end(&self, number: u64) {
        if let Some(open) = self.0.open.borrow().get(&number) {
            open.end.send_replace(true);
        }
    }
}

fn ends_of_lists(generation: &Generation) -> impl Iterator<Item = SystemTime> {
    let current = generation.listeners.with_tls().filter_map(|(_, tls)| tls.current());
    current.flat_map(|tls| {
        tls.revocations().iter().map(|list: &RevocationInfo| list.next_update).collect::<Vec<_>>()
    })
}

/// Returns whether a listener still accepts a connection with this certificate. One without TLS has no authority that
/// vouches for a certificate.
pub(super) fn is_accepted(
    generation: &Generation,
    listener: ListenerId,
    certificate: Option<&PeerCertificate>,
    now: SystemTime,
) -> bool {
    let current = generation.listeners.tls(listener).and_then(|tls| tls.current());
    let verdict = match (current, certificate) {
        (Some(tls), certificate) => tls.recheck(certificate, now),
        (None, Some(_)) => Err("the listener has no TLS any more".to_owned()),
        (None, None) => Ok(()),
    };
    if let Err(why) = &verdict {
        let subject = certificate.and_then(|certificate| certificate.names.common_name.as_deref());
        tracing::info!(subject, %why, "connections with this client certificate end");
    }
    verdict.is_ok()
}
