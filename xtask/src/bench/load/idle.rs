//! Connections that have done one request each and do nothing more.

use super::{Connection, Request};
use std::net::SocketAddr;

/// Opens this many more, one after the other.
///
/// # Errors
/// Where one is refused, or its request not answered.
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
