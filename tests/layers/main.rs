//! Holds the folders of `src/` to the architecture that ARCHITECTURE.md describes.
//!
//! A **layer** is a top-level module of `src/`: a folder with a `mod.rs`, or a file such as `proxy.rs` together with
//! its folder `proxy/`. Its module docs state two facts:
//!
//! ```text
//! //! The bytes of HTTP messages.          the first line: its role
//! //!
//! //! May use: `common`, `limits`.         every layer it imports directly; `May use: nothing.` if there are none
//! ```
//!
//! The rules:
//!
//! - A layer imports the layers on its list, and each layer on the list is imported somewhere.
//! - The lists form no cycle.
//! - Within a layer, modules that share a parent form no import cycle. A module counts together with everything below
//!   it. Imports between a module and its own parent are free: a file that was split keeps its private types in the
//!   parent.
//! - A layer re-exports only items of its own, so that every import names the layer that defines the item.
//! - The `mod.rs` of a layer contains only docs, `mod` and `use`. `lib.rs` defines nothing that a layer imports.
//! - ARCHITECTURE.md has a table row for each layer with the same role and the same list.
//! - `src/` has at most [`rules::MAX_ENTRIES`] entries.
//! - A crate in `crates/` depends on no other crate of this workspace but `scopegate-http1`, whose messages and streams other
//!   codecs share.
//!
//! Imports are read from the source text with `syn`: `use` items, paths in code and paths in macro calls. Code under
//! `#[cfg(test)]` does not count. Paths that only a macro expansion contains and calls of methods are not seen.

#![cfg(test)]

mod cycles;
mod imports;
mod modules;
mod page;
mod rules;
mod source;
mod syntax;

use modules::Modules;
use source::Sources;
use std::sync::LazyLock;

/// Fails with all violations of a rule, since one wrong move usually causes several.
#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n\n{}\n", violations.join("\n\n"));
}

static REPOSITORY: LazyLock<Sources> = LazyLock::new(|| Sources::read(env!("CARGO_MANIFEST_DIR").as_ref()));
static MODULES: LazyLock<Modules> = LazyLock::new(|| Modules::parse(&REPOSITORY));

#[test]
fn layers_state_their_role_and_what_they_may_use() {
    assert_none(&rules::undocumented(&MODULES));
}

#[test]
fn layers_import_only_what_they_may_use() {
    assert_none(&rules::unlisted_imports(&MODULES));
}

#[test]
fn layers_import_everything_they_may_use() {
    assert_none(&rules::unused_entries(&MODULES));
}

#[test]
fn layers_form_no_cycle() {
    assert_none(&rules::layer_cycles(&MODULES));
}

#[test]
fn modules_within_a_layer_form_no_cycle() {
    assert_none(&rules::module_cycles(&MODULES));
}

#[test]
fn layers_re_export_only_their_own_items() {
    assert_none(&rules::foreign_re_exports(&MODULES));
}

#[test]
fn layer_roots_define_nothing() {
    assert_none(&rules::definitions_in_roots(&MODULES));
}

#[test]
fn the_architecture_page_describes_every_layer() {
    assert_none(&page::differences(&MODULES, &REPOSITORY.text("ARCHITECTURE.md")));
}

#[test]
fn src_fits_on_a_screen() {
    assert_none(&rules::too_many_entries(&REPOSITORY));
}

#[test]
fn crates_depend_on_no_other_crate_of_the_workspace() {
    assert_none(&rules::dependent_crates(&REPOSITORY));
}
