//! Splits a document into tags and texts as its bytes come, whatever the chunks they come in.
//!
//! XML libraries read from something that blocks or that can be awaited; here bytes are pushed. S3's documents are
//! elements and texts alone: comments, CDATA and document types are refused, so that nothing hides in them.

use std::error::Error;
use std::fmt;

/// A document of the store that Scopegate cannot read, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store's XML cannot be passed on: {}", self.0)
    }
}

impl Error for Unreadable {}

/// The longest tag or text: a key of 1024 bytes, each written as an entity of six, with room to spare.
const MAX_PIECE: usize = 64 * 1024;
/// S3's deepest document has five levels.
const MAX_DEPTH: usize = 16;

/// A piece of a document.
pub(crate) enum Piece<'a> {
    /// A text as it is written, entities and all.
    Text(&'a str),
    /// A start tag, or the declaration.
    Tag(&'a str),
    /// An element without content.
    Empty { tag: &'a str, name: &'a str },
    /// An end tag.
    End(&'a str),
}

/// Where a document has come to.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pending: Vec<u8>,
    path: Vec<String>,
    seen_root: bool,
}

impl Tokens {
    /// Takes bytes and gives every piece that is whole, with the names of the elements it is in.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut give: impl FnMut(Piece<'_>, &[String]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((text, tag)) = next_pieces(self.pending.get(at..).unwrap_or_default()) {
            let (text, tag) = (utf8(text)?, utf8(tag)?);
            at += text.len() + tag.len();
            if !text.is_empty() {
                if self.path.is_empty() && !text.trim_ascii().is_empty() {
                    return Err(Unreadable("text outside of the root element"));
                }
                give(Piece::Text(text), &self.path)?;
            }
            Self::tag(&mut self.path, &mut self.seen_root, tag, &mut give)?;
        }
        self.pending.drain(..at);
        if self.pending.len() > MAX_PIECE {
            return Err(Unreadable("a tag or a text is too long"));
        }
        Ok(())
    }

    fn tag(
        path: &mut Vec<String>,
        seen_root: &mut bool,
        tag: &str,
        give: &mut impl FnMut(Piece<'_>, &[String]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        if tag.starts_with("<?") {
            return give(Piece::Tag(tag), path);
        }
        if tag.starts_with("<!") {
            return Err(Unreadable("a comment, CDATA or a document type"));
        }
        let inner = tag.trim_start_matches('<').trim_end_matches('>');
        if let Some(name) = inner.strip_prefix('/') {
            if path.last().is_none_or(|open| open != local(name.trim_end())) {
                return Err(Unreadable("an end tag without its start"));
            }
            give(Piece::End(tag), path)?;
            path.pop();
            return Ok(());
        }
        let name = inner.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
        if name.is_empty() || (path.is_empty() && *seen_root) || path.len() >= MAX_DEPTH {
            return Err(Unreadable("a tag where none can be"));
        }
        *seen_root = true;
        if inner.ends_with('/') {
            return give(Piece::Empty { tag, name }, path);
        }
        give(Piece::Tag(tag), path)?;
        path.push(local(name).to_owned());
        Ok(())
    }

    /// The document is over.
    pub(crate) fn finish(&mut self) -> Result<(), Unreadable> {
        let whole = self.seen_root && self.path.is_empty() && self.pending.trim_ascii().is_empty();
        if whole { Ok(()) } else { Err(Unreadable("it broke off")) }
    }
}

/// A name without its namespace's prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or_default()
}

/// The text up to the next tag, and that tag, if both are whole.
fn next_pieces(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = bytes.iter().position(|b| *b == b'<')?;
    let (text, rest) = bytes.split_at_checked(start)?;
    let mut quote = None;
    let end = rest.iter().position(|b| {
        match (*b, quote) {
            (b'"' | b'\'', None) => quote = Some(*b),
            (b, Some(open)) if b == open => quote = None,
            (b'>', None) => return true,
            _ => {}
        }
        false
    })?;
    Some((text, rest.get(..=end)?))
}

fn utf8(bytes: &[u8]) -> Result<&str, Unreadable> {
    str::from_utf8(bytes).map_err(|_| Unreadable("it is not UTF-8"))
}
