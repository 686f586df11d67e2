//! Mounts of a mapping's scopes: each path has one meaning.

use super::reader::{At, Reader, Table};
use crate::mount::Mount;
use crate::scope::Scope;

/// The `mount` of a scope.
pub(super) fn read_mount(table: &Table<'_>, reader: &Reader<'_>) -> Option<At<Mount>> {
    let text = table.string(reader, "mount")?;
    let mount = Mount::parse(text.value).map_err(|why| reader.wrong(text, "is not a mount", why)).ok()?;
    Some(At { value: mount, offset: text.offset })
}

/// Notes mounts that take paths of another scope. `scopes` have the places of their mounts, or their own.
pub(super) fn check(scopes: &[At<Scope>], reader: &Reader<'_>) {
    for (index, scope) in scopes.iter().enumerate() {
        let Some(view) = &scope.value.view else { continue };
        let mount = view.mount();
        let earlier = scopes.iter().take(index).filter_map(|other| other.value.view.as_ref());
        if let Some(other) = earlier.map(|view| view.mount()).find(|other| other.overlaps(mount)) {
            reader.error(
                scope.offset,
                format!("the mounts {mount} and {other} overlap"),
                "give each scope of a mapping a mount of its own, as in \"/a/\" and \"/b/\"",
            );
        }
        let hidden = scopes.iter().map(|other| &other.value).find(|other| {
            let taken = mount.hides(&other.bucket);
            other.view.is_none() && taken
        });
        if let Some(other) = hidden {
            reader.error(
                scope.offset,
                format!("the mount {mount} takes the paths of the scope {}/{}", other.bucket, other.prefix),
                "mount that scope as well, choose another mount, or put the scopes into mappings of their own",
            );
        }
    }
}
