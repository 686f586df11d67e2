//! The id of a multipart upload, which a client names and the store makes a path of.
//!
//! MinIO decodes it and joins it to the folder of the key's uploads. An id with `..` in it reaches another key's folder
//! or another bucket's objects, and nothing in the store looks at that: neither IAM nor the session's policy does. Any
//! other id is passed on as it is, since each store writes its own.

use crate::target::BadTarget;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// As lenient as any store's decoder: what is decoded here and not there does no harm.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Looks at the id that a client names.
///
/// # Errors
/// When a store could read it as a path out of the key's own folder.
pub fn check_upload_id(id: &str) -> Result<(), BadTarget> {
    // A decoder that skips line breaks would decode what is not decoded here.
    if id.is_empty() || id.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(BadTarget("the uploadId is none that a store makes"));
    }
    let decoded = LENIENT.decode(id).unwrap_or_default();
    // MinIO takes what stands behind the first dot: `deployment.upload`.
    let behind_dot = decoded.splitn(2, |byte| *byte == b'.').nth(1).unwrap_or_default();
    if [id.as_bytes(), &decoded, behind_dot].into_iter().any(leaves_its_folder) {
        return Err(BadTarget("the uploadId holds a path that leads elsewhere"));
    }
    Ok(())
}

/// Whether a path joined to a folder ends, or passes, outside of it.
fn leaves_its_folder(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{URL_SAFE as PADDED, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    #[test]
    fn ids_that_stores_make() {
        let minio = URL_SAFE_NO_PAD.encode(
            "0fb6db5c-2e1f-4a0b-9a40-2f9c1d0e6b7a.6c0bc0a4-9f0e-4c52-8e15-17c0c2f5d5cfx1764133000000000000",
        );
        for good in [
            &*minio,
            "2~abcDEF0123456789abcdefghijklmnopq",
            "VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA",
            "ibZBv_75gd9r8lH_gqXatLdxMVpAlj6ikzLI.ml4_0X9LbLWoF9Nni4Jc--",
            "4c9ba8bb71df1e6d3c34ae5a_8f0cf4b1",
            "x",
            "a+b/c=",
        ] {
            assert_eq!(check_upload_id(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn ids_that_lead_elsewhere() {
        for path in [
            "x.../../../tmp/other/a",
            "x.../abc",
            "x...",
            ".../../../tmp/other/a",
            "../../../tmp/other/a",
            "x.a/../../b",
            "x./../b",
            "x.//../b",
            "x...\\b",
        ] {
            for id in [URL_SAFE_NO_PAD.encode(path), PADDED.encode(path)] {
                assert!(check_upload_id(&id).is_err(), "{path} as {id}");
            }
        }
        for raw in ["", "..", "../b", "a/../../b", "eC4u\nLi8", "eC4u\r\nLi8", "a b"] {
            assert!(check_upload_id(raw).is_err(), "{raw:?}");
        }
    }

    proptest! {
        /// What is let through stays in its folder when it is read as MinIO reads it, whatever stands in it.
        #[test]
        fn what_is_let_through_stays(path in "[x./]{0,12}(\\.\\.|/|a|\\.){0,6}") {
            let id = URL_SAFE_NO_PAD.encode(&path);
            if check_upload_id(&id).is_ok() {
                let upload = path.split_once('.').map_or(&*id, |(_, upload)| upload);
                let joined = std::path::Path::new(upload).components().try_fold(0_i32, |depth, part| {
                    let depth = depth + match part {
                        std::path::Component::ParentDir => -1,
                        std::path::Component::Normal(_) => 1,
                        _ => 0,
                    };
                    (depth >= 0).then_some(depth)
                });
                prop_assert!(joined.is_some(), "{path}");
            }
        }
    }
}
