//! Writes a page of a list of multipart uploads.

use super::{Entry, Listing, Selection};
use crate::s3::target::encode_path;
use crate::s3::xml::Document;
use jiff::Timestamp;

const ROOT: &str = "ListMultipartUploadsResult";

impl Listing {
    /// Writes the page with the selected entries.
    pub fn page(&self, selection: Selection) -> String {
        let is_truncated = selection.is_truncated();
        let entries: Vec<Entry> = selection.entries.into_iter().take(self.most).collect();
        let next = entries.last().filter(|_| is_truncated);
        let (next_key, next_id) = match next {
            Some(Entry { name, upload }) => (&**name, upload.as_ref().map_or("", |(_, id)| id)),
            None => ("", ""),
        };
        let mut xml = Document::response(ROOT);
        xml.element("Bucket", self.view.as_ref().map_or(&*self.bucket, |view| view.bucket_shown()));
        xml.element("KeyMarker", &self.shown(&self.key_marker));
        xml.element("UploadIdMarker", self.id_marker.as_deref().unwrap_or_default());
        xml.element("NextKeyMarker", &self.shown(next_key));
        xml.element("NextUploadIdMarker", next_id);
        xml.element("Prefix", &self.shown(&self.prefix));
        if let Some(delimiter) = &self.delimiter {
            xml.element("Delimiter", &self.encoded(delimiter));
        }
        if self.is_url {
            xml.element("EncodingType", "url");
        }
        xml.element("MaxUploads", &self.most.to_string());
        xml.element("IsTruncated", if is_truncated { "true" } else { "false" });
        for entry in &entries {
            self.push_upload(&mut xml, entry);
        }
        for entry in entries.iter().filter(|entry| entry.upload.is_none()) {
            xml.open("CommonPrefixes");
            xml.element("Prefix", &self.shown(&entry.name));
            xml.close("CommonPrefixes");
        }
        xml.finish(ROOT)
    }

    fn push_upload(&self, xml: &mut Document, Entry { name, upload }: &Entry) {
        let Some((time, id)) = upload else { return };
        xml.open("Upload");
        xml.element("Key", &self.shown(name));
        xml.element("UploadId", id);
        // The store sees all clients of a scope as one user.
        for role in ["Initiator", "Owner"] {
            xml.open(role);
            xml.element("ID", "scopegate");
            xml.element("DisplayName", "scopegate");
            xml.close(role);
        }
        xml.element("StorageClass", "");
        xml.element("Initiated", &rfc3339(*time));
        xml.close("Upload");
    }

    /// Returns a name as the client sees it, in the requested encoding. Every name on the page is below the client's
    /// mount.
    fn shown(&self, name: &str) -> String {
        let name = match &self.view {
            Some(view) => view.outward(name).unwrap_or_default(),
            None => name,
        };
        self.encoded(name)
    }

    fn encoded(&self, name: &str) -> String {
        if self.is_url { encode_path(name) } else { name.to_owned() }
    }
}

/// Returns a time in S3's format, to the millisecond.
fn rfc3339(nanoseconds: i128) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
