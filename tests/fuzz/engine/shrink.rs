//! Shrinks a failing input as long as it still fails.

use super::Target;
use super::attempt::{Attempt, attempt};

/// Removes parts of the input, first large ones, then smaller ones, as long as the rest still fails.
pub(super) fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let fails = |input: &[u8]| matches!(attempt(target, input), Attempt::Failed(_));
    let mut small = input.to_vec();
    let mut part = small.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        while at < small.len() {
            let end = small.len().min(at + part);
            let without = [&small[..at], &small[end..]].concat();
            if fails(&without) {
                small = without;
            } else {
                at = end;
            }
        }
        part /= 2;
    }
    small
}

#[test]
fn removes_irrelevant_parts() {
    let check = |input: &[u8]| {
        assert!(!input.windows(2).any(|pair| pair == b"ab"));
        String::new()
    };
    let target = Target { name: "shrink", words: &[], inputs: 0, check };
    assert_eq!(shrink(&target, b"xxaxxbxxxabxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), b"ab");
}
