//! Writes the page of a list of multipart uploads.

use super::{Entry, Listing, Selection};
use crate::document::NAMESPACE;
use crate::s3_error::xml_text;
use crate::target::encode_path;
use jiff::Timestamp;
use std::fmt::Write;

/// Who has begun the uploads: the store's user, as all clients of a scope are.
const WHO: &str = "<ID>scopegate</ID><DisplayName>scopegate</DisplayName>";

impl Listing {
    /// The page with the entries that were selected.
    pub fn page(&self, selection: Selection) -> String {
        let is_truncated = selection.is_truncated();
        let entries: Vec<Entry> = selection.entries.into_iter().take(self.most).collect();
        let next = entries.last().filter(|_| is_truncated);
        let (next_key, next_id) = match next {
            Some(Entry { name, upload }) => (&**name, upload.as_ref().map_or("", |(_, id)| id)),
            None => ("", ""),
        };
        let mut text =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListMultipartUploadsResult {NAMESPACE}>");
        let bucket = self.view.as_ref().map_or(&*self.bucket, |view| view.bucket_shown());
        push(&mut text, "Bucket", &xml_text(bucket));
        push(&mut text, "KeyMarker", &self.shown(&self.key_marker));
        push(&mut text, "UploadIdMarker", &xml_text(self.id_marker.as_deref().unwrap_or_default()));
        push(&mut text, "NextKeyMarker", &self.shown(next_key));
        push(&mut text, "NextUploadIdMarker", &xml_text(next_id));
        push(&mut text, "Prefix", &self.shown(&self.prefix));
        if let Some(delimiter) = &self.delimiter {
            push(&mut text, "Delimiter", &self.encoded(delimiter));
        }
        if self.is_url {
            push(&mut text, "EncodingType", "url");
        }
        push(&mut text, "MaxUploads", &self.most.to_string());
        push(&mut text, "IsTruncated", if is_truncated { "true" } else { "false" });
        for entry in &entries {
            self.push_upload(&mut text, entry);
        }
        for entry in entries.iter().filter(|entry| entry.upload.is_none()) {
            let _ =
                write!(text, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", self.shown(&entry.name));
        }
        text.push_str("</ListMultipartUploadsResult>");
        text
    }

    fn push_upload(&self, text: &mut String, Entry { name, upload }: &Entry) {
        let Some((time, id)) = upload else { return };
        text.push_str("<Upload>");
        push(text, "Key", &self.shown(name));
        push(text, "UploadId", &xml_text(id));
        push(text, "Initiator", WHO);
        push(text, "Owner", WHO);
        push(text, "StorageClass", "");
        push(text, "Initiated", &written(*time));
        text.push_str("</Upload>");
    }

    /// A name as the client knows and wants it. Every name that is written is below the client's mount.
    fn shown(&self, name: &str) -> String {
        let name = match &self.view {
            Some(view) => view.outward(name).unwrap_or_default(),
            None => name,
        };
        self.encoded(name)
    }

    fn encoded(&self, name: &str) -> String {
        if self.is_url { encode_path(name) } else { xml_text(name) }
    }
}

fn push(text: &mut String, name: &str, content: &str) {
    let _ = write!(text, "<{name}>{content}</{name}>");
}

/// A time as S3 writes it, to the millisecond.
fn written(nanoseconds: i128) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
