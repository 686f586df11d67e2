//! Notifies the service manager, if there is one, of the server's state.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use sd_notify::NotifyState;

/// Reports that the server is ready, at start and after each reload.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Reports that the server is reading its configuration again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager could not be notified of a reload"),
    }
}

/// Reports that the server is finishing running requests.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be notified");
    }
}
