//! Connections that are idle after one request each.

use super::{Connection, Request};
use std::net::SocketAddr;

/// Opens `count` more connections, one after the other.
///
/// # Errors
/// A connection is refused, or its exchange fails.
pub(crate) async fn open(
    address: SocketAddr,
    count: usize,
    request: &Request,
    held: &mut Vec<Connection>,
) -> Result<(), String> {
    for _ in 0..count {
        let mut connection = Connection::open(address, 4 << 10).await?;
        connection.exchange(request).await?;
        held.push(connection);
    }
    Ok(())
}
