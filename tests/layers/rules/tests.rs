use super::{
    definitions_in_roots, dependent_crates, foreign_re_exports, layer_cycles, module_cycles,
    too_many_entries, undocumented, unlisted_imports, unused_entries,
};
use crate::modules::Modules;
use crate::source::Sources;

/// Makes two layers, of which `upper` may use `lower`, from their files besides the roots.
fn two_layers(files: &[(&str, &str)]) -> Modules {
    let mut all = vec![
        ("src/lib.rs", "mod upper; mod lower;"),
        ("src/upper/mod.rs", "//! Above.\n//!\n//! May use: `lower`.\nmod a; mod b;"),
        ("src/lower/mod.rs", "//! Below.\n//!\n//! May use: nothing.\nmod c; mod d; pub(crate) use c::C;"),
        ("src/upper/a.rs", ""),
        ("src/upper/b.rs", ""),
        ("src/lower/c.rs", ""),
        ("src/lower/d.rs", ""),
    ];
    all.extend(files);
    Modules::parse(&Sources::made_up(&all))
}

/// Checks that there is one message and that it contains these parts.
#[track_caller]
fn assert_one(violations: &[String], parts: &[&str]) {
    assert_eq!(violations.len(), 1, "{violations:?}");
    for part in parts {
        assert!(violations[0].contains(part), "{part:?} is not in {:?}", violations[0]);
    }
}

#[test]
fn accepts_imports_of_listed_layers() {
    let modules = two_layers(&[("src/upper/a.rs", "use crate::lower::C;")]);
    assert!(undocumented(&modules).is_empty());
    assert!(unlisted_imports(&modules).is_empty());
    assert!(unused_entries(&modules).is_empty());
    assert!(layer_cycles(&modules).is_empty());
}

#[test]
fn names_the_file_and_line_of_an_unlisted_import() {
    let modules = two_layers(&[("src/lower/d.rs", "\nfn f() { crate::upper::a::f() }")]);
    assert_one(
        &unlisted_imports(&modules),
        &["src/lower/d.rs:2 imports `crate::upper::a::f`", "src/lower/mod.rs does not list `upper`"],
    );
    let modules = two_layers(&[("src/lower/d.rs", "use super::super::upper::b;")]);
    assert_one(&unlisted_imports(&modules), &["src/lower/d.rs:1 imports `super::super::upper::b`"]);
}

#[test]
fn rejects_items_of_the_crate_root() {
    let modules = two_layers(&[("src/lower/d.rs", "use crate::Error;")]);
    assert_one(&unlisted_imports(&modules), &["src/lower/d.rs:1", "src/lib.rs defines"]);
}

#[test]
fn rejects_entries_that_are_not_imported() {
    let in_tests = [("src/upper/a.rs", "#[cfg(test)]\nmod tests { use crate::lower::C; }")];
    assert_one(&unused_entries(&two_layers(&in_tests)), &["src/upper/mod.rs", "lists `lower`"]);
}

#[test]
fn rejects_docs_without_role_or_list_and_unknown_layers() {
    let modules = two_layers(&[("src/lower/mod.rs", "//! Below.")]);
    assert_one(
        &undocumented(&modules),
        &["src/lower/mod.rs: the module docs must contain one line", "it imports nothing"],
    );
    let modules = two_layers(&[("src/lower/mod.rs", "//! Below.\n//! May use: `other`.")]);
    assert_one(&undocumented(&modules), &["src/lower/mod.rs", "lists `other`"]);
}

#[test]
fn shows_the_cycle_of_two_lists() {
    let modules = two_layers(&[("src/lower/mod.rs", "//! Below.\n//! May use: `upper`.")]);
    assert_one(&layer_cycles(&modules), &["`lower` → `upper` → `lower`"]);
}

#[test]
fn finds_cycles_of_siblings_through_children_and_re_exports() {
    let modules = two_layers(&[
        ("src/lower/c.rs", "mod inner;"),
        ("src/lower/c/inner.rs", "use crate::lower::d::D;"),
        ("src/lower/d.rs", "\nuse super::C;"),
    ]);
    assert_one(
        &module_cycles(&modules),
        &[
            "Modules of `lower`",
            "`c` → `d` → `c`",
            "src/lower/c/inner.rs:1 imports `crate::lower::d::D`",
            "src/lower/d.rs:2 imports `super::C`",
        ],
    );
}

#[test]
fn lets_a_module_and_its_children_use_each_other() {
    let modules = two_layers(&[
        ("src/lower/c.rs", "mod inner; use inner::Inner;\npub(crate) struct C;"),
        ("src/lower/c/inner.rs", "use super::C;"),
    ]);
    assert!(module_cycles(&modules).is_empty());
}

#[test]
fn rejects_re_exports_of_another_layer() {
    let modules = two_layers(&[("src/upper/a.rs", "pub(crate) use crate::lower::C;")]);
    assert_one(&foreign_re_exports(&modules), &["src/upper/a.rs:1", "from `lower`"]);
    assert!(foreign_re_exports(&two_layers(&[("src/upper/a.rs", "use crate::lower::C;")])).is_empty());
}

#[test]
fn rejects_code_in_the_root_of_a_layer() {
    let modules = two_layers(&[("src/lower/mod.rs", "//! Below.\n//! May use: nothing.\nmod c;\nfn f() {}")]);
    assert_one(&definitions_in_roots(&modules), &["src/lower/mod.rs:4"]);
    assert!(definitions_in_roots(&two_layers(&[])).is_empty());
}

#[test]
fn limits_the_entries_of_src() {
    let names: Vec<String> = (0..25).map(|number| format!("src/{number}.rs")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_one(&too_many_entries(&Sources::made_up(&files)), &["25 entries"]);
    assert!(too_many_entries(&Sources::made_up(&files[1..])).is_empty());
}

#[test]
fn finds_dependencies_on_the_workspace_under_any_name() {
    let crates = |codec: &str| {
        let codec = format!("[package]\nname = \"codec\"\n{codec}");
        Sources::made_up(&[
            ("Cargo.toml", "[package]\nname = \"main\"\n[dependencies]\ncodec = { path = \"crates/codec\" }"),
            ("crates/store/Cargo.toml", "[package]\nname = \"store\""),
            ("crates/codec/Cargo.toml", &codec),
        ])
    };
    assert!(dependent_crates(&crates("[dependencies]\nbytes = \"1\"")).is_empty());
    for dependencies in [
        "[dependencies]\nstore = { path = \"../store\" }",
        "[dev-dependencies]\nother = { path = \"../..\", package = \"main\" }",
        "[target.'cfg(unix)'.dependencies]\nmain.path = \"../..\"",
    ] {
        assert_one(&dependent_crates(&crates(dependencies)), &["crates/codec/Cargo.toml: depends on"]);
    }
}
