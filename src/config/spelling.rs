//! Finds the known word that a mistyped one resembles.

use strsim::levenshtein;

/// Returns the known word that a mistyped one resembles most, if it resembles one at all.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // A long word resembles nothing, and its distances would take long.
    let (word, _) = word.split_at(word.floor_char_boundary(64));
    let near = known.iter().map(|candidate| (levenshtein(word, candidate), *candidate)).min()?;
    (near.0 <= 2 && near.0 < near.1.len()).then_some(near.1)
}
