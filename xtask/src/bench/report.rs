//! The report as markdown, its plots, and the summary in the README.

use super::plot::{self, Bar, Panel};
use super::proxies::{NGINX, NGINX_LARGE, NGINX_SIGNED, NO_PROXY};
use super::table::{Spread, Table};
use crate::markdown;
use std::fmt::Write;
use std::fs;
use std::iter;
use std::path::Path;

/// How the figures came about, for whoever reads them.
const METHOD: &str = "\
Every proxy runs on one core, alone; the origin and the load are on another. The origin answers at once and checks
nothing, so these figures are about the proxies; the last tables are about the real MinIO, which has a core to itself
while proxy and load share the other. In each round every variant is measured, in shuffled order. A figure is the
median of the rounds with its quartiles; a ratio is taken to the baseline in the same round first. Where as many
requests go as can, `wrk` says how many, and another client, which asks again as soon as it has its answer as well, how
long they took: `wrk` adds to the times those of requests that it might have sent while it waited for one, so that its
p99 says how long the machine stood still. A run takes a second there, and a round has three. CPU is what the kernel
counted for the proxy's processes (`schedstat`), memory their proportional set size. Requests at a fixed rate are due at
random times, whatever the answers do, and what one waits for a free connection counts. In turns with MinIO means that
one client asks MinIO and the proxy alternately, one request at a time, so that both meet the same store; one proxy after
the other, that each has clients that ask again at once, those of `wrk`.

Scopegate does all of its checks and signs with a session; Envoy signs where the row says so; nginx and HAProxy pass on
unsigned what they get. One worker each, HTTP/1.1 without TLS, connections kept on both sides, no access log unless the
row says so (then to /dev/null). Where a baseline is nginx with its default buffers, it may use files.
";

/// The cell of a figure that was not measured.
const ABSENT: &str = "–";

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) command: String,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
    pub(crate) machine: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

/// A plot of the report: file, title, and a panel for each table with the column shown.
struct Figure {
    file: &'static str,
    title: &'static str,
    panels: &'static [&'static str],
    column: usize,
    as_ratio: bool,
}

const FIGURES: [Figure; 4] = [
    Figure {
        file: "benchmark-requests.svg",
        title: "Requests/s, 1 KiB, as ratio to nginx (more is better)",
        panels: &["small-64", "small-256"],
        column: 0,
        as_ratio: true,
    },
    Figure {
        file: "benchmark-cpu.svg",
        title: "CPU per request, 1 KiB, as ratio to nginx (less is better)",
        panels: &["small-64", "small-256"],
        column: 1,
        as_ratio: true,
    },
    Figure {
        file: "benchmark-bodies.svg",
        title: "CPU seconds per GiB (less is better)",
        panels: &["get-4", "get-32", "put-4", "put-32"],
        column: 1,
        as_ratio: false,
    },
    Figure {
        file: "benchmark-idle.svg",
        title: "KiB per idle connection (less is better)",
        panels: &["idle-1000", "idle-10000"],
        column: 0,
        as_ratio: false,
    },
];

impl Report {
    /// The whole of it, with plots beside it where `plots` says so.
    pub(crate) fn markdown(&self, plots: bool) -> String {
        let mut text = format!("# Benchmark\n\n`{}` wrote this file.\n\n{METHOD}\n", self.command);
        if self.quick {
            text.push_str(
                "**A quick run**: short measurements, few rounds. The spread says how far to trust it.\n\n",
            );
        }
        let _ = writeln!(text, "- rounds: {}; seed: {}", self.rounds, self.seed);
        for line in &self.machine {
            let _ = writeln!(text, "- {line}");
        }
        for figure in FIGURES.iter().filter(|figure| plots && self.draw(figure).is_some()) {
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
    /// Where a file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), String> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
        };
        for figure in &FIGURES {
            if let Some(drawn) = self.draw(figure) {
                write(figure.file, &drawn)?;
            }
        }
        write("benchmark.md", &self.markdown(true))
    }

    /// `None` where nothing of it was measured.
    fn draw(&self, figure: &Figure) -> Option<String> {
        let tables = figure.panels.iter().filter_map(|id| self.table(id));
        let panels: Vec<Panel> = tables.map(|table| panel(table, figure)).collect();
        let any = panels.iter().any(|panel| !panel.bars.is_empty());
        any.then(|| plot::draw(figure.title, &panels))
    }

    fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// The few figures that the README shows.
    pub(crate) fn summary(&self) -> String {
        const ROWS: [(&str, &str, usize); 9] = [
            ("requests/s on one core, 1 KiB, 64 connections", "small-64", 0),
            ("the same with 256", "small-256", 0),
            ("CPU per request, µs, 64 connections", "small-64", 1),
            ("p99 µs, 64 connections", "small-64", 3),
            ("CPU s per GiB, GET, 32 connections", "get-32", 1),
            ("CPU s per GiB, PUT, 32 connections", "put-32", 1),
            ("KiB per idle connection, of 10,000", "idle-10000", 0),
            ("p50 before MinIO, to that of direct access", "store-1", 0),
            ("the same for a client that asks again at once", "store-loop-1", 1),
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
                spread.map_or(ABSENT.to_owned(), |spread| spread.written(digits))
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

/// What a baseline is called above a column.
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
    // The origin by itself would make every proxy's bar short.
    let proxies = table.rows.iter().filter(|row| *row != NO_PROXY);
    Panel { title: table.title.clone(), bars: proxies.filter_map(bar).collect() }
}

/// The README's lines between which the summary stands.
const MARKS: (&str, &str) = ("<!-- benchmark: written by `cargo xtask bench` -->\n", "<!-- /benchmark -->");

/// Puts a summary between the marks.
///
/// # Errors
/// Where the text lacks them.
pub(crate) fn with_summary(readme: &str, summary: &str) -> Result<String, String> {
    let (start, end) = MARKS;
    let parts = readme.split_once(start).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) =
        parts.ok_or_else(|| format!("the README has no lines {:?} and {end:?}", start.trim_end()))?;
    Ok(format!("{before}{start}{summary}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
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
            command: "cargo xtask bench".to_owned(),
            seed: 7,
            rounds: 2,
            quick: true,
            machine: vec!["kernel: Linux 6".to_owned()],
            tables: vec![small, bodies, store],
        }
    }

    #[test]
    fn a_row_has_its_values_and_ratios() {
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
    fn the_summary_has_what_was_measured() {
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
            summary.contains("| p50 before MinIO, to that of direct access | 1.00 | – | – | – | 1.02 |"),
            "{summary}"
        );
        assert!(!summary.contains("idle"), "{summary}");
    }

    #[test]
    fn the_readme_is_changed_between_its_marks_alone() {
        let readme = format!("a\n{}old\n{}\nb\n", MARKS.0, MARKS.1);
        let changed = with_summary(&readme, "new\n").unwrap();
        assert_eq!(changed, format!("a\n{}new\n{}\nb\n", MARKS.0, MARKS.1));
        assert!(with_summary("a", "b").is_err());
        let own = include_str!("../../../README.md");
        assert!(with_summary(own, "").is_ok(), "this project's README has the marks");
    }
}
