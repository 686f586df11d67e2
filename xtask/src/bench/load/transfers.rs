//! Large bodies: a fixed amount as fast as possible, and many that are read slowly.

use super::{Connection, Endpoint, Request};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time;

/// How long a fixed amount may take.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Bytes that were transferred.
pub(crate) struct Transferred {
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

/// Sends `request` `each` times on each of `connections` and waits for all responses.
///
/// # Errors
/// A transfer fails, or all of them take too long.
pub(crate) async fn all(
    endpoint: &Endpoint,
    connections: u32,
    each: u32,
    request: &Request,
) -> Result<Transferred, String> {
    let mut running = JoinSet::new();
    let start = Instant::now();
    for _ in 0..connections {
        let (endpoint, request) = (endpoint.clone(), request.clone());
        running.spawn_local(async move {
            let mut connection = Connection::fast(&endpoint).await?;
            let mut bytes = 0;
            for _ in 0..each {
                bytes += connection.exchange(&request).await?;
            }
            Ok::<u64, String>(bytes)
        });
    }
    let mut bytes = 0;
    let whole = async {
        while let Some(transfer) = running.join_next().await {
            bytes += transfer.map_err(|_panic| "a client panicked".to_owned())??;
        }
        Ok::<(), String>(())
    };
    time::timeout(TIMEOUT, whole).await.map_err(|_| "the transfers took too long".to_owned())??;
    Ok(Transferred { bytes, took: start.elapsed() })
}

/// How clients that are in no hurry read.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    /// About 160 KiB per second.
    Slow,
    /// The beginning of the response, and then nothing.
    Nothing,
}

/// Many transfers that are started at once and aborted after some time.
pub(crate) struct Unhurried {
    pub(crate) connections: u32,
    pub(crate) reading: Reading,
    pub(crate) length: Duration,
}

impl Unhurried {
    /// Runs the transfers. Calls `sample` four times per second.
    ///
    /// # Errors
    /// A transfer or `sample` fails.
    pub(crate) async fn run(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        mut sample: impl FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        let mut running = JoinSet::new();
        for _ in 0..self.connections {
            let (endpoint, request, reading) = (endpoint.clone(), request.clone(), self.reading);
            running.spawn_local(async move {
                let mut connection = Connection::open(&endpoint, 16 << 10).await?;
                connection.send(&request).await?;
                let mut body = connection.head().await?;
                while body.outstanding > 0 {
                    match reading {
                        Reading::Slow => time::sleep(Duration::from_millis(100)).await,
                        Reading::Nothing => std::future::pending().await,
                    }
                    body.outstanding = body.outstanding.saturating_sub(connection.read_some().await?);
                }
                Ok::<(), String>(())
            });
        }
        let start = Instant::now();
        while start.elapsed() < self.length {
            time::sleep(Duration::from_millis(250)).await;
            sample()?;
            while let Some(ended) = running.try_join_next() {
                ended.map_err(|_panic| "a client panicked".to_owned())??;
            }
        }
        Ok(())
    }
}
