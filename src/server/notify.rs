//! What a service manager is told, where there is one.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use sd_notify::NotifyState;

/// It serves; after a reload, again.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its configuration again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager was not told of a reload"),
    }
}

/// It finishes what runs.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
