//! Follows the frames that a client sends, as far as `h2` does not show them: heads that are slow to arrive, and floods.

use crate::bounds::{CONTROL_FRAMES, RESETS};
use crate::rate::Rate;
use http1::clock;
use tokio::time::Instant;

const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// A mistake that ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Too many frames that only cost work.
    Flood,
    /// The first frame is not SETTINGS.
    NoSettings,
}

/// The frames of one client.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The bytes of the preface that are still to come.
    preface: usize,
    /// The head of the next frame, as far as it has arrived.
    head: [u8; FRAME_HEAD],
    head_length: usize,
    /// The bytes of the frame's payload that are still to come.
    payload: usize,
    has_settings: bool,
    /// Whether the head of a request has begun that does not end with the current frame.
    continues: bool,
    /// The bytes of the head that has begun.
    block: usize,
    /// The time at which the client began what it must end soon: its preface with SETTINGS, or a frame or head.
    since: Option<Instant>,
    resets: Rate,
    control: Rate,
    violation: Option<Violation>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        let now = clock::now();
        Self {
            preface: PREFACE,
            head: [0; FRAME_HEAD],
            head_length: 0,
            payload: 0,
            has_settings: false,
            continues: false,
            block: 0,
            since: Some(now),
            resets: Rate::new(RESETS, now),
            control: Rate::new(CONTROL_FRAMES, now),
            violation: None,
        }
    }

    /// Returns the first mistake.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Returns the time at which the client began something that it has not ended: not the body of a request, which may
    /// take its time.
    pub(crate) fn began(&self) -> Option<Instant> {
        self.since
    }

    /// Returns the number of bytes of a head that has not ended.
    pub(crate) fn unfinished_head(&self) -> usize {
        if self.since.is_some() { self.block } else { 0 }
    }

    /// Follows bytes that arrived.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = bytes.get(preface..).unwrap_or_default();
        while !bytes.is_empty() {
            if self.payload == 0 {
                bytes = self.follow_head(bytes);
            }
            let payload = self.payload.min(bytes.len());
            self.payload -= payload;
            bytes = bytes.get(payload..).unwrap_or_default();
        }
        if self.preface == 0 && self.has_settings {
            self.note_progress();
        }
    }

    /// Reads the head of a frame, or as much of it as there is, and returns the bytes after it.
    fn follow_head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, after) = bytes.split_at((FRAME_HEAD - self.head_length).min(bytes.len()));
        for (to, from) in self.head.iter_mut().skip(self.head_length).zip(now) {
            *to = *from;
        }
        self.head_length += now.len();
        if self.head_length == FRAME_HEAD {
            self.head_length = 0;
            let [a, b, c, kind, flags, ..] = self.head;
            self.payload = u32::from_be_bytes([0, a, b, c]) as usize;
            self.begin(kind, flags);
        }
        after
    }

    fn begin(&mut self, kind: u8, flags: u8) {
        let now = clock::now();
        if !self.has_settings && kind != SETTINGS {
            self.violation.get_or_insert(Violation::NoSettings);
        }
        self.has_settings |= kind == SETTINGS;
        let is_allowed = match kind {
            DATA | WINDOW_UPDATE => true,
            HEADERS | CONTINUATION => {
                self.block = if kind == HEADERS { 0 } else { self.block } + self.payload;
                self.continues = flags & END_HEADERS == 0;
                true
            }
            RST_STREAM => self.resets.allows(now),
            _ => self.control.allows(now),
        };
        if !is_allowed {
            self.violation.get_or_insert(Violation::Flood);
        }
    }

    /// Notes whether something has begun that the client must end soon.
    fn note_progress(&mut self) {
        let [_, _, _, kind, ..] = self.head;
        let is_open = self.continues || self.head_length > 0 || (self.payload > 0 && kind != DATA);
        match (is_open, self.since) {
            (true, None) => self.since = Some(clock::now()),
            (false, Some(_)) => (self.since, self.block) = (None, 0),
            _ => {}
        }
    }
}
