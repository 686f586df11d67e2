//! The rules. Each returns a message per violation, which says where it is and what to do.

use crate::cycles::{Graph, cycles};
use crate::imports::{Import, imports};
use crate::modules::Modules;
use crate::page::Description;
use crate::source::Sources;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// How many entries `src/` may have. More than this does not show its structure.
pub(crate) const MAX_ENTRIES: usize = 24;

const WRONG_DIRECTION: &str = "Move what both layers need into a lower one or pass it in as an argument. \
    If the import is meant, add the layer to the line and to the row in ARCHITECTURE.md.";

/// Finds layers whose module docs lack the role or the list, or list a layer that does not exist.
pub(crate) fn undocumented(modules: &Modules) -> Vec<String> {
    let names: BTreeSet<&str> = modules.layers().map(|(name, _)| name).collect();
    let mut found = Vec::new();
    for (name, module) in modules.layers() {
        match Description::parse(module) {
            Err(error) => {
                found.push(format!("{}: {error}; it imports {}.", module.file, imported(modules, name)));
            }
            Ok(description) => {
                let unknown =
                    description.may_use.iter().filter(|used| *used == name || !names.contains(used.as_str()));
                found.extend(unknown.map(|used| {
                    format!(
                        "{}: \"May use\" lists `{used}`, which is no other layer. Remove it.",
                        module.file
                    )
                }));
            }
        }
    }
    found
}

/// Returns the layers that a layer imports, for a message.
fn imported(modules: &Modules, layer: &str) -> String {
    let imports = imports(modules);
    let own = imports.iter().filter(|import| import.importing_layer() == Some(layer) && import.crosses());
    let names: BTreeSet<&str> = own.filter_map(Import::imported_layer).collect();
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Finds imports of layers that are not on the importing layer's list.
pub(crate) fn unlisted_imports(modules: &Modules) -> Vec<String> {
    let lists = lists(modules);
    let mut found = Vec::new();
    for import in imports(modules) {
        let Some(from) = import.importing_layer() else { continue };
        match import.imported_layer() {
            None => found.push(format!(
                "{}, which src/lib.rs defines. Move the item into a layer; src/lib.rs only declares modules.",
                import.shown()
            )),
            Some(to) if import.crosses() && !lists.get(from).is_some_and(|list| list.contains(to)) => {
                let root = modules.file(&[from.to_owned()]);
                found.push(format!(
                    "{}, but \"May use\" in {root} does not list `{to}`. {WRONG_DIRECTION}",
                    import.shown()
                ));
            }
            Some(_) => {}
        }
    }
    found
}

/// Finds layers that are listed and never imported.
pub(crate) fn unused_entries(modules: &Modules) -> Vec<String> {
    let imported: BTreeSet<(String, String)> = imports(modules)
        .iter()
        .filter_map(|import| {
            Some((import.importing_layer()?.to_owned(), import.imported_layer()?.to_owned()))
        })
        .collect();
    let entries = lists(modules)
        .into_iter()
        .flat_map(|(from, list)| list.into_iter().map(move |to| (from.clone(), to)));
    let unused = entries.filter(|entry| !imported.contains(entry));
    unused
        .map(|(from, to)| {
            let root = modules.file(std::slice::from_ref(&from));
            format!(
                "{root}: \"May use\" lists `{to}`, which nothing in `{from}` imports. \
                Remove it there and in ARCHITECTURE.md."
            )
        })
        .collect()
}

/// Finds cycles of the lists.
pub(crate) fn layer_cycles(modules: &Modules) -> Vec<String> {
    let cycles = cycles(&lists(modules)).into_iter();
    let messages = cycles.map(|cycle| {
        format!("The \"May use\" lists form a cycle: {}. Remove one of these uses.", shown(&cycle))
    });
    messages.collect()
}

/// Returns a cycle with its first node repeated at the end.
fn shown(cycle: &[String]) -> String {
    let nodes: Vec<String> = cycle.iter().chain(cycle.first()).map(|node| format!("`{node}`")).collect();
    nodes.join(" → ")
}

/// Finds import cycles of modules that have the same parent, at any depth below a layer.
pub(crate) fn module_cycles(modules: &Modules) -> Vec<String> {
    let imports = imports(modules);
    let mut found = Vec::new();
    for (parent, _) in modules.iter().filter(|(path, _)| !path.is_empty()) {
        let edges = sibling_imports(&imports, parent);
        let mut graph = Graph::new();
        for (from, to) in edges.keys() {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        for cycle in cycles(&graph) {
            let steps = cycle.iter().zip(cycle.iter().cycle().skip(1));
            let places = steps.filter_map(|(from, to)| edges.get(&(from.as_str(), to.as_str())));
            let places: Vec<String> = places.map(|import| format!("  {}", import.shown())).collect();
            found.push(format!(
                "Modules of `{}` import each other: {}. Move what both need into a third module, or pass it in:\n{}",
                parent.join("::"),
                shown(&cycle),
                places.join("\n")
            ));
        }
    }
    found
}

/// Returns the first import between each two children of a module, where a child includes everything below it.
fn sibling_imports<'a>(imports: &'a [Import], parent: &[String]) -> BTreeMap<(&'a str, &'a str), &'a Import> {
    let child = |path: &'a [String]| path.strip_prefix(parent)?.first().map(String::as_str);
    let mut edges = BTreeMap::new();
    for import in imports {
        if let (Some(from), Some(to)) = (child(&import.from), child(&import.to))
            && from != to
        {
            edges.entry((from, to)).or_insert(import);
        }
    }
    edges
}

/// Finds re-exports of items of another layer.
pub(crate) fn foreign_re_exports(modules: &Modules) -> Vec<String> {
    let imports = imports(modules);
    let foreign = imports.iter().filter(|import| import.re_exports && import.crosses());
    foreign
        .map(|import| {
            let layer = import.imported_layer().unwrap_or_default();
            format!(
                "{} and re-exports it. Let its users import it from `{layer}`, where it is defined.",
                import.shown()
            )
        })
        .collect()
}

/// Finds code in the `mod.rs` of a layer.
pub(crate) fn definitions_in_roots(modules: &Modules) -> Vec<String> {
    let folders = modules.layers().filter(|(_, module)| module.file.ends_with("/mod.rs"));
    folders
        .filter_map(|(name, module)| {
            let line = module.first_definition?;
            Some(format!(
                "{}:{line} defines an item. The root of a layer contains only docs, `mod` and `use`: \
                move the item into a file of src/{name}/.",
                module.file
            ))
        })
        .collect()
}

/// Counts the entries of `src/`.
pub(crate) fn too_many_entries(sources: &Sources) -> Vec<String> {
    let entries = sources.entries("src");
    if entries.len() <= MAX_ENTRIES {
        return Vec::new();
    }
    let names: Vec<String> = entries.iter().cloned().collect();
    let advice = "Put the newest into the layer it belongs to.";
    vec![format!(
        "src/ has {} entries; the limit is {MAX_ENTRIES}. {advice}\n{}",
        entries.len(),
        names.join(" ")
    )]
}

/// The crate whose messages and transports the other crates in `crates/` use.
const HTTP1: &str = "scopegate-http1";

/// Finds crates in `crates/` that depend on a crate of the workspace other than [`HTTP1`].
pub(crate) fn dependent_crates(sources: &Sources) -> Vec<String> {
    let manifests: Vec<(&str, Table)> = sources.manifests().collect();
    let own: BTreeSet<&str> = manifests.iter().filter_map(|(_, manifest)| package_name(manifest)).collect();
    let mut found = Vec::new();
    for (path, manifest) in manifests.iter().filter(|(path, _)| path.starts_with("crates/")) {
        let names = dependencies(manifest).into_iter();
        for name in names.filter(|name| own.contains(name.as_str()) && name != HTTP1) {
            found.push(format!(
                "{path}: depends on `{name}`. A crate in crates/ knows nothing of this workspace but {HTTP1}."
            ));
        }
    }
    found
}

fn package_name(manifest: &Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

/// Returns the package names in all tables of dependencies, also those of a target.
fn dependencies(table: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in table {
        let Value::Table(below) = value else { continue };
        if key.ends_with("dependencies") {
            let packages = below
                .iter()
                .map(|(name, entry)| entry.get("package").and_then(Value::as_str).unwrap_or(name));
            names.extend(packages.map(str::to_owned));
        } else {
            names.extend(dependencies(below));
        }
    }
    names
}

/// Returns what each layer may use. A layer without a valid list may use nothing.
fn lists(modules: &Modules) -> Graph {
    let layers = modules.layers();
    layers
        .map(|(name, module)| {
            let list = Description::parse(module).map(|description| description.may_use).unwrap_or_default();
            (name.to_owned(), list.into_iter().collect())
        })
        .collect()
}

#[cfg(test)]
mod tests;
