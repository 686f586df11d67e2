//! Runs a target on its corpus and on inputs derived from it, and reports a failure.

mod attempt;
mod corpus;
mod mutate;
mod shrink;
mod watch;

use self::attempt::{Attempt, attempt};
use self::mutate::Mutator;
use self::watch::Watch;
use std::collections::HashSet;
use std::env;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The seed of `cargo test`, which checks the same inputs each time.
const SEED: u64 = 0x5C09_E6A7;

/// A fuzz target.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// The name of its test and of its corpus.
    pub(crate) name: &'static str,
    /// Fragments of its format, which mutations insert.
    pub(crate) words: &'static [&'static [u8]],
    /// How many inputs `cargo test` derives.
    pub(crate) inputs: u32,
    /// Panics if a property is broken, and returns the class of the outcome otherwise. An input of a new class is
    /// mutated further.
    pub(crate) check: fn(&[u8]) -> String,
}

/// The extent of a run.
struct Plan {
    seed: u64,
    /// The end of a run of `cargo xtask fuzz`, which also adds failing inputs to the corpus.
    until: Option<Instant>,
}

impl Plan {
    /// Reads the settings of `cargo xtask fuzz`, or those of `cargo test` without them.
    fn from_env() -> Self {
        let number = |name| env::var(name).ok().map(|text| text.parse().expect(name));
        let minutes = number("SCOPEGATE_FUZZ_MINUTES");
        let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        Self { seed: number("SCOPEGATE_FUZZ_SEED").unwrap_or(SEED), until }
    }

    fn is_over(&self, target: &Target, made: u32) -> bool {
        self.until.map_or(made >= target.inputs, |until| Instant::now() >= until)
    }
}

/// Runs a target and panics if an input breaks a property.
pub(crate) fn run(target: &Target) {
    let plan = Plan::from_env();
    let watch = Watch::start(target.name);
    let mut pool = corpus::load(target.name);
    let mut classes = HashSet::new();
    for input in &pool {
        classes.insert(check(target, &plan, &watch, input));
    }
    let (known, begun) = (pool.len(), Instant::now());
    let mut mutator = Mutator::new(plan.seed, target.words);
    let mut made = 0;
    while !plan.is_over(target, made) {
        let input = mutator.mutate(&pool);
        made += 1;
        if classes.insert(check(target, &plan, &watch, &input)) {
            pool.push(input);
        }
    }
    println!(
        "{}: {known} inputs of the corpus and {made} derived from seed {} in {:.1} s, {} classes of outcomes",
        target.name,
        plan.seed,
        begun.elapsed().as_secs_f64(),
        classes.len()
    );
}

/// Returns the class of an input's outcome. A failing input is shrunk and ends the test.
fn check(target: &Target, plan: &Plan, watch: &Watch, input: &[u8]) -> String {
    watch.begin(input);
    let outcome = attempt(target, input);
    watch.end();
    match outcome {
        Attempt::Held(class) => class,
        Attempt::Failed(why) => panic!("{}", report(target, plan, input, &why)),
    }
}

fn report(target: &Target, plan: &Plan, input: &[u8], why: &str) -> String {
    let small = shrink::shrink(target, input);
    let small_why = match attempt(target, &small) {
        Attempt::Failed(why) => why,
        Attempt::Held(_) => why.to_owned(),
    };
    let name = target.name;
    let mut text = format!("{name}: {small_why}\nseed {}, input b\"{}\"\n", plan.seed, small.escape_ascii());
    let _ = if plan.until.is_some() {
        let file = corpus::keep(name, &small);
        writeln!(text, "added to the corpus as {file}; to run it again: cargo test --test fuzz {name}")
    } else {
        writeln!(
            text,
            "to run it again, write it to a file in tests/fuzz/corpus/{name}/, then: cargo test --test fuzz {name}"
        )
    };
    text
}
