//! Reads `[upstream]`: the store's endpoints, region and kind.

use super::client_tls::read_tls;
use super::reader::{At, Reader};
use super::table::Table;
use super::{Environment, Upstream};
use crate::authorize::operations::grammar::Dialect;
use crate::net::endpoint::Endpoint;

const EXAMPLE: &str = "endpoints = [\"http://127.0.0.1:9000\"]";

pub(super) fn read_upstream(table: Table<'_>, environment: &dyn Environment) -> Option<Upstream> {
    table.require("endpoints", format!("add {EXAMPLE}"));
    let endpoints = table.strings("endpoints").map(|list| read_endpoints(list, table.reader()));
    let region = table.string("region").map_or("us-east-1", |region| {
        region.parse_with(table.reader(), "is not a valid region", parse_region).unwrap_or_default()
    });
    let store = table.word("store", &[("minio", Dialect::Minio), ("s3", Dialect::S3)]);
    let tls = read_tls(&table, endpoints.as_deref().unwrap_or_default(), environment);
    table.finish();
    Some(Upstream {
        endpoints: endpoints?,
        tls: tls?,
        region: region.into(),
        store: store.unwrap_or_default(),
    })
}

fn read_endpoints(list: At<Vec<At<&str>>>, reader: &Reader<'_>) -> Vec<Endpoint> {
    if list.value.is_empty() {
        reader.error(list.span, "endpoints is empty", format!("name every node: {EXAMPLE}"));
    }
    let mut nodes: Vec<Endpoint> = Vec::new();
    for url in list.value {
        match read_endpoint(url, reader) {
            Some(node) if nodes.contains(&node) => {
                reader.error(url.span, format!("the endpoint {node} is listed twice"), "remove one");
            }
            node => nodes.extend(node),
        }
    }
    nodes
}

/// Parses the URL of a node or of STS.
pub(super) fn read_endpoint(url: At<&str>, reader: &Reader<'_>) -> Option<Endpoint> {
    let wrong = |help| {
        if url.value.contains('@') {
            // The text before the `@` may be a password.
            reader.error(url.span, "not an endpoint", help);
        } else {
            reader.wrong(url, "is not an endpoint", help);
        }
    };
    Endpoint::parse(url.value).map_err(wrong).ok()
}

fn parse_region(text: &str) -> Result<&str, &'static str> {
    let is_region = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_region.then_some(text).ok_or("write the store's region, such as \"us-east-1\"")
}
