//! The files that the rules read: those of the repository, or a made-up tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Texts by their path from the root of the repository, with `/` between folders.
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        for folder in ["src", "crates"] {
            add_folder(root, folder, &mut files);
        }
        for file in ["ARCHITECTURE.md", "Cargo.toml", "xtask/Cargo.toml"] {
            files.insert(file.to_owned(), fs::read_to_string(root.join(file)).unwrap());
        }
        Self(files)
    }

    /// Makes a tree of paths and texts.
    pub(crate) fn made_up(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.0.get(path).cloned().unwrap_or_else(|| panic!("{path} does not exist"))
    }

    /// Returns the names of the files and folders directly in a folder.
    pub(crate) fn entries(&self, folder: &str) -> BTreeSet<String> {
        let below = self.0.keys().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
        below.map(|path| path.split('/').next().unwrap_or(path).to_owned()).collect()
    }

    /// Returns the manifests of all crates of the workspace.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, toml::Table)> {
        let manifests = self.0.iter().filter(|(path, _)| path.rsplit('/').next() == Some("Cargo.toml"));
        manifests.map(|(path, text)| {
            (path.as_str(), text.parse().unwrap_or_else(|error| panic!("{path}: {error}")))
        })
    }
}

/// Adds every text file below a folder. A folder that does not exist has none.
fn add_folder(root: &Path, folder: &str, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            add_folder(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.insert(path, text);
        }
    }
}

#[test]
fn lists_the_entries_of_a_folder_once() {
    let sources =
        Sources::made_up(&[("src/lib.rs", ""), ("src/a/mod.rs", ""), ("src/a/b.rs", ""), ("x", "")]);
    assert_eq!(sources.entries("src").into_iter().collect::<Vec<_>>(), ["a", "lib.rs"]);
}
