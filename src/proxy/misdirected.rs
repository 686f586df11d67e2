//! Refuses requests for another host than the one that their TLS connection was opened for (RFC 9110, section 15.5.20).
//!
//! A client may send requests for several hosts over one connection if its certificate is for all of them. The handshake
//! was that of the first host. Where another host would have had another certificate, the client has not verified that it
//! talks to it. Where clients prove who they are in the handshake, any other host is refused: a certificate that was meant
//! for one host must not count for another.
//!
//! A client that named no host in the handshake (SNI) got the first certificate and gave nothing to compare, so it is
//! served. A `Host` that is an address is compared like a name, which no name in a handshake equals.

use super::Proxy;
use super::live_tls::LiveTls;
use crate::identify::client::Connection;
use crate::refusal::{Refusal, Rule};
use http1::Request;

impl Proxy {
    /// Checks that a request is for the host that its connection was opened for, or for one that is served together with it.
    ///
    /// # Errors
    /// When it is for another host.
    pub(super) fn check_direction(&self, connection: &Connection, request: &Request) -> Result<(), Refusal> {
        let Some(opened_for) = connection.tls().and_then(|tls| tls.server_name.as_deref()) else {
            return Ok(());
        };
        let Some(host) = request.host() else { return Ok(()) };
        let host = String::from_utf8_lossy(bare(host.name()));
        if host.eq_ignore_ascii_case(opened_for.trim_end_matches('.')) {
            return Ok(());
        }
        let live = self.generation.listeners.tls(connection.listener().id());
        if live.is_none_or(|live| are_together(live, opened_for, &host)) {
            return Ok(());
        }
        let message = format!(
            "this TLS connection was opened for the host {opened_for:?}, and the request is for {host:?}: open another \
             connection for it"
        );
        Err(Refusal::new(Rule::Misdirected, message))
    }
}

/// Returns whether requests for `host` may come over a connection that was opened for another host.
fn are_together(live: &LiveTls, opened_for: &str, host: &str) -> bool {
    let identifies_clients = live.settings().clients.is_some();
    !identifies_clients && live.current().is_some_and(|tls| tls.serves_together(Some(opened_for), host))
}

fn bare(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}
