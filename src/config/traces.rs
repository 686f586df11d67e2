//! Reads `[traces]`: the collector that receives traces of requests, and which requests are traced.

use super::Environment;
use super::client_tls::read_tls;
use super::reader::At;
use super::secrets::read_secret;
use super::table::Table;
use super::tls::Noted;
use super::trace_settings::{Collector, Sampling, Traces};
use crate::net::endpoint::Endpoint;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use std::time::Duration;

const EXAMPLE: &str = "write the URL for traces in OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces";

/// Reads the section. Without it, there are no traces.
pub(super) fn read_traces(table: Table<'_>, environment: &dyn Environment) -> Result<Option<Traces>, Noted> {
    if table.is_present() { read_present(table, environment).map(Some).ok_or(Noted) } else { Ok(None) }
}

/// Reads a section that is present. Returns `None` after a mistake.
fn read_present(table: Table<'_>, environment: &dyn Environment) -> Option<Traces> {
    if !cfg!(feature = "otlp") {
        let help = "use a build with the cargo feature otlp, as releases are, or remove [traces]";
        table.error("this scopegate was built without traces", help);
    }
    let url = table.required("endpoint", "\"http://127.0.0.1:4318/v1/traces\"");
    let place = url.and_then(|url| read_url(url, &table));
    let endpoint = place.as_ref().map(|(endpoint, _)| endpoint);
    let tls = read_tls(&table, endpoint.map(std::slice::from_ref).unwrap_or_default(), environment);
    let authorization = read_authorization(&table, environment);
    let timeout = table.duration("timeout");
    let fraction = table.fraction("sample");
    let limit = table.number("parent_limit");
    let follows = table.word("parent", &[("follow", true), ("ignore", false)]).unwrap_or(true);
    let service_name = table.parsed("service_name", "is not a name of a service", |name| {
        let is_name = (1..=64).contains(&name.len()) && !name.contains(char::is_control);
        is_name.then_some(name).ok_or("write 1 to 64 characters")
    });
    let propagate = table.boolean("propagate").unwrap_or(false);
    let queue = table.number("queue").unwrap_or(2048);
    table.finish();
    let (endpoint, target) = place?;
    let timeout = timeout.unwrap_or(Duration::from_secs(5));
    Some(Traces {
        collector: Collector { endpoint, target, tls: tls?, authorization: authorization.ok()?, timeout },
        sampling: Sampling {
            fraction: fraction.unwrap_or(0.01),
            parents: follows.then(|| limit.unwrap_or(10)),
        },
        service_name: service_name.unwrap_or("scopegate").into(),
        propagate,
        queue,
    })
}

fn read_url(url: At<&str>, table: &Table<'_>) -> Option<(Endpoint, PathAndQuery)> {
    if url.value.contains('@') {
        // The text before the `@` may be a password.
        table.reader().error(
            url.span,
            "the URL holds a user or password",
            "use authorization = { file = \"...\" }",
        );
        return None;
    }
    url.parse_with(table.reader(), "is not the URL of a collector", parse_url)
}

fn parse_url(url: &str) -> Result<(Endpoint, PathAndQuery), &'static str> {
    let uri: Uri = url.parse().map_err(|_| EXAMPLE)?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or(EXAMPLE)?;
    let endpoint = Endpoint::parse(&format!("{scheme}://{authority}"))?;
    let target = uri.path_and_query().filter(|target| target.path() != "/").ok_or(EXAMPLE)?;
    if endpoint.port() == 4317 {
        return Err(
            "4317 is the port of OTLP over gRPC: write the one of OTLP over HTTP, which is usually 4318",
        );
    }
    Ok((endpoint, target.clone()))
}

/// Reads the header that authorises this process.
fn read_authorization(
    table: &Table<'_>,
    environment: &dyn Environment,
) -> Result<Option<(HeaderName, HeaderValue)>, Noted> {
    let name = table.parsed("authorization_header", "is not the name of a header", |name| {
        name.parse::<HeaderName>().map_err(|_| "write a name such as \"x-api-key\"")
    });
    let Some(span) = table.span_of("authorization") else {
        if let Some(span) = table.span_of("authorization_header") {
            let help = "add authorization = { file = \"...\" } with its value";
            table.reader().error(span, "authorization_header is given without authorization", help);
        }
        return Ok(None);
    };
    let secret = read_secret(table, "authorization", environment).ok_or(Noted)?;
    let Ok(mut value) = HeaderValue::from_str(secret.reveal().trim()) else {
        let help = "write the whole value on one line, such as Bearer TOKEN";
        table.reader().error(span, "authorization is not the value of a header", help);
        return Err(Noted);
    };
    value.set_sensitive(true);
    Ok(Some((name.unwrap_or(http::header::AUTHORIZATION), value)))
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake};

    fn read(section: &str) -> Result<Traces, String> {
        let config = Config::parse(&format!("{EXAMPLE}\n[traces]\n{section}\n"), &Fake);
        match config {
            Ok(config) => config.traces.ok_or_else(|| "the section was not read".to_owned()),
            Err(mistakes) => Err(format!("{mistakes:?}")),
        }
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        assert!(Config::parse(EXAMPLE, &Fake).unwrap().traces.is_none());
        let traces = read("endpoint = \"http://otel:4318/v1/traces?a=b\"").unwrap();
        assert_eq!(traces.collector.to_string(), "http://otel:4318/v1/traces?a=b");
        assert_eq!(traces.sampling, Sampling { fraction: 0.01, parents: Some(10) });
        assert_eq!((&*traces.service_name, traces.propagate, traces.queue), ("scopegate", false, 2048));
        assert_eq!(
            (traces.collector.timeout, traces.collector.authorization),
            (Duration::from_secs(5), None)
        );
        let page = include_str!("../../docs/reference/configuration.md");
        for row in [
            "| `sample` | `0.01` |",
            "| `parent_limit` | `10` |",
            "| `queue` | `2048` |",
            "| `timeout` | `\"5s\"` |",
        ] {
            assert!(page.contains(row), "{row}");
        }
    }

    #[test]
    fn every_setting_is_read() {
        let traces = read(
            "endpoint = \"http://otel:4318/v1/traces\"\nsample = 1\nparent = \"ignore\"\nservice_name = \"s3\"\npropagate = true\n\
             queue = 10\ntimeout = \"200ms\"\nauthorization = { env = \"SCOPEGATE_ACCESS_KEY\" }\nauthorization_header = \"X-Api-Key\"",
        );
        let traces = traces.unwrap();
        assert_eq!(traces.sampling, Sampling { fraction: 1.0, parents: None });
        assert_eq!((&*traces.service_name, traces.propagate, traces.queue), ("s3", true, 10));
        let (name, value) = traces.collector.authorization.clone().unwrap();
        assert!(name == "x-api-key" && value.is_sensitive());
        assert!(!format!("{traces:?}").contains(value.to_str().unwrap()));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let good = "endpoint = \"http://otel:4318/v1/traces\"\n";
        for (section, told) in [
            ("", "add endpoint = "),
            ("endpoint = \"http://otel:4318\"", "such as http://127.0.0.1:4318/v1/traces"),
            ("endpoint = \"http://otel:4318/\"", "such as http://127.0.0.1:4318/v1/traces"),
            ("endpoint = \"otel:4318/v1/traces\"", "such as http://127.0.0.1:4318/v1/traces"),
            ("endpoint = \"ftp://otel/v1/traces\"", "begins with http"),
            ("endpoint = \"http://otel:4317/v1/traces\"", "OTLP over gRPC"),
            ("endpoint = \"http://a:hush@otel/v1/traces\"", "holds a user or password"),
            (&format!("{good}sample = 1.5"), "sample = 1.5 is out of range"),
            (&format!("{good}sample = -0.1"), "write a number from 0 to 1"),
            (&format!("{good}sample = nan"), "out of range"),
            (&format!("{good}sample = \"1\""), "a number from 0 to 1"),
            (&format!("{good}parent = \"trust\""), "write one of: follow, ignore"),
            (&format!("{good}parent_limit = 0"), "out of range"),
            (&format!("{good}service_name = \"\""), "1 to 64 characters"),
            (&format!("{good}authorization = \"Bearer hush\""), "in plain text"),
            (&format!("{good}authorization_header = \"x-a\""), "without authorization"),
            (&format!("{good}authorization_header = \"x a\""), "such as \\\"x-api-key\\\""),
            (&format!("{good}tls = {{ ca = [\"ca.pem\"] }}"), "does not use it"),
            (&format!("{good}sampel = 1"), "did you mean \\\"sample\\\"?"),
        ] {
            let error = read(section).unwrap_err();
            assert!(error.contains(told) && !error.contains("hush"), "{section}: {error}");
        }
    }
}
