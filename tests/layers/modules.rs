//! The tree of modules, and the module that a path leads to.

use crate::source::Sources;
use crate::syntax::{Child, Named, Syntax, Use};
use std::collections::BTreeMap;

/// The path of a module below the crate root, which is `[]`.
pub(crate) type ModulePath = Vec<String>;

/// How many aliases and re-exports a path may lead through. Real code needs two; a wrong resolution would never end.
const MAX_ALIASES: usize = 8;

/// Every module of `src/` outside tests.
pub(crate) struct Modules(BTreeMap<ModulePath, Module>);

/// One module.
pub(crate) struct Module {
    /// The file, from the root of the repository.
    pub(crate) file: String,
    pub(crate) docs: Vec<String>,
    pub(crate) uses: Vec<Use>,
    pub(crate) paths: Vec<Named>,
    pub(crate) first_definition: Option<usize>,
    /// The names that `use` brings in, with the paths as written.
    aliases: BTreeMap<String, Vec<String>>,
}

impl Modules {
    /// Parses the module tree below `src/lib.rs`.
    pub(crate) fn parse(sources: &Sources) -> Self {
        let mut modules = Self(BTreeMap::new());
        let root = "src/lib.rs".to_owned();
        let syntax = Syntax::parse(&root, &sources.text(&root));
        modules.add(Vec::new(), root, syntax, sources);
        modules
    }

    fn add(&mut self, path: ModulePath, file: String, syntax: Syntax, sources: &Sources) {
        // An inline module of lib.rs is not a layer: it exports items to tests and benches.
        let is_layer_or_below = |child: &Child| !path.is_empty() || child.inline.is_none();
        for child in syntax.children.into_iter().filter(is_layer_or_below) {
            let below = [path.as_slice(), &[child.name]].concat();
            let (file, syntax) = match child.inline {
                Some(syntax) => (file.clone(), syntax),
                None => read_module(&below, sources),
            };
            self.add(below, file, syntax, sources);
        }
        let names =
            syntax.uses.iter().filter_map(|item| Some((item.alias.clone()?, item.path.segments.clone())));
        let aliases = names.collect();
        let Syntax { docs, uses, paths, first_definition, .. } = syntax;
        self.0.insert(path, Module { file, docs, uses, paths, first_definition, aliases });
    }

    /// Returns the top-level modules by name.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (&str, &Module)> {
        self.0.iter().filter_map(|(path, module)| match path.as_slice() {
            [name] => Some((name.as_str(), module)),
            _ => None,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ModulePath, &Module)> {
        self.0.iter()
    }

    pub(crate) fn file(&self, path: &[String]) -> &str {
        self.0.get(path).map_or("", |module| &module.file)
    }

    /// Returns the module that defines what a path in `from` names, or nothing if that is outside the crate.
    pub(crate) fn resolve(&self, from: &[String], segments: &[String]) -> Option<ModulePath> {
        let absolute = self.absolute(from, segments, MAX_ALIASES)?;
        Some(self.definer(&absolute, MAX_ALIASES))
    }

    /// Returns the path from the crate root, or nothing if it leads outside the crate.
    fn absolute(&self, from: &[String], segments: &[String], aliases: usize) -> Option<Vec<String>> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([from, rest].concat()),
            "super" => {
                let parent = from.split_last()?.1;
                if rest.first().is_some_and(|next| next == "super") {
                    return self.absolute(parent, rest, aliases);
                }
                Some([parent, rest].concat())
            }
            _ if self.0.contains_key(&[from, std::slice::from_ref(first)].concat()) => {
                Some([from, segments].concat())
            }
            _ => {
                let alias = self.0.get(from)?.aliases.get(first)?;
                self.absolute(from, &[alias, rest].concat(), aliases.checked_sub(1)?)
            }
        }
    }

    /// Follows an absolute path through modules and their re-exports, up to the last module.
    fn definer(&self, path: &[String], aliases: usize) -> ModulePath {
        let mut module = ModulePath::new();
        for (index, segment) in path.iter().enumerate() {
            module.push(segment.clone());
            if self.0.contains_key(&module) {
                continue;
            }
            module.pop();
            let alias = self.0.get(&module).and_then(|found| found.aliases.get(segment));
            let behind = alias.and_then(|alias| self.absolute(&module, alias, aliases));
            return match (behind, aliases.checked_sub(1)) {
                (Some(target), Some(left)) => {
                    let rest = path.get(index + 1..).unwrap_or_default();
                    self.definer(&[target.as_slice(), rest].concat(), left)
                }
                _ => module,
            };
        }
        module
    }
}

fn read_module(path: &[String], sources: &Sources) -> (String, Syntax) {
    let stem = format!("src/{}", path.join("/"));
    let file = [format!("{stem}.rs"), format!("{stem}/mod.rs")]
        .into_iter()
        .find(|file| sources.has(file))
        .unwrap_or_else(|| panic!("neither {stem}.rs nor {stem}/mod.rs exists"));
    let syntax = Syntax::parse(&file, &sources.text(&file));
    (file, syntax)
}

#[cfg(test)]
mod tests {
    use super::Modules;
    use crate::source::Sources;

    fn resolve(from: &str, path: &str) -> Option<String> {
        let sources = Sources::made_up(&[
            ("src/lib.rs", "mod wire; mod store;"),
            ("src/wire/mod.rs", "mod body; mod h1; pub(crate) use body::Body;"),
            ("src/wire/body.rs", "pub(crate) struct Body;"),
            ("src/wire/h1.rs", "mod scan; use super::body as b; use bytes::Bytes;"),
            ("src/wire/h1/scan.rs", ""),
            ("src/store/mod.rs", "use crate::wire; use tokio::tokio;"),
        ]);
        let split = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
        Modules::parse(&sources).resolve(&split(from), &split(path)).map(|path| path.join("::"))
    }

    #[test]
    fn resolves_paths_to_the_defining_module() {
        for (from, path, expected) in [
            ("store", "crate::wire::body::Body", "wire::body"),
            ("store", "crate::wire::Body", "wire::body"),
            ("store", "wire::h1::scan::find", "wire::h1::scan"),
            ("wire::h1", "scan::find", "wire::h1::scan"),
            ("wire::h1", "self::scan::find", "wire::h1::scan"),
            ("wire::h1", "b::Body::new", "wire::body"),
            ("wire::h1::scan", "super::super::Body", "wire::body"),
            ("wire::h1::scan", "super::Head", "wire::h1"),
            ("store", "crate::Error", ""),
        ] {
            assert_eq!(resolve(from, path).as_deref(), Some(expected), "{path} in {from}");
        }
    }

    #[test]
    fn leaves_other_crates_out() {
        for (from, path) in
            [("wire::h1", "Bytes::new"), ("store", "std::io::Error"), ("store", "tokio::spawn")]
        {
            assert_eq!(resolve(from, path), None, "{path} in {from}");
        }
    }
}
