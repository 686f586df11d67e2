//! The corpus: a file per input in `corpus/NAME/`.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fuzz/corpus", name].iter().collect()
}

/// Returns every input, ordered by file name.
pub(super) fn load(name: &str) -> Vec<Vec<u8>> {
    let folder = folder(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} contains no input", folder.display());
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Adds a failing input and returns its file.
pub(super) fn keep(name: &str, input: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder(name).join(format!("found-{:016x}", hasher.finish()));
    fs::write(&file, input).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file.display().to_string()
}
