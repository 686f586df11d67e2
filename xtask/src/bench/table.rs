//! Measurements: a value for each round, variant and column, and their statistics.

use std::collections::BTreeMap;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Digits after the decimal point.
    pub(crate) digits: usize,
}

/// Figures of several variants.
#[derive(Debug)]
pub(crate) struct Table {
    /// The name by which plots and the summary find the table.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
    /// The row that ratios refer to.
    pub(crate) baseline: &'static str,
    pub(crate) rows: Vec<String>,
    values: BTreeMap<(String, usize, u32), f64>,
    /// The last reason why a row lacks values.
    pub(crate) missing: BTreeMap<String, String>,
}

/// Median and quartiles: half of the rounds are between `low` and `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Table {
    pub(crate) fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        columns: &[Column],
        baseline: &'static str,
    ) -> Self {
        let (id, title, columns) = (id.into(), title.into(), columns.to_vec());
        Self {
            id,
            title,
            columns,
            baseline,
            rows: Vec::new(),
            values: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// Adds rows in the order in which they are shown.
    pub(crate) fn with_rows<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.rows.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// Records the values of a variant in a round, or why it has none. A row may lack single values.
    pub(crate) fn record(&mut self, round: u32, row: &str, measured: Result<Vec<Option<f64>>, String>) {
        match measured {
            Ok(values) => {
                let known =
                    values.into_iter().enumerate().filter_map(|(column, value)| Some((column, value?)));
                for (column, value) in known {
                    self.values.insert((row.to_owned(), column, round), value);
                }
            }
            Err(why) => {
                self.missing.insert(row.to_owned(), why);
            }
        }
    }

    /// Returns the spread of a row over all rounds.
    pub(crate) fn spread(&self, row: &str, column: usize) -> Option<Spread> {
        Spread::of(self.rounds(row, column).map(|(_, value)| value).collect())
    }

    /// Returns the spread of the ratios to the baseline. Each ratio compares values of one round.
    pub(crate) fn ratio(&self, row: &str, column: usize) -> Option<Spread> {
        let base =
            |round| self.values.get(&(self.baseline.to_owned(), column, round)).filter(|base| **base > 0.0);
        let ratios = self.rounds(row, column).filter_map(|(round, value)| Some(value / base(round)?));
        Spread::of(ratios.collect())
    }

    fn rounds(&self, row: &str, column: usize) -> impl Iterator<Item = (u32, f64)> {
        let range = (row.to_owned(), column, 0)..=(row.to_owned(), column, u32::MAX);
        self.values.range(range).map(|((_, _, round), value)| (*round, *value))
    }
}

impl Spread {
    /// Returns the spread, or nothing without values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        // A quartile between two values of the list is interpolated.
        let quarter = |quarters: usize| {
            let place = (values.len().checked_sub(1)?) * quarters;
            let (at, next) = (values.get(place / 4)?, values.get(place.div_ceil(4))?);
            let part = f64::from(u8::try_from(place % 4).unwrap_or(0)) / 4.0;
            Some(at + (next - at) * part)
        };
        Some(Self { median: quarter(2)?, low: quarter(1)?, high: quarter(3)? })
    }

    /// Returns `median (low..high)`, or only the median if the ends are equal.
    pub(crate) fn shown(&self, digits: usize) -> String {
        let Self { median, low, high } = self;
        if (low - high).abs() < f64::EPSILON {
            return format!("{median:.digits$}");
        }
        format!("{median:.digits$} ({low:.digits$}..{high:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_values_of_the_same_round() {
        let mut table = Table::new("t", "t", &[Column { name: "c", digits: 0 }], "a").with_rows(["a", "b"]);
        for (round, a, b) in [(0, 10.0, 20.0), (1, 100.0, 50.0), (2, 1.0, 3.0)] {
            table.record(round, "a", Ok(vec![Some(a)]));
            table.record(round, "b", Ok(vec![Some(b)]));
        }
        table.record(3, "b", Ok(vec![Some(7.0), None]));
        assert_eq!(table.ratio("b", 0), Some(Spread { median: 2.0, low: 1.25, high: 2.5 }));
        assert_eq!(table.spread("b", 0), Some(Spread { median: 13.5, low: 6.0, high: 27.5 }));
        assert_eq!(table.spread("c", 0), None);
    }

    #[test]
    fn computes_the_median_and_the_quartiles() {
        for (values, median, low, high) in [
            (&[7.0][..], 7.0, 7.0, 7.0),
            (&[2.0, 1.0], 1.5, 1.25, 1.75),
            (&[3.0, 1.0, 2.0], 2.0, 1.5, 2.5),
            (&[5.0, 1.0, 4.0, 2.0, 3.0], 3.0, 2.0, 4.0),
            (&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 900.0], 1.0, 1.0, 1.0),
        ] {
            assert_eq!(Spread::of(values.to_vec()), Some(Spread { median, low, high }), "{values:?}");
        }
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn shows_a_spread_with_its_ends() {
        assert_eq!(Spread { median: 1.5, low: 1.0, high: 2.25 }.shown(2), "1.50 (1.00..2.25)");
        assert_eq!(Spread { median: 1.5, low: 1.5, high: 1.5 }.shown(1), "1.5");
    }

    #[test]
    fn keeps_a_failure_with_its_row() {
        let mut table = Table::new("t", "t", &[Column { name: "c", digits: 0 }], "a").with_rows(["a"]);
        table.record(0, "a", Err("it ended".to_owned()));
        assert_eq!(table.missing["a"], "it ended");
        assert_eq!(table.spread("a", 0), None);
    }
}
