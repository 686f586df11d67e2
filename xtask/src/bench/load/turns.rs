//! Two servers, asked in turns by one client that waits for each answer.
//!
//! A store takes longer or shorter from one second to the next, and longer where it had nothing to do in between. What
//! is asked in turns meets the same store.

use super::{Connection, Latencies, Request};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A load.
pub(crate) struct Turns {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

impl Turns {
    /// Asks both, on a connection each, and says how long the answers of each took. Who is first in a pair of requests
    /// is left to chance.
    ///
    /// # Errors
    /// Where an exchange fails.
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
                let asked = Instant::now();
                connection.exchange(request).await?;
                took.push(asked.elapsed());
            }
        }
        Ok(took.map(Latencies::from))
    }
}
