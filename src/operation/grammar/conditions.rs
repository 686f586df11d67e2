//! Grammars of conditions: entity tags and times.

use super::{BadValue, Dialect, Read, respelled};
use crate::target::Spelling;

/// Most entity tags of one condition.
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 128;
/// An entity tag that no object has.
pub const NO_TAG: &str = "\"none\"";

/// A condition's entity tags.
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
    /// Whether it may be an object's. MinIO's are hexadecimal digits, with a number of parts behind them.
    fn is_the_stores(self, dialect: Dialect) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !self.opaque.is_empty() && (dialect == Dialect::S3 || self.opaque.bytes().all(is_plain))
    }

    fn quoted(self) -> String {
        format!("\"{}\"", self.opaque)
    }
}

/// Reads `*` or a list of entity tags, each quoted or, as S3 takes it, without quotes. Empty elements are ignored
/// (RFC 9110, section 5.6.1.2).
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

/// Reads the condition of a read that one of these entity tags is the object's. They are compared strongly (RFC 9110, section
/// 13.1.1): a weak tag matches nothing, and neither does one that no object of the store has.
pub(super) fn if_match(value: &str, dialect: Dialect) -> Read {
    let bad = BadValue::argument("* or entity tags, such as \"0123456789abcdef\"");
    match tags(value).ok_or(bad)? {
        Tags::Any => Ok(respelled(value, "*".to_owned())),
        Tags::These(tags) => {
            let is_possible = |tag: &Tag<'_>| !tag.is_weak && tag.is_the_stores(dialect);
            let possible: Vec<_> = tags.into_iter().filter(is_possible).collect();
            Ok(these(value, &possible).unwrap_or_else(|| Spelling::As(NO_TAG.to_owned())))
        }
    }
}

/// Reads the condition of a write, which is `*` or one strong entity tag.
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

/// Entity tags as the store knows them: one as it is written, several as a list.
fn these(value: &str, tags: &[Tag<'_>]) -> Option<Spelling> {
    match tags {
        [] => None,
        [tag] => Some(plain(value, *tag)),
        tags => {
            let list: Vec<String> = tags.iter().map(|tag| tag.quoted()).collect();
            Some(respelled(value, list.join(", ")))
        }
    }
}

/// The entity tags of a condition that was spelled for the store, without quotes.
pub fn tags_of_store(spelled: &str) -> impl Iterator<Item = &str> {
    spelled.split(", ").map(|tag| tag.trim_matches('"'))
}

fn plain(value: &str, tag: Tag<'_>) -> Spelling {
    if value == tag.opaque { Spelling::AsIs } else { respelled(value, tag.quoted()) }
}

/// Reads the condition of a read that the client has no such object. Entity tags are compared weakly here (RFC 9110,
/// section 13.1.2). A tag that no object of the store has makes no difference.
pub(super) fn if_none_match(value: &str, dialect: Dialect) -> Read {
    let bad = BadValue::argument("* or entity tags, such as \"0123456789abcdef\"");
    match tags(value).ok_or(bad)? {
        Tags::Any => Ok(respelled(value, "*".to_owned())),
        Tags::These(tags) => {
            let possible: Vec<_> = tags.into_iter().filter(|tag| tag.is_the_stores(dialect)).collect();
            Ok(these(value, &possible).unwrap_or(Spelling::LeftOut))
        }
    }
}

/// Reads a time. One that is no HTTP date is left out, as RFC 9110, section 13.1.3, says.
pub(super) fn date(value: &str) -> Spelling {
    let trimmed = value.trim_matches([' ', '\t']);
    // MinIO does not look at the day of the week; the library refuses a wrong one.
    let on = |day: &str| httpdate::parse_http_date(&format!("{day}{}", trimmed.get(3..)?)).ok();
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    match httpdate::parse_http_date(trimmed).ok().or_else(|| days.into_iter().find_map(on)) {
        Some(time) => respelled(value, httpdate::fmt_http_date(time)),
        None => Spelling::LeftOut,
    }
}

/// Reads the validator of a range: a strong entity tag or a time. Another one never matches.
pub(super) fn if_range(value: &str, dialect: Dialect) -> Spelling {
    match tags(value) {
        Some(Tags::These(tags)) if value.contains('"') => match &tags[..] {
            [tag] if !tag.is_weak && tag.is_the_stores(dialect) => plain(value, *tag),
            _ => Spelling::LeftOut,
        },
        _ => date(value),
    }
}
