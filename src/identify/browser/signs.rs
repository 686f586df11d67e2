//! The header fields by which browsers tell which site sends a request and for what purpose.

use http1::{Host, is_named};

/// The relation of the site that a request comes from to the host that it is sent to. Greater is less trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    /// A page of this origin, a person, or a program.
    Own,
    /// A page of the same site, but not of this origin.
    Same,
    /// A page of another site.
    Other,
}

/// The site and the purpose that the fields of a request tell. Of a repeated field, the less trusted value counts.
#[derive(Default)]
pub(super) struct Signs<'f> {
    fetch_site: Option<Site>,
    fetch_mode: Given<'f>,
    fetch_dest: Given<'f>,
    origin: Given<'f>,
    referer: Given<'f>,
    upgrades: bool,
    is_service_worker: bool,
}

/// The first value of a field, and whether it is repeated. Browsers never repeat one.
#[derive(Clone, Copy, Default)]
struct Given<'f> {
    first: Option<&'f [u8]>,
    more: bool,
}

impl<'f> Given<'f> {
    fn add(&mut self, value: &'f [u8]) {
        self.more |= self.first.is_some();
        self.first = self.first.or(Some(value));
    }

    /// Returns the value of a field that is not repeated.
    fn only(&self) -> Option<&'f [u8]> {
        self.first.filter(|_| !self.more)
    }

    /// Checks whether the field has this value and is not repeated.
    fn is_only(&self, value: &[u8]) -> bool {
        self.only().is_some_and(|first| first.eq_ignore_ascii_case(value))
    }
}

impl<'f> Signs<'f> {
    /// Reads all fields of a request in one pass, because this runs for every request.
    pub(super) fn read(fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> Self {
        let mut signs = Self::default();
        fields.for_each(|(name, value)| match name.len() {
            6 if is_named(name, b"Origin") => signs.origin.add(value),
            7 if is_named(name, b"Referer") => signs.referer.add(value),
            14 => signs.read_fetch(name, value),
            25 if is_named(name, b"Upgrade-Insecure-Requests") => signs.upgrades = value == b"1",
            _ => {}
        });
        signs
    }

    fn read_fetch(&mut self, name: &[u8], value: &'f [u8]) {
        if is_named(name, b"Sec-Fetch-Site") {
            self.fetch_site = self.fetch_site.max(Some(of_fetch_site(value)));
        } else if is_named(name, b"Sec-Fetch-Mode") {
            self.fetch_mode.add(value);
        } else if is_named(name, b"Sec-Fetch-Dest") {
            self.fetch_dest.add(value);
            self.is_service_worker |= value.eq_ignore_ascii_case(b"serviceworker");
        } else if is_named(name, b"Service-Worker") {
            self.is_service_worker = true;
        }
    }

    /// Checks whether the response would become a service worker.
    /// <https://w3c.github.io/ServiceWorker/#service-worker-script-request>
    pub(super) fn is_service_worker(&self) -> bool {
        self.is_service_worker
    }

    /// Returns the relation of the site that sent the request: by Fetch Metadata, else `Origin`, else `Referer`. `is_ours`
    /// recognizes other names of the listener. `is_secure` says that URLs of the listener begin with `https`. Then a page
    /// that came over plain HTTP is of another site, whatever its name: anyone on the way may have written it.
    pub(super) fn site(
        &self,
        host: Option<&Host<'_>>,
        is_secure: bool,
        is_ours: impl Fn(&[u8]) -> bool,
    ) -> Site {
        if let Some(site) = self.fetch_site {
            return site;
        }
        let source = if self.origin.first.is_some() { self.origin } else { self.referer };
        let Some(value) = source.first else { return Site::Own };
        if source.more {
            return Site::Other;
        }
        match Origin::parse(value) {
            Some(origin) if is_secure && origin.default_port == PLAIN => Site::Other,
            Some(origin) => origin.relation(host, is_ours),
            // A Referer that is not a web URL names no page. `Origin: null` is a page without an origin of its own.
            None if self.origin.first.is_none() && default_port(value).is_none() => Site::Own,
            None => Site::Other,
        }
    }

    /// Checks whether a person follows a link: the page with the link learns nothing from the response.
    ///
    /// Over plain HTTP, without Fetch Metadata, `Upgrade-Insecure-Requests` tells it: browsers send it for pages and
    /// frames but for nothing else that a page embeds, and scripts cannot set it.
    pub(super) fn is_navigation(&self) -> bool {
        if self.fetch_site.is_some() {
            return self.fetch_mode.is_only(b"navigate") && self.fetch_dest.is_only(b"document");
        }
        self.upgrades && self.origin.first.is_none() && !self.referer.more
    }

    /// Checks whether there is an `Origin`, valid or not.
    pub(super) fn has_origin(&self) -> bool {
        self.origin.first.is_some()
    }

    /// Returns the origin of the page whose script sends the request.
    pub(super) fn origin(&self) -> Option<&'f [u8]> {
        self.origin.only()
    }

    /// Returns the origin of the page that `Referer` names.
    pub(super) fn origin_of_page(&self) -> Option<&'f [u8]> {
        let page = self.referer.only()?;
        let (_, rest) = default_port(page)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        page.get(..page.len() - rest.len() + end)
    }

    /// Returns the field that decides, for a message, with no more of a page's address than its origin.
    pub(super) fn said(&self) -> Option<String> {
        let shown = |value: &[u8]| String::from_utf8_lossy(value).chars().take(100).collect::<String>();
        if self.fetch_site.is_some() {
            return Some("Sec-Fetch-Site".to_owned());
        }
        let origin = self.origin.first.map(|value| format!("Origin {:?}", shown(value)));
        // The rest of a page's address may hold a token, and is nobody's business.
        let page = || self.origin_of_page().map(shown).unwrap_or_default();
        origin.or_else(|| self.referer.first.map(|_| format!("Referer {:?}", page())))
    }
}

fn of_fetch_site(value: &[u8]) -> Site {
    if value.eq_ignore_ascii_case(b"same-origin") || value.eq_ignore_ascii_case(b"none") {
        Site::Own
    } else if value.eq_ignore_ascii_case(b"same-site") {
        Site::Same
    } else {
        Site::Other
    }
}

/// The default port of plain HTTP.
const PLAIN: u16 = 80;

/// The origin of a page.
struct Origin<'f> {
    host: Host<'f>,
    default_port: u16,
}

impl<'f> Origin<'f> {
    /// Reads an origin, or the URL of a page.
    fn parse(text: &'f [u8]) -> Option<Self> {
        let (default_port, rest) = default_port(text)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let host = Host::parse(rest.get(..end)?).ok()?;
        Some(Self { host, default_port })
    }

    /// Relates the origin to a host. The scheme that the client used may be unknown, as TLS may end before Scopegate: a `Host`
    /// without a port has the default port of the page's scheme.
    fn relation(&self, host: Option<&Host<'_>>, is_ours: impl Fn(&[u8]) -> bool) -> Site {
        let port = |host: &Host<'_>| host.port().unwrap_or(self.default_port);
        match host {
            Some(host) if same_name(host.name(), self.host.name()) => {
                if port(host) == port(&self.host) {
                    Site::Own
                } else {
                    Site::Same
                }
            }
            _ if is_ours(self.host.name()) => Site::Same,
            _ => Site::Other,
        }
    }
}

/// Returns the default port of a web URL's scheme, and the text after the scheme.
fn default_port(text: &[u8]) -> Option<(u16, &[u8])> {
    [(PLAIN, &b"http://"[..]), (443, b"https://")].into_iter().find_map(|(port, scheme)| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some((port, rest))
    })
}

fn same_name(one: &[u8], other: &[u8]) -> bool {
    let bare = |name: &'_ [u8]| name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
    bare(one) == bare(other)
}
