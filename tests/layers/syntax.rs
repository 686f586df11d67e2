//! One file as it is written: its docs, child modules, `use` items and paths. Nothing is resolved here.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, UseTree, Visibility};

/// What the rules need of a file or of an inline module.
#[derive(Debug, Default)]
pub(crate) struct Syntax {
    /// The lines of the module docs, without the space after `//!`.
    pub(crate) docs: Vec<String>,
    pub(crate) children: Vec<Child>,
    pub(crate) uses: Vec<Use>,
    pub(crate) paths: Vec<Named>,
    /// The line of the first item that is neither `mod` nor `use`.
    pub(crate) first_definition: Option<usize>,
}

/// A child module.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    /// The contents, unless they are a file.
    pub(crate) inline: Option<Syntax>,
}

/// One name that a `use` item brings in.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) path: Named,
    /// The name in this module; absent for `*`.
    pub(crate) alias: Option<String>,
    /// Whether the item is visible outside the module.
    pub(crate) re_exports: bool,
}

/// A path of at least one segment, and its line.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl Syntax {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { docs: docs(&file.attrs), ..Self::of_items(&file.items) }
    }

    fn of_items(items: &[Item]) -> Self {
        let mut syntax = Self::default();
        for item in items {
            syntax.visit_item(item);
        }
        let definition = items.iter().find(|item| !matches!(item, Item::Mod(_) | Item::Use(_)));
        syntax.first_definition = definition.map(|item| syn::spanned::Spanned::span(item).start().line);
        syntax
    }

    fn add_use(&mut self, tree: &UseTree, above: &[String], re_exports: bool) {
        let (ident, alias) = match tree {
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_use(tree, above, re_exports));
            }
            UseTree::Path(path) => {
                let below = [above, &[path.ident.to_string()]].concat();
                return self.add_use(&path.tree, &below, re_exports);
            }
            UseTree::Glob(glob) => {
                let path = Named { segments: above.to_vec(), line: glob.star_token.spans[0].start().line };
                return self.uses.push(Use { path, alias: None, re_exports });
            }
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        // `a::{self}` names `a`.
        let is_parent = ident == "self" && !above.is_empty();
        let segments = if is_parent { above.to_vec() } else { [above, &[ident.to_string()]].concat() };
        let alias = if alias == "self" { above.last().cloned() } else { Some(alias.to_string()) };
        self.uses.push(Use { path: Named { segments, line: ident.span().start().line }, alias, re_exports });
    }

    /// Adds the paths in the tokens of a macro call, which `syn` does not parse.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Option<Named> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' && path.is_some() => colons += 1,
                TokenTree::Ident(ident) => {
                    let segment = ident.to_string();
                    match &mut path {
                        Some(path) if colons == 2 => path.segments.push(segment),
                        _ => {
                            let next = Named { segments: vec![segment], line: ident.span().start().line };
                            self.paths.extend(path.replace(next));
                        }
                    }
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.paths.extend(path.take());
                    self.add_tokens(group.stream());
                }
                _ => self.paths.extend(path.take()),
            }
        }
        self.paths.extend(path);
    }
}

/// Passes over nodes under `#[cfg(test)]`.
macro_rules! skip_tests {
    ($($visit:ident: $node:ident,)*) => {$(
        fn $visit(&mut self, node: &'ast syn::$node) {
            if !is_for_tests(&node.attrs) {
                visit::$visit(self, node);
            }
        }
    )*};
}

impl<'ast> Visit<'ast> for Syntax {
    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        if !is_for_tests(&node.attrs) {
            let inline = node.content.as_ref().map(|(_, items)| Self::of_items(items));
            self.children.push(Child { name: node.ident.to_string(), inline });
        }
    }

    fn visit_item_use(&mut self, node: &'ast syn::ItemUse) {
        if !is_for_tests(&node.attrs) && node.leading_colon.is_none() {
            self.add_use(&node.tree, &[], !matches!(node.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, node: &'ast syn::Path) {
        if node.leading_colon.is_none()
            && let Some(first) = node.segments.first()
        {
            let segments = node.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.paths.push(Named { segments, line: first.ident.span().start().line });
        }
        // Generic arguments contain paths as well.
        visit::visit_path(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.visit_path(&node.path);
        self.add_tokens(node.tokens.clone());
    }

    fn visit_meta_list(&mut self, node: &'ast syn::MetaList) {
        self.add_tokens(node.tokens.clone());
    }

    /// `pub(in crate::a)` imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    skip_tests! {
        visit_arm: Arm,
        visit_expr_block: ExprBlock,
        visit_expr_macro: ExprMacro,
        visit_field: Field,
        visit_field_value: FieldValue,
        visit_impl_item_const: ImplItemConst,
        visit_impl_item_fn: ImplItemFn,
        visit_item_const: ItemConst,
        visit_item_enum: ItemEnum,
        visit_item_fn: ItemFn,
        visit_item_impl: ItemImpl,
        visit_item_macro: ItemMacro,
        visit_item_static: ItemStatic,
        visit_item_struct: ItemStruct,
        visit_item_trait: ItemTrait,
        visit_item_type: ItemType,
        visit_local: Local,
        visit_stmt_macro: StmtMacro,
        visit_trait_item_fn: TraitItemFn,
        visit_variant: Variant,
    }
}

/// Reports whether attributes contain `cfg(test)` or `cfg(all(test, …))`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let condition: String = list.tokens.to_string().split_whitespace().collect();
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
    })
}

fn docs(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::Syntax;

    fn paths(text: &str) -> Vec<String> {
        let syntax = Syntax::parse("a.rs", text);
        let uses = syntax.uses.into_iter().map(|item| item.path);
        uses.chain(syntax.paths)
            .filter(|path| path.segments.len() > 1)
            .map(|path| format!("{}:{}", path.line, path.segments.join("::")))
            .collect()
    }

    #[test]
    fn reads_every_form_of_use() {
        assert_eq!(
            paths("use crate::a;\nuse super::b::{C, d::{self, E as F}};\nuse crate::g::*;"),
            ["1:crate::a", "2:super::b::C", "2:super::b::d", "2:super::b::d::E", "3:crate::g",]
        );
    }

    #[test]
    fn reads_paths_in_types_expressions_and_macros() {
        let text = "fn f(a: Vec<crate::a::A>) -> u8 {\n    crate::b::b(a);\n    \
            vec![crate::c::C, g(super::d::D { e: 1 })]\n}";
        assert_eq!(paths(text), ["1:crate::a::A", "2:crate::b::b", "3:crate::c::C", "3:super::d::D"]);
    }

    #[test]
    fn skips_code_for_tests_and_visibilities() {
        for text in [
            "#[cfg(test)] use crate::a::A;",
            "#[cfg(test)] mod tests { use crate::a::A; }",
            "#[cfg(all(test, feature = \"demo\"))] fn f() { crate::a::a(); }",
            "fn f() { #[cfg(test)] let a = crate::a::a(); #[cfg(test)] { crate::a::a() } }",
            "struct S { #[cfg(test)] a: crate::a::A }",
            "impl S { #[cfg(test)] fn f() { crate::a::a() } }",
            "pub(in crate::a) struct S;",
        ] {
            assert!(paths(text).is_empty(), "{text}");
        }
        assert_eq!(paths("#[cfg(not(test))] use crate::a::A;"), ["1:crate::a::A"]);
    }

    #[test]
    fn reads_docs_children_and_definitions() {
        let syntax =
            Syntax::parse("a.rs", "//! One.\n//!\n//! Two.\n\nmod b;\nmod c { mod d; }\n\nfn e() {}");
        assert_eq!(syntax.docs, ["One.", "", "Two."]);
        assert_eq!(syntax.children.iter().map(|child| child.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(syntax.children[1].inline.as_ref().unwrap().children[0].name, "d");
        assert_eq!(syntax.first_definition, Some(8));
    }
}
