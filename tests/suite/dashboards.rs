//! The alert rules and the dashboard in `deploy/`: each metric and label that they name is in a real scrape.

mod exposed;
mod promql;

use crate::support::programs;
use exposed::Exposed;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const ALERTS_TEST: &str = include_str!("../../deploy/prometheus/alerts.test.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboard.json");
const PAGE: &str = include_str!("../../docs/monitoring.md");

/// An expression, and the text in which people see its labels.
struct Query {
    place: String,
    expression: String,
    shown: String,
}

/// Returns the alerts of the rules.
fn alerts() -> Vec<Query> {
    let blocks = ALERTS.split("- alert: ").skip(1);
    let queries = blocks.map(|block| {
        let (name, rest) = block.split_once('\n').unwrap();
        let (_, rest) = rest.split_once("expr: ").unwrap();
        let ends = ["\n        for:", "\n        labels:"].iter().filter_map(|end| rest.find(end));
        let (expression, shown) = rest.split_at(ends.min().unwrap());
        let expression = expression.trim_start_matches('|').trim().to_owned();
        Query { place: name.to_owned(), expression, shown: shown.to_owned() }
    });
    queries.collect()
}

/// Returns the queries of the dashboard's panels.
fn panels() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |key: &str| target[key].as_str().unwrap().to_owned();
            let place = format!("{title}: {}", text("refId"));
            queries.push(Query { place, expression: text("expr"), shown: text("legendFormat") });
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            // The label behind the metric must be one of the metric's.
            let (metric, label) = query.strip_prefix("label_values(").unwrap().rsplit_once(", ").unwrap();
            let expression = format!("sum by ({label} ({metric})");
            queries.push(Query { place: query.to_owned(), expression, shown: String::new() });
        }
    }
    queries
}

/// Returns the labels in a text: `{{ $labels.node }}` of a rule, or `{{node}}` of a legend.
fn labels_in(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    let names = parts.map(|(name, _)| name.trim());
    names
        .filter(|name| !name.starts_with("$value"))
        .map(|name| name.trim_start_matches("$labels.").to_owned())
        .collect()
}

#[test]
fn every_metric_and_label_exists_in_a_scrape() {
    let exposed = Exposed::scrape();
    let (alerts, panels) = (alerts(), panels());
    assert!(alerts.len() > 15 && panels.len() > 50, "{} alerts, {} queries", alerts.len(), panels.len());
    for query in alerts.iter().chain(&panels) {
        if let Err(why) = exposed.has(&query.expression, &labels_in(&query.shown)) {
            panic!("{}: {why}\n{}", query.place, query.expression);
        }
    }
}

/// Without this, the check could pass for names that do not exist.
#[test]
fn a_name_that_does_not_exist_is_found() {
    let exposed = Exposed::scrape();
    for (expression, shown, expected) in [
        ("scopegate_node_up == 0", "node", Ok(())),
        ("rate(scopegate_requests[5m])", "", Err("no metric scopegate_requests")),
        ("scopegate_first_byte_seconds", "", Err("no metric scopegate_first_byte_seconds")),
        ("scopegate_queue_wait_seconds_bucket", "le", Ok(())),
        ("scopegate_node_up{host=\"a\"}", "", Err("no label host")),
        ("sum by (mapping) (scopegate_node_up)", "", Err("no label mapping")),
        ("sum by (node) (scopegate_node_up)", "instance", Err("no label instance")),
        ("scopegate_node_up", "mapping", Err("no label mapping")),
        ("scopegate_mints_total{result=\"minted\"}", "", Ok(())),
        ("scopegate_mints_total{result=~\"minted|fine\"}", "", Err("no value fine of result")),
        ("scopegate_refusals_total{rule=\"no-such-rule\"}", "", Err("no value no-such-rule of rule")),
        ("scopegate_refusals_total{rule=\"queue-full\"}", "", Ok(())),
    ] {
        let shown: Vec<String> =
            shown.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        assert_eq!(exposed.has(expression, &shown), expected.map_err(str::to_owned), "{expression}");
    }
}

#[test]
fn every_alert_fires_in_a_test_and_is_explained() {
    let rows: BTreeSet<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("| `Scopegate")?.split('`').next()).collect();
    let names: Vec<String> = alerts().into_iter().map(|alert| alert.place).collect();
    for name in &names {
        assert!(ALERTS_TEST.contains(&format!("alertname=\"{name}\"")), "no test in which {name} fires");
        assert!(
            rows.contains(name.strip_prefix("Scopegate").unwrap()),
            "docs/monitoring.md does not explain {name}"
        );
    }
    assert_eq!(rows.len(), names.len(), "{rows:?}");
}

/// Runs promtool. Returns what it wrote, or `None` if it is missing.
fn promtool(arguments: &[&str], stdin: &str) -> Option<()> {
    let promtool = programs::find("promtool", "apt-get install prometheus")?;
    let mut child = Command::new(promtool)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    Some(())
}

#[test]
fn promtool_accepts_rules_and_scrape_and_the_tests_pass() {
    let checked = promtool(&["check", "rules", "alerts.yaml"], "")
        .and_then(|()| promtool(&["test", "rules", "alerts.test.yaml"], ""));
    if checked.is_some() {
        promtool(&["check", "metrics"], &Exposed::scrape().text);
    }
}

/// Grafana's variables become values, and each query a recording rule.
#[test]
fn promtool_accepts_the_queries_of_the_dashboard() {
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (number, query) in
        panels().iter().enumerate().filter(|(_, query)| !query.place.starts_with("label_values"))
    {
        let expression = query.expression.replace("$__rate_interval", "5m");
        write!(rules, "      - record: panel:{number}\n        expr: {}\n", Value::from(expression)).unwrap();
    }
    let (_folder, file) = written(&rules);
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, text).unwrap();
    (folder, file)
}
