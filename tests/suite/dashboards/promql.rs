//! The metrics and labels that an expression of `PromQL` names.

use std::iter::Peekable;
use std::str::Chars;

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Named {
    pub(super) metrics: Vec<String>,
    /// Labels with the value that they are compared with.
    pub(super) compared: Vec<(String, String)>,
    /// Labels by which the expression groups or joins.
    pub(super) grouped: Vec<String>,
}

const WITH_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "inf"];

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// Reads an expression. Functions, durations and numbers are left out.
pub(super) fn named(expression: &str) -> Named {
    let mut tokens = tokens(expression).into_iter().peekable();
    let mut named = Named::default();
    while let Some(token) = tokens.next() {
        match token {
            Token::Sign('{') => matchers(&mut tokens, &mut named),
            Token::Sign('[') => while tokens.next().is_some_and(|token| token != Token::Sign(']')) {},
            Token::Word(word) if WITH_LABELS.contains(&&*word) => {
                let inside = tokens.by_ref().take_while(|token| *token != Token::Sign(')'));
                named.grouped.extend(inside.filter_map(word_of));
            }
            Token::Word(word) if is_metric(&word, tokens.peek()) => named.metrics.push(word),
            _ => {}
        }
    }
    named
}

fn is_metric(word: &str, next: Option<&Token>) -> bool {
    let is_function = next == Some(&Token::Sign('(')) || word.starts_with(|c: char| c.is_ascii_digit());
    // `sum by (label) (...)` has its labels before the parenthesis.
    let is_aggregation =
        matches!(next, Some(Token::Word(next)) if WITH_LABELS.contains(&&**next)) && !word.contains('_');
    !is_function && !is_aggregation && !OPERATORS.contains(&word)
}

/// Reads what follows `{`, up to `}`.
fn matchers(tokens: &mut impl Iterator<Item = Token>, named: &mut Named) {
    let mut label = String::new();
    for token in tokens {
        match token {
            Token::Word(word) => label = word,
            Token::Text(value) => named.compared.push((std::mem::take(&mut label), value)),
            Token::Sign('}') => return,
            Token::Sign(_) => {}
        }
    }
}

fn word_of(token: Token) -> Option<String> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut chars = expression.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(first) = chars.next() {
        tokens.push(match first {
            '"' => Token::Text(chars.by_ref().take_while(|c| *c != '"').collect()),
            c if is_of_word(c) => Token::Word(word(c, &mut chars)),
            c if c.is_whitespace() => continue,
            c => Token::Sign(c),
        });
    }
    tokens
}

fn word(first: char, chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::from(first);
    while let Some(next) = chars.next_if(|c| is_of_word(*c)) {
        word.push(next);
    }
    word
}

/// `$` begins a variable of Grafana, and a dot is part of a number.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$' | '.')
}

#[test]
fn finds_metrics_and_labels() {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (expression, metrics, compared, grouped) in [
        ("up == 0", &["up"][..], &[][..], &[][..]),
        ("a - time() < 7 * 86400", &["a"], &[], &[]),
        (
            r#"sum by (job, le) (rate(a_total{x="1", y=~"b|c"}[5m])) > 0.5e3"#,
            &["a_total"],
            &[("x", "1"), ("y", "b|c")],
            &["job", "le"],
        ),
        ("(a > 0) unless on (m) (b > time())", &["a", "b"], &[], &["m"]),
        ("topk(10, sum(rate(a[$__rate_interval])) by (m)) or vector(0)", &["a"], &[], &["m"]),
        ("a / ignoring (m) group_left (n) b offset 5m", &["a", "b"], &[], &["m", "n"]),
        ("label_values(a{job=\"$job\"}, instance)", &["a", "instance"], &[("job", "$job")], &[]),
    ] {
        let compared = compared.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect();
        let expected = Named { metrics: list(metrics), compared, grouped: list(grouped) };
        assert_eq!(named(expression), expected, "{expression}");
    }
}
