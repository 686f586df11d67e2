//! Bounds on a connection. Those that operators set are in [`http1::server::ConnectionLimits`].

use std::time::Duration;

/// The streams of a connection that run at once.
pub(crate) const STREAMS: u32 = 100;
/// The bytes of a request's body that a client may send before anything reads them. It leaves room for other bodies.
pub(crate) const STREAM_WINDOW: u32 = 7 << 20;
/// The most bytes of all bodies of a connection that its client may send before anything reads them. A client learns of
/// room when half of the window is read, so with a round-trip time of 50 ms one body can move about 70 MB/s.
pub(crate) const CONNECTION_WINDOW: u32 = 8 << 20;
/// The window that every connection begins with (RFC 9113, section 6.9.2).
pub(crate) const FIRST_WINDOW: u32 = 65_535;
/// The largest frame that is received, the least that may be set.
pub(crate) const FRAME: u32 = 16 * 1024;
/// The size of the table that compresses heads.
pub(crate) const HEADER_TABLE: u32 = 4096;
/// The bytes of frames that are written together, as much as HTTP/1.1 writes of a body at once.
pub(crate) const GATHER: usize = 256 * 1024;
/// The length of a piece of a response from which on it is not copied on its way to the wire.
pub(crate) const MIN_KEPT: usize = 4 * 1024;
/// The most parts of what was gathered that are written at once: a head and a piece for each of the longest frames, and a
/// few more.
pub(crate) const WRITE_PARTS: usize = 40;
/// The most bytes that wait for the end of the thread's turn, as in HTTP/1.1.
pub(crate) const DEFERRED: usize = 16 * 1024;
/// The longest piece of a body that is sent as one frame. With its head it fills a record of TLS.
pub(crate) const PIECE: usize = 16 * 1024 - 9;
/// The bytes of a response that are handed to the connection before it has sent them.
pub(crate) const SEND_BUFFER: usize = 128 * 1024;
/// The streams that a client may reset before they are looked at.
pub(crate) const PENDING_RESETS: usize = 20;
/// The streams of a connection that may break the protocol.
pub(crate) const ERROR_RESETS: usize = 64;
/// The streams that a client may reset at once, and each second after that.
pub(crate) const RESETS: (u32, u32) = (200, 20);
/// The frames that a client may send at once, and each second after that, which neither begin a request nor carry its
/// body or make room for a response: SETTINGS, PING, PRIORITY, GOAWAY and unknown ones.
pub(crate) const CONTROL_FRAMES: (u32, u32) = (1000, 100);
/// The length of an incomplete head from which on it is charged as memory.
pub(crate) const UNCHARGED_HEAD: usize = 4096;
/// The time for the last frames of a connection that ends, and after them for its client to end it too.
pub(crate) const CLOSE: Duration = Duration::from_secs(5);
/// The most that is read after the end, in bytes. A client that keeps to the windows sends less before it notices.
pub(crate) const MAX_LINGER: usize = 2 * CONNECTION_WINDOW as usize;
/// The size of the buffer for what a client sends after the end.
pub(crate) const LINGER_PIECE: usize = 4096;

/// The most that is read of a request's body after its response, in bytes, and the time for it. These are the bounds of
/// HTTP/1.1 on reading after the last response.
pub(crate) const MAX_DRAINED: usize = 64 * 1024 * 1024;
pub(crate) const DRAIN: Duration = Duration::from_secs(30);
/// The time in which a preface or a stream that was on its way when the end began is served. Its client could not know.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(1);

/// The bytes that a connection reads in a turn.
pub(crate) const TURN_BYTES: usize = 64 * 1024;
/// The number of streams that a connection polls in a turn.
pub(crate) const TURN_STREAMS: u32 = 16;
