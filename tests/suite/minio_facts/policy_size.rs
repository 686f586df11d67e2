//! The maximum size of a session policy.

use crate::support::{minio::Minio, sts::assume_role};

use super::allowing;

const LIMIT: usize = 2048;

/// Returns a policy of this many bytes without white space, padded with one character.
fn policy_of(length: usize, fill: &str) -> String {
    let empty = allowing(&["s3:GetObject"], &["tmp/"]).len();
    let times = (length - empty) / fill.len();
    let policy = allowing(&["s3:GetObject"], &[&format!("tmp/{}", fill.repeat(times))]);
    assert_eq!(policy.len(), length, "{fill:?} does not fill {length} bytes");
    policy
}

#[test]
fn the_limit_applies_to_the_servers_own_spelling() {
    let (minio, issuer) = Minio::start_seeded();
    let refusal = |policy: &str| {
        assume_role(&minio, &issuer, Some(policy)).err().map(|answer| {
            (
                answer.status(),
                answer.element("Code").unwrap_or_default(),
                answer.element("Message").unwrap_or_default(),
            )
        })
    };
    let too_long = |policy: &str| {
        let (status, code, message) = refusal(policy).expect("a policy that is too long");
        assert_eq!((status, code.as_str()), (400, "InvalidParameterValue"));
        assert!(message.contains("Session policy should not exceed 2048 characters"), "{message}");
    };

    let longest = policy_of(LIMIT, "k");
    assert_eq!(refusal(&longest), None);
    too_long(&policy_of(LIMIT + 1, "k"));

    // White space and fields that the server does not know do not count.
    assert_eq!(refusal(&longest.replace(',', " ,\n")), None);
    assert_eq!(refusal(&longest.replacen('{', r#"{"Unknown":"field","#, 1)), None);

    // A single action becomes an array. Characters that Go escapes count as six bytes.
    let short = |policy: &str| policy.replace(r#"["s3:GetObject"]"#, r#""s3:GetObject""#);
    too_long(&short(&policy_of(LIMIT + 1, "k")));
    assert_eq!(refusal(&short(&policy_of(LIMIT, "k"))), None);
    too_long(&policy_of(LIMIT, "k").replacen("kkk", "k&k", 1));
    assert_eq!(refusal(&policy_of(LIMIT - 5, "k").replacen("kkk", "k&k", 1)), None);
    assert_eq!(refusal(&policy_of(LIMIT - 1, "k").replacen("kkk", "ké", 1)), None);

    let unversioned = longest.replace("\"Version\"", "\"version_\"");
    assert_eq!(
        refusal(&unversioned).map(|(status, code, _)| (status, code)),
        Some((400, "InvalidParameterValue".into()))
    );
}
