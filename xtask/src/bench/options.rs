//! The options of `cargo xtask bench`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// Small objects, as many requests as possible
    Small,
    /// Small objects at a fixed rate
    Rate,
    /// Large objects, both ways
    Large,
    /// Memory of idle connections
    Idle,
    /// Memory with many slow transfers
    Transfers,
    /// Time from the start of the process to the first response
    Start,
    /// Small and large objects over the real MinIO
    Store,
    /// TLS: handshakes, small and large objects, memory of idle connections
    Tls,
    /// HTTP/2 beside HTTP/1.1, also with 50 ms of round-trip time
    Http2,
}

/// The options as given.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Take ten minutes instead of 60, with less exact figures; changes no file
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often to measure each proxy [default: 7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,
    /// Run only this section; may be repeated. Without all sections of a page, that page is not written
    #[arg(long, value_name = "SECTION")]
    only: Vec<Section>,
    /// Measure this scopegate instead of a new build
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Compare with another scopegate under this name; may be repeated; changes no file
    #[arg(long, value_name = "NAME=FILE", value_parser = named_binary)]
    pub(crate) also: Vec<(String, PathBuf)>,
    /// Write the report into this folder instead
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Shuffle the rounds as an earlier run with this seed did [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl Options {
    /// Reports whether a section is to be run.
    pub(crate) fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    /// Reports whether this run may publish a page in docs/ with these sections, and its figures in README.md.
    pub(crate) fn publishes(&self, sections: &[Section]) -> bool {
        !self.quick && self.also.is_empty() && sections.iter().all(|section| self.wants(*section))
    }
}

fn named_binary(value: &str) -> Result<(String, PathBuf), String> {
    match value.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("expected NAME=FILE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::pages::PAGES;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(line: &str) -> Options {
        Line::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).unwrap().options
    }

    #[test]
    fn options_may_repeat_and_come_in_any_order() {
        let options = parsed("--only small --rounds 3 --also old=a=b --quick --only store --seed 7 --out o");
        assert!(options.quick && options.wants(Section::Small) && options.wants(Section::Store));
        assert!(!options.wants(Section::Large));
        assert_eq!((options.rounds, options.seed), (Some(3), Some(7)));
        assert_eq!(options.also, [("old".to_owned(), PathBuf::from("a=b"))]);
    }

    #[test]
    fn only_a_page_with_all_of_its_sections_is_published() {
        for (line, published) in [
            ("--rounds 5 --binary b", [true, true]),
            ("--only http2 --only tls", [false, true]),
            ("--only tls", [false, false]),
            ("--only idle", [false, false]),
            ("--quick", [false, false]),
            ("--also a=b", [false, false]),
        ] {
            let options = parsed(line);
            assert_eq!(PAGES.each_ref().map(|page| options.publishes(page.sections)), published, "{line}");
        }
    }
}
