//! Grammars of conditions: entity tags and times.

use super::{BadValue, Dialect, Read, respelled};
use crate::s3::target::Spelling;

/// Maximum number of entity tags of one condition.
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 128;
/// An entity tag that no object has.
pub(crate) const NO_TAG: &str = "\"none\"";

/// The entity tags of a condition.
enum Tags<'v> {
    /// `*`
    Any,
    These(Vec<Tag<'v>>),
}

#[derive(Clone, Copy)]
struct Tag<'v> {
    opaque: &'v str,
    is_weak: bool,
}

impl Tag<'_> {
    /// Returns whether an object of the store may have this tag. MinIO's tags are hexadecimal digits, followed by the
    /// number of parts if there are several.
    fn is_the_stores(self, dialect: Dialect) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !self.opaque.is_empty() && (dialect == Dialect::S3 || self.opaque.bytes().all(is_plain))
    }

    fn quoted(self) -> String {
        format!("\"{}\"", self.opaque)
    }
}

/// Reads `*` or a list of entity tags. Quotes are optional, as on S3. Empty elements are ignored (RFC 9110, section
/// 5.6.1.2).
/// <https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3>
fn tags(value: &str) -> Option<Tags<'_>> {
    if value.trim_matches([' ', '\t']) == "*" {
        return Some(Tags::Any);
    }
    let separators = [' ', '\t', ','];
    let mut rest = value.trim_matches(separators);
    let mut tags = Vec::new();
    loop {
        let (tag, behind) = tag(rest)?;
        tags.push(tag);
        rest = behind.trim_start_matches(separators);
        let (between, _) = behind.split_at(behind.len() - rest.len());
        match (rest.is_empty(), between.contains(',')) {
            (true, _) => return Some(Tags::These(tags)),
            (false, true) if tags.len() < MAX_TAGS => {}
            (false, _) => return None,
        }
    }
}

fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (is_weak, text) = text.strip_prefix("W/").map_or((false, text), |text| (true, text));
    let (opaque, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None if is_weak => return None,
        None => text
            .split_at_checked(text.find([',', ' ', '\t']).unwrap_or(text.len()))
            .filter(|(opaque, _)| !matches!(*opaque, "" | "*"))?,
    };
    let is_visible = opaque.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'~' | 0x80..));
    (is_visible && opaque.len() <= MAX_TAG).then_some((Tag { opaque, is_weak }, rest))
}

/// Reads `If-Match` of a read. Tags are compared strongly (RFC 9110, section 13.1.1), so a weak tag matches nothing.
/// Neither does a tag that no object of the store can have.
pub(super) fn if_match(value: &str, dialect: Dialect) -> Read {
    let bad = BadValue::argument("* or entity tags, such as \"0123456789abcdef\"");
    match tags(value).ok_or(bad)? {
        Tags::Any => Ok(respelled(value, "*".to_owned())),
        Tags::These(tags) => {
            let is_possible = |tag: &Tag<'_>| !tag.is_weak && tag.is_the_stores(dialect);
            let possible: Vec<_> = tags.into_iter().filter(is_possible).collect();
            Ok(spell_tags(value, &possible).unwrap_or_else(|| Spelling::As(NO_TAG.to_owned())))
        }
    }
}

/// Reads `If-Match` of a write: `*` or one strong entity tag.
pub(super) fn if_match_of_write(value: &str, dialect: Dialect) -> Read {
    let bad = BadValue::argument("* or one entity tag, such as \"0123456789abcdef\"");
    match tags(value).ok_or(bad)? {
        Tags::Any => Ok(respelled(value, "*".to_owned())),
        Tags::These(tags) => match &tags[..] {
            [tag] if !tag.is_weak && tag.is_the_stores(dialect) => Ok(plain(value, *tag)),
            _ => Err(bad),
        },
    }
}

/// Returns tags in the store's spelling: one as it is written, several as a list.
fn spell_tags(value: &str, tags: &[Tag<'_>]) -> Option<Spelling> {
    match tags {
        [] => None,
        [tag] => Some(plain(value, *tag)),
        tags => {
            let list: Vec<String> = tags.iter().map(|tag| tag.quoted()).collect();
            Some(respelled(value, list.join(", ")))
        }
    }
}

/// Returns the entity tags of a condition in the store's spelling, without quotes.
pub(crate) fn tags_of_store(spelled: &str) -> impl Iterator<Item = &str> {
    spelled.split(", ").map(|tag| tag.trim_matches('"'))
}

fn plain(value: &str, tag: Tag<'_>) -> Spelling {
    if value == tag.opaque { Spelling::AsIs } else { respelled(value, tag.quoted()) }
}

/// Reads `If-None-Match` of a read. Tags are compared weakly (RFC 9110, section 13.1.2). A tag that no object of the
/// store can have makes no difference.
pub(super) fn if_none_match(value: &str, dialect: Dialect) -> Read {
    let bad = BadValue::argument("* or entity tags, such as \"0123456789abcdef\"");
    match tags(value).ok_or(bad)? {
        Tags::Any => Ok(respelled(value, "*".to_owned())),
        Tags::These(tags) => {
            let possible: Vec<_> = tags.into_iter().filter(|tag| tag.is_the_stores(dialect)).collect();
            Ok(spell_tags(value, &possible).unwrap_or(Spelling::LeftOut))
        }
    }
}

/// Reads a time. A value that is not an HTTP date is dropped (RFC 9110, section 13.1.3).
pub(super) fn date(value: &str) -> Spelling {
    let trimmed = value.trim_matches([' ', '\t']);
    // MinIO ignores the day of the week; the library refuses a wrong one.
    let on = |day: &str| httpdate::parse_http_date(&format!("{day}{}", trimmed.get(3..)?)).ok();
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    match httpdate::parse_http_date(trimmed).ok().or_else(|| days.into_iter().find_map(on)) {
        Some(time) => respelled(value, httpdate::fmt_http_date(time)),
        None => Spelling::LeftOut,
    }
}

/// Reads the validator of a range: a strong entity tag or a time. Any other validator never matches.
pub(super) fn if_range(value: &str, dialect: Dialect) -> Spelling {
    match tags(value) {
        Some(Tags::These(tags)) if value.contains('"') => match &tags[..] {
            [tag] if !tag.is_weak && tag.is_the_stores(dialect) => plain(value, *tag),
            _ => Spelling::LeftOut,
        },
        _ => date(value),
    }
}
