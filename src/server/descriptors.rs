//! File descriptors: raises the limit, warns if it is too low, and divides what is left.

use http1::splice;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The file descriptors that the process needs besides those of client connections.
const OWN: u64 = 64;
/// The most pipes through which bodies move. Each has two descriptors and up to 128 pages, and a user without privileges may
/// have 16,384 pages in pipes (pipe(7), pipe-user-pages-soft).
const MAX_PIPES: u64 = 128;
/// The number of file descriptors for each pipe: pipes take at most a sixteenth of the descriptors.
const PER_PIPE: u64 = 32;

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

/// Raises the soft limit to the hard limit, warns if that is too low for `connections`, and limits the number of pipes.
pub(crate) fn raise(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let most = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    splice::set_limit(pipes(most));
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

/// Returns the most pipes among `most` file descriptors. They do not depend on `limits.connections`: few processes ever have
/// as many connections, and without pipes a body costs twice the CPU.
fn pipes(most: Option<u64>) -> usize {
    let pipes = most.map_or(MAX_PIPES, |most| (most / PER_PIPE).min(MAX_PIPES));
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
    fn pipes_take_a_sixteenth_of_the_descriptors() {
        for (most, expected) in
            [(None, 128), (Some(1_000_000), 128), (Some(4096), 128), (Some(1024), 32), (Some(31), 0)]
        {
            assert_eq!(pipes(most), expected, "{most:?}");
        }
    }
}
