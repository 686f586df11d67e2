//! The order of a list, and which of its names a query asks for.

use super::page::{Entry, Object};
use super::place::Position;
use crate::refusal::{Refusal, Rule};
use crate::s3::names::check_key;
use crate::s3::target::{Query, encode_query};
use std::cmp::Ordering;

/// The query parameter with the name after which a list begins.
pub(super) const AFTER: &str = "after";
/// The query parameters of the order, as in Caddy's `file_server browse`.
const SORT: &str = "sort";
const ORDER: &str = "order";
const OFFSET: &str = "offset";

/// Maximum number of names that are read and held to be sorted. The store returns names in the order of their bytes
/// only, at most 1,000 at a time.
pub(crate) const MAX_SORTED: usize = 10_000;

/// The attribute that a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// The name, by its bytes.
    Name,
    /// The size.
    Size,
    /// The time of the last write.
    Time,
}

/// An order of names. Folders come first in every order, as people expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The attribute that decides.
    pub by: Column,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

/// What a query asks for: names after a position, sorted, without the first ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The position where the names begin.
    pub position: Position,
    /// Their order.
    pub order: Order,
    /// The number of sorted names to leave out.
    pub offset: usize,
}

impl Column {
    /// All columns, from left to right.
    pub(crate) const ALL: [Self; 3] = [Self::Name, Self::Size, Self::Time];

    /// Returns its name in a query.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Time => "time",
        }
    }

    /// Returns the order that people want first: names from A, the largest, the newest.
    pub(crate) fn usual(self) -> Order {
        Order { by: self, is_descending: self != Self::Name }
    }
}

impl Order {
    /// The order of the store.
    pub(crate) const OF_STORE: Self = Self { by: Column::Name, is_descending: false };

    /// Reads the order from a query.
    ///
    /// # Errors
    /// When a value is not known.
    fn of(query: &Query<'_>) -> Result<Self, Refusal> {
        let by = match query.get(SORT) {
            None => Column::Name,
            Some(name) => Column::ALL
                .into_iter()
                .find(|column| column.name() == name)
                .ok_or_else(|| invalid(SORT, name, "name, size or time"))?,
        };
        let is_descending = match query.get(ORDER) {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(invalid(ORDER, other, "asc or desc")),
        };
        Ok(Self { by, is_descending })
    }

    /// Returns the reverse order.
    pub(crate) const fn reversed(self) -> Self {
        Self { is_descending: !self.is_descending, ..self }
    }

    /// Returns the parameters of a query that asks for this order.
    pub(crate) fn query(self) -> Option<String> {
        let order = if self.is_descending { "desc" } else { "asc" };
        (self != Self::OF_STORE).then(|| format!("{SORT}={}&{ORDER}={order}", self.by.name()))
    }

    /// Sorts entries.
    pub(crate) fn sort(self, entries: &mut [Entry]) {
        entries.sort_by(|one, other| self.compare(one, other));
    }

    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let by_name = one.name.cmp(&other.name);
        let ordering = match (self.by, &one.object, &other.object) {
            (_, None, Some(_)) => return Ordering::Less,
            (_, Some(_), None) => return Ordering::Greater,
            (Column::Name, ..) => by_name,
            // Folders have neither size nor time.
            (_, None, None) => return by_name,
            (Column::Size, Some(one), Some(other)) => one.size.cmp(&other.size),
            (Column::Time, Some(one), Some(other)) => one.modified.cmp(&other.modified),
        };
        let ordering = if self.is_descending { ordering.reverse() } else { ordering };
        ordering.then(by_name)
    }
}

impl Selection {
    /// All names, in the order of the store.
    pub(crate) const ALL: Self = Self { position: Position::Start, order: Order::OF_STORE, offset: 0 };

    /// Reads what a query asks for in a folder, given the prefix of its names. An invalid order counts only if `is_list` says
    /// that the response is a list. The index page of a site may have parameters of the same names.
    ///
    /// # Errors
    /// When a value is not valid.
    pub(super) fn of(below: &str, query: Option<&str>, is_list: bool) -> Result<Self, Refusal> {
        let bad = |why| Refusal::new(Rule::BadTarget, format!("{AFTER}: {why}"));
        let query = Query::parse(query).map_err(|bad_target| bad(bad_target.0))?;
        let position = match query.get(AFTER) {
            None | Some("") => Position::Start,
            Some(name) => {
                check_key(&format!("{below}{name}")).map_err(bad)?;
                Position::After(name.to_owned())
            }
        };
        match Order::of(&query).and_then(|order| Ok((order, offset(&query)?))) {
            Ok((order, offset)) => Ok(Self { position, order, offset }),
            Err(refusal) if is_list => Err(refusal),
            Err(_) => Ok(Self { position, ..Self::ALL }),
        }
    }

    /// Returns whether more than one page must be read before the first name is known.
    pub(crate) fn is_sorted(&self) -> bool {
        self.order != Order::OF_STORE || self.offset > 0
    }

    /// Returns whether it begins with the first name.
    pub(crate) fn is_first(&self) -> bool {
        self.position == Position::Start && self.offset == 0
    }

    /// Returns the query of these names, without the order.
    pub(super) fn query(&self) -> Vec<String> {
        let after = match &self.position {
            Position::After(name) => Some(format!("{AFTER}={}", encode_query(name))),
            Position::Start | Position::Token(_) => None,
        };
        let offset = (self.offset > 0).then(|| format!("{OFFSET}={}", self.offset));
        after.into_iter().chain(offset).collect()
    }
}

/// Names that were read from a folder and sorted, of which a list shows some.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// The number of names that were read.
    pub total: usize,
    /// The name after which the folder continues, if it has more names.
    pub last: Option<String>,
}

/// Returns the number of bytes that entries take in memory.
pub(crate) fn bytes_of(entries: &[Entry]) -> usize {
    let attributes = |object: &Object| object.etag.capacity();
    let of_one = |entry: &Entry| {
        size_of::<Entry>() + entry.name.capacity() + entry.object.as_ref().map_or(0, attributes)
    };
    entries.iter().map(of_one).sum()
}

fn offset(query: &Query<'_>) -> Result<usize, Refusal> {
    let Some(text) = query.get(OFFSET) else { return Ok(0) };
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let offset = text.parse().ok().filter(|offset| is_plain && *offset < MAX_SORTED);
    offset.ok_or_else(|| invalid(OFFSET, text, "a number from 0 to 9999"))
}

fn invalid(parameter: &str, value: &str, expected: &str) -> Refusal {
    Refusal::new(Rule::BadTarget, format!("{parameter} is {value:?}: use {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_SIZE: Order = Order { by: Column::Size, is_descending: false };

    #[test]
    fn reads_order_and_offset() {
        let read = |query: &str| {
            let selection = Selection::of("media/", Some(query), true).map_err(|refusal| refusal.message);
            selection.map(|Selection { order, offset, .. }| (order, offset))
        };
        let name = |is_descending| Order { by: Column::Name, is_descending };
        let time = |is_descending| Order { by: Column::Time, is_descending };
        for (query, expected) in [
            ("", (Order::OF_STORE, 0)),
            ("utm_source=x", (Order::OF_STORE, 0)),
            ("sort=name", (name(false), 0)),
            ("sort=name&order=asc", (Order::OF_STORE, 0)),
            ("order=desc", (name(true), 0)),
            ("sort=size", (BY_SIZE, 0)),
            ("order=desc&sort=time&after=x", (time(true), 0)),
            ("sort=t%69me&offset=9999", (time(false), 9999)),
            ("offset=007", (Order::OF_STORE, 7)),
        ] {
            assert_eq!(read(query), Ok(expected), "{query}");
        }
        for query in [
            "sort=Name",
            "sort=namedirfirst",
            "sort=size%20",
            "order=DESC",
            "order=",
            "offset=",
            "offset=10000",
            "offset=%2B1",
            "offset=1.0",
            "offset=99999999999999999999",
            "sort=size&sort=time",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
        // In a site, a folder without an index page is listed.
        for (query, order) in [
            ("sort=price", Order::OF_STORE),
            ("sort=size&order=best", Order::OF_STORE),
            ("sort=size", BY_SIZE),
        ] {
            assert_eq!(
                Selection::of("", Some(query), false),
                Ok(Selection { order, ..Selection::ALL }),
                "{query}"
            );
        }
    }

    #[test]
    fn a_query_of_an_order_is_read_as_that_order() {
        for by in Column::ALL {
            for is_descending in [false, true] {
                let order = Order { by, is_descending };
                let selection = Selection { order, offset: 5, ..Selection::ALL };
                let query: Vec<String> = order.query().into_iter().chain(selection.query()).collect();
                let query = query.join("&");
                assert_eq!(Selection::of("", Some(&query), true), Ok(selection.clone()), "{query}");
                assert!(selection.is_sorted() && order.reversed().reversed() == order);
            }
        }
        assert!(!Selection::ALL.is_sorted() && BY_SIZE.query().unwrap() == "sort=size&order=asc");
    }

    #[test]
    fn folders_come_first_and_equal_files_are_in_the_order_of_their_names() {
        let file = |name: &str, size, second| {
            let modified = jiff::Timestamp::from_second(second).ok().filter(|_| second > 0);
            Entry { name: name.to_owned(), object: Some(Object { size, modified, etag: String::new() }) }
        };
        let folder = |name: &str| Entry { name: name.to_owned(), object: None };
        for (by, is_descending, expected) in [
            (Column::Name, false, "F/ a/ B b c d"),
            (Column::Name, true, "a/ F/ d c b B"),
            (Column::Size, false, "F/ a/ b B c d"),
            (Column::Size, true, "F/ a/ d B c b"),
            (Column::Time, false, "F/ a/ c d B b"),
            (Column::Time, true, "F/ a/ B b d c"),
        ] {
            let mut entries = vec![
                file("d", 30, 4),
                file("c", 20, 0),
                folder("a/"),
                file("B", 20, 9),
                folder("F/"),
                file("b", 1, 9),
            ];
            Order { by, is_descending }.sort(&mut entries);
            let names: Vec<&str> = entries.iter().map(|entry| &*entry.name).collect();
            assert_eq!(names.join(" "), expected, "{by:?} {is_descending}");
        }
    }

    #[test]
    fn memory_of_entries_includes_their_names() {
        let entry = |name: &str| Entry { name: name.to_owned(), object: None };
        let (short, long) = (bytes_of(&[entry("a")]), bytes_of(&[entry(&"a".repeat(1000))]));
        assert!(long - short >= 990 && bytes_of(&[]) == 0, "{short} {long}");
    }
}
