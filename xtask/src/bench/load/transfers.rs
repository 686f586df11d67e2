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

/// Starts all transfers at once, reads each at about 160 KiB/s for `length`, and aborts them. Calls `sample` four times
/// per second.
///
/// # Errors
/// A transfer or `sample` fails.
pub(crate) async fn slowly(
    endpoint: &Endpoint,
    connections: u32,
    request: &Request,
    length: Duration,
    mut sample: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let (endpoint, request) = (endpoint.clone(), request.clone());
        running.spawn_local(async move {
            let mut connection = Connection::open(&endpoint, 16 << 10).await?;
            connection.send(&request).await?;
            let mut body = connection.head().await?;
            while body.outstanding > 0 {
                time::sleep(Duration::from_millis(100)).await;
                body.outstanding = body.outstanding.saturating_sub(connection.read_some().await?);
            }
            Ok::<(), String>(())
        });
    }
    let start = Instant::now();
    while start.elapsed() < length {
        time::sleep(Duration::from_millis(250)).await;
        sample()?;
        while let Some(ended) = running.try_join_next() {
            ended.map_err(|_panic| "a client panicked".to_owned())??;
        }
    }
    Ok(())
}
