//! Fuzz targets: properties that hold for any bytes whatever.
//!
//! Each target runs over all of `corpus/NAME/` and then over inputs that are made from it. `cargo test` does so
//! briefly and always in the same way; `cargo xtask fuzz` takes longer, and another way each time. An input that
//! breaks a property is made as small as it will get and shown; `cargo xtask fuzz` also puts it into the corpus, where
//! it is run ever after. README.md says how to work with it.

#![cfg(test)]

mod engine;
mod targets;

use engine::Target;

/// A test for each target, of its name.
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

// The number of inputs that `cargo test` makes: two seconds' worth without optimisation.
targets! {
    aws_chunked: 15_000,
    config: 1_500,
    connection: 800,
    documents: 15_000,
    headers: 800,
    request_head: 20_000,
    response: 1_200,
    signer: 3_000,
    target: 10_000,
}
