//! Two servers in turns: one client sends a request to one of them, waits for the response and goes on with the other.
//!
//! The speed of a store changes from second to second, and a store that was idle is slower. In turns, both servers meet
//! the store in the same state.

use super::{Connection, Latencies, Request};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A load on two servers in turns.
pub(crate) struct Turns {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

impl Turns {
    /// Loads both servers, each on one connection, and returns the latencies of each. The order within a pair of
    /// requests is random.
    ///
    /// # Errors
    /// An exchange fails.
    pub(crate) async fn run(&self, sides: [(SocketAddr, &Request); 2]) -> Result<[Latencies; 2], String> {
        let [(one, _), (other, _)] = sides;
        let mut connections = [Connection::small(one).await?, Connection::small(other).await?];
        let mut took = [Vec::new(), Vec::new()];
        let mut random = fastrand::Rng::with_seed(self.seed);
        for (connection, (_, request)) in connections.iter_mut().zip(sides) {
            connection.exchange(request).await?;
        }
        let start = Instant::now();
        while start.elapsed() < self.length {
            let mut pair: Vec<_> = connections.iter_mut().zip(sides).zip(&mut took).collect();
            random.shuffle(&mut pair);
            for ((connection, (_, request)), took) in pair {
                let sent = Instant::now();
                connection.exchange(request).await?;
                took.push(sent.elapsed());
            }
        }
        Ok(took.map(Latencies::from))
    }
}
