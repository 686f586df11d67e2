//! The lines of the proxy's access log.

/// Returns the value of a field in a line, without quotes; empty where the line has no such field.
pub(crate) fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let Some((_, rest)) = line.split_once(&format!(" {name}=")) else { return "" };
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => rest.split_whitespace().next().unwrap_or_default(),
    }
}

#[test]
fn reads_fields_with_and_without_quotes() {
    let line = "INFO access: path=\"/tmp/a b\" status=206 rule=\"cross-site\"";
    let fields = ["path", "status", "rule", "sent"].map(|name| field(line, name));
    assert_eq!(fields, ["/tmp/a b", "206", "cross-site", ""]);
}
