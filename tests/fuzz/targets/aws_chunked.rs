//! The aws-chunked envelope: content that is reported as complete is the content that a second reader finds, however it
//! arrives, and is never longer than announced. An input is a line `LENGTH CHECKSUM`, each of which may be `-`, and
//! the envelope after it.

use super::reference::find;
use super::script::cut;
use bytes::Bytes;
use scopegate::internals::{Algorithm, Decoder, Envelope, EnvelopeError};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"3\r\nabc\r\n",
    b"5 -\n",
    b"- -\n",
    b"- x-amz-checksum-crc32\n",
    b"3 x-amz-checksum-crc64nvme\n",
    b"x-amz-checksum-crc32:AAAAAA==\r\n",
    b"x-amz-trailer-signature:00\r\n",
    b";chunk-signature=",
    b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    b"****************",
    b"ffffffffffffffff",
    b"0000",
    b"a:b\r\n",
];

type Read = (Vec<u8>, Option<String>);
type Trailers = Vec<(String, String)>;

pub(crate) fn check(input: &[u8]) -> String {
    let Some((envelope, text)) = read_envelope(input) else { return "no envelope".to_owned() };
    let whole = decode(envelope, [text.to_vec()]);
    let pieces = decode(envelope, cut(text, false).into_iter().flatten());
    assert_eq!(whole, pieces, "the result depends on how the input is split");
    match whole {
        Ok((content, checksum)) => {
            let (second, trailers) = read(text).expect("the second reader accepts it");
            assert_eq!(content, second);
            assert!(
                envelope.decoded.is_none_or(|length| length == content.len() as u64),
                "the content has another length than announced"
            );
            let name = envelope.trailer.map(Algorithm::header);
            let sums: Vec<&String> =
                trailers.iter().filter(|(have, _)| Some(&**have) == name).map(|(_, sum)| sum).collect();
            assert_eq!(sums, checksum.iter().collect::<Vec<_>>(), "another checksum");
            format!("{envelope:?} {}", trailers.len())
        }
        Err(why) => why.to_owned(),
    }
}

fn read_envelope(input: &[u8]) -> Option<(Envelope, &[u8])> {
    let end = find(input, b"\n")?;
    let (length, name) = std::str::from_utf8(&input[..end]).ok()?.split_once(' ')?;
    let decoded = if length == "-" { None } else { Some(length.parse().ok()?) };
    let trailer = if name == "-" { None } else { Some(Algorithm::of_header(name)?) };
    Some((Envelope { decoded, trailer }, &input[end + 1..]))
}

fn why(error: EnvelopeError) -> &'static str {
    match error {
        EnvelopeError::Malformed(why) => why,
        EnvelopeError::Signature => "signature",
    }
}

fn decode(envelope: Envelope, pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<Read, &'static str> {
    let mut decoder = Decoder::new(envelope);
    let mut content = Vec::new();
    for piece in pieces {
        let mut piece = Bytes::from(piece);
        while let Some(data) = decoder.next(&mut piece).map_err(why)? {
            content.extend_from_slice(&data);
            assert!(
                envelope.decoded.is_none_or(|length| content.len() as u64 <= length),
                "the content is longer than announced"
            );
        }
    }
    let checksum = decoder.finish().map_err(why)?;
    Ok((content, checksum.map(|checksum| checksum.base64())))
}

/// Reads the content and trailers of an envelope with independent code.
fn read(mut rest: &[u8]) -> Option<(Vec<u8>, Trailers)> {
    let mut content = Vec::new();
    loop {
        let line = take_line(&mut rest)?;
        let (digits, signature) = line.split_once(";chunk-signature=").unwrap_or((line, ""));
        if digits.is_empty()
            || !digits.bytes().chain(signature.bytes()).all(|b| b.is_ascii_hexdigit() || b == b'*')
        {
            return None;
        }
        let size = usize::from_str_radix(digits, 16).ok()?;
        if size == 0 {
            break;
        }
        content.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    let mut trailers = Trailers::new();
    loop {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            return rest.is_empty().then_some((content, trailers));
        }
        let (name, value) = line.strip_suffix('\n').unwrap_or(line).split_once(':')?;
        trailers.push((name.to_ascii_lowercase(), value.trim_matches(' ').to_owned()));
    }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = find(rest, b"\r\n")?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 2..];
    Some(line)
}
