//! The two places that describe a layer: its module docs and its row in ARCHITECTURE.md.

use crate::modules::{Module, Modules};
use std::collections::BTreeSet;

/// How the line of the module docs begins that lists the layers a layer imports.
const MAY_USE: &str = "May use: ";

/// What the module docs of a layer say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// The first line.
    pub(crate) role: String,
    pub(crate) may_use: Vec<String>,
}

impl Description {
    /// Reads the docs of a layer.
    ///
    /// # Errors
    /// What is missing or malformed.
    pub(crate) fn parse(module: &Module) -> Result<Self, String> {
        Self::of_lines(&module.docs)
    }

    fn of_lines(docs: &[String]) -> Result<Self, String> {
        let role = docs.first().filter(|role| !role.is_empty() && !role.starts_with(MAY_USE));
        let role = role.ok_or("the module docs must begin with a line that says what the layer is for")?;
        let mut lists = docs.iter().filter_map(|line| line.strip_prefix(MAY_USE));
        let (Some(list), None) = (lists.next(), lists.next()) else {
            return Err(
                "the module docs must contain one line like \"May use: `a`, `b`.\" or \"May use: nothing.\""
                    .to_owned(),
            );
        };
        Ok(Self { role: role.clone(), may_use: names(list)? })
    }

    /// Returns the row of ARCHITECTURE.md, cell by cell.
    fn row(&self, name: &str) -> [String; 3] {
        let list: Vec<String> = self.may_use.iter().map(|layer| format!("`{layer}`")).collect();
        let list = if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
        [format!("`{name}`"), self.role.clone(), list]
    }
}

/// Reads "`a`, `b`." or "nothing.".
fn names(list: &str) -> Result<Vec<String>, String> {
    let malformed =
        || format!("\"{MAY_USE}{list}\" must have the form \"{MAY_USE}`a`, `b`.\" or \"{MAY_USE}nothing.\"");
    let list = list.strip_suffix('.').ok_or_else(malformed)?;
    if list == "nothing" {
        return Ok(Vec::new());
    }
    let names = list.split(", ").map(|name| {
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        (!name.contains('`')).then(|| name.to_owned())
    });
    names.collect::<Option<Vec<String>>>().ok_or_else(malformed)
}

/// Compares the rows of the page with the docs of the layers. Layers without valid docs are left to another rule.
pub(crate) fn differences(modules: &Modules, page: &str) -> Vec<String> {
    let layers: BTreeSet<&str> = modules.layers().map(|(name, _)| name).collect();
    let mut found = Vec::new();
    for (name, module) in modules.layers() {
        let Ok(description) = Description::parse(module) else { continue };
        let expected = description.row(name);
        if !page.lines().any(|line| cells(line) == expected) {
            found.push(format!(
                "ARCHITECTURE.md has no row that says what {} says. Write it, or change the docs:\n| {} |",
                module.file,
                expected.join(" | ")
            ));
        }
    }
    found.extend(rows_of_layers(page, &layers).into_iter().filter(|name| !layers.contains(name)).map(
        |name| {
            format!("ARCHITECTURE.md describes the layer `{name}`, which src/ does not have. Remove the row.")
        },
    ));
    found
}

/// Returns the name in each row of the tables that describe layers.
fn rows_of_layers<'a>(page: &'a str, layers: &BTreeSet<&str>) -> Vec<&'a str> {
    let lines: Vec<&str> = page.lines().collect();
    let tables = lines.chunk_by(|before, after| before.starts_with('|') == after.starts_with('|'));
    let names = tables.map(|table| table.iter().filter_map(|line| layer_of_row(line)).collect::<Vec<_>>());
    names.filter(|names| names.iter().any(|name| layers.contains(name))).flatten().collect()
}

/// Returns the name in a row of three cells whose first is one name in backticks.
fn layer_of_row(line: &str) -> Option<&str> {
    match cells(line).as_slice() {
        [name, _, _] => name.strip_prefix('`')?.strip_suffix('`').filter(|name| !name.contains('`')),
        _ => None,
    }
}

fn cells(line: &str) -> Vec<&str> {
    let row = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    row.map(|row| row.split('|').map(str::trim).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Description, differences};
    use crate::modules::Modules;
    use crate::source::Sources;

    fn description(docs: &str) -> Result<Description, String> {
        Description::of_lines(&docs.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_the_docs_of_a_layer() {
        let described = description("HTTP messages.\n\nMay use: `common`, `limits`.\n\nMore.").unwrap();
        let may_use = vec!["common".to_owned(), "limits".to_owned()];
        assert_eq!(described, Description { role: "HTTP messages.".to_owned(), may_use });
        assert_eq!(description("Times.\nMay use: nothing.").unwrap().may_use, Vec::<String>::new());
    }

    #[test]
    fn rejects_incomplete_and_malformed_docs() {
        for (docs, expected) in [
            ("", "must begin with"),
            ("May use: nothing.", "must begin with"),
            ("A role.", "must contain one line"),
            ("A role.\nMay use: `a`.\nMay use: `b`.", "must contain one line"),
            ("A role.\nMay use: `a`", "must have the form"),
            ("A role.\nMay use: a, b.", "must have the form"),
            ("A role.\nMay use: `a` and `b`.", "must have the form"),
        ] {
            let error = description(docs).unwrap_err();
            assert!(error.contains(expected), "{docs}: {error}");
        }
    }

    #[test]
    fn compares_the_page_with_the_docs() {
        let sources = Sources::made_up(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a/mod.rs", "//! Does a.\n//!\n//! May use: `b`."),
            ("src/b.rs", "//! Does b.\n//!\n//! May use: nothing."),
        ]);
        let modules = Modules::parse(&sources);
        let rows = "| layer | role | may use |\n|---|---|---|\n| `a` | Does a. | `b` |\n| `b` | Does b. | nothing |\n";
        assert!(differences(&modules, rows).is_empty());
        assert!(
            differences(&modules, &rows.replace("Does b", "Does c"))[0]
                .contains("| `b` | Does b. | nothing |")
        );
        assert!(
            differences(&modules, &rows.replace("| `b` |\n", "| nothing |\n"))[0]
                .contains("| `a` | Does a. | `b` |")
        );
        assert!(
            differences(&modules, &format!("{rows}| `c` | Does c. | `a` |\n"))[0].contains("`c`, which src/")
        );
        assert!(differences(&modules, &format!("{rows}\n| `c` | is in | another table |\n")).is_empty());
    }
}
