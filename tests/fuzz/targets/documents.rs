//! Request documents: what is written for the store is within their grammar and parses to the same document. An input
//! is a document of any kind.

use scopegate::internals::{Algorithm, Completion, Deletion, Dialect, Tagging};

pub(crate) const WORDS: &[&[u8]] = &[
    b"<CompleteMultipartUpload>",
    b"</CompleteMultipartUpload>",
    b"<Part>",
    b"</Part>",
    b"<Part/>",
    b"<PartNumber>1</PartNumber>",
    b"<PartNumber>10000</PartNumber>",
    b"<ETag>\"0123456789abcdef0123456789abcdef\"</ETag>",
    b"<ETag>&quot;0123456789abcdef0123456789abcdef-7&quot;</ETag>",
    b"<ETag>\"</ETag>",
    b"<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>",
    b"<ChecksumCRC32>y/Q5Jg==-3</ChecksumCRC32>",
    b"<Tagging>",
    b"</Tagging>",
    b"<TagSet>",
    b"</TagSet>",
    b"<Tag><Key>a</Key><Value>b</Value></Tag>",
    b"<Tag><Value/><Key>c</Key></Tag>",
    b"<Delete>",
    b"</Delete>",
    b"<Object><Key>media/a</Key></Object>",
    b"<VersionId>null</VersionId>",
    b"<Quiet>true</Quiet>",
    b" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"",
    b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    b"<!-- -->",
    b"<![CDATA[",
    b"]]>",
    b"&#34;",
    b"&#x0;",
    b"&lt;",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"-34359738368",
    b"\xc3\xbc",
    b"\r\n",
];

pub(crate) fn check(input: &[u8]) -> String {
    if let Ok(completion) = Completion::parse(input, Dialect::S3) {
        let written = completion.document();
        let parts = read_completion(&written).unwrap_or_else(|| panic!("outside the grammar: {written}"));
        assert_eq!(parts, completion.parts());
        assert_eq!(Completion::parse(written.as_bytes(), Dialect::S3), Ok(completion));
        return format!("completion of {}", parts.min(3));
    }
    if let Ok(tagging) = Tagging::parse(input) {
        let written = tagging.document();
        let tags = read_tagging(&written).unwrap_or_else(|| panic!("outside the grammar: {written}"));
        assert_eq!(Tagging::parse(written.as_bytes()), Ok(tagging));
        return format!("tagging of {}", tags.min(3));
    }
    match Deletion::parse(input) {
        Ok(deletion) => {
            assert!((1..=1000).contains(&deletion.objects.len()));
            assert!(deletion.objects.iter().all(|named| !named.key.is_empty()));
            format!("deletion of {}", deletion.objects.len().min(3))
        }
        Err(refusal) => format!("{:?} {}", refusal.rule, refusal.message.len()),
    }
}

const NAMESPACE: &str = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";

/// Returns the number of parts if a completion is within the grammar.
fn read_completion(written: &str) -> Option<usize> {
    let inside = written.strip_prefix("<CompleteMultipartUpload")?.strip_prefix(NAMESPACE)?;
    let mut rest = inside.strip_suffix("</CompleteMultipartUpload>")?;
    let (mut last, mut parts) = (0, 0);
    while !rest.is_empty() {
        let (number, behind) =
            rest.strip_prefix("<Part><PartNumber>")?.split_once("</PartNumber><ETag>\"")?;
        let (etag, behind) = behind.split_once("\"</ETag>")?;
        let (sum, behind) = behind.split_once("</Part>")?;
        let number = number.parse::<u32>().ok().filter(|read| read.to_string() == number)?;
        let is_tag = etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if number <= last || number > 10_000 || !is_tag || !(1..=128).contains(&etag.len()) || !is_sum(sum) {
            return None;
        }
        (last, parts, rest) = (number, parts + 1, behind);
    }
    Some(parts)
}

/// Reports whether a text is empty or one checksum element.
fn is_sum(text: &str) -> bool {
    let is_of = |algorithm: &Algorithm| {
        let name = algorithm.element();
        let value =
            text.strip_prefix(&format!("<{name}>")).and_then(|text| text.strip_suffix(&format!("</{name}>")));
        value.is_some_and(|value| {
            let plain = value.trim_end_matches('=');
            value.len() == algorithm.size().div_ceil(3) * 4
                && value.len() - plain.len() == (3 - algorithm.size() % 3) % 3
                && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        })
    };
    text.is_empty() || Algorithm::ALL.iter().filter(|algorithm| **algorithm != Algorithm::Md5).any(is_of)
}

/// Returns the number of tags if a tagging is within the grammar.
fn read_tagging(written: &str) -> Option<usize> {
    let inside = written.strip_prefix("<Tagging")?.strip_prefix(NAMESPACE)?.strip_prefix("<TagSet>")?;
    let mut rest = inside.strip_suffix("</TagSet></Tagging>")?;
    let mut keys: Vec<&str> = Vec::new();
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
    while !rest.is_empty() {
        let (key, behind) = rest.strip_prefix("<Tag><Key>")?.split_once("</Key><Value>")?;
        let (value, behind) = behind.split_once("</Value></Tag>")?;
        let (of_key, of_value) = (key.chars().count(), value.chars().count());
        let fits = (1..=128).contains(&of_key) && of_value <= 256 && is_plain(key) && is_plain(value);
        if !fits || keys.contains(&key) || keys.len() == 10 {
            return None;
        }
        keys.push(key);
        rest = behind;
    }
    Some(keys.len())
}
