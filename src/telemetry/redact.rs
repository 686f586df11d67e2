//! Hides the credentials of a URL that was pasted into a path.

use std::borrow::Cow;

/// The query parameters that hold credentials or parts of them. All begin with [`START`].
const SECRET: [&str; 3] = ["x-amz-signature", "x-amz-credential", "x-amz-security-token"];
const START: &[u8] = b"x-amz-";

/// Replaces the values of credentials in a path by stars. A path contains them if a client encodes the `?` of a presigned
/// URL.
pub(crate) fn without_credentials(path: &str) -> Cow<'_, str> {
    let mut shown = Cow::from(path);
    let mut from = 0;
    while let Some((start, end)) = next_value(&shown, from) {
        shown.to_mut().replace_range(start..end, "***");
        from = start;
    }
    shown
}

/// Returns the place of the first value of a credential that begins at or after `from`, and is not hidden yet.
fn next_value(path: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = path.as_bytes();
    let is_at = |at: usize, text: &[u8]| {
        bytes.get(at..at + text.len()).is_some_and(|found| found.eq_ignore_ascii_case(text))
    };
    let after = |at: usize, texts: &[&str]| {
        texts.iter().find(|text| is_at(at, text.as_bytes())).map(|text| at + text.len())
    };
    // Most paths have no such byte, and every logged path is searched.
    let begins = |at: &usize| matches!(bytes.get(*at), Some(b'x' | b'X')) && is_at(*at, START);
    (from..bytes.len().saturating_sub(START.len())).filter(begins).find_map(|at| {
        let start = after(after(at, &SECRET)?, &["=", "%3d", "%253d"])?;
        let ends = |at: &usize| after(*at, &["&", "%26", "%2526", "/"]).is_some();
        let end = (start..bytes.len()).find(ends).unwrap_or(bytes.len());
        (path.get(start..end)? != "***").then_some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_in_a_path_become_stars() {
        for (path, shown) in [
            ("/tmp/a", "/tmp/a"),
            ("/tmp/x-amz-meta-a=b", "/tmp/x-amz-meta-a=b"),
            ("/tmp/a%3FX-Amz-Signature=c11e", "/tmp/a%3FX-Amz-Signature=***"),
            ("/tmp/a%3fx-amz-signature%3Dc11e%26b=c", "/tmp/a%3fx-amz-signature%3D***%26b=c"),
            (
                "/a&X-Amz-Credential=K/1/s3&X-Amz-Security-Token=eyJ&X-Amz-Expires=5",
                "/a&X-Amz-Credential=***/1/s3&X-Amz-Security-Token=***&X-Amz-Expires=5",
            ),
            ("/a%253FX-Amz-Signature%253Dc11e%2526b", "/a%253FX-Amz-Signature%253D***%2526b"),
            ("/X-Amz-SignatureX-Amz-Signature=c", "/X-Amz-SignatureX-Amz-Signature=***"),
            ("/X-Amz-Signature=", "/X-Amz-Signature=***"),
            ("/X-Amz-Signature", "/X-Amz-Signature"),
            ("/é/X-Amz-Signature=é/ü", "/é/X-Amz-Signature=***/ü"),
        ] {
            assert_eq!(without_credentials(path), shown);
        }
    }

    proptest! {
        #[test]
        fn no_path_shows_a_signature(before in "(/|x-amz-|é|%3F){0,5}", after in "(&|é|/|=){0,5}") {
            let path = format!("{before}X-Amz-Signature=c11ec11e{after}");
            let shown = without_credentials(&path);
            prop_assert!(!shown.contains("c11e"), "{}", shown);
        }
    }
}
