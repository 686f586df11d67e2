//! `scopegate explain --request-id`: explains an answered request from its line in the access log, and judges the same
//! request by the present configuration.

mod judged;
mod line;
mod search;
mod told;

pub use search::RequestId;

use super::Args;
use crate::cli::{CommandError, print, serve};
use crate::config::WithoutSecrets;
use crate::net::terminal::plain_lines;
use judged::Judged;
use line::LogLine;
use search::Search;
use serde_json::{Map, Value, json};

/// Finds the request in the log, and prints what happened to it and what would happen now.
///
/// # Errors
/// Fails if the log does not show the request (exit code 1), and on a bad configuration (exit code 78) after what the
/// log tells was printed.
pub(super) fn run(args: &Args, id: &RequestId) -> Result<(), CommandError> {
    let mut log = search::open(args.log.as_deref())?;
    let line = Search::read(&mut *log, id)?.only(id)?;
    if !args.json {
        print(&plain_lines(&told::of(&line)))?;
    }
    let config = serve::load_with(&args.config, &WithoutSecrets);
    if args.json {
        let fields = config.is_err().then(|| object(&line, None));
        if let Some(fields) = fields {
            print(&format!("{fields}\n"))?;
        }
    }
    let config = config?;
    let judged = Judged::of(&config, &line, &super::fields(&args.header)?, args.policy);
    if args.json {
        return print(&format!("{}\n", object(&line, Some(&judged))));
    }
    let source = args.config.display();
    print(&plain_lines(&format!("\nnow, by {source}\n{}", judged.text())))
}

/// Returns what is known as one JSON object.
fn object(line: &LogLine, judged: Option<&Judged>) -> Value {
    let mut fields = Map::new();
    fields.insert("timestamp".to_owned(), line.time().into());
    fields.extend(line.fields().map(|(name, value)| {
        let number = told::is_number(name).then(|| value.parse::<u64>().ok()).flatten();
        (name.to_owned(), number.map_or_else(|| value.into(), Value::from))
    }));
    json!({
        "line": fields,
        "is_cut": line.is_cut(),
        "now": judged.and_then(|judged| judged.explanation.clone()),
        "would_be": judged.map(|judged| judged.verdict.name()),
        "because": judged.map(|judged| judged.verdict.reason()),
        "assumed": judged.map(|judged| &judged.assumed),
    })
}

#[cfg(test)]
mod tests;
