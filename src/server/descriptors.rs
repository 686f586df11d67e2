//! File descriptors: raises the limit, warns if it is too low, and divides what is left.

use http1::splice;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The file descriptors that the process needs besides those of client connections.
const OWN: u64 = 64;
/// The most pipes through which bodies move. Each has two descriptors and up to 64 pages, and a user without privileges may
/// have 16,384 pages in pipes (pipe(7), pipe-user-pages-soft).
const MAX_PIPES: u64 = 256;

/// Too few file descriptors for `limits.connections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFew {
    /// The most that the system allows.
    pub most: u64,
    /// The number that is needed.
    pub wanted: u64,
}

/// The help for [`TooFew`].
pub(crate) const HELP: &str = "raise the hard limit (LimitNOFILE= of the unit, ulimit -Hn, the container's ulimits), or lower limits.connections";

impl TooFew {
    /// Compares `connections` with the hard limit of this process, to which `serve` raises the soft limit.
    pub(crate) fn of(connections: usize) -> Option<Self> {
        Self::at(getrlimit(Resource::Nofile).maximum, connections)
    }

    fn at(most: Option<u64>, connections: usize) -> Option<Self> {
        let wanted = (connections as u64).saturating_add(OWN);
        most.filter(|most| *most < wanted).map(|most| Self { most, wanted })
    }
}

/// Raises the soft limit to the hard limit, and warns if that is too low for `connections`. What clients and the store do
/// not need may become pipes.
pub(crate) fn raise(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let most = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    splice::set_limit(pipes(most, connections));
    if let Some(TooFew { most, wanted }) = TooFew::at(most, connections) {
        tracing::warn!(
            most,
            wanted,
            connections,
            help = HELP,
            "there are fewer file descriptors than limits.connections may take"
        );
    }
}

/// Returns how many pipes there may be, if each of `connections` also needs one to the store.
fn pipes(most: Option<u64>, connections: usize) -> usize {
    let needed = (connections as u64).saturating_mul(2).saturating_add(OWN);
    let pipes = most.map_or(MAX_PIPES, |most| (most.saturating_sub(needed) / 2).min(MAX_PIPES));
    usize::try_from(pipes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_low_limit_is_reported() {
        assert_eq!(TooFew::at(None, 1_000_000), None);
        assert_eq!(TooFew::at(Some(1064), 1000), None);
        assert_eq!(TooFew::at(Some(1063), 1000), Some(TooFew { most: 1063, wanted: 1064 }));
    }

    #[test]
    fn pipes_take_only_what_connections_leave() {
        for (most, expected) in
            [(None, 256), (Some(1_000_000), 256), (Some(2264), 100), (Some(2064), 0), (Some(9), 0)]
        {
            assert_eq!(pipes(most, 1000), expected, "{most:?}");
        }
    }
}
