//! The report as Markdown, its plots, and the summary in the README.

use super::pages::{Figure, Page};
use super::plot::{self, Bar, Panel};
use super::proxies::{NGINX, NGINX_LARGE, NGINX_SIGNED, NO_PROXY};
use super::table::{Spread, Table};
use crate::markdown;
use std::fmt::Write;
use std::fs;
use std::iter;
use std::path::Path;

/// The cell of a figure that was not measured.
const ABSENT: &str = "–";

/// Everything that a run measured for a page.
pub(crate) struct Report {
    pub(crate) page: &'static Page,
    pub(crate) command: String,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
    pub(crate) machine: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

impl Report {
    /// Returns the report, with or without links to its plots.
    pub(crate) fn markdown(&self, plots: bool) -> String {
        let Page { title, method, figures, .. } = self.page;
        let mut text = format!("# {title}\n\n`{}` wrote this file.\n\n{method}\n", self.command);
        if self.quick {
            text.push_str(
                "**A quick run**: short measurements and few rounds. The spreads show how exact the figures are.\n\n",
            );
        }
        let _ = writeln!(text, "- rounds: {}; seed: {}", self.rounds, self.seed);
        for line in &self.machine {
            let _ = writeln!(text, "- {line}");
        }
        for figure in figures.iter().filter(|figure| plots && self.draw(figure).is_some()) {
            let _ = write!(text, "\n![{}]({})\n", figure.title, figure.file);
        }
        for table in &self.tables {
            text.push_str(&section(table));
        }
        text
    }

    /// Writes the report and its plots into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), String> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
        };
        for figure in self.page.figures {
            if let Some(drawn) = self.draw(figure) {
                write(figure.file, &drawn)?;
            }
        }
        write(self.page.file, &self.markdown(true))
    }

    /// Draws a plot, or nothing if none of its figures was measured.
    fn draw(&self, figure: &Figure) -> Option<String> {
        let tables = figure.panels.iter().filter_map(|id| self.table(id));
        let panels: Vec<Panel> = tables.map(|table| panel(table, figure)).collect();
        let any = panels.iter().any(|panel| !panel.bars.is_empty());
        any.then(|| plot::draw(figure.title, &panels))
    }

    fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// Returns the summary for the README.
    pub(crate) fn summary(&self) -> String {
        const ROWS: [(&str, &str, usize); 9] = [
            ("requests/s on one core, 1 KiB, 64 connections", "small-64", 0),
            ("the same with 256", "small-256", 0),
            ("CPU per request, µs, 64 connections", "small-64", 1),
            ("p99 µs, 64 connections", "small-64", 3),
            ("CPU s per GiB, GET, 32 connections", "get-32", 1),
            ("CPU s per GiB, PUT, 32 connections", "put-32", 1),
            ("KiB per idle connection, of 10,000", "idle-10000", 0),
            ("p50 before MinIO, as ratio to direct access", "store-1", 0),
            ("the same for a client in a closed loop", "store-loop-1", 1),
        ];
        const PROXIES: [&str; 5] = [NO_PROXY, NGINX, "HAProxy", "Envoy, signing", "Scopegate"];
        const COLUMNS: [&str; 6] =
            ["", "no proxy", "nginx, not signing", "HAProxy, not signing", "Envoy, signing", "**Scopegate**"];
        let rows = ROWS.iter().filter_map(|(name, id, column)| {
            let table = self.table(id)?;
            let cells = PROXIES.iter().map(|proxy| summary_cell(table, proxy, *column));
            Some(iter::once((*name).to_owned()).chain(cells).collect())
        });
        markdown::table(&COLUMNS, rows)
    }
}

/// Returns the median of a proxy, or its ratio where the table compares with direct access.
fn summary_cell(table: &Table, proxy: &str, column: usize) -> String {
    // Bodies are compared with nginx as one would set it up for them.
    let row = match (proxy, table.baseline) {
        (NGINX, NO_PROXY) => NGINX_SIGNED,
        (NGINX, baseline) => baseline,
        _ => proxy,
    };
    let (spread, digits) = if table.baseline == NO_PROXY {
        (table.ratio(row, column), 2)
    } else {
        (table.spread(row, column), table.columns.get(column).map_or(0, |column| column.digits))
    };
    spread.map_or(ABSENT.to_owned(), |spread| format!("{:.digits$}", spread.median))
}

fn section(table: &Table) -> String {
    let baseline = short(table.baseline);
    let figures = table.columns.iter().flat_map(|column| [column.name.to_owned(), format!("to {baseline}")]);
    let columns: Vec<String> = iter::once(String::new()).chain(figures).collect();
    let rows = table.rows.iter().map(|row| {
        let figures = table.columns.iter().enumerate().flat_map(|(place, column)| {
            let cell = |spread: Option<Spread>, digits| {
                spread.map_or(ABSENT.to_owned(), |spread| spread.shown(digits))
            };
            [cell(table.spread(row, place), column.digits), cell(table.ratio(row, place), 2)]
        });
        iter::once(row.clone()).chain(figures).collect()
    });
    let mut text = format!("\n## {}\n\n{}", table.title, markdown::table(&columns, rows));
    for (row, why) in &table.missing {
        let _ = write!(text, "\n{row}: {}\n", why.lines().next().unwrap_or_default());
    }
    text
}

/// Returns the name of a baseline in the head of a column.
fn short(baseline: &str) -> &str {
    if baseline == NGINX_LARGE { "that nginx" } else { baseline }
}

fn panel(table: &Table, figure: &Figure) -> Panel {
    let bar = |row: &String| {
        let digits = if figure.as_ratio { 2 } else { table.columns.get(figure.column)?.digits };
        let spread =
            if figure.as_ratio { table.ratio(row, figure.column) } else { table.spread(row, figure.column) };
        Some(Bar { label: row.clone(), spread: spread?, digits, ours: row.starts_with("Scopegate") })
    };
    // The origin's own bar would make those of the proxies short.
    let proxies = table.rows.iter().filter(|row| *row != NO_PROXY);
    Panel { title: table.title.clone(), bars: proxies.filter_map(bar).collect() }
}

/// The lines around the summary in the README.
const MARKS: (&str, &str) = ("<!-- benchmark: written by `cargo xtask bench` -->\n", "<!-- /benchmark -->");

/// Replaces the summary between the marks.
///
/// # Errors
/// The text lacks a mark.
pub(crate) fn with_summary(readme: &str, summary: &str) -> Result<String, String> {
    let (start, end) = MARKS;
    let parts = readme.split_once(start).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.ok_or_else(|| {
        format!("README.md lacks the lines {:?} and {end:?} around the summary", start.trim_end())
    })?;
    Ok(format!("{before}{start}{summary}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::pages::PAGES;
    use crate::bench::table::Column;

    fn report() -> Report {
        let columns = [Column { name: "requests/s", digits: 0 }, Column { name: "CPU", digits: 2 }];
        let mut small = Table::new("small-64", "Small", &columns, NGINX).with_rows([
            "no proxy",
            NGINX,
            "Envoy",
            "Scopegate",
        ]);
        for round in 0..2 {
            let more = f64::from(round);
            small.record(round, "no proxy", Ok(vec![Some(90.0), None]));
            small.record(round, NGINX, Ok(vec![Some(10.0 + more), Some(2.0)]));
            small.record(round, "Scopegate", Ok(vec![Some(20.0 + 2.0 * more), Some(1.5)]));
        }
        small.record(1, "Envoy", Err("it ended\nsoon".to_owned()));
        let mut store = Table::new("store-1", "Store", &columns, NO_PROXY).with_rows([NO_PROXY, "Scopegate"]);
        store.record(0, NO_PROXY, Ok(vec![Some(1000.0)]));
        store.record(0, "Scopegate", Ok(vec![Some(1024.0)]));
        let mut bodies = Table::new("get-32", "Bodies", &columns, NGINX_LARGE).with_rows([NGINX_LARGE]);
        bodies.record(0, NGINX_LARGE, Ok(vec![Some(900.0), Some(0.75)]));
        Report {
            page: &PAGES[0],
            command: "cargo xtask bench".to_owned(),
            seed: 7,
            rounds: 2,
            quick: true,
            machine: vec!["kernel: Linux 6".to_owned()],
            tables: vec![small, bodies, store],
        }
    }

    #[test]
    fn shows_values_and_ratios_of_a_row() {
        let text = report().markdown(true);
        for line in [
            "**A quick run**",
            "- rounds: 2; seed: 7\n- kernel: Linux 6\n",
            "![CPU per request, 1 KiB, as ratio to nginx (less is better)](benchmark-cpu.svg)",
            "| | requests/s | to nginx | CPU | to nginx |\n|---|---:|---:|---:|---:|\n",
            "| no proxy | 90 | 8.59 (8.39..8.80) | – | – |",
            "| Scopegate | 21 (20..22) | 2.00 | 1.50 | 0.75 |",
            "| Envoy | – | – | – | – |",
            "\nEnvoy: it ended\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("benchmark-idle.svg"), "{text}");
    }

    #[test]
    fn summarizes_only_what_was_measured() {
        let summary = report().summary();
        assert!(
            summary.contains("| requests/s on one core, 1 KiB, 64 connections | 90 | 10 | – | – | 21 |"),
            "{summary}"
        );
        assert!(
            summary.contains("| CPU s per GiB, GET, 32 connections | – | 0.75 | – | – | – |"),
            "{summary}"
        );
        assert!(
            summary.contains("| p50 before MinIO, as ratio to direct access | 1.00 | – | – | – | 1.02 |"),
            "{summary}"
        );
        assert!(!summary.contains("idle"), "{summary}");
    }

    #[test]
    fn changes_the_readme_only_between_its_marks() {
        let readme = format!("a\n{}old\n{}\nb\n", MARKS.0, MARKS.1);
        let changed = with_summary(&readme, "new\n").unwrap();
        assert_eq!(changed, format!("a\n{}new\n{}\nb\n", MARKS.0, MARKS.1));
        assert!(with_summary("a", "b").is_err());
        let own = include_str!("../../../README.md");
        assert!(with_summary(own, "").is_ok(), "this project's README lacks the marks");
    }
}
