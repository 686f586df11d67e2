//! The imports between modules.

use crate::modules::{ModulePath, Modules};
use std::collections::BTreeSet;

/// One import of a module's item by another module.
pub(crate) struct Import {
    pub(crate) from: ModulePath,
    pub(crate) to: ModulePath,
    /// The file and line.
    pub(crate) place: String,
    /// The path as it is written.
    pub(crate) written: String,
    /// Whether it is a `use` item that is visible outside its module.
    pub(crate) re_exports: bool,
}

/// Returns all imports, ordered by module. A module that several places of another module import is returned once, but
/// every re-export is returned.
pub(crate) fn imports(modules: &Modules) -> Vec<Import> {
    let mut all = Vec::new();
    for (from, module) in modules.iter() {
        let uses = module.uses.iter().map(|item| (&item.path, item.re_exports));
        // A path of one segment is either local or comes from a `use` item.
        let paths = module.paths.iter().filter(|path| path.segments.len() > 1).map(|path| (path, false));
        let mut seen = BTreeSet::from([from.clone()]);
        for (named, re_exports) in uses.chain(paths) {
            let Some(to) = modules.resolve(from, &named.segments) else { continue };
            if seen.insert(to.clone()) || re_exports {
                let place = format!("{}:{}", module.file, named.line);
                all.push(Import {
                    from: from.clone(),
                    to,
                    place,
                    written: named.segments.join("::"),
                    re_exports,
                });
            }
        }
    }
    all
}

impl Import {
    /// Returns the importing layer, or nothing for the crate root.
    pub(crate) fn importing_layer(&self) -> Option<&str> {
        self.from.first().map(String::as_str)
    }

    /// Returns the imported layer, or nothing for the crate root.
    pub(crate) fn imported_layer(&self) -> Option<&str> {
        self.to.first().map(String::as_str)
    }

    /// Reports whether the import leads from one layer to another.
    pub(crate) fn crosses(&self) -> bool {
        self.importing_layer().is_some()
            && self.imported_layer().is_some()
            && self.importing_layer() != self.imported_layer()
    }

    /// Returns the place and the path for a message.
    pub(crate) fn shown(&self) -> String {
        format!("{} imports `{}`", self.place, self.written)
    }
}
