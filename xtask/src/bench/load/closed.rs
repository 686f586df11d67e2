//! As many requests as go: each client asks again as soon as it has its answer.
//!
//! `wrk` counts more of them, but its percentiles are not those of the answers it had. For each that took more than twice
//! as long as one does on average it adds those that a client at a steady pace would have had meanwhile (`stats_correct`
//! in its `stats.c`): a stall of five milliseconds counts sevenfold where an answer takes 0.7.

use super::{Connection, Latencies, Request};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A load.
pub(crate) struct Closed {
    pub(crate) connections: u32,
    pub(crate) length: Duration,
}

impl Closed {
    /// Loads a proxy, and says how long its answers took.
    ///
    /// # Errors
    /// Where an exchange fails.
    pub(crate) async fn run(&self, address: SocketAddr, request: &Request) -> Result<Latencies, String> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            let mut connection = Connection::small(address).await?;
            connection.exchange(request).await?;
            connections.push(connection);
        }
        let until = Instant::now() + self.length;
        let mut clients = JoinSet::new();
        for connection in connections {
            clients.spawn_local(ask(connection, request.clone(), until));
        }
        let mut took = Vec::new();
        while let Some(client) = clients.join_next().await {
            took.extend(client.map_err(|_panic| "a client panicked".to_owned())??);
        }
        Ok(took.into())
    }
}

async fn ask(mut connection: Connection, request: Request, until: Instant) -> Result<Vec<Duration>, String> {
    let mut took = Vec::new();
    let mut asked = Instant::now();
    while asked < until {
        connection.exchange(&request).await?;
        let answered = Instant::now();
        took.push(answered - asked);
        asked = answered;
    }
    Ok(took)
}
