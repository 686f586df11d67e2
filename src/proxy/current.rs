//! One worker thread's proxy, which is replaced when a new generation appears.

use super::Proxy;
use crate::bounds::limits::Limits;
use crate::proxy::generation::{Generation, Shared};
use crate::store::pool::Pool;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// One worker thread's view of the generations.
pub(crate) struct Current {
    shared: Arc<Shared>,
    proxy: RefCell<Rc<Proxy>>,
}

impl Current {
    /// Makes the view of the shared generation.
    ///
    /// # Errors
    /// Fails if the pool of connections to the store cannot be made.
    pub(crate) fn new(shared: Arc<Shared>) -> io::Result<Rc<Self>> {
        let generation = shared.generation.load_full();
        let pool = Pool::new(generation.upstream.servers(), &generation.limits, &generation.nodes)?;
        let proxy = Rc::new(Proxy::new(Arc::clone(&shared), generation, pool));
        Ok(Rc::new(Self { shared, proxy: RefCell::new(proxy) }))
    }

    /// Returns the state that all worker threads share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the proxy for requests that begin now. Costs one atomic load while the generation stays the same.
    pub(crate) fn proxy(&self) -> Rc<Proxy> {
        let proxy = Rc::clone(&self.proxy.borrow());
        let newest = self.shared.generation.load();
        if Arc::ptr_eq(proxy.generation(), &newest) {
            return proxy;
        }
        let generation = Arc::clone(&newest);
        let next = |pool| Rc::new(Proxy::new(Arc::clone(&self.shared), generation.clone(), pool));
        if same_pool(proxy.generation(), &newest) {
            return self.adopt(next(Rc::clone(proxy.store().pool())));
        }
        match Pool::new(newest.upstream.servers(), &newest.limits, &newest.nodes) {
            Ok(pool) => self.adopt(next(pool)),
            Err(error) => {
                // A reload checks this first, so the cause may be temporary. The next request tries again.
                tracing::error!(%error, "no connections to the new endpoints: those to the old ones are used");
                next(Rc::clone(proxy.store().pool()))
            }
        }
    }

    fn adopt(&self, proxy: Rc<Proxy>) -> Rc<Proxy> {
        self.proxy.replace(Rc::clone(&proxy));
        proxy
    }
}

/// Returns whether two generations can share a pool of connections to the store.
fn same_pool(one: &Generation, other: &Generation) -> bool {
    let of_pool = |limits: &Limits| (limits.connect_timeout, limits.stall_timeout, limits.response_timeout);
    one.upstream.endpoints == other.upstream.endpoints
        && one.upstream.tls.is(&other.upstream.tls)
        && of_pool(&one.limits) == of_pool(&other.limits)
}
