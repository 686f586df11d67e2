//! S3's names: buckets, keys, prefixes of keys, and the pages of a static site.

use crate::s3::limits::MAX_KEY_BYTES;
use std::fmt;

/// Longest segment of a key, in bytes. MinIO stores each segment as a file name.
const MAX_SEGMENT_BYTES: usize = 255;

/// A bucket name that follows S3's naming rules. It is safe in a path, a policy and a log.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(Box<str>);

impl BucketName {
    /// Checks `name` against S3's naming rules.
    ///
    /// # Errors
    /// Says which rule is broken.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        check_bucket(name)?;
        if name == "minio" {
            return Err("'minio' is the path of MinIO's own interfaces, not a bucket");
        }
        Ok(Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a bucket name against S3's naming rules.
///
/// # Errors
/// Says which rule is broken.
pub(crate) fn check_bucket(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Err("a bucket's name has 3 to 63 characters");
    }
    if !bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')) {
        return Err("a bucket's name holds only a-z, 0-9, '-' and '.'");
    }
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    if !edge(bytes.first()) || !edge(bytes.last()) {
        return Err("a bucket's name begins and ends with a letter or a digit");
    }
    if bytes.windows(2).any(|pair| matches!(pair, b".." | b".-" | b"-.")) {
        return Err("a bucket's name has no '..', '.-' or '-.'");
    }
    Ok(())
}

/// Checks that a decoded key names one object, and nothing that a server might resolve to another.
///
/// MinIO rejects `//` and segments `.` and `..`, also with `\` as a separator. They are refused here before anything
/// is decided, so that the object that was authorised is the object that is reached.
///
/// # Errors
/// Says what is wrong.
pub fn check_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("the key is empty");
    }
    if key.len() > MAX_KEY_BYTES {
        return Err("the key is longer than 1024 bytes");
    }
    check_segments(key)
}

/// Checks what also holds for a prefix of a key, such as a list's `prefix`.
///
/// # Errors
/// Says what is wrong.
pub(crate) fn check_segments(key: &str) -> Result<(), &'static str> {
    if is_harmless(key.as_bytes()) { Ok(()) } else { check_segments_fully(key) }
}

/// Checks the key after which a list continues. It may hold control characters, which no path may: a program with its
/// own credentials may have stored such a key, and the list continues after it.
///
/// # Errors
/// Says what is wrong.
pub(crate) fn check_position(key: &str) -> Result<(), &'static str> {
    if key.len() > MAX_KEY_BYTES {
        return Err("the key is longer than 1024 bytes");
    }
    if !key.contains(is_not_of_xml) {
        return check_segments(key);
    }
    // White space around dots counts as spaces.
    let shown = |c: char| match c {
        c if !is_not_of_xml(c) => c,
        c if c.is_whitespace() => ' ',
        _ => '?',
    };
    check_segments(&key.chars().map(shown).collect::<String>())
}

/// Returns whether XML cannot express a character, or would change it.
fn is_not_of_xml(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn check_segments_fully(key: &str) -> Result<(), &'static str> {
    if key.starts_with('/') {
        return Err("the key begins with '/'");
    }
    let bytes = key.as_bytes();
    // `fold` instead of `any`: without an early exit the compiler compares many bytes at once.
    let doubled = |pair: (&u8, &u8)| pair == (&b'/', &b'/');
    if bytes.iter().zip(bytes.iter().skip(1)).fold(false, |so_far, pair| so_far | doubled(pair)) {
        return Err("the key has an empty segment ('//')");
    }
    if key.contains(is_not_of_xml) {
        return Err("the key holds a control character or a character that XML cannot hold");
    }
    if bytes.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots) {
        return Err("the key has a '.' or '..' segment");
    }
    check_names(key)
}

/// Refuses names that MinIO uses itself. Each would reach, hide or break another object.
fn check_names(key: &str) -> Result<(), &'static str> {
    // In a list position MinIO would read it as its own note, which holds a path.
    if key.contains("[minio_cache") {
        return Err("the key holds '[minio_cache', which MinIO reads as a note of its own");
    }
    for segment in key.split('/') {
        if segment.len() > MAX_SEGMENT_BYTES {
            return Err("the key has a segment of more than 255 bytes");
        }
        // MinIO stores an object's data in a file of this name.
        if segment == "xl.meta" {
            return Err("the key has a segment 'xl.meta', which is a file of MinIO's own");
        }
        // MinIO takes the key for one that ends in a slash, which has no versions.
        if segment.ends_with("__XLDIR__") {
            return Err("the key has a segment that ends in '__XLDIR__', which MinIO takes for a slash");
        }
    }
    Ok(())
}

/// Returns whether a key passes the cheap test that nearly all keys pass: ASCII without control characters, `//`,
/// `[`, `__` and `l.`, every dot after a letter or digit, and no segment too long.
fn is_harmless(key: &[u8]) -> bool {
    let mut before = b'/';
    let mut harmless = key.len() <= MAX_SEGMENT_BYTES;
    for &byte in key {
        harmless &= match byte {
            b'/' => before != b'/',
            b'.' => before.is_ascii_alphanumeric() && before != b'l',
            b'_' => before != b'_',
            b'[' => false,
            _ => matches!(byte, b' '..=b'~'),
        };
        before = byte;
    }
    harmless
}

/// Returns whether a segment is `.` or `..`, with or without white space around it.
fn is_dots(segment: &[u8]) -> bool {
    // The first letter or digit excludes nearly every segment.
    let spelled = segment.iter().any(u8::is_ascii_alphanumeric);
    !spelled && str::from_utf8(segment).is_ok_and(|segment| matches!(segment.trim(), "." | ".."))
}

/// The prefix that all keys of a scope share: empty for the whole bucket, otherwise ending in `/`.
///
/// It becomes part of a session policy, where `*`, `?` and `${` have a meaning and cannot be escaped. So it never
/// contains them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// Checks `prefix`.
    ///
    /// # Errors
    /// Says what is wrong and how to fix it.
    pub fn parse(prefix: &str) -> Result<Self, &'static str> {
        if prefix.contains('*') || prefix.contains('?') {
            return Err(
                "'*' and '?' are wildcards in a policy and only \"media/*\" may have one: write the prefix without wildcards, as in \"media/\"",
            );
        }
        if prefix.contains("${") {
            return Err("'${' begins a variable in a policy and cannot be part of a prefix");
        }
        if prefix.starts_with('/') {
            return Err("a prefix does not begin with '/': keys do not");
        }
        if !prefix.is_empty() && !prefix.ends_with('/') {
            return Err(
                "a prefix ends in '/' (or is empty, for the whole bucket): \"media\" would also cover \"media-private\"",
            );
        }
        if prefix.chars().any(|c| c.is_control() || c == '\\') {
            return Err("a prefix holds no control characters and no '\\'");
        }
        if prefix.len() > MAX_KEY_BYTES {
            return Err("a prefix is at most 1024 bytes long");
        }
        check_segments(prefix)?;
        Ok(Self(prefix.into()))
    }

    /// Reads a prefix as people write it: `media/*` means `media/`, and `*` means the whole bucket.
    ///
    /// # Errors
    /// As [`Prefix::parse`].
    pub fn parse_typed(prefix: &str) -> Result<Self, &'static str> {
        let trimmed = prefix.strip_suffix('*').filter(|rest| rest.is_empty() || rest.ends_with('/'));
        Self::parse(trimmed.unwrap_or(prefix))
    }

    /// Returns the prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `key`, or the prefix of a list, lies below this prefix.
    pub fn covers(&self, key: &str) -> bool {
        key.starts_with(&*self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The object name that serves as a folder's page, in every folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexName(Box<str>);

impl IndexName {
    /// Checks `name`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        if name.is_empty() || name.contains(['/', '\\']) {
            return Err(
                "an index is the name of an object in each folder, such as \"index.html\", without '/'",
            );
        }
        if name.chars().any(char::is_control) || check_key(name).is_err() || name.len() > 255 {
            return Err(
                "an index is one name of at most 255 bytes, without control characters and not '.' or '..'",
            );
        }
        Ok(Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error page of a site: an object's key, relative to the scope's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage(Box<str>);

impl ErrorPage {
    /// The default error page of a scope with an index, as on other hosts of static sites.
    pub const USUAL: &str = "404.html";

    /// Checks `key`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(key: &str) -> Result<Self, &'static str> {
        if key.ends_with('/') || key.contains('\\') || check_key(key).is_err() {
            return Err(
                "an error page is the name of an object, counted from the scope's prefix, such as \"404.html\" or \"errors/404.html\"",
            );
        }
        Ok(Self(key.into()))
    }

    /// Returns the key, relative to the scope's prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes() {
        for good in ["", "media/", "a/b/", "ü/", "a b/", "$/", "{x}/"] {
            assert!(Prefix::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "media",
            "/",
            "/a/",
            "a//",
            "a/../",
            "./",
            "../",
            "a*/",
            "a?/",
            "${aws:username}/",
            "a\\b/",
            "a\n/",
        ] {
            assert!(Prefix::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Prefix::parse_typed("media/*"), Prefix::parse("media/"));
        assert_eq!(Prefix::parse_typed("*"), Prefix::parse(""));
        for bad in ["media*", "media/**", "me*dia/", "media/?"] {
            assert!(Prefix::parse_typed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_cover_only_keys_below_them() {
        let media = Prefix::parse("media/").unwrap();
        assert!(media.covers("media/") && media.covers("media/a"));
        assert!(!media.covers("media") && !media.covers("media-private/a") && !media.covers(""));
    }

    #[test]
    fn lists_continue_after_keys_that_no_path_may_name() {
        for key in ["", "a/b", "a/\u{1}", "a\n/b", "a/\u{fffe}"] {
            assert_eq!(check_position(key), Ok(()), "{key:?}");
        }
        for key in ["/a", "a//b\n", "a/\n..", "a/..\u{85}/b", "[minio_cache\u{1}", "a\u{1}/xl.meta"] {
            assert!(check_position(key).is_err(), "{key:?}");
        }
        assert!(check_position(&"\n/".repeat(513)).is_err());
        assert!(check_key("a/\u{1}").is_err(), "a path may not name it");
    }

    #[test]
    fn buckets() {
        for good in ["tmp", "a.b", "a-b", "0ab"] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "ab", "Tmp", "a_b", "-ab", "ab-", "a..b", ".ab", "a/b", "tmp\0", "minio", &"a".repeat(64)]
        {
            assert!(BucketName::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// `check_key` works on bytes. This states the same rules in words.
        #[test]
        fn check_key_refuses_what_a_server_may_resolve(
            key in "([a./\\\\ \u{a0}\u{2003}é\u{0}\u{85}\u{7f}\u{fffe}_\\[]|xl\\.meta|__XLDIR__|\\[minio_cache){1,12}",
        ) {
            let dots = key.split(['/', '\\']).any(|segment| matches!(segment.trim(), "." | ".."));
            let own = |segment: &str| segment == "xl.meta" || segment.ends_with("__XLDIR__");
            let bad = key.starts_with('/') || key.contains("//") || key.contains(char::is_control) || dots
                || key.contains(['\u{fffe}', '\u{ffff}']) || key.contains("[minio_cache")
                || key.split('/').any(own);
            prop_assert_eq!(check_key(&key).is_err(), bad);
        }

        #[test]
        fn bucket_names_with_two_readings_are_refused(name in "[a.-]{3,8}") {
            let bad = name.starts_with(['.', '-']) || name.ends_with(['.', '-'])
                || ["..", ".-", "-."].iter().any(|pair| name.contains(pair));
            prop_assert_eq!(BucketName::parse(&name).is_err(), bad);
        }
    }

    #[test]
    fn keys() {
        let longest = "s".repeat(255);
        for good in [
            "a",
            "a/",
            "a/b",
            "...",
            "a..b",
            ".hidden",
            "a\\b",
            "a+b ü%",
            "xl.meta.txt",
            "html.html",
            "a__b",
            "__XLDIR__a",
            "[minio",
            &format!("{longest}/{longest}"),
        ] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "a//b",
            "a/../b",
            "a/.",
            "..",
            ".",
            "a\\..\\b",
            "a/..\\b",
            "a\0",
            "a/ .. /b",
            "a\u{1}",
            "a\n",
            "a\u{7f}",
            "a\u{85}",
            "a\u{fffe}",
            "a\u{ffff}",
            "xl.meta",
            "media/xl.meta",
            "xl.meta/a",
            "__XLDIR__",
            "a__XLDIR__",
            "a__XLDIR__/b",
            "a[minio_cache:v2,return:]",
            &"s".repeat(256),
        ] {
            assert!(check_key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn index_names() {
        for good in ["index.html", "ü b", "..."] {
            assert!(IndexName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a/b", "/index.html", ".", "..", "a\\b", "a\nb", &"a".repeat(256)] {
            assert!(IndexName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
