//! Progress of a command, on stderr if that is a terminal. Elsewhere nothing is shown.

use crate::net::terminal::plain;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use std::time::Duration;

/// The time between two pictures of a command that waits.
const TICK: Duration = Duration::from_millis(100);

/// Makes the bar of a download. It is hidden if `is_shown` is false.
pub(super) fn of_download(length: Option<u64>, is_shown: bool) -> ProgressBar {
    let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    styled(
        ProgressBar::with_draw_target(length, target),
        "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left",
    )
}

/// The line of a command that does something with one mapping after another.
pub(super) struct Mappings(ProgressBar);

impl Mappings {
    /// Makes the line for this many mappings.
    pub(super) fn new(count: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
        let bar = styled(bar, "{spinner} mapping {pos} of {len}: {wide_msg}");
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// Goes on to the next mapping.
    pub(super) fn begin(&self, name: &str) {
        self.0.inc(1);
        self.say(name);
    }

    /// Shows what is awaited.
    pub(super) fn say(&self, awaited: &str) {
        if !self.0.is_hidden() {
            self.0.set_message(plain(awaited).into_owned());
        }
    }

    /// Removes the line while something is printed.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

/// Gives a bar this template. It disappears when the command is over or fails.
fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    let bar = bar.with_finish(ProgressFinish::AndClear);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
