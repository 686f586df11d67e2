//! Programs that some tests need and that a machine may lack.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the path of a program: the one that `NAME_BIN` names, or one in `target/tools` or in the search path. If it
/// is missing, says on stderr how to install it and returns `None`. With `CI=true`, that is a failure.
pub(crate) fn find(name: &str, how: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(format!("{}_BIN", name.to_uppercase())) {
        return Some(PathBuf::from(named));
    }
    let search = env::var_os("PATH").unwrap_or_default();
    // Debian installs servers into folders that are only in root's search path.
    let folders = env::split_paths(&search).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let found =
        std::iter::once(tools).chain(folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} is missing ({how})");
        eprintln!("not tested: {name} is missing ({how})");
    }
    found
}
