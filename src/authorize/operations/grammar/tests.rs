//! Values that each grammar accepts, respells, drops and refuses.

use super::*;
use crate::authorize::operations::{Headers, TABLE};
use proptest::prelude::*;
use regex_lite::Regex;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

const VERSION: &str = "0fb6db5c-2e1f-4a0b-9a40-2f9c1d0e6b7a";
const UPLOAD: &str = "MGZiNmRiNWMtMmUxZi00YTBiLTlhNDAtMmY5YzFkMGU2YjdhLjZjMGJjMGE0LTlmMGUtNGM1Mi04ZTE1LTE3YzBjMmY1ZDVjZngxNzY0MTMzMDAwMDAwMDAwMDAw";

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn base64url(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// Returns every grammar in the table.
fn all() -> BTreeSet<Grammar> {
    let queries = TABLE.iter().flat_map(|row| row.query).map(|parameter| parameter.grammar);
    let headers = Headers::ALL.into_iter().flat_map(Headers::fields).map(|field| field.grammar);
    queries.chain(headers).chain([Grammar::Flag]).collect()
}

fn as_is(grammar: Grammar, values: &[&str]) {
    for value in values {
        assert_eq!(grammar.read(value, Dialect::Minio), Ok(Spelling::AsIs), "{grammar:?} {value:?}");
    }
}

fn respelled(grammar: Grammar, values: &[(&str, &str)]) {
    for (value, spelled) in values {
        let expected = Ok(Spelling::As((*spelled).to_owned()));
        assert_eq!(grammar.read(value, Dialect::Minio), expected, "{grammar:?} {value:?}");
    }
}

fn left_out(grammar: Grammar, values: &[&str]) {
    for value in values {
        assert_eq!(grammar.read(value, Dialect::Minio), Ok(Spelling::LeftOut), "{grammar:?} {value:?}");
    }
}

fn refused(grammar: Grammar, rule: Rule, values: &[&str]) {
    for value in values {
        let read = grammar.read(value, Dialect::Minio).map_err(|bad| bad.rule);
        assert_eq!(read, Err(rule), "{grammar:?} {value:?}");
    }
}

#[test]
fn positions_lose_minios_note() {
    let note = format!("[minio_cache:v2,id:{VERSION},p:0,s:12]");
    as_is(Grammar::Position, &["media/a", "media/", "a[1]"]);
    left_out(Grammar::Position, &[""]);
    respelled(
        Grammar::Position,
        &[("media/a[minio_cache:v2,return:]", "media/a"), (&format!("media/a{note}"), "media/a")],
    );
    refused(
        Grammar::Position,
        Rule::BadTarget,
        &[
            "media/a[minio_cache:v2,return:,id:../../../config/iam/users/a/identity.json/xl.meta]",
            "media/a[minio_cache:v2,return:,id:..]",
            "media/a[minio_cache:v2,id:mine,p:-1,s:0]",
            "media/a[minio_cache:v2,id:mine,p:0,s:0]",
            &format!("media/a[minio_cache:v2,id:{VERSION},p:-1,s:0]"),
            &format!("media/a{note}{note}"),
            &format!("media/a{note}b"),
            &format!("media/a{note}[id:x]"),
            "media/[minio_cache:v2]/b[",
            "media/[minio_cache:v2]/x[id:zz,return:]/y",
            "media/a[minio_cache:v2",
            "media/a[minio_cache:v3,return:]",
            "media/a[minio_cache:v2,return:x]",
            "media/../b",
            "media/a\u{1}",
        ],
    );
}

#[test]
fn a_token_is_the_base64_of_a_position() {
    let token = |text: &str| base64(text);
    as_is(Grammar::ContinuationToken, &[&token("media/a")]);
    respelled(Grammar::ContinuationToken, &[(&token("media/a[minio_cache:v2,return:]"), &token("media/a"))]);
    let hostile = token("media/a[minio_cache:v2,return:,id:../../../config/iam]");
    let (start, end) = hostile.split_at(7);
    refused(Grammar::ContinuationToken, Rule::BadTarget, &[&hostile]);
    refused(
        Grammar::ContinuationToken,
        Rule::BadArgument,
        &[
            "",
            "=",
            "bWVkaWEvY",
            "bWVkaWEvYQ",
            "bWVkaWEvYR==",
            "bWVkaWEvYQ==\n",
            &format!("{start}\n{end}"),
            &format!("{start}\r\n{end}"),
            "bWVk aWEv",
            "/w==",
            "media/a",
        ],
    );
    let other = |value: &str| Grammar::ContinuationToken.read(value, Dialect::S3);
    assert_eq!(other("1-opaque_token.~"), Ok(Spelling::AsIs));
    assert_eq!(other(&token("media/a[minio_cache:v2,return:]")), Ok(Spelling::As(token("media/a"))));
    let unpadded = hostile.trim_end_matches('=');
    for bad in ["", "a b", "a\nb", &hostile, unpadded, &base64url("a?[minio_cache:v2,return:,id:..]~~~")] {
        assert!(other(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn versions_have_one_spelling() {
    as_is(Grammar::VersionId, &["null", VERSION]);
    respelled(
        Grammar::VersionId,
        &[(&VERSION.to_uppercase(), VERSION), ("00000000-0000-0000-0000-000000000000", "null")],
    );
    let bare = VERSION.replace('-', "");
    refused(
        Grammar::VersionId,
        Rule::BadArgument,
        &["", " null", "NULL", &format!("{{{VERSION}}}"), &format!("urn:uuid:{VERSION}"), &bare, "1", "../x"],
    );
    left_out(Grammar::VersionPosition, &[""]);
    refused(Grammar::VersionPosition, Rule::BadArgument, &["1"]);
    assert_eq!(
        Grammar::VersionId.read("3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH_Y", Dialect::S3),
        Ok(Spelling::AsIs)
    );
    assert!(Grammar::VersionId.read("a/b", Dialect::S3).is_err());
}

#[test]
fn an_upload_id_names_one_upload() {
    as_is(Grammar::UploadId, &[UPLOAD]);
    let id = |text: &str| base64url(text);
    let upload = format!("{VERSION}x1");
    let hostile = [
        id("x."),
        id("x.."),
        id("x./"),
        id("x.../../../tmp/other/a"),
        id(&format!("y.{upload}")),
        id(&format!("y../{upload}")),
        id(&format!("{VERSION}.{upload}/")),
        id(&format!("{VERSION}.{upload}\n")),
        id(&format!("{VERSION}.{VERSION}x")),
        id(&format!("{VERSION}.")),
        id(&upload),
        format!("{UPLOAD}="),
        format!("{UPLOAD}\n"),
        UPLOAD.replacen('M', "M\n", 1),
        String::new(),
        "..".to_owned(),
        "x".to_owned(),
        VERSION.to_owned(),
    ];
    for value in &hostile {
        refused(Grammar::UploadId, Rule::NoSuchUpload, &[value]);
    }
    let other = |value: &str| Grammar::UploadId.read(value, Dialect::S3);
    for good in
        [UPLOAD, "2~abcDEF0123456789", "ibZBv_75gd9r8lH_gqXatLdxMVpAlj6ikzLI.ml4_0X9L--", VERSION, "a+b="]
    {
        assert_eq!(other(good), Ok(Spelling::AsIs), "{good}");
    }
    for bad in hostile.iter().take(4).map(String::as_str).chain(["", "..", "a/b", "a b", "a\nb"]) {
        assert!(other(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn numbers() {
    as_is(Grammar::PartNumber, &["1", "10000"]);
    refused(
        Grammar::PartNumber,
        Rule::BadArgument,
        &["", "0", "10001", "+1", " 1", "01", "-1", "1e3", "99999"],
    );
    as_is(Grammar::PartPosition, &["0", "10000"]);
    refused(Grammar::PartPosition, Rule::BadArgument, &["", "00", "-5", "10001", "9223372036854775807"]);
    as_is(Grammar::MaxKeys, &["0", "1000"]);
    respelled(Grammar::MaxKeys, &[("1001", "1000"), ("007", "7"), ("99999999999999999999999", "1000")]);
    left_out(Grammar::MaxKeys, &[""]);
    refused(Grammar::MaxKeys, Rule::BadArgument, &["blah", "-1", "+1", "1.0", " 1"]);
    refused(Grammar::MaxParts, Rule::BadArgument, &["0", "-1"]);
    refused(Grammar::MaxBuckets, Rule::BadArgument, &["0", "x"]);
    as_is(Grammar::ObjectSize, &["0", "5497558138880"]);
    refused(Grammar::ObjectSize, Rule::BadArgument, &["", "-1", "99999999999999"]);
}

#[test]
fn ranges() {
    as_is(Grammar::Range, &["bytes=0-1", "bytes=5-", "bytes=-5", "bytes=5-2"]);
    respelled(
        Grammar::Range,
        &[
            ("Bytes=0-1", "bytes=0-1"),
            ("bytes=0-18446744073709551615", "bytes=0-999999999999999999"),
            (" bytes=0-1", "bytes=0-1"),
        ],
    );
    left_out(
        Grammar::Range,
        &[
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=0 -1",
        ],
    );
    as_is(Grammar::CopyRange, &["bytes=0-0", "bytes=0-5368709119"]);
    refused(
        Grammar::CopyRange,
        Rule::BadArgument,
        &[
            "0-2",
            "bytes=0",
            "bytes=hello-world",
            "bytes=0-bar",
            "bytes=hello-",
            "bytes=0-2,3-5",
            "bytes=2-1",
            "bytes=0-5368709120",
            "bytes=-5",
            "bytes=5-",
            "bytes=9999999999999999999-9999999999999999999",
        ],
    );
    assert_eq!(copied_range("bytes=5-9"), Ok(5));
}

/// Returns a list with this many entity tags.
fn many(tags: usize) -> String {
    vec!["\"a\""; tags].join(", ")
}

#[test]
fn conditions() {
    as_is(Grammar::IfMatch, &["*", "\"0123abcd-5\"", "0123abcd"]);
    respelled(Grammar::IfMatch, &[(" \"a\" ", "\"a\""), (",, \"a\" ,", "\"a\"")]);
    respelled(Grammar::IfNoneMatch, &[("\"a\",, \"b\",", "\"a\", \"b\"")]);
    refused(Grammar::IfMatch, Rule::BadArgument, &["", ",", "\"", "\"a", "a\"b", "*, \"a\"", &many(65)]);
    // A weak tag and a tag that MinIO never issues match nothing.
    respelled(
        Grammar::IfMatch,
        &[("W/\"a\"", NO_TAG), ("\"a_b\"", NO_TAG), ("W/\"a\", \"b\"", "\"b\""), ("\"a\",b", "\"a\", \"b\"")],
    );
    as_is(Grammar::IfMatch, &["\"a\", \"b\"", &many(64)]);
    refused(
        Grammar::IfMatchOfWrite,
        Rule::BadArgument,
        &["", "\"", "\"a", "W/\"a\"", "\"a\", \"b\"", "\"a_b\"", "a\"b"],
    );
    let listed: Vec<&str> = tags_of_store("\"a\", \"b\"").collect();
    assert_eq!((listed, tags_of_store("a").collect()), (vec!["a", "b"], vec!["a"]));
    as_is(Grammar::IfNoneMatch, &["*", "\"a\""]);
    // Entity tags are compared weakly. A tag that MinIO never issues cannot match.
    respelled(Grammar::IfNoneMatch, &[("W/\"a\"", "\"a\""), ("\"a_b\", \"a\"", "\"a\"")]);
    left_out(Grammar::IfNoneMatch, &["\"a:gzip\"", "\"\""]);
    as_is(Grammar::IfNoneMatch, &["\"a\", \"b\""]);
    respelled(Grammar::IfNoneMatch, &[("\"a\" ,W/\"b\",c,\"a_b\"", "\"a\", \"b\", \"c\"")]);
    refused(Grammar::IfNoneMatch, Rule::BadArgument, &["", "\"a", "\"a\" \"b\"", "*, \"a\"\"", "\"a\u{1}\""]);
    refused(Grammar::IfNoneMatchOfWrite, Rule::BadArgument, &["\"a\", \"b\"", "W/\"a\""]);
    let date = "Sat, 28 Nov 2026 06:00:00 GMT";
    as_is(Grammar::Date, &[date]);
    respelled(
        Grammar::Date,
        &[
            ("Saturday, 28-Nov-26 06:00:00 GMT", date),
            ("Sat Nov 28 06:00:00 2026", date),
            ("Fri, 28 Nov 2026 06:00:00 GMT", date),
        ],
    );
    left_out(Grammar::Date, &["", "yesterday", "0"]);
    as_is(Grammar::IfRange, &["\"a\"", date]);
    left_out(Grammar::IfRange, &["W/\"a\"", "a", "*", "\"a\", \"b\""]);
}

#[test]
fn object_descriptions() {
    as_is(Grammar::Override, &["text/plain; charset=utf-8", "attachment; filename=\"ü\"", "a\tb"]);
    refused(
        Grammar::Override,
        Rule::BadArgument,
        &["\u{1}", "a\u{7f}", "a\u{b}", "a\r\nb", &"a".repeat(1025)],
    );
    left_out(Grammar::ContentText, &[""]);
    as_is(Grammar::ContentType, &["text/plain", "binary/octet-stream"]);
    refused(Grammar::ContentType, Rule::BadArgument, &["ü", "a\u{8}", &"a".repeat(257)]);
    as_is(Grammar::ContentEncoding, &["gzip", "gzip, br"]);
    respelled(Grammar::ContentEncoding, &[("gzip, aws-chunked", "gzip"), ("AWS-Chunked,gzip", "gzip")]);
    left_out(Grammar::ContentEncoding, &["", "aws-chunked", " , "]);
    refused(Grammar::ContentEncoding, Rule::BadArgument, &["a b", "gzip;q=1", "\"gzip\""]);
    refused(Grammar::Metadata, Rule::BadArgument, &["a\u{1}", "a\u{7f}"]);
    as_is(Grammar::StorageClass, &["STANDARD", "REDUCED_REDUNDANCY"]);
    refused(Grammar::StorageClass, Rule::InvalidStorageClass, &["GLACIER", "standard"]);
    respelled(Grammar::ObjectAttributes, &[("ETag, ObjectSize", "ETag,ObjectSize")]);
    refused(Grammar::ObjectAttributes, Rule::BadArgument, &["", "ETag,ETag", "Owner"]);
    as_is(Grammar::Delimiter, &["/", "%", "ü"]);
    refused(Grammar::Delimiter, Rule::BadArgument, &["\n", "12345678901234567"]);
}

#[test]
fn tags() {
    as_is(Grammar::Tagging, &["a=b", "a=b&c=", "a%20b=%2B"]);
    respelled(Grammar::Tagging, &[("a", "a="), ("a+b=c", "a%20b=c"), ("%61=b", "a=b"), ("a=b&", "a=b")]);
    left_out(Grammar::Tagging, &[""]);
    let many = (0..11).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join("&");
    let long = format!("{}=v", "k".repeat(129));
    refused(
        Grammar::Tagging,
        Rule::InvalidTag,
        &["=v", "a=b&a=c", "a=b;c=d", "%zz=1", "a=%ff", "a=<", &many, &long, "a=\u{e9}"],
    );
}

#[test]
fn checksums() {
    let crc = Grammar::Checksum(Algorithm::Crc32);
    as_is(crc, &["NhCmhg=="]);
    refused(
        crc,
        Rule::BadChecksum,
        &["", "NhCmhg", "NhCmhh==", "NhCmhg==-34359738368", "NhCmhg==-1", "AAAA", "NhCm\nhg=="],
    );
    as_is(Grammar::ObjectChecksum(Algorithm::Crc32), &["NhCmhg==", "NhCmhg==-2", "NhCmhg==-10000"]);
    refused(
        Grammar::ObjectChecksum(Algorithm::Crc32),
        Rule::BadChecksum,
        &["NhCmhg==-", "NhCmhg==-0", "NhCmhg==-01", "NhCmhg==-10001", "NhCmhg==-34359738368"],
    );
    as_is(Grammar::Checksum(Algorithm::Md5), &["kAFQmDzST7DWlj99KOF/cg=="]);
    refused(Grammar::Checksum(Algorithm::Md5), Rule::InvalidDigest, &["", "YWJyYWNhZGFicmE="]);
}

#[test]
fn words() {
    as_is(Grammar::EncodingType, &["url"]);
    respelled(Grammar::EncodingType, &[("URL", "url")]);
    left_out(Grammar::EncodingType, &[""]);
    refused(Grammar::EncodingType, Rule::BadArgument, &["xml"]);
    respelled(Grammar::Boolean, &[("True", "true")]);
    refused(Grammar::Boolean, Rule::BadArgument, &["yes"]);
    refused(Grammar::Directive, Rule::BadArgument, &["MERGE"]);
    respelled(Grammar::SdkChecksumAlgorithm, &[("crc64nvme", "CRC64NVME")]);
    left_out(Grammar::SdkChecksumAlgorithm, &["XXHASH128"]);
    refused(Grammar::ChecksumAlgorithm, Rule::BadChecksum, &["XXHASH128"]);
    respelled(Grammar::Flag, &[("x", "")]);
}

/// No grammar lets every value pass.
#[test]
fn no_grammar_passes_structure_that_a_store_could_read() {
    for grammar in all() {
        for hostile in ["a\u{1}b", "a\r\nb", "a\u{7f}"] {
            for dialect in [Dialect::Minio, Dialect::S3] {
                let read = grammar.read(hostile, dialect);
                assert_ne!(read, Ok(Spelling::AsIs), "{grammar:?} {hostile:?}");
            }
        }
    }
}

thread_local! {
    /// The compiled patterns.
    static PATTERNS: RefCell<BTreeMap<&'static str, Regex>> = RefCell::default();
}

fn is_of_form(form: Form, value: &str) -> bool {
    match form {
        Form::Pattern(pattern) => PATTERNS.with_borrow_mut(|patterns| {
            patterns.entry(pattern).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(value)
        }),
        Form::Key => is_position(value) && !value.contains(char::is_control),
        Form::EncodedKey => {
            use base64::Engine as _;
            let decoded = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
            is_position(str::from_utf8(&decoded).unwrap())
        }
    }
}

fn is_position(key: &str) -> bool {
    !key.contains("[minio_cache") && !key.contains("//")
}

fn value() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("[minio_cache:v2,return:]".to_owned()),
        Just("[minio_cache:v2,id:../x]".to_owned()),
        Just("media/".to_owned()),
        Just("bytes=".to_owned()),
        Just(VERSION.to_owned()),
        Just(UPLOAD.to_owned()),
        Just("NhCmhg==".to_owned()),
        Just("W/\"a\"".to_owned()),
        Just(base64("media/a[minio_cache:v2,return:]")),
        "[0-9,=&*\"%+.-]{1,6}",
        "[a-zA-Z/ ]{1,8}",
        "\\PC{0,4}",
        "[\\x00-\\x1f\\x7f]{0,2}",
    ];
    proptest::collection::vec(word, 0..4).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// Whatever the client sends, the store receives the documented form, which reads as itself.
    #[test]
    fn the_store_receives_the_documented_form(value in value()) {
        for grammar in all() {
            for dialect in [Dialect::Minio, Dialect::S3] {
                let sent = match grammar.read(&value, dialect) {
                    Ok(Spelling::AsIs) => value.clone(),
                    Ok(Spelling::As(sent)) => sent,
                    Ok(Spelling::LeftOut) | Err(_) => continue,
                };
                prop_assert_eq!(grammar.read(&sent, dialect), Ok(Spelling::AsIs), "{:?} {:?}", grammar, sent);
                if grammar != Grammar::IfRange {
                    prop_assert!(is_of_form(grammar.form(dialect), &sent), "{:?} {:?}", grammar, sent);
                }
            }
        }
    }
}
