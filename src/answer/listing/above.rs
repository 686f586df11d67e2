//! Folders above a client's scopes. They list the ways down to these scopes, and nothing that the store contains.

use crate::authorize::mapping::Mapping;
use crate::authorize::rights::{Right, Rights};
use crate::authorize::scope::Scope;
use std::collections::BTreeMap;

/// A folder above scopes, as the clients of a mapping see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Above {
    /// The decoded path.
    pub path: String,
    /// The scopes below it, sorted by name.
    pub scopes: Vec<Below>,
}

/// A scope below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Below {
    /// The decoded path from that folder: `media/`, or `tmp/media/` from `/`.
    pub name: String,
    /// The rights of the client in that scope.
    pub rights: Rights,
    /// Whether a browser can open it: it can be listed, or has an index page.
    pub is_open: bool,
}

impl Above {
    /// Returns the folder at a decoded path that begins and ends with `/`. Returns `None` if no scope is below it.
    pub(crate) fn of(mapping: &Mapping, path: &str) -> Option<Self> {
        if !path.ends_with('/') {
            return None;
        }
        let mut scopes: BTreeMap<String, Below> = BTreeMap::new();
        for scope in &mapping.scopes {
            let root = root(scope);
            let Some(name) = root.strip_prefix(path).filter(|name| !name.is_empty()) else { continue };
            let below = scopes.entry(name.to_owned()).or_insert_with(|| Below {
                name: name.to_owned(),
                rights: Rights::default(),
                is_open: false,
            });
            below.rights = scope.allow.iter().fold(below.rights, Rights::with);
            below.is_open |= scope.allow.has(Right::List) || scope.index.is_some();
        }
        let scopes: Vec<Below> = scopes.into_values().collect();
        (!scopes.is_empty()).then(|| Self { path: path.to_owned(), scopes })
    }
}

/// Returns the decoded path at which clients see a scope.
fn root(scope: &Scope) -> String {
    match &scope.view {
        Some(view) => view.mount().as_str().to_owned(),
        None => format!("/{}/{}", scope.bucket, scope.prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::mount::Mount;
    use crate::s3::names::{BucketName, Prefix};

    fn mapping() -> Mapping {
        let scope = |bucket, prefix, rights: &[Right]| {
            let (bucket, prefix) = (BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap());
            Scope::new(bucket, prefix, rights.iter().copied().collect())
        };
        let scopes = vec![
            scope("tmp", "media/", &[Right::Read]),
            scope("tmp", "media/", &[Right::List]),
            scope("tmp", "a/b/", &[Right::Write]),
            scope("whole", "", &[Right::List]),
            scope("hidden", "deep/", &[Right::List]).mounted(Mount::parse("/pub/x/").unwrap()),
        ];
        Mapping::of_scopes("all", scopes)
    }

    fn below(path: &str) -> Option<Vec<(String, String, bool)>> {
        let above = Above::of(&mapping(), path)?;
        Some(above.scopes.into_iter().map(|it| (it.name, it.rights.to_string(), it.is_open)).collect())
    }

    #[test]
    fn a_folder_above_scopes_lists_only_these() {
        let row = |name: &str, rights: &str, is_open| (name.to_owned(), rights.to_owned(), is_open);
        let (media, inbox) = ("read,list", "write");
        assert_eq!(
            below("/"),
            Some(vec![
                row("pub/x/", "list", true),
                row("tmp/a/b/", inbox, false),
                row("tmp/media/", media, true),
                row("whole/", "list", true),
            ])
        );
        assert_eq!(below("/tmp/"), Some(vec![row("a/b/", inbox, false), row("media/", media, true)]));
        assert_eq!(below("/tmp/a/"), Some(vec![row("b/", inbox, false)]));
        assert_eq!(below("/pub/"), Some(vec![row("x/", "list", true)]));
        for path in ["/tmp/media/", "/tmp/a/b/", "/whole/", "/hidden/", "/other/", "/tm", "/tmp/me", "//"] {
            assert_eq!(below(path), None, "{path}");
        }
    }
}
