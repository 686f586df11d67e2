//! What surrounds the credentials of a request, and the client certificate of its connection, at listeners that use any:
//! which pages may send some at all, when a browser may ask its user for them, and what caches may do with the response.

use super::Proxy;
use super::decision::pages_of;
use crate::answer::caching;
use crate::authenticate::authenticator::Proofs;
use crate::authorize::mapping::Mapping;
use crate::identify::browser::{self, Cors, OwnOrigins, Pages, is_preflight, preflight};
use crate::identify::client::Client;
use crate::identify::credentials::presented;
use crate::proxy::generation::Site;
use crate::refusal::Refusal;
use http1::{Fields, Request};
use std::sync::Arc;

/// A mapping that a client could reach if it proved who it is, as the caller of [`admit_page`] refers to it: see
/// [`Matcher::could_admit`](crate::identify::matcher::Matcher::could_admit).
pub(crate) trait Reachable: Copy {
    /// Returns the mapping.
    fn mapping(&self) -> &Mapping;
}

impl Reachable for &Arc<Site> {
    fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl Reachable for &Mapping {
    fn mapping(&self) -> &Mapping {
        self
    }
}

/// Checks the page that sends a request before its credentials are verified. A page of another site can neither try
/// passwords nor use up the attempts of its visitors. `client` is who the connection alone shows, and `reachable` are the
/// mappings that it could reach if it proved who it is.
///
/// Browsers send no credentials with a preflight, and show no certificate. Its mapping, which is returned, is the first one
/// whose rules allow it. The request itself is checked by its own mapping. `refuse` makes the refusal of a preflight that
/// reaches no mapping.
///
/// # Errors
/// When no mapping that the client could reach serves such a page.
pub(crate) fn admit_page<R: Reachable>(
    mut reachable: impl Iterator<Item = R> + Clone,
    client: &Client<'_>,
    own: OwnOrigins<'_>,
    request: &Request,
    refuse: impl FnOnce() -> Refusal,
) -> Result<Option<R>, Refusal> {
    let checked = browser::check(own, Pages::default(), request);
    if is_preflight(request) {
        checked?;
        return of_preflight(reachable, request).map(Some).ok_or_else(refuse);
    }
    let Err(refusal) = checked else { return Ok(None) };
    // Which mapping it is depends on the credentials. A mapping may be stricter to browsers that remember a login.
    let serves = |one: R| {
        let mapping = one.mapping();
        let pages = Pages { with_remembered_login: false, ..pages_of(mapping) };
        mapping.client.admits_connection(client) && browser::check(own, pages, request).is_ok()
    };
    if reachable.any(serves) { Ok(None) } else { Err(refusal) }
}

fn of_preflight<R: Reachable>(
    mut reachable: impl Iterator<Item = R> + Clone,
    request: &Request,
) -> Option<R> {
    let allows = |one: &R| preflight(one.mapping().cors.as_deref(), request).is_ok();
    let names = |one: &R| one.mapping().cors.as_deref().is_some_and(|cors| cors.names(request));
    reachable.clone().find(allows).or_else(|| reachable.clone().find(names)).or_else(|| reachable.next())
}

impl Proxy {
    /// Checks the page that sends a request, at listeners that use credentials or certificates. Returns the site of a preflight.
    ///
    /// # Errors
    /// As [`admit_page`].
    pub(super) fn admit_page(
        &self,
        client: &Client<'_>,
        request: &Request,
    ) -> Result<Option<&Arc<Site>>, Refusal> {
        let id = client.connection().listener().id();
        let authenticator = &self.generation.authenticator;
        if authenticator.proofs(id).are_none() {
            return Ok(None);
        }
        let refuse = || authenticator.refuse(client, false);
        admit_page(self.reachable(client), client, self.own_origins(client), request, refuse)
    }

    /// Returns the origins of the listener's own pages, as the client sees them.
    pub(super) fn own_origins(&self, client: &Client<'_>) -> OwnOrigins<'_> {
        self.generation.listeners.hosts(client.connection().listener().id()).over(client.scheme())
    }

    /// Returns the sites that a client of the connection could reach if it proved who it is.
    fn reachable<'s, 'c>(
        &'s self,
        client: &'c Client<'c>,
    ) -> impl Iterator<Item = &'s Arc<Site>> + Clone + use<'s, 'c> {
        self.generation.sites.iter().filter(move |site| site.mapping.client.could_admit(client))
    }

    /// Removes the challenge that makes browsers ask for a password, unless the page in the address bar is one of the
    /// listener's own. Otherwise any page could show a dialogue in which people type a password.
    pub(super) fn quiet(&self, client: &Client<'_>, request: &Request, refusal: Refusal) -> Refusal {
        if refusal.challenges().is_empty() || browser::may_ask_for_password(self.own_origins(client), request)
        {
            return refusal;
        }
        refusal.without_dialogue()
    }

    /// Adds to a response what browsers and caches must know: which pages may read and embed it, and whether it is for one
    /// client only. `found` is `None` for a client without a mapping.
    pub(super) fn mark(
        &self,
        client: &Client<'_>,
        request: &Request,
        found: Option<&Arc<Site>>,
        fields: &mut Fields,
    ) {
        let id = client.connection().listener().id();
        let proofs = self.generation.authenticator.proofs(id);
        let cors = match found {
            Some(site) => site.mapping.cors.as_deref(),
            None if proofs.are_none() => None,
            None => self.cors_of_stranger(client, request),
        };
        if let Some(cors) = cors {
            cors.mark(request, fields);
        }
        let has_login = found.is_some_and(|site| pages_of(&site.mapping).with_remembered_login);
        if has_login && self.generation.listeners.hosts(id).domain().is_some() {
            browser::show_only_here(fields);
        }
        let is_private = is_for_one_client(client, found, request, proofs);
        if !proofs.schemes.is_empty() {
            if is_private && browser::make_personal(fields) {
                return;
            }
            caching::vary_by_credentials(fields);
        }
        if is_private {
            caching::keep_private(fields);
        }
    }

    /// Returns the rules by which a page reads that its request lacks credentials.
    fn cors_of_stranger(&self, client: &Client<'_>, request: &Request) -> Option<&Cors> {
        let cors = |site: &'_ Arc<Site>| -> bool {
            site.mapping.cors.as_deref().is_some_and(|cors| cors.names(request))
        };
        self.reachable(client).find(|site| cors(site))?.mapping.cors.as_deref()
    }
}

/// Returns whether no shared cache may keep the response: it is for a client that proved who it is, or that could have.
fn is_for_one_client(
    client: &Client<'_>,
    found: Option<&Arc<Site>>,
    request: &Request,
    proofs: Proofs,
) -> bool {
    let Some(site) = found else { return !proofs.are_none() };
    let Proofs { schemes, certificates } = proofs;
    let sent = || !presented(request, schemes).is_ok_and(|credentials| credentials.scheme().is_none());
    let has_certificate = certificates && client.connection().certificate().is_some();
    let proved = || has_certificate || (!schemes.is_empty() && sent());
    let matcher = &site.mapping.client;
    // A load balancer that caches would give the response to clients with other addresses.
    let is_named = || client.is_named() && matcher.networks().is_some();
    !site.mapping.shared_cache && (!matcher.is_by_address() || is_named() || proved())
}
