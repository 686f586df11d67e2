//! Tests of configurations with 10,000 mappings.

use super::*;

/// Returns a configuration with one mapping for each of 10,000 addresses.
fn ten_thousand_mappings() -> String {
    let head = EXAMPLE.split("[[mapping]]").next().unwrap().replace("127.0.0.1:8080", "0.0.0.0:8080");
    let mapping = |index: usize| {
        format!(
            "[[mapping]]\nname = \"client-{index}\"\nclient = {{ network = \"10.0.{}.{}\" }}\n\
             [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"clients/{index}/\"\nallow = [\"read\", \"list\"]\n",
            index / 256,
            index % 256
        )
    };
    head + &(0..10_000).map(mapping).collect::<String>()
}

#[test]
fn loads_ten_thousand_mappings() {
    let source = ten_thousand_mappings();
    assert!(source.len() as u64 > 1 << 20 && (source.len() as u64) < MAX_CONFIG_BYTES);
    let config = Config::parse(&source, &Fake).unwrap();
    assert_eq!(config.mappings.len(), 10_000);
    let [warning] = config.warnings() else { panic!("{:#?}", config.warnings()) };
    assert!(
        warning.message.contains("the 40000 sessions of 10000 mappings take 63.5 a second"),
        "{warning:?}"
    );
    assert!(warning.help.starts_with("write mints_per_second = 64 in [limits]"), "{warning:?}");

    let again = source.split("[[mapping]]").nth(1).unwrap();
    let told = mistakes(&format!("{source}[[mapping]]{again}"));
    assert_eq!(
        told,
        [
            "there are 10001 mappings; at most 10000 are allowed | let clients share a mapping, or divide them \
                       among several proxies"
        ]
    );
}

/// Returns the mistakes of a configuration whose second half has the `count` mappings of the first again.
fn mistakes_of_repeated(count: usize) -> Vec<String> {
    let source = ten_thousand_mappings();
    let (head, rest) = source.split_once("[[mapping]]").unwrap();
    let half: Vec<&str> = rest.split("[[mapping]]").take(count).collect();
    let half = half.join("[[mapping]]");
    mistakes(&format!("{head}[[mapping]]{half}[[mapping]]{half}"))
}

#[test]
fn finds_a_thousand_mistakes() {
    let told = mistakes_of_repeated(500);
    assert_eq!(told.len(), 1000);
    let expected =
        "the mapping \"client-499\" can never be reached: \"client-499\" matches all of its clients first";
    assert!(told.iter().any(|mistake| mistake.contains(expected)), "{:?}", told.last());
}

#[test]
fn names_earlier_mappings_in_a_thousand_mistakes_and_finds_the_others_too() {
    let told = mistakes_of_repeated(1100);
    let count = |part: &str| told.iter().filter(|mistake| mistake.contains(part)).count();
    assert_eq!((told.len(), count("can never be reached: \"client-")), (2200, 1000));
    assert_eq!(count("can never be reached: earlier mappings match all of its clients first"), 100);
}
