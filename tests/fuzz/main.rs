//! Fuzz targets: properties that hold for any input.
//!
//! Each target checks the inputs of `corpus/NAME/`, then inputs derived from them. `cargo test` does so briefly and
//! always with the same inputs; `cargo xtask fuzz` runs longer and from another seed each time. An input that breaks a
//! property is shrunk and shown. `cargo xtask fuzz` also adds it to the corpus, so that later runs check it again.
//! docs/testing.md describes how to work with it.

#![cfg(test)]

mod engine;
mod targets;

use engine::Target;

/// Defines a test for each target, with the target's name.
macro_rules! targets {
    ($($name:ident: $inputs:literal,)*) => {$(
        #[test]
        fn $name() {
            engine::run(&Target {
                name: stringify!($name),
                words: targets::$name::WORDS,
                inputs: $inputs,
                check: targets::$name::check,
            });
        }
    )*};
}

// The number of inputs that `cargo test` derives: about two seconds each without optimization.
targets! {
    aws_chunked: 15_000,
    config: 1_500,
    connection: 800,
    documents: 15_000,
    headers: 800,
    http2: 1_500,
    request_head: 20_000,
    response: 1_200,
    signer: 3_000,
    target: 10_000,
}
