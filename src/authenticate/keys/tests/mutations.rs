//! Changes every byte of signed requests: none of the changed requests is accepted.

use super::*;

/// The parts of a request that the signature covers.
fn requests() -> Vec<Sent> {
    let header = Sent::new(
        "PUT",
        "/tmp/some/key?partNumber=1&uploadId=abc",
        &[HOST, ("x-amz-content-sha256", HASH), ("x-amz-meta-a", "value"), ("content-type", "text/plain")],
    );
    let presigned = Sent::new("GET", "/tmp/some/key?versionId=abc", &[HOST, ("x-amz-meta-a", "value")]);
    vec![
        signed(&header, "REPORTS", SECRET, None, now()),
        signed(&presigned, "REPORTS", SECRET, Some(600), now()),
    ]
}

/// Returns the meaning of a request: what the decision and the store would see.
fn meaning(sent: &Sent) -> Option<impl PartialEq + use<>> {
    let request = sent.arrived()?;
    let (path, query) = sent.target.split_once('?').unwrap_or((&sent.target, ""));
    let path = crate::s3::target::decode_path(path).ok()?.into_owned();
    let query = crate::s3::target::Query::parse_whole(query).ok()?;
    let mut query: Vec<(String, String)> =
        query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    query.sort();
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> =
        request.fields().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    fields.sort();
    Some((request.method.to_string(), path, query, fields))
}

fn assert_refused(original: &Sent, changed: &Sent) {
    // A changed byte may spell the same, or make the request one that is refused before.
    let Some(after) = meaning(changed) else { return };
    if meaning(original).is_some_and(|before| before == after) {
        return;
    }
    let result = verify(changed);
    assert!(!matches!(result, Ok(Some(_))), "{changed:?}");
}

#[test]
fn no_changed_byte_is_accepted() {
    for original in requests() {
        assert_accepted(&original);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        for bit in 0..7 {
            for at in 0..original.target.len() {
                let mut target = original.target.clone().into_bytes();
                target[at] ^= 1 << bit;
                let Some(target) = text(target) else { continue };
                assert_refused(&original, &Sent { target, ..original.clone() });
            }
            for at in 0..original.method.len() {
                let mut method = original.method.clone().into_bytes();
                method[at] ^= 1 << bit;
                let Some(method) = text(method) else { continue };
                assert_refused(&original, &Sent { method, ..original.clone() });
            }
            for line in 0..original.headers.len() {
                for at in 0..original.headers[line].1.len() {
                    let mut changed = original.clone();
                    changed.headers[line].1[at] ^= 1 << bit;
                    // White space between the parts of `authorization` means nothing.
                    assert_refused(&original, &changed);
                }
            }
        }
    }
}

#[test]
fn no_added_or_removed_part_is_accepted() {
    for original in requests() {
        let join = |more: &str| format!("{}&{more}", original.target);
        let path = |path: &str| original.target.replacen("/tmp/some/key", path, 1);
        for target in [
            join("versionId=x"),
            join("acl"),
            join("x-amz-meta-b=c"),
            path("/tmp/some/key/"),
            path("/tmp//some/key"),
            path("/tmp/some/./key"),
            path("/tmp/some/../key"),
            path("/tmp/some/key%2F"),
            original.target.replacen('?', "?&uploads=&", 1),
        ] {
            assert_refused(&original, &Sent { target, ..original.clone() });
        }
        for (name, value) in [
            ("x-amz-copy-source", "/tmp/other"),
            ("x-amz-acl", "public-read"),
            ("x-amz-meta-b", "c"),
            ("x-amz-tagging", "a=b"),
        ] {
            let result = verify(&original.clone().with(name, value));
            let rule = result.map(|_| ()).map_err(|failure| failure.rule);
            assert_eq!(rule, Err(Rule::HeaderNotSigned), "{name}");
        }
        for line in 0..original.headers.len() {
            let mut changed = original.clone();
            let (name, _) = changed.headers.remove(line);
            if name != "authorization" {
                assert!(!matches!(verify(&changed), Ok(Some(_))), "without {name}");
            }
            let mut changed = original.clone();
            let (name, value) = changed.headers[line].clone();
            if name != "host" && name != "authorization" {
                changed.headers.push((name.clone(), value));
                assert!(!matches!(verify(&changed), Ok(Some(_))), "two {name}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_other_request_is_accepted((sent, expires) in any_sent(), (other, _) in any_sent()) {
        let original = signed(&sent, "REPORTS", SECRET, expires, now());
        let with_target = |target: &str| {
            let (_, query) = original.target.split_once('?').unwrap_or_default();
            let query = if expires.is_some() { query } else { target.split_once('?').unwrap_or_default().1 };
            Sent { target: format!("{}?{query}", target.split('?').next().unwrap()), ..original.clone() }
        };
        assert_refused(&original, &with_target(&other.target));
        assert_refused(&original, &Sent { method: other.method.clone(), ..original.clone() });
    }
}
