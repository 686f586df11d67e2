//! Runs a target: its corpus, then inputs made from it, and what becomes of one that fails.

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

/// The seed of `cargo test`, so that it does the same each time.
const SEED: u64 = 0x5C09_E6A7;

/// What is fuzzed.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Its test's name and its corpus's.
    pub(crate) name: &'static str,
    /// Words that mean something to it, which mutations put in.
    pub(crate) words: &'static [&'static [u8]],
    /// How many inputs `cargo test` makes.
    pub(crate) inputs: u32,
    /// Panics when a property is broken, else names the class of the outcome. Inputs of a class that was not seen
    /// before are worth further mutation.
    pub(crate) check: fn(&[u8]) -> String,
}

/// How long a target is run, and from which seed.
struct Plan {
    seed: u64,
    /// The end of a long run, which also keeps what fails.
    until: Option<Instant>,
}

impl Plan {
    /// What `cargo xtask fuzz` says, if it is that which runs.
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

/// Runs a target.
pub(crate) fn run(target: &Target) {
    let plan = Plan::from_env();
    let watch = Watch::start(target.name);
    let mut pool = corpus::load(target.name);
    let mut classes = HashSet::new();
    for input in &pool {
        classes.insert(hold(target, &plan, &watch, input));
    }
    let (known, begun) = (pool.len(), Instant::now());
    let mut mutator = Mutator::new(plan.seed, target.words);
    let mut made = 0;
    while !plan.is_over(target, made) {
        let input = mutator.mutate(&pool);
        made += 1;
        if classes.insert(hold(target, &plan, &watch, &input)) {
            pool.push(input);
        }
    }
    println!(
        "{}: {known} inputs of the corpus and {made} made from seed {} in {:.1} s, {} classes of outcomes",
        target.name,
        plan.seed,
        begun.elapsed().as_secs_f64(),
        classes.len()
    );
}

/// The class of an input's outcome; an input that fails ends the test with all that is to be known of it.
fn hold(target: &Target, plan: &Plan, watch: &Watch, input: &[u8]) -> String {
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
        writeln!(text, "kept as {file}; to replay: cargo test --test fuzz {name}")
    } else {
        writeln!(text, "to replay: put it into tests/fuzz/corpus/{name}/, then cargo test --test fuzz {name}")
    };
    text
}
