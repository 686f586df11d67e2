//! A closed loop: each client sends its next request as soon as it has the response.
//!
//! `wrk` sends more requests, but its percentiles are not those of its responses. For each response that took more than
//! twice the average, it adds those that a client with a steady pace would have waited for (`stats_correct` in its
//! `stats.c`). A stall of five milliseconds counts seven times if a response takes 0.7.

use super::{Connection, Endpoint, Latencies, Request};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A load of clients in closed loops.
pub(crate) struct Closed {
    pub(crate) connections: u32,
    pub(crate) length: Duration,
}

impl Closed {
    /// Loads a proxy and returns the latencies.
    ///
    /// # Errors
    /// An exchange fails.
    pub(crate) async fn run(&self, endpoint: &Endpoint, request: &Request) -> Result<Latencies, String> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            let mut connection = Connection::open(endpoint, 16 << 10).await?;
            connection.exchange(request).await?;
            connections.push(connection);
        }
        let until = Instant::now() + self.length;
        let mut clients = JoinSet::new();
        for connection in connections {
            clients.spawn_local(repeat(connection, request.clone(), until));
        }
        let mut took = Vec::new();
        while let Some(client) = clients.join_next().await {
            took.extend(client.map_err(|_panic| "a client panicked".to_owned())??);
        }
        Ok(took.into())
    }
}

async fn repeat(
    mut connection: Connection,
    request: Request,
    until: Instant,
) -> Result<Vec<Duration>, String> {
    let mut took = Vec::new();
    let mut sent = Instant::now();
    while sent < until {
        connection.exchange(&request).await?;
        let answered = Instant::now();
        took.push(answered - sent);
        sent = answered;
    }
    Ok(took)
}
