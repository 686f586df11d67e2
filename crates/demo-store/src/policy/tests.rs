use proptest::prelude::*;

use super::*;

/// The policy of a client that may read and list `media/`, write `inbox/`, and not touch `media/locked/`.
const POLICY: &str = r#"{
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::tmp/media/*"},
        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::tmp/inbox/*"]},
        {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::tmp/media/locked/*"]},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::tmp"],
         "Condition": {"StringLike": {"s3:prefix": ["media/*"]}}},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::tmp"],
         "Condition": {"StringEquals": {"s3:prefix": "inbox/"}}}
    ]
}"#;

#[test]
fn a_policy_allows_what_it_says_and_nothing_else() {
    let policy = Policy::parse(POLICY).unwrap();
    for (action, resource, allowed) in [
        ("s3:GetObject", "tmp/media/hello.txt", true),
        ("s3:GetObject", "tmp/media/", true),
        ("s3:GetObject", "tmp/media", false),
        ("s3:GetObject", "tmp/mediator/hello.txt", false),
        ("s3:GetObject", "tmp/other/secret.txt", false),
        ("s3:GetObject", "tmp2/media/hello.txt", false),
        ("s3:GetObject", "tmp/media/locked/key", false),
        ("s3:getObject", "tmp/media/hello.txt", false),
        ("s3:PutObject", "tmp/inbox/new", true),
        ("s3:PutObject", "tmp/media/new", false),
        ("s3:DeleteObject", "tmp/inbox/new", false),
    ] {
        let question = Question { any_of: &[action], resource, prefix: None };
        assert_eq!(policy.allows(question), allowed, "{action} on {resource}");
    }
}

#[test]
fn a_listing_needs_a_prefix_that_its_condition_holds_for() {
    let policy = Policy::parse(POLICY).unwrap();
    for (prefix, allowed) in [
        (Some("media/"), true),
        (Some("media/notes/"), true),
        (Some("inbox/"), true),
        (Some("inbox/deeper/"), false),
        (Some("media"), false),
        (Some("other/"), false),
        (Some(""), false),
        (None, false),
    ] {
        let question = Question { any_of: &["s3:ListBucket"], resource: "tmp", prefix };
        assert_eq!(policy.allows(question), allowed, "{prefix:?}");
    }
}

#[test]
fn one_of_several_actions_is_enough_unless_one_is_denied() {
    let asked = Question { any_of: &["s3:HeadBucket", "s3:ListBucket"], resource: "tmp", prefix: None };
    let statement = |effect: &str, action: &str| {
        format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"arn:aws:s3:::*"}}"#)
    };
    let policy = |statements: &[String]| {
        let json = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        Policy::parse(&json).unwrap()
    };
    let list = statement("Allow", "s3:ListBucket");
    assert!(policy(std::slice::from_ref(&list)).allows(asked));
    assert!(!policy(&[list, statement("Deny", "s3:HeadBucket")]).allows(asked));
}

#[test]
fn rejects_policies_that_would_not_be_enforced() {
    let allow = |action: &str, resource: &str, more: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":{action},"Resource":{resource}{more}}}}}"#
        )
    };
    let (get, tmp) = (r#""s3:GetObject""#, r#""arn:aws:s3:::tmp/*""#);
    let list = r#""s3:ListBucket""#;
    assert!(Policy::parse(&allow(get, tmp, "")).is_ok());
    for json in [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        allow(get, tmp, "").replace("2012-10-17", "2008-10-17"),
        allow(get, tmp, "").replace(r#""Version":"2012-10-17","#, ""),
        allow(get, tmp, "").replace("Allow", "allow"),
        allow(get, tmp, "").replace("Resource", "NotResource"),
        r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
        allow("[]", tmp, ""),
        allow(get, "[]", ""),
        allow(r#""*""#, tmp, ""),
        allow(r#""admin:*""#, tmp, ""),
        allow(r#""s3:""#, tmp, ""),
        allow(r#""s3:Get?bject""#, tmp, ""),
        allow(get, r#""tmp/*""#, ""),
        allow(get, r#""arn:aws:s3:::""#, ""),
        allow(get, r#""arn:aws:s3:::tmp/${aws:username}/*""#, ""),
        allow(get, tmp, r#","Principal":"*""#),
        allow(get, tmp, r#","Condition":{"StringLike":{"s3:prefix":"media/*"}}"#),
        allow(list, tmp, r#","Condition":{}"#),
        allow(list, tmp, r#","Condition":{"StringLike":{"s3:prefix":[]}}"#),
        allow(list, tmp, r#","Condition":{"StringNotLike":{"s3:prefix":"media/*"}}"#),
        allow(list, tmp, r#","Condition":{"StringLike":{"s3:delimiter":"/"}}"#),
        allow(list, tmp, r#","Condition":{"StringLike":{"s3:prefix":"a","s3:prefix":"b"}}"#),
    ] {
        assert!(Policy::parse(&json).is_err(), "{json}");
    }
}

/// Matches `*` by trying every split.
fn matches_slowly(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([b'*', pattern @ ..], _) => (0..=text.len()).any(|taken| matches_slowly(pattern, &text[taken..])),
        ([wanted, pattern @ ..], [found, text @ ..]) => wanted == found && matches_slowly(pattern, text),
        ([], text) => text.is_empty(),
        (_, []) => false,
    }
}

proptest! {
    #[test]
    fn a_star_stands_for_any_run(pattern in "[ab/*]{0,8}", text in "[ab/]{0,10}") {
        let expected = matches_slowly(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(Pattern(pattern).matches(&text), expected);
    }

    #[test]
    fn no_text_makes_the_parser_panic(json in ".*") {
        let _ = Policy::parse(&json);
    }
}
