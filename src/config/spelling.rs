//! Finds the known word that is closest to a mistyped one.

use strsim::levenshtein;

/// Returns the known word that is closest to a mistyped one, if any is close enough.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // A longer word is close to nothing, and comparing it would take long.
    let (word, _) = word.split_at(word.floor_char_boundary(64));
    let near = known.iter().map(|candidate| (levenshtein(word, candidate), *candidate)).min()?;
    (near.0 <= 2 && near.0 < near.1.len()).then_some(near.1)
}
