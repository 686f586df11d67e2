//! New connections, each with one request.

use super::{Connection, Endpoint, Request};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clients that connect, send a request, read its response and close the connection, again and again.
pub(crate) struct Handshakes {
    pub(crate) clients: u32,
    pub(crate) length: Duration,
    /// Whether each client resumes the session of its connection before.
    pub(crate) resumed: bool,
}

impl Handshakes {
    /// Loads a proxy and returns the number of connections. Calls `begin` once every client has its first session.
    ///
    /// # Errors
    /// A handshake or an exchange fails, or a handshake is not of the kind that is measured.
    pub(crate) async fn run<T>(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        begin: impl FnOnce() -> Result<T, String>,
    ) -> Result<(u32, T), String> {
        let mut endpoints = Vec::new();
        for _ in 0..self.clients {
            let own = if self.resumed { endpoint.with_sessions() } else { endpoint.clone() };
            open(&own, request).await?;
            endpoints.push(own);
        }
        let before = begin()?;
        let until = Instant::now() + self.length;
        let mut clients = JoinSet::new();
        for endpoint in endpoints {
            clients.spawn_local(repeat(endpoint, request.clone(), self.resumed, until));
        }
        let mut connections = 0;
        while let Some(client) = clients.join_next().await {
            connections += client.map_err(|_panic| "a client panicked".to_owned())??;
        }
        Ok((connections, before))
    }
}

/// Opens connections until the time is up and returns their number.
async fn repeat(endpoint: Endpoint, request: Request, resumed: bool, until: Instant) -> Result<u32, String> {
    let mut count = 0;
    while Instant::now() < until {
        if open(&endpoint, &request).await? != resumed {
            let wanted = if resumed { "resume the session" } else { "make a full handshake" };
            return Err(format!("the server did not {wanted}"));
        }
        count += 1;
    }
    Ok(count)
}

/// Opens a connection for one request and reports whether it resumed a session.
async fn open(endpoint: &Endpoint, request: &Request) -> Result<bool, String> {
    let mut connection = Connection::open(endpoint, 4 << 10).await?;
    connection.exchange(request).await?;
    Ok(connection.is_resumed())
}
