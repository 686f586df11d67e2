//! What surrounds the credentials of a request at listeners that use any: which pages may send some at all, when a browser
//! may ask its user for them, and what caches may do with the response.

use super::Proxy;
use super::decision::pages_of;
use crate::answer::caching;
use crate::identify::browser::{self, Cors, Pages, is_preflight, preflight};
use crate::identify::client::{Client, Connection};
use crate::identify::credentials::presented;
use crate::identify::identity::Schemes;
use crate::proxy::generation::Site;
use crate::refusal::Refusal;
use http1::{Fields, Request};
use std::sync::Arc;

impl Proxy {
    /// Checks the page that sends a request before its credentials are verified. A page of another site can neither try
    /// passwords nor use up the attempts of its visitors.
    ///
    /// Browsers send no credentials with a preflight. Its site, which is returned, is the first one whose rules allow it,
    /// among those that the connection could reach with credentials. The request itself is checked by its own mapping.
    ///
    /// # Errors
    /// When no mapping that the client could reach serves such a page.
    pub(super) fn admit_page(
        &self,
        connection: &Connection,
        request: &Request,
    ) -> Result<Option<&Arc<Site>>, Refusal> {
        let id = connection.listener().id();
        if self.generation.authenticator.schemes(id).is_empty() {
            return Ok(None);
        }
        let hosts = self.generation.listeners.hosts(id);
        let checked = browser::check(hosts, Pages::default(), request);
        if is_preflight(request) {
            checked?;
            return self.site_of_preflight(connection, request).map(Some);
        }
        let Err(refusal) = checked else { return Ok(None) };
        // Which mapping it is depends on the credentials. A mapping may be stricter to browsers that remember a login.
        let serves = |site: &Site| {
            let pages = Pages { with_remembered_login: false, ..pages_of(&site.mapping) };
            browser::check(hosts, pages, request).is_ok()
        };
        if self.reachable(connection).any(|site| serves(site)) { Ok(None) } else { Err(refusal) }
    }

    fn site_of_preflight(&self, connection: &Connection, request: &Request) -> Result<&Arc<Site>, Refusal> {
        let allows = |site: &&Arc<Site>| preflight(site.mapping.cors.as_deref(), request).is_ok();
        let names = |site: &&Arc<Site>| site.mapping.cors.as_deref().is_some_and(|cors| cors.names(request));
        let found =
            self.reachable(connection).find(allows).or_else(|| self.reachable(connection).find(names));
        let client = Client::of_connection(connection);
        found
            .or_else(|| self.reachable(connection).next())
            .ok_or_else(|| self.generation.authenticator.refuse(&client))
    }

    /// Returns the sites that the connection can reach, with or without credentials.
    fn reachable<'s, 'c>(
        &'s self,
        connection: &'c Connection,
    ) -> impl Iterator<Item = &'s Arc<Site>> + use<'s, 'c> {
        let client = Client::of_connection(connection);
        self.generation.sites.iter().filter(move |site| site.mapping.client.admits_connection(&client))
    }

    /// Removes the challenge that makes browsers ask for a password, unless the page in the address bar is one of the
    /// listener's own. Otherwise any page could show a dialogue in which people type a password.
    pub(super) fn quiet(&self, connection: &Connection, request: &Request, refusal: Refusal) -> Refusal {
        let hosts = self.generation.listeners.hosts(connection.listener().id());
        if refusal.challenges().is_empty() || browser::may_ask_for_password(hosts, request) {
            return refusal;
        }
        refusal.without_dialogue()
    }

    /// Adds to a response what browsers and caches must know: which pages may read and embed it, and whether it is for one
    /// client only. `found` is `None` for a client without a mapping.
    pub(super) fn mark(
        &self,
        connection: &Connection,
        request: &Request,
        found: Option<&Arc<Site>>,
        fields: &mut Fields,
    ) {
        let id = connection.listener().id();
        let schemes = self.generation.authenticator.schemes(id);
        let cors = match found {
            Some(site) => site.mapping.cors.as_deref(),
            None if schemes.is_empty() => None,
            None => self.cors_of_stranger(connection, request),
        };
        if let Some(cors) = cors {
            cors.mark(request, fields);
        }
        let has_login = found.is_some_and(|site| pages_of(&site.mapping).with_remembered_login);
        if has_login && self.generation.listeners.hosts(id).domain().is_some() {
            browser::show_only_here(fields);
        }
        if !schemes.is_empty() {
            caching::vary_by_credentials(fields);
        }
        if is_for_one_client(found, request, schemes) {
            caching::keep_private(fields);
        }
    }

    /// Returns the rules by which a page reads that its request lacks credentials.
    fn cors_of_stranger(&self, connection: &Connection, request: &Request) -> Option<&Cors> {
        let cors = |site: &'_ Arc<Site>| -> bool {
            site.mapping.cors.as_deref().is_some_and(|cors| cors.names(request))
        };
        self.reachable(connection).find(|site| cors(site))?.mapping.cors.as_deref()
    }
}

/// Returns whether no shared cache may keep the response.
fn is_for_one_client(found: Option<&Arc<Site>>, request: &Request, schemes: Schemes) -> bool {
    let Some(site) = found else { return !schemes.is_empty() };
    let proved = || {
        !schemes.is_empty()
            && !presented(request, schemes).is_ok_and(|credentials| credentials.scheme().is_none())
    };
    !site.mapping.shared_cache && (!site.mapping.client.is_by_address() || proved())
}
