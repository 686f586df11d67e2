//! The store's XML as the client is to read it: a mounted client's own names instead of bucket and prefix.
//!
//! A document is rewritten while it passes. What is kept of it is one piece, a tag or a text, which is bounded; a
//! page of a list is not. The store's spelling is kept, but for the names. What cannot be understood ends the answer:
//! a name that does not begin with the prefix is never passed on.

mod body;
mod names;
pub(crate) mod xml;

pub use body::Rewritten;
pub use names::Names;

use crate::http1::{Request, visible};
use crate::mapping::Grant;
use crate::operation::Operation;
use bytes::Bytes;
use http::header::HOST;
use std::error::Error;
use std::fmt;
use xml::{Piece, Tokens};

/// A store's document that cannot be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store's XML cannot be passed on: {}", self.0)
    }
}

impl Error for Unreadable {}

const DELETE_RESULT: &str = "DeleteResult";

/// Rewrites one document, piece by piece.
#[derive(Debug)]
pub struct Rewriter {
    names: Names,
    tokens: Tokens,
    /// What is put before the end of the document.
    more: Bytes,
}

impl Rewriter {
    /// A rewriter that writes `names` instead of the store's.
    pub fn new(names: Names) -> Self {
        Self { names, tokens: Tokens::default(), more: Bytes::new() }
    }

    /// Makes the rewriter of the answer to a granted request. `None` if no such answer holds names of the store's.
    ///
    /// `request` is the client's own, whose path and host the client's names are written with.
    pub fn for_grant(grant: &Grant<'_>, request: &Request) -> Option<Box<Self>> {
        let (operation, view) = (grant.operation(), grant.view());
        let shows_url_or_keys =
            matches!(operation, Operation::CompleteMultipartUpload | Operation::DeleteObjects);
        if view.is_none() && !shows_url_or_keys {
            return None;
        }
        let url = operation.lists() && grant.query().get("encoding-type") == Some("url");
        let host = request.fields().get(HOST.as_str()).and_then(visible);
        let key = grant.resource().key();
        let names = Names::new(operation, view.cloned(), url, request.target.path(), key, host);
        Some(Box::new(Self::new(names)))
    }

    /// Puts `more` before the end of a multi-object delete's result.
    #[must_use]
    pub fn with_more(mut self: Box<Self>, more: Bytes) -> Box<Self> {
        self.more = more;
        self
    }

    /// Whether an answer of this status may hold names that are not the client's.
    pub fn concerns(&self, status: http::StatusCode) -> bool {
        self.names.concern(status) || (status.is_success() && !self.more.is_empty())
    }

    /// Takes the next bytes of the document and writes what is whole of it.
    ///
    /// # Errors
    /// When it is no document that S3 would send.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let Self { names, tokens, more } = self;
        tokens.feed(bytes, |piece, path| {
            match piece {
                Piece::Text(text) => names.write_text(path, text, out)?,
                Piece::Empty { tag, name } if path.is_empty() && name == DELETE_RESULT => {
                    // An empty root gets something in it.
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

    /// The document is over.
    ///
    /// # Errors
    /// When it broke off.
    pub fn finish(&mut self) -> Result<(), Unreadable> {
        self.tokens.finish()
    }

    /// Rewrites a whole document.
    ///
    /// # Errors
    /// When it is no document that S3 would send.
    pub fn rewrite(mut self, document: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::with_capacity(document.len());
        self.feed(document, &mut out)?;
        self.finish()?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
