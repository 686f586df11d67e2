//! `scopegate ls`: lists keys with a token.

use super::store::{Store, TokenArgs, Wanted, encoded, split_path};
use super::{CommandError, print};
use crate::answer::listing::page::MAX_PAGE_BYTES;
use crate::authorize::rights::Right;
use crate::net::terminal::plain;
use http1::body::read_whole;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::de::from_str;
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::time::Duration;

const PAGE_PATIENCE: Duration = Duration::from_mins(2);

/// The arguments of `ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --recursive one level is listed: keys, and folders with a '/' at their end.\n\
    A path under which there is nothing is an error (exit code 1), except the token's own place.\n\n\
    Examples:\n  scopegate token ... > token.json\n  scopegate ls --token token.json\n  \
    scopegate ls --recursive tmp/media/ < token.json"
)]
pub struct Args {
    /// The bucket and the beginning of the keys, as in tmp/media/ or 'tmp/media/*'; the token's own when not given
    pub path: Option<String>,
    /// Also the size in bytes and the time of the last change
    #[arg(long, short)]
    pub long: bool,
    /// Also the keys in folders, at every depth
    #[arg(long, short)]
    pub recursive: bool,
    /// Print JSON.
    #[arg(
        long,
        conflicts_with = "long",
        help = "A JSON object on a line for each key (Bucket, Key, Size, LastModified) and folder (Bucket, Prefix)"
    )]
    pub json: bool,
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
    common_prefixes: Vec<Folder>,
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    /// Percent-encoded, as the request demands, because XML cannot express every key.
    key: String,
    last_modified: String,
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Folder {
    /// Percent-encoded like a key, and with a slash at its end.
    prefix: String,
}

/// A key or a folder, ready to be printed.
#[derive(Debug)]
struct Entry {
    name: String,
    /// The size and the time of the last change. `None` for a folder.
    about: Option<(u64, Option<Timestamp>)>,
}

/// A bucket and a key prefix.
#[derive(Debug)]
struct Place {
    bucket: String,
    prefix: String,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Names,
    Long,
    Json,
}

/// Lists every page and prints each as it comes.
///
/// # Errors
/// Fails if the store refuses the request or responds with something other than a list, and if nothing is under the
/// path.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let named = args.path.as_deref().map(named_place).transpose()?;
    let store = Store::open(&args.token)?;
    let token = store.token();
    let own = Place { bucket: token.bucket.clone(), prefix: token.prefix.clone() };
    let may_be_empty =
        named.as_ref().is_none_or(|place| place.bucket == own.bucket && place.prefix == own.prefix);
    let place = named.unwrap_or(own);
    let form = match (args.json, args.long) {
        (true, _) => Form::Json,
        (false, true) => Form::Long,
        (false, false) => Form::Names,
    };
    let is_terminal = io::stdout().is_terminal();
    let (mut after, mut is_empty) = (String::new(), true);
    loop {
        let page = page(&store, &place, args.recursive, &after).await?;
        let next = page.next_continuation_token.clone().filter(|_| page.is_truncated);
        let entries = page.into_entries();
        is_empty &= entries.is_empty();
        let lines: String =
            entries.iter().map(|entry| line(&place.bucket, entry, form, is_terminal)).collect();
        print(&lines)?;
        match next {
            Some(token) => after = format!("&continuation-token={}", encoded(&token)),
            None if is_empty && !may_be_empty => return Err(nothing_at(&place)),
            None => return Ok(()),
        }
    }
}

fn nothing_at(Place { bucket, prefix }: &Place) -> CommandError {
    CommandError::failed(format!(
        "no key begins with {bucket}/{prefix}\n  see what is there with `scopegate ls`, which lists the token's own place"
    ))
}

/// Parses a path as people type it. A `*` at the end is ignored.
///
/// # Errors
/// Fails with exit code 2 if the path names no bucket, or contains another `*`, which would be a pattern.
fn named_place(path: &str) -> Result<Place, CommandError> {
    let (bucket, prefix) = split_path(path)?;
    let prefix = prefix.strip_suffix('*').unwrap_or(prefix);
    if prefix.contains('*') || bucket.contains('*') {
        return Err(CommandError::usage(format!(
            "{path:?} is a pattern, and ls takes the beginning of keys: a '*' stands at the end only, as in \
             'tmp/media/*'; with --recursive all keys are listed, for grep to choose from"
        )));
    }
    Ok(Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

async fn page(store: &Store, place: &Place, recursive: bool, after: &str) -> Result<Page, CommandError> {
    let Place { bucket, prefix } = place;
    let delimiter = if recursive { "" } else { "&delimiter=%2F" };
    let target =
        format!("/{bucket}?list-type=2&encoding-type=url&prefix={}{delimiter}{after}", encoded(prefix));
    let answer = store.get(Wanted { bucket, path: prefix, right: Right::List }, &target).await?;
    let body = read_whole(answer.body, MAX_PAGE_BYTES, PAGE_PATIENCE)
        .await
        .map_err(|error| CommandError::failed(format!("the list broke off: {error}")))?;
    from_str(&String::from_utf8_lossy(&body))
        .map_err(|_| CommandError::failed(format!("{} did not answer with a list", store.token().endpoint)))
}

impl Page {
    /// Returns keys and folders in the order of their names.
    fn into_entries(self) -> Vec<Entry> {
        let object = |Object { key, last_modified, size }: Object| Entry {
            name: decoded(&key),
            // The store's own text is never printed, only the time parsed from it.
            about: Some((size, last_modified.parse().ok())),
        };
        let folder = |Folder { prefix }: Folder| Entry { name: decoded(&prefix), about: None };
        let folders = self.common_prefixes.into_iter().map(folder);
        let mut entries: Vec<Entry> = self.contents.into_iter().map(object).chain(folders).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries
    }
}

fn decoded(name: &str) -> String {
    percent_decode_str(&name.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Formats the line of a key, in the form that `get` accepts, or of a folder.
///
/// On a terminal control characters are made visible. Elsewhere the name is exact, for programs.
fn line(bucket: &str, entry: &Entry, form: Form, is_terminal: bool) -> String {
    let name = if is_terminal { plain(&entry.name) } else { Cow::Borrowed(&*entry.name) };
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    match (form, entry.about) {
        (Form::Names, _) => format!("{bucket}/{name}\n"),
        (Form::Long, None) => format!("{:>15} {:>20} {bucket}/{name}\n", "-", "-"),
        (Form::Long, Some((size, modified))) => {
            let modified = time(modified).unwrap_or_else(|| "-".to_owned());
            format!("{size:>15} {modified:>20} {bucket}/{name}\n")
        }
        (Form::Json, None) => json!({ "Bucket": bucket, "Prefix": name }).to_string() + "\n",
        (Form::Json, Some((size, modified))) => {
            let line = json!({
                "Bucket": bucket, "Key": name, "Size": size, "LastModified": time(modified),
            });
            line.to_string() + "\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(document: &str) -> Page {
        from_str(document).unwrap()
    }

    #[test]
    fn keys_and_folders_are_listed_in_the_order_of_their_names() {
        let page = parse(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>tmp</Name>\
             <IsTruncated>true</IsTruncated><NextContinuationToken>a/b=</NextContinuationToken>\
             <Contents><Key>media/a+b%2Bc%26</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>&quot;x&quot;</ETag><Size>7</Size></Contents>\
             <Contents><Key>media/%C3%BC</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>0</Size></Contents>\
             <CommonPrefixes><Prefix>media/b+c/</Prefix></CommonPrefixes></ListBucketResult>",
        );
        assert_eq!((page.is_truncated, page.next_continuation_token.as_deref()), (true, Some("a/b=")));
        let entries = page.into_entries();
        let lines = |form| entries.iter().map(|entry| line("tmp", entry, form, false)).collect::<Vec<_>>();
        assert_eq!(lines(Form::Names), ["tmp/media/a b+c&\n", "tmp/media/b c/\n", "tmp/media/ü\n"]);
        assert_eq!(lines(Form::Long)[0], "              7 2026-01-01T00:00:00Z tmp/media/a b+c&\n");
        assert_eq!(lines(Form::Long)[1], "              -                    - tmp/media/b c/\n");
        let key = r#"{"Bucket":"tmp","Key":"media/a b+c&","LastModified":"2026-01-01T00:00:00Z","Size":7}"#;
        assert_eq!(
            lines(Form::Json)[..2].concat(),
            format!("{key}\n{{\"Bucket\":\"tmp\",\"Prefix\":\"media/b c/\"}}\n")
        );
        let empty = "<ListBucketResult><Name>tmp</Name><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert!(parse(empty).into_entries().is_empty());
    }

    #[test]
    fn a_star_is_allowed_only_at_the_end_of_a_path() {
        for (path, bucket, prefix) in [
            ("tmp/media/*", "tmp", "media/"),
            ("tmp/media/a*", "tmp", "media/a"),
            ("tmp/*", "tmp", ""),
            ("s3://tmp", "tmp", ""),
        ] {
            let place = named_place(path).unwrap();
            assert_eq!((&*place.bucket, &*place.prefix), (bucket, prefix), "{path}");
        }
        for bad in ["tmp/*/a", "tmp/media/**", "*", "tmp/*.txt", "/"] {
            assert_eq!(named_place(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn a_hostile_key_or_time_does_not_reach_the_terminal() {
        let page = parse(
            "<ListBucketResult><Contents><Key>a%1B%5B2J%E2%80%AEtxt</Key><LastModified>2026\u{9b}0;x</LastModified>\
             <Size>1</Size></Contents></ListBucketResult>",
        );
        let entry = &page.into_entries()[0];
        for is_terminal in [true, false] {
            let line = line("tmp", entry, Form::Long, is_terminal);
            assert!(line.starts_with("              1                    - tmp/a"), "{line:?}");
        }
        assert_eq!(line("tmp", entry, Form::Names, true), "tmp/a␛[2J\\u{202e}txt\n");
        assert_eq!(
            line("tmp", entry, Form::Names, false),
            "tmp/a\u{1b}[2J\u{202e}txt\n",
            "programs get the key"
        );
        let json = line("tmp", entry, Form::Json, false);
        assert!(json.contains("\\u001b[2J") && json.contains("\"LastModified\":null"), "{json}");
    }
}
