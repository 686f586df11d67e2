//! The document of `CompleteMultipartUpload`.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
//!
//! MinIO's time grows with the square of the number of parts, it uses a part twice that is named twice, and it panics
//! on an entity tag that is a lone quotation mark. So parts must be in ascending order, each at most once.

use super::elements::{Elements, Shown};
use crate::authorize::operations::grammar::Dialect;
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::{Algorithm, Checksum};
use crate::s3::limits::MAX_PARTS;
use crate::s3::xml::Document;

const ROOT: &str = "CompleteMultipartUpload";
/// Maximum length of a text: another store's entity tag in quotation marks.
const MAX_TEXT: usize = 256;
/// Maximum length of an entity tag without quotation marks. MinIO's have 32 digits and a number of parts.
const MAX_ETAG: usize = 128;

/// The parts that an upload is completed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    number: u32,
    etag: String,
    sum: Option<Checksum>,
}

impl Part {
    /// Creates a part from the store's response.
    pub fn stored(number: u32, etag: &str, sum: Option<Checksum>) -> Self {
        Self { number, etag: unquoted(etag).unwrap_or(etag).to_owned(), sum }
    }
}

impl Completion {
    /// Creates a completion of stored parts, in the given order.
    pub fn of(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Parses a document for a kind of store.
    ///
    /// # Errors
    /// When it is malformed, a part is invalid, or the parts are not in ascending order.
    pub fn parse(document: &[u8], dialect: Dialect) -> Result<Self, Refusal> {
        let mut xml = Elements::open(ROOT, document)?;
        let mut parts: Vec<Part> = Vec::new();
        while let Some(name) = xml.child()? {
            if name != "Part" {
                return Err(xml.misplaced(&name));
            }
            let part = part(&mut xml, dialect)?;
            if let Some(last) = parts.last().filter(|last| last.number >= part.number) {
                return Err(order(last.number, part.number));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Err(xml.malformed("it has no Part"));
        }
        xml.finish()?;
        Ok(Self { parts })
    }

    /// Returns the number of parts.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Writes the document for the store.
    pub fn document(&self) -> String {
        let mut xml = Document::request(ROOT);
        for Part { number, etag, sum } in &self.parts {
            xml.open("Part");
            xml.element("PartNumber", &number.to_string());
            // Entity tags are visible ASCII, whether they come from the store or a client.
            let _ = xml.exact_element("ETag", &format!("\"{etag}\""));
            if let Some(sum) = sum {
                xml.element(sum.algorithm().element(), &sum.base64());
            }
            xml.close("Part");
        }
        xml.finish(ROOT)
    }
}

fn part(xml: &mut Elements<'_>, dialect: Dialect) -> Result<Part, Refusal> {
    let (mut number, mut etag, mut sum) = (None, None, None);
    while let Some(name) = xml.child()? {
        match &*name {
            "PartNumber" if number.is_none() => number = Some(part_number(&xml.text(MAX_TEXT)?)?),
            "ETag" if etag.is_none() => etag = Some(entity_tag(&xml.text(MAX_TEXT)?, dialect)?),
            _ if sum.is_none() => {
                let algorithm = Algorithm::of_element(&name).ok_or_else(|| xml.misplaced(&name))?;
                sum = Some(checksum(algorithm, &xml.text(MAX_TEXT)?)?);
            }
            _ => return Err(xml.misplaced(&name)),
        }
    }
    match (number, etag) {
        (Some(number), Some(etag)) => Ok(Part { number, etag, sum }),
        (None, _) => Err(xml.malformed("a Part has no PartNumber")),
        (_, None) => Err(xml.malformed("a Part has no ETag")),
    }
}

fn part_number(text: &str) -> Result<u32, Refusal> {
    let digits = text.len() <= 5 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=MAX_PARTS).contains(number));
    number.ok_or_else(|| {
        let why = format!("the PartNumber {:?} is not a number from 1 to {MAX_PARTS}", Shown(text));
        Refusal::new(Rule::MalformedDocument, why)
    })
}

/// Parses the entity tag of a part. MinIO's is an MD5 in hexadecimal, followed by a number of parts if the part is a
/// copy.
fn entity_tag(text: &str, dialect: Dialect) -> Result<String, Refusal> {
    let is_tag = |tag: &&str| match dialect {
        Dialect::Minio => {
            let (hash, parts) = tag.split_once('-').unwrap_or((tag, "0"));
            hash.len() == 32
                && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                && (1..=5).contains(&parts.len())
                && parts.bytes().all(|byte| byte.is_ascii_digit())
        }
        Dialect::S3 => {
            (1..=MAX_ETAG).contains(&tag.len())
                && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
    };
    unquoted(text).filter(is_tag).map(str::to_owned).ok_or_else(|| {
        let why = format!(
            "the ETag {:?} is not the ETag of a part: send the one from the response to UploadPart",
            Shown(text)
        );
        Refusal::new(Rule::InvalidPart, why)
    })
}

/// Removes the quotation marks, or returns `None` if one of the two is missing.
fn unquoted(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(text),
    }
}

fn checksum(algorithm: Algorithm, text: &str) -> Result<Checksum, Refusal> {
    Checksum::parse(algorithm, text.as_bytes()).map_err(|_| {
        let why = format!(
            "the {} {:?} of a part is not {} bytes in base64",
            algorithm.element(),
            Shown(text),
            algorithm.size()
        );
        Refusal::new(Rule::InvalidPart, why)
    })
}

fn order(last: u32, next: u32) -> Refusal {
    let why = format!("part {next} comes after part {last}: name each part once, in ascending order");
    Refusal::new(Rule::PartOrder, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "0123456789abcdef0123456789abcdef";

    fn refused(document: &str) -> Option<Rule> {
        Completion::parse(document.as_bytes(), Dialect::Minio).err().map(|refusal| refusal.rule)
    }

    fn whole(parts: &str) -> String {
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
    }

    fn numbered(numbers: impl IntoIterator<Item = u32>) -> String {
        let part = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>{TAG}</ETag></Part>");
        whole(&numbers.into_iter().map(part).collect::<String>())
    }

    /// The spellings of SDKs, s3cmd and other clients.
    #[test]
    fn reads_the_completions_of_known_clients() {
        let expected = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Part><PartNumber>1</PartNumber><ETag>\"0123456789abcdef0123456789abcdef\"</ETag></Part>\
            <Part><PartNumber>10000</PartNumber><ETag>\"0123456789abcdef0123456789abcdef-7\"</ETag>\
            <ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part></CompleteMultipartUpload>";
        for client in [
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part>\
             <ETag>\"TAG\"</ETag><PartNumber>1</PartNumber></Part><Part><ETag>\"TAG-7\"</ETag>\
             <ChecksumCRC32>y/Q5Jg==</ChecksumCRC32><PartNumber>10000</PartNumber></Part></CompleteMultipartUpload>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUpload>\r\n  <Part>\n    \
             <PartNumber>1</PartNumber>\n    <ETag>&quot;TAG&quot;</ETag>\n  </Part>\n\t<Part>\
             <PartNumber>10000</PartNumber><ETag>&#34;TAG-7&#34;</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>\
             </Part>\n</CompleteMultipartUpload>\n",
            "<CompleteMultipartUpload xmlns:a=\"b\"><Part><PartNumber>1</PartNumber><ETag>TAG</ETag></Part><Part>\
             <PartNumber>10000</PartNumber><ETag>TAG-7</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part>\
             </CompleteMultipartUpload>",
        ] {
            let read = Completion::parse(client.replace("TAG", TAG).as_bytes(), Dialect::Minio).unwrap();
            assert_eq!(read.document(), expected, "{client}");
        }
    }

    #[test]
    fn rejects_invalid_completions() {
        use Rule::{InvalidPart, MalformedDocument, PartOrder};
        let one = |number: &str, etag: &str, more: &str| {
            whole(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{more}</Part>"))
        };
        let number = format!("<PartNumber>1</PartNumber><ETag>{TAG}</ETag>");
        let sum = "<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>";
        let cases = [
            (String::new(), MalformedDocument),
            (whole(""), MalformedDocument),
            (whole("<Part/>"), MalformedDocument),
            (whole("<Part><PartNumber>1</PartNumber></Part>"), MalformedDocument),
            (whole(&format!("<Part><ETag>{TAG}</ETag></Part>")), MalformedDocument),
            (whole("text"), MalformedDocument),
            (whole("<Other/>"), MalformedDocument),
            (whole(&format!("<Part a=\"b\">{number}</Part>")), MalformedDocument),
            (whole(&format!("<Part>{number}</Part><!-- c -->")), MalformedDocument),
            (whole(&format!("<Part>{number}</Part><?p i?>")), MalformedDocument),
            (whole(&format!("<Part>text{number}</Part>")), MalformedDocument),
            (whole(&format!("<Part>{number}{number}</Part>")), MalformedDocument),
            (whole(&format!("<Part>{number}<Size>1</Size></Part>")), MalformedDocument),
            (whole(&format!("<Part>{number}{sum}{sum}</Part>")), MalformedDocument),
            (whole(&format!("<Part>{number}</Part>")) + "x", MalformedDocument),
            (whole(&format!("<Part>{number}</Part>")) + "<a/>", MalformedDocument),
            (format!("<CompleteMultipartUpload><Part>{number}</Part>"), MalformedDocument),
            (format!("<Other><Part>{number}</Part></Other>"), MalformedDocument),
            (format!("<!DOCTYPE a>{}", whole(&format!("<Part>{number}</Part>"))), MalformedDocument),
            (one("0", TAG, ""), MalformedDocument),
            (one("01", TAG, ""), MalformedDocument),
            (one("+1", TAG, ""), MalformedDocument),
            (one("-1", TAG, ""), MalformedDocument),
            (one(" 1", TAG, ""), MalformedDocument),
            (one("", TAG, ""), MalformedDocument),
            (one("10001", TAG, ""), MalformedDocument),
            (one("99999999999999999999", TAG, ""), MalformedDocument),
            (one("1<a/>", TAG, ""), MalformedDocument),
            (one("1", "\"", ""), InvalidPart),
            (one("1", "\"\"", ""), InvalidPart),
            (one("1", "", ""), InvalidPart),
            (one("1", &format!("\"{TAG}"), ""), InvalidPart),
            (one("1", &format!("{TAG}\""), ""), InvalidPart),
            (one("1", &format!(" {TAG}"), ""), InvalidPart),
            (one("1", "a/b", ""), InvalidPart),
            (one("1", "an-opaque-tag", ""), InvalidPart),
            (one("1", &TAG.to_uppercase(), ""), InvalidPart),
            (one("1", &format!("{TAG}-123456"), ""), InvalidPart),
            (one("1", &format!("{TAG}-"), ""), InvalidPart),
            (one("1", &"a".repeat(129), ""), InvalidPart),
            (one("1", &"a".repeat(300), ""), MalformedDocument),
            (one("1", TAG, "<ChecksumCRC32/>"), InvalidPart),
            (one("1", TAG, "<ChecksumCRC32>y/Q5Jg==-1</ChecksumCRC32>"), InvalidPart),
            (one("1", TAG, "<ChecksumCRC32>y/Q5Jh==</ChecksumCRC32>"), InvalidPart),
            (one("1", TAG, "<ChecksumCRC32>y/Q5Jg</ChecksumCRC32>"), InvalidPart),
            (one("1", TAG, "<ChecksumMD5>AAAAAAAAAAAAAAAAAAAAAA==</ChecksumMD5>"), MalformedDocument),
            (numbered([1, 1]), PartOrder),
            (numbered([2, 1]), PartOrder),
            (numbered([1, 3, 2]), PartOrder),
        ];
        for (document, rule) in cases {
            assert_eq!(refused(&document), Some(rule), "{document}");
        }
        assert_eq!(
            Completion::parse(b"<CompleteMultipartUpload>\xff", Dialect::Minio).err().map(|r| r.rule),
            Some(MalformedDocument)
        );
    }

    #[test]
    fn accepts_ten_thousand_parts_and_no_more() {
        let most = numbered(1..=MAX_PARTS);
        let sums = "<ETag>&quot;TAG&quot;</ETag><ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ChecksumSHA256>";
        let verbose = most.replace(&format!("<ETag>{TAG}</ETag>"), &sums.replace("TAG", TAG));
        assert!(verbose.len() < super::super::Kind::Complete.most(), "{}", verbose.len());
        assert!(Completion::parse(verbose.as_bytes(), Dialect::Minio).is_ok());
        assert_eq!(Completion::parse(most.as_bytes(), Dialect::Minio).unwrap().parts(), 10_000);
        assert_eq!(refused(&numbered(1..=MAX_PARTS + 1)), Some(Rule::MalformedDocument));
    }

    proptest! {
        /// Writing normalises a document: reading the result gives the same completion.
        #[test]
        fn written_documents_read_as_the_same(
            numbers in prop::collection::btree_set(1..=MAX_PARTS, 1..20),
            etag in "[A-Za-z0-9-]{1,128}", quoted in any::<bool>(),
        ) {
            let etag = if quoted { format!("\"{etag}\"") } else { etag };
            let part = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
            let read = Completion::parse(whole(&numbers.iter().map(part).collect::<String>()).as_bytes(), Dialect::S3).unwrap();
            prop_assert_eq!(Completion::parse(read.document().as_bytes(), Dialect::S3), Ok(read));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[<>/&;a-zA-Z1 \"!\\[\\]-]{0,80}") {
            let _ = (Completion::parse(&bytes, Dialect::Minio), Completion::parse(text.as_bytes(), Dialect::S3), Completion::parse(whole(&text).as_bytes(), Dialect::S3));
        }
    }
}
