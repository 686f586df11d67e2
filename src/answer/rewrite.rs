//! Rewrites the store's XML so that it contains the client's names instead of the store's bucket and prefix.
//!
//! A document is rewritten as it streams through. Only one piece of it, a tag or a text of limited size, is held in
//! memory. Everything but the names keeps the store's spelling. Invalid XML ends the response: a name that does not
//! begin with the prefix never reaches the client.

mod body;
mod names;

pub(crate) use body::Rewritten;
pub(crate) use names::Names;

use crate::authorize::mapping::Grant;
use crate::s3::operation::Operation;
use crate::s3::xml_tokens::{Piece, Tokens, Unreadable};
use bytes::Bytes;
use http::header::HOST;
use http1::{Request, visible};

const DELETE_RESULT: &str = "DeleteResult";

/// Rewrites one document, piece by piece.
#[derive(Debug)]
pub(crate) struct Rewriter {
    names: Names,
    tokens: Tokens,
    /// Elements to insert before the end of the document.
    more: Bytes,
}

impl Rewriter {
    /// Returns a rewriter that replaces the store's names by `names`.
    pub(crate) fn new(names: Names) -> Self {
        Self { names, tokens: Tokens::default(), more: Bytes::new() }
    }

    /// Returns the rewriter of the response to a granted request, or `None` if no such response holds names of the store.
    ///
    /// `request` is the client's own, whose path and host the client's names are written with.
    pub(crate) fn for_grant(grant: &Grant<'_>, request: &Request) -> Option<Box<Self>> {
        let (operation, view) = (grant.operation(), grant.view());
        let shows_url_or_keys =
            matches!(operation, Operation::CompleteMultipartUpload | Operation::DeleteObjects);
        if view.is_none() && !shows_url_or_keys {
            return None;
        }
        let url = operation.lists() && grant.query().get("encoding-type") == Some("url");
        let host = request.fields().get(HOST.as_str()).and_then(visible);
        let (path, key) = (request.target.path(), grant.resource().key());
        let names = Names::new(operation, view.cloned(), url, path, key, host);
        Some(Box::new(Self::new(names)))
    }

    /// Writes URLs with this scheme.
    #[must_use]
    pub(crate) fn over(mut self: Box<Self>, scheme: &'static str) -> Box<Self> {
        self.names.set_scheme(scheme);
        self
    }

    /// Inserts `more` before the end of a multi-object delete's result.
    #[must_use]
    pub(crate) fn with_more(mut self: Box<Self>, more: Bytes) -> Box<Self> {
        self.more = more;
        self
    }

    /// Returns whether a response of this status may contain names that are not the client's.
    pub(crate) fn concerns(&self, status: http::StatusCode) -> bool {
        self.names.concern(status) || (status.is_success() && !self.more.is_empty())
    }

    /// Reads the next bytes of the document and writes the complete pieces.
    ///
    /// # Errors
    /// When S3 would not send such a document.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let Self { names, tokens, more } = self;
        tokens.feed(bytes, |piece, path| {
            match piece {
                Piece::Text(text) => names.write_text(path, text, out)?,
                Piece::Empty { tag, name } if path.is_empty() && name == DELETE_RESULT => {
                    // An empty root element must be opened to hold elements.
                    out.extend_from_slice(tag.trim_end_matches("/>").trim_end().as_bytes());
                    out.push(b'>');
                    out.extend_from_slice(more);
                    out.extend_from_slice(format!("</{name}>").as_bytes());
                }
                Piece::Tag(tag) | Piece::Empty { tag, .. } => out.extend_from_slice(tag.as_bytes()),
                Piece::End(tag) => {
                    if path.len() == 1 && path.first().is_some_and(|root| root == DELETE_RESULT) {
                        out.extend_from_slice(more);
                    }
                    out.extend_from_slice(tag.as_bytes());
                }
            }
            Ok(())
        })
    }

    /// Ends the document.
    ///
    /// # Errors
    /// When it is incomplete.
    pub(crate) fn finish(&mut self) -> Result<(), Unreadable> {
        self.tokens.finish()
    }

    /// Rewrites a whole document.
    ///
    /// # Errors
    /// When S3 would not send such a document.
    pub(crate) fn rewrite(mut self, document: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::with_capacity(document.len());
        self.feed(document, &mut out)?;
        self.finish()?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
