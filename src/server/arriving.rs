//! What each step of an arriving connection needs: its task, the client it counts for, and the time it may take.

use crate::bounds::connections::Arrival;
use crate::identify::client::{Client, Connection};
use crate::proxy::generation::Generation;
use http1::clock::with_event_clock;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The time that a PROXY header or a handshake has once the server stops. The client behind it could not know.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Starts a task for a step of a connection.
pub(super) fn start_task(step: impl Future<Output = ()> + 'static) {
    spawn_local(with_event_clock(step));
}

/// Waits until the time for a step is over: at its deadline, or soon after the server stops.
pub(super) async fn when_over(deadline: Instant, stopping: &mut watch::Receiver<bool>) {
    let stops = timeout_at(deadline, stopping.wait_for(|stop| *stop)).await.is_ok();
    sleep_until(if stops { deadline.min(Instant::now() + STOP_GRACE) } else { deadline }).await;
}

/// Returns what counts a connection for its client at its listener.
pub(super) fn arrival(generation: &Generation, connection: &Connection, known: bool) -> Arrival {
    let listeners = generation.listeners.count();
    Arrival { client: connection.key(), listener: connection.listener().id(), known, listeners }
}

/// Returns whether a mapping admits the clients of a connection, or would admit them with credentials. A load balancer need
/// not match a mapping: its requests are those of its clients.
pub(super) fn is_known(generation: &Generation, connection: &Connection) -> bool {
    let listener = generation.listeners.get(connection.listener().id());
    let forwarded = listener.and_then(|listener| listener.forwarded.as_ref());
    if forwarded.is_some_and(|headers| headers.from.trust_sender(connection)) {
        return true;
    }
    let client = Client::of_connection(connection);
    generation.sites.find(&client).is_some() || !generation.authenticator.helpful(&client).is_empty()
}
