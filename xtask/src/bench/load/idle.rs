//! Connections that are idle after one request each.

use super::{Connection, Endpoint, Request};

/// Opens `count` more connections, one after the other.
///
/// # Errors
/// A connection is refused, or its exchange fails.
pub(crate) async fn open(
    endpoint: &Endpoint,
    count: usize,
    request: &Request,
    held: &mut Vec<Connection>,
) -> Result<(), String> {
    for _ in 0..count {
        let mut connection = Connection::open(endpoint, 4 << 10).await?;
        connection.exchange(request).await?;
        held.push(connection);
    }
    Ok(())
}
