//! Finds links of a site that lead nowhere.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Returns a line for each link to a file or a heading that the site does not have. Links to other hosts are not followed.
///
/// # Errors
/// A page cannot be read.
pub(super) fn broken(site: &Path) -> Result<Vec<String>, String> {
    let mut pages = HashMap::new();
    read(site, &mut pages)?;
    let ids: HashMap<&Path, HashSet<&str>> =
        pages.iter().map(|(page, text)| (&**page, values(text, " id=\"").collect())).collect();
    let mut broken: Vec<String> = Vec::new();
    for (page, text) in &pages {
        for link in values(text, " href=\"").chain(values(text, " src=\"")) {
            if leads_elsewhere(link) {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = page.parent().unwrap_or(site);
            let target = if file.is_empty() { page.clone() } else { resolved(&folder.join(file)) };
            let has_heading = heading.is_empty() || ids.get(&*target).is_none_or(|ids| ids.contains(heading));
            if !target.exists() || !has_heading {
                let page = page.strip_prefix(site).unwrap_or(page);
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    broken.sort();
    broken.dedup();
    Ok(broken)
}

fn leads_elsewhere(link: &str) -> bool {
    ["http:", "https:", "data:", "mailto:", "javascript:"].iter().any(|scheme| link.starts_with(scheme))
}

/// Reads all pages of a folder. The page for unknown addresses is left out: it is shown at any of them.
fn read(folder: &Path, pages: &mut HashMap<PathBuf, String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            read(&path, pages)?;
        } else if path.extension().is_some_and(|ending| ending == "html") && !path.ends_with("404.html") {
            pages.insert(path.clone(), fs::read_to_string(&path).map_err(failed)?);
        }
    }
    Ok(())
}

/// Returns the values of an attribute. The same characters outside of a tag, as in an example, are none.
fn values<'t>(text: &'t str, attribute: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(attribute).filter_map(move |(at, _)| {
        let (before, rest) = (text.get(..at)?, text.get(at + attribute.len()..)?);
        let is_in_tag = before.rfind('<') > before.rfind('>');
        is_in_tag.then(|| rest.split_once('"').map(|(value, _)| value))?
    })
}

/// Returns a path without `.` and `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_missing_files_and_headings_are_found() {
        let site = tempfile::TempDir::new().unwrap();
        fs::create_dir(site.path().join("docs")).unwrap();
        let page = "<a href=\"../index.html\"></a><a href=\"../index.html#top\"></a><a href=\"#here\"></a>\
                    <a href=\"https://a.test/\"></a><code>&lt;a href=\"EXAMPLE\"&gt;</code><h2 id=\"here\"></h2>\
                    <a href=\"missing.html\"></a><a href=\"../index.html#missing\"></a><img src=\"none.svg\">";
        fs::write(site.path().join("docs/page.html"), page).unwrap();
        fs::write(site.path().join("index.html"), "<h1 id=\"top\"></h1>").unwrap();
        fs::write(site.path().join("404.html"), "<a href=\"nothing\"></a>").unwrap();
        let expected = ["../index.html#missing", "missing.html", "none.svg"];
        assert_eq!(broken(site.path()).unwrap(), expected.map(|link| format!("docs/page.html: {link}")));
    }
}
