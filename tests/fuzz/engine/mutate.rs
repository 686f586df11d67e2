//! Inputs derived from other inputs.

use fastrand::Rng;
use std::ops::Range;

/// The length of the longest derived input, in bytes.
const MAX_INPUT: usize = 16 * 1024;
/// The largest number of changes to one input.
const MAX_CHANGES: u32 = 6;

/// Bytes with a meaning to some parser.
const EDGES: &[u8] = b"\0\t\n\r \"%&+,-./0:;=?[\\]_aAfFxX~\x7f\x80\xc0\xff";

pub(super) struct Mutator {
    rng: Rng,
    words: &'static [&'static [u8]],
}

impl Mutator {
    pub(super) fn new(seed: u64, words: &'static [&'static [u8]]) -> Self {
        Self { rng: Rng::with_seed(seed), words }
    }

    /// Returns a changed copy of an input of the pool.
    pub(super) fn mutate(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.rng.usize(..pool.len())].clone();
        for _ in 0..self.rng.u32(1..=MAX_CHANGES) {
            self.change(&mut input, pool);
        }
        input.truncate(MAX_INPUT);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.rng.usize(..=input.len());
        match self.rng.u32(..10) {
            0 => self.flip_bit(input),
            1 => self.replace_byte(input),
            2 => input.insert(at, self.edge()),
            3 => drop(input.drain(self.range(input.len(), 8))),
            4 => drop(input.drain(self.range(input.len(), 64))),
            5 => self.repeat_range(input),
            6 => self.splice(input, pool),
            7 => drop(input.splice(self.range(input.len(), 8), self.word())),
            _ => drop(input.splice(at..at, self.word())),
        }
    }

    fn flip_bit(&mut self, input: &mut [u8]) {
        if !input.is_empty() {
            input[self.rng.usize(..input.len())] ^= 1 << self.rng.u32(..8);
        }
    }

    fn replace_byte(&mut self, input: &mut [u8]) {
        if !input.is_empty() {
            let byte = if self.rng.bool() { self.edge() } else { self.rng.u8(..) };
            input[self.rng.usize(..input.len())] = byte;
        }
    }

    /// Inserts a copy of a part of the input, sometimes many copies.
    fn repeat_range(&mut self, input: &mut Vec<u8>) {
        let part = input[self.range(input.len(), 48)].to_vec();
        let times = if self.rng.u32(..8) == 0 { self.rng.usize(2..100) } else { 1 };
        let at = self.rng.usize(..=input.len());
        input.splice(at..at, part.repeat(times));
    }

    /// Joins the beginning of one input and the end of another.
    fn splice(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let other = &pool[self.rng.usize(..pool.len())];
        input.truncate(self.rng.usize(..=input.len()));
        input.extend_from_slice(&other[self.rng.usize(..=other.len())..]);
    }

    fn range(&mut self, length: usize, most: usize) -> Range<usize> {
        let start = self.rng.usize(..=length);
        start..self.rng.usize(start..=length.min(start + most))
    }

    fn edge(&mut self) -> u8 {
        EDGES[self.rng.usize(..EDGES.len())]
    }

    fn word(&mut self) -> Vec<u8> {
        self.words[self.rng.usize(..self.words.len())].to_vec()
    }
}

#[test]
fn derives_the_same_inputs_from_a_seed() {
    let pool = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), Vec::new()];
    let make = |seed| {
        let mut mutator = Mutator::new(seed, &[b"Host: h\r\n"]);
        (0..1000).map(|_| mutator.mutate(&pool)).collect::<Vec<_>>()
    };
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
    assert!(make(3).iter().all(|input| input.len() <= MAX_INPUT));
}
