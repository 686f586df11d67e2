//! Reads the `mount` of a scope, and checks that each path of a client belongs to one scope.

use super::reader::{At, Reader};
use super::table::Table;
use crate::authorize::homes::HomeScope;
use crate::authorize::mount::Mount;

/// Reads the `mount` of a scope.
pub(super) fn read_mount(table: &Table<'_>) -> Option<At<Mount>> {
    let text = table.string("mount")?;
    let mount = text.parse_with(table.reader(), "is not a mount", Mount::parse)?;
    Some(At { value: mount, span: text.span })
}

/// Notes mounts that hide paths of another scope. Each scope comes with the location of its mount or, without one,
/// its own.
pub(super) fn check(scopes: &[At<HomeScope>], reader: &Reader<'_>) {
    for (index, scope) in scopes.iter().enumerate() {
        let Some(view) = &scope.value.scope.view else { continue };
        let mount = view.mount();
        let earlier = scopes.iter().take(index).filter_map(|other| other.value.scope.view.as_ref());
        if let Some(other) = earlier.map(|view| view.mount()).find(|other| other.overlaps(mount)) {
            reader.error(
                scope.span,
                format!("the mounts {mount} and {other} overlap"),
                "give each scope of a mapping a mount of its own, such as \"/a/\" and \"/b/\"",
            );
        }
        let hidden = scopes.iter().map(|other| &other.value.scope).find(|other| {
            let taken = mount.hides(&other.bucket);
            other.view.is_none() && taken
        });
        if let Some(other) = hidden {
            reader.error(
                scope.span,
                format!("the mount {mount} hides the paths of the scope {}/{}", other.bucket, other.prefix),
                "mount that scope as well, choose another mount, or put the scopes into mappings of their own",
            );
        }
    }
}
