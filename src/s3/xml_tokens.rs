//! Splits an XML document into tags and texts as its bytes arrive, in any chunks.
//!
//! XML libraries pull from a blocking or async reader; here bytes are pushed. S3's documents consist of elements and
//! texts. Comments, CDATA and document types are refused, so that nothing can hide in them.

use std::error::Error;
use std::fmt;

/// A document of the store that Scopegate cannot read, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub &'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store's XML cannot be passed on: {}", self.0)
    }
}

impl Error for Unreadable {}

/// Longest tag or text: a key of 1024 bytes with every byte as an entity of six, and room to spare.
const MAX_PIECE: usize = 64 * 1024;
/// Maximum nesting. S3's deepest document has five levels.
const MAX_DEPTH: usize = 16;

/// A piece of a document.
pub(crate) enum Piece<'a> {
    /// A text, with its entities.
    Text(&'a str),
    /// A start tag, or the declaration.
    Tag(&'a str),
    /// An empty element.
    Empty { tag: &'a str, name: &'a str },
    /// An end tag.
    End(&'a str),
}

/// The state of a document.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pending: Vec<u8>,
    path: Vec<String>,
    seen_root: bool,
}

impl Tokens {
    /// Reads bytes and calls `give` for every complete piece, with the names of the enclosing elements.
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
            return Err(Unreadable("a tag in a place where none is allowed"));
        }
        *seen_root = true;
        if inner.ends_with('/') {
            return give(Piece::Empty { tag, name }, path);
        }
        give(Piece::Tag(tag), path)?;
        path.push(local(name).to_owned());
        Ok(())
    }

    /// Ends the document.
    pub(crate) fn finish(&mut self) -> Result<(), Unreadable> {
        let whole = self.seen_root && self.path.is_empty() && self.pending.trim_ascii().is_empty();
        if whole { Ok(()) } else { Err(Unreadable("it broke off")) }
    }
}

/// Returns a name without its namespace prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or_default()
}

/// Returns the text up to the next tag, and that tag, if both are complete.
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
