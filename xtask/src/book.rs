//! `cargo xtask book`: the documentation as a site, made by mdBook from the same files that the repository shows.

mod links;

use crate::cargo::{Installed, target_folder};
use crate::command::run as execute;
use crate::console::print;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Makes the site.
const MDBOOK: Installed = Installed {
    name: "mdbook",
    version: "0.5.4",
    options: &["--no-default-features", "--features", "search"],
};

/// The parts of the site with their pages, in reading order.
const PARTS: [(&str, &[&str]); 7] = [
    ("Start", &["README.md", "docs/sts-example.md", "docs/alternatives.md"]),
    (
        "Recipes",
        &[
            "docs/recipes/README.md",
            "docs/recipes/sidecar.md",
            "docs/recipes/site.md",
            "docs/recipes/pipes.md",
            "docs/recipes/passwords.md",
            "docs/recipes/ci.md",
            "docs/recipes/kubernetes.md",
            "docs/recipes/clients.md",
        ],
    ),
    (
        "Use",
        &[
            "docs/clients.md",
            "docs/browsing.md",
            "docs/uploads.md",
            "docs/mounts.md",
            "docs/cors.md",
            "docs/s3-operations.md",
        ],
    ),
    (
        "Identify clients",
        &[
            "docs/identity/README.md",
            "docs/identity/unix.md",
            "docs/identity/basic.md",
            "docs/identity/bearer.md",
            "docs/identity/jwt.md",
            "docs/identity/keys.md",
            "docs/identity/certificates.md",
            "docs/identity/homes.md",
            "docs/load-balancers.md",
        ],
    ),
    (
        "Run",
        &[
            "docs/packages.md",
            "docs/running.md",
            "docs/upgrading.md",
            "docs/monitoring.md",
            "docs/sizing.md",
            "docs/troubleshooting.md",
            "docs/commands.md",
        ],
    ),
    (
        "Reference",
        &[
            "docs/reference/configuration.md",
            "docs/reference/rules.md",
            "docs/reference/logs.md",
            "docs/reference/metrics.md",
            "docs/glossary.md",
            "CHANGELOG.md",
        ],
    ),
    (
        "Background",
        &[
            "THREATS.md",
            "SECURITY.md",
            "ARCHITECTURE.md",
            "docs/performance.md",
            "docs/benchmark.md",
            "docs/benchmark-tls.md",
            "docs/testing.md",
        ],
    ),
];

/// The settings of mdBook. The site loads nothing from elsewhere. `README.md` keeps its name, so that links to it stay right.
const SETTINGS: &str = "[book]\ntitle = \"Scopegate\"\nlanguage = \"en\"\nsrc = \"src\"\n\
    [build]\nuse-default-preprocessors = false\n[output.html]\nno-section-label = true\n";

/// Makes the site in `target/book` and prints its folder.
///
/// # Errors
/// mdBook fails or cannot be installed, or a link of the site leads nowhere.
pub(crate) fn run(workspace: &Path) -> Result<ExitCode, String> {
    let (source, site) =
        (target_folder(workspace).join("book-source"), target_folder(workspace).join("book"));
    for folder in [&source, &site] {
        let _absent_before = fs::remove_dir_all(folder);
    }
    stage(workspace, &source)?;
    execute(MDBOOK.command(workspace)?.arg("build").arg(&source).arg("--dest-dir").arg(&site))?;
    let broken = links::broken(&site)?;
    if !broken.is_empty() {
        return Err(format!("these links of the site lead nowhere:\n{}", broken.join("\n")));
    }
    print(&site.join("index.html").display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Copies what the site consists of to where mdBook reads it. The files keep their places, so that their links stay right.
fn stage(workspace: &Path, source: &Path) -> Result<(), String> {
    let failed = |what: &Path, error: std::io::Error| format!("cannot copy {}: {error}", what.display());
    for file in files(workspace)? {
        let (from, to) = (workspace.join(&file), source.join("src").join(&file));
        let folder = to.parent().unwrap_or(source);
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        fs::copy(&from, &to).map_err(|error| failed(&from, error))?;
    }
    let summary = summary(|page| {
        fs::read_to_string(workspace.join(page)).map_err(|error| failed(Path::new(page), error))
    })?;
    for (file, text) in [("book.toml", SETTINGS), ("src/SUMMARY.md", &summary)] {
        fs::write(source.join(file), text).map_err(|error| format!("cannot write {file}: {error}"))?;
    }
    Ok(())
}

/// Returns the files of the site: the pages, and what they link to.
fn files(workspace: &Path) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--", "*.md", "docs", "deploy", "proxy.toml", "deny.toml", "LICENSE"]);
    let output = git.current_dir(workspace).output().map_err(|error| format!("cannot start git: {error}"))?;
    let names = String::from_utf8_lossy(&output.stdout);
    let files: Vec<String> = names.lines().map(str::to_owned).collect();
    if files.is_empty() { Err("git lists no file of the documentation".to_owned()) } else { Ok(files) }
}

/// Returns the table of contents. The titles are those of the pages.
fn summary(read: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut summary = "# Summary\n".to_owned();
    for (part, pages) in PARTS {
        let _ = write!(summary, "\n# {part}\n\n");
        for page in pages {
            let text = read(page)?;
            let title = text.lines().find_map(|line| line.strip_prefix("# "));
            let title = title.ok_or_else(|| format!("{page} has no title"))?;
            let _ = writeln!(summary, "- [{title}]({page})");
        }
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_the_contents() {
        let workspace = crate::workspace().unwrap();
        let listed: Vec<&str> = PARTS.iter().flat_map(|(_, pages)| pages.iter().copied()).collect();
        let all = files(&workspace).unwrap();
        let pages = all.iter().filter(|file| {
            let is_page = file.rsplit_once('.').is_some_and(|(_, ending)| ending == "md");
            is_page && (file.starts_with("docs/") || !file.contains('/'))
        });
        for page in pages {
            assert!(listed.contains(&&**page), "{page} is not in the contents of the site");
        }
    }

    #[test]
    fn the_contents_have_the_titles_of_the_pages() {
        let summary = summary(|page| Ok(format!("Before\n# Title of {page}\n"))).unwrap();
        assert!(summary.contains("\n# Start\n\n- [Title of README.md](README.md)\n"), "{summary}");
        assert!(super::summary(|_| Ok("no title".to_owned())).is_err());
    }
}
