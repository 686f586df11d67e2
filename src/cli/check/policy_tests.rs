//! Policy tests: decides on the requests in a file as `explain` does.

use crate::cli::explain::{Question, Who, explain};
use crate::cli::{CommandError, print};
use crate::config::{Config, Expectation, PolicyTest, TestClient, read_tests};
use crate::net::terminal::plain_lines;
use std::path::Path;

/// Runs the tests of a file, prints a line for each, and returns the number of failures.
///
/// # Errors
/// Fails if the file cannot be used (exit code 78), or if a test names something that the configuration lacks (exit
/// code 2).
pub(super) fn run(config: &Config, file: &Path) -> Result<usize, CommandError> {
    let tests = read_tests(file).map_err(|error| CommandError::from(&error))?;
    let mut failed = 0;
    for test in &tests {
        let place = format!("{}:{}", file.display(), test.line);
        let shown = match &test.name {
            Some(name) => format!("{place}: {name}"),
            None => format!("{place}: {} {}", test.method, test.target),
        };
        let line = match wrong(config, test) {
            Ok(None) => format!("  ok test {shown}\n"),
            Ok(Some(why)) => {
                failed += 1;
                format!("  WRONG test {shown}: {why}\n")
            }
            Err(error) => return Err(CommandError::usage(format!("{place}: {error}"))),
        };
        print(&plain_lines(&line))?;
    }
    Ok(failed)
}

/// Returns how the decision differs from the expected one, if it does.
fn wrong(config: &Config, test: &PolicyTest) -> Result<Option<String>, CommandError> {
    let who = match &test.client {
        TestClient::Caller(caller) => Who::Client(caller.clone()),
        TestClient::Mapping(name) => Who::Mapping(name),
    };
    let request = Some((&test.method, &*test.target, test.fields.clone()));
    let explanation =
        explain(config, &Question { who, refused: None, listener: test.listener.as_deref(), request })?;
    if let Some(wanted) = test.mapping.as_deref()
        && explanation.mapping() != Some(wanted)
    {
        let found = explanation.mapping().map_or("none".to_owned(), |name| format!("{name:?}"));
        return Ok(Some(format!("expected the mapping {wanted:?}, but the client gets {found}")));
    }
    Ok(match (test.expected, explanation.refusal()) {
        (Expectation::Allowed, None) | (Expectation::Refused(None), Some(_)) => None,
        (Expectation::Refused(Some(wanted)), Some((rule, _))) if rule == wanted => None,
        (Expectation::Refused(Some(wanted)), Some((rule, message))) => Some(format!(
            "expected a refusal by rule {}, but rule {} refuses: {message}",
            wanted.name(),
            rule.name()
        )),
        (Expectation::Allowed, Some((rule, message))) => {
            Some(format!("expected it to be allowed, but rule {} refuses: {message}", rule.name()))
        }
        (Expectation::Refused(_), None) => Some("expected a refusal, but it is allowed".to_owned()),
    })
}
