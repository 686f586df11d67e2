//! What happens on connections, as metrics count it.

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection began.
    Connection,
    /// A stream began.
    Stream,
    /// A stream was reset before its response was complete.
    Reset(ResetBy),
    /// The server told the client to open no more streams, or closed the connection.
    Closed(ClosedBy),
}

/// The reason a stream was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetBy {
    /// The client reset it, or broke the protocol, or its connection ended.
    Client,
    /// Its client has too many streams.
    Refused,
    /// The request took too long.
    TimedOut,
    /// The client reads too slowly.
    Stalled,
    /// The response broke off.
    Broken,
}

impl ResetBy {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Client, Self::Refused, Self::TimedOut, Self::Stalled, Self::Broken];

    /// Returns the name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Refused => "refused",
            Self::TimedOut => "timeout",
            Self::Stalled => "stalled",
            Self::Broken => "broken",
        }
    }
}

/// The reason the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The server stops, or no longer accepts the connection.
    Stopping,
    /// It had no streams for too long.
    Idle,
    /// The preface, a head or the reading of responses took too long.
    TimedOut,
    /// The client sends too many frames that only cost work.
    Flood,
    /// There is no memory for what the client sends or does not read.
    Memory,
    /// The client broke the protocol.
    Protocol,
}

impl ClosedBy {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::Stopping, Self::Idle, Self::TimedOut, Self::Flood, Self::Memory, Self::Protocol];

    /// Returns the name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Idle => "idle",
            Self::TimedOut => "timeout",
            Self::Flood => "flood",
            Self::Memory => "memory",
            Self::Protocol => "protocol",
        }
    }
}
