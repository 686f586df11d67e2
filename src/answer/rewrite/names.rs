//! Finds the names in S3's documents, and replaces them by the client's.

use crate::authorize::mount::View;
use crate::s3::operation::Operation;
use crate::s3::xml::escape;
use crate::s3::xml_tokens::Unreadable;
use http::StatusCode;
use std::sync::Arc;

/// The names in one response.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    operation: Operation,
    view: Option<Arc<View>>,
    /// Whether the store URL-encodes names (`encoding-type=url`).
    url: bool,
    /// The path in the client's spelling.
    path: Box<str>,
    /// The client's key, if the path names one.
    key: Option<Box<str>>,
    /// The scheme and the host by which the client reached the proxy, for `Location`.
    scheme: &'static str,
    host: Option<Box<str>>,
}

/// Elements whose text is never a name in any document. They are passed on unchanged.
const NAMELESS: [&str; 23] = [
    "Code",
    "Delimiter",
    "DeleteMarker",
    "DeleteMarkerVersionId",
    "DisplayName",
    "ETag",
    "EncodingType",
    "HostId",
    "ID",
    "IsLatest",
    "IsTruncated",
    "KeyCount",
    "LastModified",
    "MaxKeys",
    "MaxParts",
    "NextVersionIdMarker",
    "PartNumber",
    "RequestId",
    "Size",
    "StorageClass",
    "UploadId",
    "VersionId",
    "VersionIdMarker",
];

impl Names {
    /// Returns the names in a response to `operation`. `path` is in the client's spelling, `key` is the store's, and
    /// `host` is the host by which the client reached the proxy.
    pub(crate) fn new(
        operation: Operation,
        view: Option<Arc<View>>,
        url: bool,
        path: &str,
        key: Option<&str>,
        host: Option<&str>,
    ) -> Self {
        let outward = |key| match &view {
            Some(view) => view.outward(key),
            None => Some(key),
        };
        let key = key.and_then(outward).map(Into::into);
        let host = host.map(Into::into);
        Self { operation, view, url, path: path.into(), key, scheme: "http", host }
    }

    /// Sets the scheme of URLs.
    pub(super) fn set_scheme(&mut self, scheme: &'static str) {
        self.scheme = scheme;
    }

    /// Returns the client's URL of the object. MinIO sends its own, which is useless to a client.
    fn location(&self) -> String {
        let Self { scheme, host, path, .. } = self;
        host.as_ref().map_or_else(|| path.to_string(), |host| format!("{scheme}://{host}{path}"))
    }

    /// Returns whether a response of this status may contain names that are not the client's.
    pub(super) fn concern(&self, status: StatusCode) -> bool {
        let mounted = self.view.is_some();
        match self.operation {
            Operation::CompleteMultipartUpload if status.is_success() => true,
            Operation::CreateMultipartUpload | Operation::ListParts | Operation::DeleteObjects => mounted,
            operation if operation.lists() => mounted,
            _ => mounted && (status.is_client_error() || status.is_server_error()),
        }
    }

    /// Writes the text of an element. `path` holds the names of the enclosing elements; `text` is in the store's
    /// spelling.
    pub(super) fn write_text(
        &self,
        path: &[String],
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let mut names = path.iter().map(String::as_str);
        let root = names.next().unwrap_or_default();
        let name = names.next_back().unwrap_or_default();
        let within = names.next_back().unwrap_or(root);
        if text.trim_ascii().is_empty() {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        if root == "CompleteMultipartUploadResult" && name == "Location" {
            out.extend_from_slice(escape(&self.location()).as_bytes());
            return Ok(());
        }
        let Some(view) = &self.view else {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        };
        let written = match (root, within, name) {
            ("ListBucketResult" | "ListVersionsResult", _, name) => self.in_list(view, name, text)?,
            ("DeleteResult", "Deleted" | "Error", "Key") => outward(view, text, false)?.to_owned(),
            (_, _, "Bucket" | "BucketName") => escape(view.bucket_shown()),
            (_, _, "Key") => escape(self.key.as_deref().unwrap_or_default()),
            ("Error", _, "Resource") => escape(&self.path),
            _ => other(view, name, text),
        };
        out.extend_from_slice(written.as_bytes());
        Ok(())
    }

    fn in_list(&self, view: &View, name: &str, text: &str) -> Result<String, Unreadable> {
        Ok(match name {
            "Name" => escape(view.bucket_shown()),
            "Key" | "Prefix" | "Marker" | "NextMarker" | "StartAfter" | "KeyMarker" | "NextKeyMarker" => {
                outward(view, text, self.url)?.to_owned()
            }
            "ContinuationToken" | "NextContinuationToken" => {
                let token = quick_xml::escape::unescape(text).map_err(|_| Unreadable("a bad entity"))?;
                let sealed =
                    view.seal_token(&token).ok_or(Unreadable("a continuation token outside of the scope"))?;
                escape(&sealed)
            }
            _ => other(view, name, text),
        })
    }
}

/// Returns a text that is not a name. It is dropped if a store puts a name where S3 has none.
fn other(view: &View, name: &str, text: &str) -> String {
    if NAMELESS.contains(&name) || name.starts_with("Checksum") {
        return text.to_owned();
    }
    match (view.shows(text), name) {
        (false, _) => text.to_owned(),
        (true, "Message") => "the store refused the request".to_owned(),
        (true, _) => String::new(),
    }
}

/// Returns a name without the scope's prefix, in the store's spelling.
fn outward<'t>(view: &View, text: &'t str, url: bool) -> Result<&'t str, Unreadable> {
    let outside = || Unreadable("a name outside of the scope");
    let (mut rest, mut expected) = (text.as_bytes(), view.prefix().as_bytes());
    while !expected.is_empty() {
        let taken;
        (rest, taken) = take(rest, expected, url).ok_or_else(outside)?;
        expected = expected.get(taken..).ok_or_else(outside)?;
    }
    str::from_utf8(rest).map_err(|_| outside())
}

/// Removes a beginning of `expected` in any spelling. Returns the number of bytes of `expected` that matched.
fn take<'t>(text: &'t [u8], expected: &[u8], url: bool) -> Option<(&'t [u8], usize)> {
    let (first, rest) = text.split_first()?;
    match *first {
        b'%' if url => {
            let (digits, rest) = rest.split_at_checked(2)?;
            let byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
            (expected.first() == Some(&byte)).then_some((rest, 1))
        }
        b'+' if url => (expected.first() == Some(&b' ')).then_some((rest, 1)),
        b'&' => {
            let end = text.iter().position(|b| *b == b';')?;
            let (entity, rest) = text.split_at_checked(end + 1)?;
            let unescaped = quick_xml::escape::unescape(str::from_utf8(entity).ok()?).ok()?;
            expected.starts_with(unescaped.as_bytes()).then_some((rest, unescaped.len()))
        }
        byte => (expected.first() == Some(&byte)).then_some((rest, 1)),
    }
}
