//! What `cargo xtask bench` may be told.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Which part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Small objects as fast as they go.
    Small,
    /// Small objects at a fixed rate.
    Rate,
    /// Large objects, both ways.
    Large,
    /// Memory of connections that do nothing.
    Idle,
    /// Memory with many slow transfers.
    Transfers,
    /// From the start of the process to the first answer.
    Start,
    /// Small objects over the real MinIO.
    Store,
}

impl Section {
    const ALL: [(&str, Self); 7] = [
        ("small", Self::Small),
        ("rate", Self::Rate),
        ("large", Self::Large),
        ("idle", Self::Idle),
        ("transfers", Self::Transfers),
        ("start", Self::Start),
        ("store", Self::Store),
    ];
}

/// The options, as they were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// About four minutes, to be read as such.
    pub(crate) quick: bool,
    pub(crate) rounds: Option<u32>,
    /// Shuffles the rounds.
    pub(crate) seed: Option<u64>,
    /// The sections to run; all where there is none.
    only: Vec<Section>,
    /// The binary to measure instead of a new build.
    pub(crate) binary: Option<PathBuf>,
    /// Further binaries, measured beside it under these names.
    pub(crate) also: Vec<(String, PathBuf)>,
    /// Where the report goes instead of docs/.
    pub(crate) out: Option<PathBuf>,
}

impl Options {
    /// Reads what follows the task's name.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(crate) fn parse(rest: Vec<OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = rest.into_iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("`{}` needs a value", option.display()));
            match option.to_str() {
                Some("--quick") => options.quick = true,
                Some("--rounds") => options.rounds = Some(number(&option, &value()?, 1..=1000)?),
                Some("--seed") => options.seed = Some(number(&option, &value()?, 0..=u64::MAX)?),
                Some("--only") => options.only.push(section(&value()?)?),
                Some("--binary") => options.binary = Some(value()?.into()),
                Some("--also") => options.also.push(named_binary(&value()?)?),
                Some("--out") => options.out = Some(value()?.into()),
                _ => return Err(format!("`{}` was not expected here", option.display())),
            }
        }
        Ok(options)
    }

    /// Whether a section is to be run.
    pub(crate) fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    /// Whether the run is one whose figures may stand in docs/ and the README.
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty() && self.also.is_empty()
    }
}

fn number<T>(option: &OsStr, value: &OsStr, range: std::ops::RangeInclusive<T>) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = value.to_str().and_then(|value| value.parse().ok()).filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (option, value) = (option.display(), value.display());
        format!("`{option} {value}`: a number from {} to {} is meant", range.start(), range.end())
    })
}

fn section(value: &OsStr) -> Result<Section, String> {
    let found = Section::ALL.iter().find(|(name, _)| value == *name).map(|(_, section)| *section);
    found.ok_or_else(|| {
        let names = Section::ALL.map(|(name, _)| name).join(", ");
        format!("`--only {}`: one of {names} is meant", value.display())
    })
}

fn named_binary(value: &OsStr) -> Result<(String, PathBuf), String> {
    match value.to_str().and_then(|value| value.split_once('=')) {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err(format!("`--also {}`: NAME=FILE is meant", value.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn options_come_in_any_order() {
        let options =
            parsed("--only small --rounds 3 --also old=a=b --quick --only store --seed 7 --out o").unwrap();
        assert!(options.quick && options.wants(Section::Small) && options.wants(Section::Store));
        assert!(!options.wants(Section::Large));
        assert_eq!((options.rounds, options.seed), (Some(3), Some(7)));
        assert_eq!(options.also, [("old".to_owned(), PathBuf::from("a=b"))]);
    }

    #[test]
    fn only_a_whole_run_is_one_for_the_documents() {
        assert!(parsed("--rounds 5 --binary b").unwrap().is_whole());
        for line in ["--quick", "--only idle", "--also a=b"] {
            assert!(!parsed(line).unwrap().is_whole(), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, named) in [
            ("--rounds 0", "from 1 to 1000"),
            ("--seed x", "`--seed x`"),
            ("--only nothing", "small, rate"),
            ("--also scopegate", "NAME=FILE"),
            ("--out", "needs a value"),
            ("now", "`now`"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
