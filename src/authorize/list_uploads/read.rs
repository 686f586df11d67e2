//! Reads the store's list of multipart uploads as it arrives. MinIO's list has no pages and may be long.

use super::Marker;
use crate::s3::xml_tokens::{Piece, Tokens, Unreadable};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::escape::unescape;
use std::fmt;

const ROOT: &str = "ListMultipartUploadsResult";
/// Longest text that is kept, in bytes: a percent-encoded key of 1,024 bytes.
const MAX_TEXT: usize = 4096;

/// An unfinished multipart upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// Its key.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it began according to the list, in nanoseconds since 1970. 0 if the list does not say.
    pub initiated: i128,
}

/// The reason a response is not a list of multipart uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoList(&'static str);

impl fmt::Display for NoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store did not answer with a list of multipart uploads: {}", self.0)
    }
}

impl std::error::Error for NoList {}

impl From<Unreadable> for NoList {
    fn from(Unreadable(why): Unreadable) -> Self {
        Self(why)
    }
}

/// An incremental reader of one list.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    tokens: Tokens,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// The upload being read.
    upload: Upload,
    /// Whether names are percent-encoded.
    is_url: bool,
    is_truncated: bool,
    next: Marker,
}

impl Reader {
    /// Reads the next bytes and calls `give` for every complete upload.
    ///
    /// # Errors
    /// When they do not belong to a list of multipart uploads.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut give: impl FnMut(&Upload)) -> Result<(), NoList> {
        let Self { tokens, state } = self;
        let mut wrong = None;
        let read = tokens.feed(bytes, |piece, path| {
            state.take(&piece, path, &mut give).map_err(|NoList(why)| {
                wrong = Some(NoList(why));
                Unreadable(why)
            })
        });
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(read?),
        }
    }

    /// Ends the list. Returns where the next page continues.
    ///
    /// # Errors
    /// When the list is incomplete, or is truncated without saying where it continues.
    pub(crate) fn finish(mut self) -> Result<Option<Marker>, NoList> {
        self.tokens.finish()?;
        match self.state {
            State { is_truncated: false, .. } => Ok(None),
            State { next: (key, _), .. } if key.is_empty() => {
                Err(NoList("it is truncated and does not say where it continues"))
            }
            State { next, .. } => Ok(Some(next)),
        }
    }
}

impl State {
    fn take(
        &mut self,
        piece: &Piece<'_>,
        path: &[String],
        give: &mut impl FnMut(&Upload),
    ) -> Result<(), NoList> {
        let mut names = path.iter().map(String::as_str);
        let place = (names.next(), names.next(), names.next(), names.next());
        match (piece, place) {
            (_, (Some(root), ..)) if root != ROOT => Err(NoList("it is another document")),
            (Piece::Empty { name, .. }, (None, ..)) if *name != ROOT => Err(NoList("it is another document")),
            (Piece::End(_), (_, Some("Upload"), None, _)) => {
                let upload = std::mem::take(&mut self.upload);
                if upload.key.is_empty() || upload.id.is_empty() {
                    return Err(NoList("an upload has no key or no id"));
                }
                give(&upload);
                Ok(())
            }
            (Piece::Text(text), (_, Some("Upload"), Some(name), None)) => self.of_upload(name, text),
            (Piece::Text(text), (_, Some(name), None, _)) => self.of_list(name, text),
            _ => Ok(()),
        }
    }

    fn of_upload(&mut self, name: &str, text: &str) -> Result<(), NoList> {
        match name {
            "Key" => self.upload.key = self.name(text)?,
            "UploadId" => self.upload.id = plain(text)?,
            "Initiated" => {
                let time = plain(text)?.parse::<Timestamp>().map_err(|_| NoList("a time is malformed"))?;
                self.upload.initiated = time.as_nanosecond();
            }
            _ => {}
        }
        Ok(())
    }

    fn of_list(&mut self, name: &str, text: &str) -> Result<(), NoList> {
        match name {
            "EncodingType" => self.is_url = plain(text)? == "url",
            "IsTruncated" => self.is_truncated = plain(text)? == "true",
            "NextKeyMarker" => self.next.0 = self.name(text)?,
            "NextUploadIdMarker" => self.next.1 = plain(text)?,
            _ => {}
        }
        Ok(())
    }

    /// Decodes a name.
    fn name(&self, text: &str) -> Result<String, NoList> {
        let text = plain(text)?;
        if !self.is_url {
            return Ok(text);
        }
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8();
        Ok(decoded.map_err(|_| NoList("a key is not UTF-8"))?.into_owned())
    }
}

fn plain(text: &str) -> Result<String, NoList> {
    if text.len() > MAX_TEXT {
        return Err(NoList("a text is too long"));
    }
    Ok(unescape(text).map_err(|_| NoList("it has an unknown entity"))?.into_owned())
}
