//! `scopegate ls`: keys, with a token.

use super::store::{Store, TokenArgs, encoded, split_path};
use super::{CommandError, print};
use crate::body::read_whole;
use crate::terminal::plain;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::de::from_str;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// A page of 1,000 keys of 1,024 bytes each, percent-encoded, with their tags.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
const PAGE_PATIENCE: Duration = Duration::from_mins(2);

/// What `ls` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scopegate token ... | scopegate ls tmp/media/")]
pub struct Args {
    /// The bucket and the beginning of the keys, as in tmp/media/
    pub path: String,
    /// Also the size in bytes and the time of the last change
    #[arg(long, short)]
    pub long: bool,
    /// The token
    #[command(flatten)]
    pub token: TokenArgs,
}

/// A page of `ListObjectsV2`.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Object>,
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    /// Percent-encoded, as was asked for: XML cannot hold every key.
    key: String,
    last_modified: String,
    size: u64,
}

/// Lists every key, however many pages there are, and prints each page as it comes.
///
/// # Errors
/// What the store refuses, and answers that are no lists.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let (bucket, prefix) = split_path(&args.path)?;
    let store = Store::open(args.token.read()?)?;
    let is_terminal = io::stdout().is_terminal();
    let mut after = String::new();
    loop {
        let target = format!("/{bucket}?list-type=2&encoding-type=url&prefix={}{after}", encoded(prefix));
        let answer = store.get(bucket, &target).await?;
        let body = read_whole(answer.body, MAX_PAGE_BYTES, PAGE_PATIENCE)
            .await
            .map_err(|error| CommandError::failed(format!("the list broke off: {error}")))?;
        let page: Page = from_str(&String::from_utf8_lossy(&body)).map_err(|_| {
            CommandError::failed(format!("{} did not answer with a list", store.token().endpoint))
        })?;
        let line = |object| line(bucket, object, args.long, is_terminal);
        let lines: String = page.contents.iter().map(line).collect();
        print(&lines)?;
        match page.next_continuation_token {
            Some(token) if page.is_truncated => after = format!("&continuation-token={}", encoded(&token)),
            _ => return Ok(()),
        }
    }
}

/// Writes an object's line: its path in the form that `get` takes.
///
/// On a terminal control characters are made visible. Elsewhere the key is exact, for programs.
fn line(bucket: &str, object: &Object, long: bool, is_terminal: bool) -> String {
    let key = object.key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8_lossy();
    let shown = if is_terminal { plain(&key) } else { Cow::Borrowed(&*key) };
    if !long {
        return format!("{bucket}/{shown}\n");
    }
    // The store's own text is never printed: it is a time, or nothing.
    let modified = object.last_modified.parse::<Timestamp>();
    let modified = modified.map_or_else(|_| "-".to_owned(), |time| time.to_string());
    format!("{:>15} {modified:>20} {bucket}/{shown}\n", object.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let page: Page = from_str(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>tmp</Name>\
             <IsTruncated>true</IsTruncated><NextContinuationToken>a/b=</NextContinuationToken>\
             <Contents><Key>media/a+b%2Bc%26</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>&quot;x&quot;</ETag><Size>7</Size></Contents>\
             <Contents><Key>media/%C3%BC</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>0</Size></Contents></ListBucketResult>",
        )
        .unwrap();
        let lines: Vec<String> =
            page.contents.iter().map(|object| line("tmp", object, false, false)).collect();
        assert_eq!(lines, ["tmp/media/a b+c&\n", "tmp/media/ü\n"]);
        assert_eq!((page.is_truncated, page.next_continuation_token.as_deref()), (true, Some("a/b=")));
        assert!(
            line("tmp", &page.contents[0], true, false)
                .starts_with("              7 2026-01-01T00:00:00Z tmp/")
        );
        let empty: Page =
            from_str("<ListBucketResult><Name>tmp</Name><IsTruncated>false</IsTruncated></ListBucketResult>")
                .unwrap();
        assert!(empty.contents.is_empty());
    }

    #[test]
    fn a_hostile_key_or_time_does_not_reach_the_terminal() {
        let object = Object {
            key: "a%1B%5B2J%E2%80%AEtxt".to_owned(),
            last_modified: "2026\u{1b}]0;x\u{7}".to_owned(),
            size: 1,
        };
        for is_terminal in [true, false] {
            let line = line("tmp", &object, true, is_terminal);
            assert!(line.starts_with("              1                    - tmp/a"), "{line:?}");
        }
        assert_eq!(line("tmp", &object, false, true), "tmp/a␛[2J\\u{202e}txt\n");
        assert_eq!(line("tmp", &object, false, false), "tmp/a\u{1b}[2J\u{202e}txt\n", "programs get the key");
    }
}
