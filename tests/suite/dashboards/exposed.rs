//! What a scrape exposes: metrics with their labels and the values that labels can have.

use super::promql::named;
use crate::identity::declare::{hash, replace};
use crate::support::authority::Authority;
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::world::{config, corner, start};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

const METRICS: &str = include_str!("../../../docs/reference/metrics.md");
const RULES: &str = include_str!("../../../docs/reference/rules.md");

/// Families without a series in this scrape. Their labels are those of the reference.
const WITHOUT_SERIES: [&str; 4] = [
    "scopegate_queue_wait_seconds",
    "scopegate_client_certificate_expiry_timestamp_seconds",
    "scopegate_token_last_used_seconds",
    "scopegate_jwt_key_age_seconds",
];

/// The labels that Prometheus adds to each series.
const ADDED: [&str; 2] = ["job", "instance"];

/// An issuer of JWTs that does not answer, and a folder for each user.
const SECTIONS: &str = r#"
[[jwt]]
name     = "corp"
issuer   = "http://127.0.0.1:1"
audience = "scopegate"
jwks     = { url = "http://127.0.0.1:1/keys" }

[[mapping]]
name   = "corp"
client = { jwt = { issuer = "corp" } }
scope  = [{ bucket = "tmp", prefix = "corp/", allow = ["read"] }]

[[mapping]]
name   = "users"
client = { user = ["*"] }
scope  = [{ bucket = "tmp", prefix = "users/{user}/", allow = ["read"] }]
"#;

/// A scrape of a proxy with TLS, users and an issuer of JWTs.
pub(super) struct Exposed {
    pub(super) text: String,
    /// The labels of each name that can be queried.
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Exposed {
    /// Starts a proxy, sends it requests and scrapes it.
    pub(super) fn scrape() -> Self {
        let text = served();
        let mut labels = BTreeMap::from([("up".to_owned(), BTreeSet::new())]);
        for (name, kind) in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
            let endings: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            for ending in endings {
                let queried = format!("{name}{ending}");
                let found = series(&text, &queried).or_else(|| documented(name, ending));
                labels.insert(queried.clone(), found.unwrap_or_else(|| panic!("{queried} has no series")));
            }
        }
        Self { text, labels }
    }

    /// Checks that the metrics that an expression names exist and have the labels that it names, and that its result
    /// has the labels that are shown.
    pub(super) fn has(&self, expression: &str, shown: &[String]) -> Result<(), String> {
        let named = named(expression);
        let mut known: BTreeSet<&str> = ADDED.into();
        for metric in &named.metrics {
            let labels = self.labels.get(metric).ok_or_else(|| format!("no metric {metric}"))?;
            known.extend(labels.iter().map(String::as_str));
        }
        let compared = named.compared.iter().map(|(label, _)| label);
        let result: BTreeSet<&str> = named.grouped.iter().map(String::as_str).collect();
        for label in compared.chain(&named.grouped) {
            known.contains(&**label).then_some(()).ok_or_else(|| format!("no label {label}"))?;
        }
        let result = if result.is_empty() { &known } else { &result };
        for label in shown {
            result.contains(&**label).then_some(()).ok_or_else(|| format!("no label {label}"))?;
        }
        let values = named
            .compared
            .iter()
            .flat_map(|(label, values)| values.split('|').map(move |value| (label, value)));
        for (label, value) in values.filter(|(_, value)| !value.starts_with('$')) {
            let is_known = is_value(label, value, &named.metrics);
            is_known.then_some(()).ok_or_else(|| format!("no value {value} of {label}"))?;
        }
        Ok(())
    }
}

/// Returns whether the reference says that a label can have a value.
fn is_value(label: &str, value: &str, metrics: &[String]) -> bool {
    match label {
        "job" => value == "scopegate",
        "status" => value.strip_suffix("xx").is_some_and(|class| ["1", "2", "3", "4", "5"].contains(&class)),
        "rule" => RULES.contains(&format!("\n| `{value}` |")),
        _ => metrics.iter().filter_map(|metric| row(metric)).any(|row| row.contains(&format!("`{value}`"))),
    }
}

/// Returns the row of the reference.
fn row(name: &str) -> Option<&'static str> {
    METRICS.lines().find(|line| line.starts_with("| `") && line.contains(&format!("`{name}`")))
}

/// Returns the labels of all series with this name.
fn series(text: &str, name: &str) -> Option<BTreeSet<String>> {
    let rests =
        text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with(['{', ' ']));
    let mut labels = None;
    for rest in rests {
        let inside =
            rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
        let names =
            inside.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name.to_owned());
        labels.get_or_insert_with(BTreeSet::new).extend(names);
    }
    labels
}

/// Returns the labels in the reference of a family that has no series here.
fn documented(name: &str, ending: &str) -> Option<BTreeSet<String>> {
    WITHOUT_SERIES.contains(&name).then_some(())?;
    let cell = row(name)?.split('|').nth(3)?;
    let labels = cell.split('`').skip(1).step_by(2).map(str::to_owned);
    Some(labels.chain((ending == "_bucket").then(|| "le".to_owned())).collect())
}

/// Starts a proxy whose metrics have as many series as is easy to provoke, and returns its metrics.
fn served() -> String {
    let ((minio, issuer), folder) = (Minio::start_seeded(), TempDir::new().unwrap());
    let authority = Authority::new("the authority");
    let alice = authority.client("alice", 7);
    authority.server(&["localhost"]).write(folder.path(), "one");
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.path().join("ca.crl"), authority.revocations(&[], 2999)).unwrap();
    replace(&folder.path().join("users"), &format!("alice:{}\n", hash("secret")));
    let proxy = start(&configuration(minio.address, folder.path()), &issuer);
    let ask = |target: &str, headers: &[(&str, &str)]| {
        http::request(proxy.address("plain"), "GET", target, headers, b"").unwrap().status()
    };
    assert_eq!(ask("/tmp/media/hello.txt", &[]), 200);
    assert_eq!(ask("/tmp/other", &[]), 403);
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    assert_eq!(ask("/tmp/users/alice/a", &[("authorization", &basic("alice:secret"))]), 404);
    assert_eq!(ask("/tmp/users/alice/a", &[("authorization", &basic("alice:wrong"))]), 401);
    let mut connection = authority.trusting(Some(&alice)).open(proxy.address("door"), "localhost").unwrap();
    let answer = connection.request("GET", "/tmp/media/hello.txt", &[("Host", "localhost")], b"").unwrap();
    assert_eq!(answer.status(), 200);
    let metrics = || http::get(proxy.address("admin"), "/metrics").unwrap().text();
    let counted =
        wait_for(|| Some(metrics()).filter(|text| text.contains("\nscopegate_requests_in_flight 0\n")));
    counted.unwrap_or_else(&metrics)
}

/// Returns a configuration with a file of users, an issuer of JWTs that does not answer, and a listener with TLS.
fn configuration(minio: SocketAddr, folder: &Path) -> String {
    let at = folder.display();
    let scopes = &[("tmp", "media/", "read,list")];
    let corners = [corner("plain", scopes), corner("door", scopes)];
    let tls = format!(
        "name = \"door\"\naddress = \"127.0.0.1:0\"\ntls = {{ certificates = [{{ chain = \"{at}/one.crt\", key = \
         \"{at}/one.key\" }}], client_ca = [\"{at}/ca.pem\"], client_crl = [\"{at}/ca.crl\"] }}\n"
    );
    let text = config(minio, minio, &corners, SECTIONS);
    let text = text.replace("name = \"door\"\naddress = \"127.0.0.1:0\"\n", &tls);
    format!("users = {{ file = \"{at}/users\" }}\n{text}")
}
