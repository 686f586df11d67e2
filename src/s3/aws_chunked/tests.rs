//! The envelope's grammar as a table, and properties about splits and garbage.

use super::*;
use crate::s3::checksum::Hasher;
use proptest::prelude::*;

/// Returns the content and the checksum of a `body` that arrives in pieces of these lengths.
fn decode(
    envelope: Envelope,
    body: &[u8],
    lengths: &[usize],
) -> Result<(Vec<u8>, Option<Checksum>), EnvelopeError> {
    let mut decoder = Decoder::new(envelope);
    let (mut rest, mut inside) = (Bytes::copy_from_slice(body), Vec::new());
    let mut lengths = lengths.iter().copied().filter(|length| *length > 0).cycle();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
        let mut input = rest.split_to(length);
        while let Some(piece) = decoder.next(&mut input)? {
            assert!(!piece.is_empty());
            inside.extend_from_slice(&piece);
        }
    }
    assert!(decoder.decoded == inside.len() as u64);
    decoder.finish().map(|sum| (inside, sum))
}

const fn announced(decoded: u64) -> Envelope {
    Envelope { decoded: Some(decoded), trailer: None }
}

const NOTHING: Envelope = Envelope { decoded: None, trailer: None };
const CRC32: Envelope = Envelope { decoded: None, trailer: Some(Algorithm::Crc32) };

#[test]
fn envelopes_as_clients_write_them() {
    let signature = "a".repeat(64);
    let ecdsa = format!("{}{}", "3".repeat(140), "****");
    let crc = {
        let mut hasher = Hasher::new(Algorithm::Crc32);
        hasher.update(b"hello world");
        hasher.finish()
    };
    let sum = crc.base64();
    let cases: [(Envelope, String, bool); 9] = [
        (announced(11), "b\r\nhello world\r\n0\r\n\r\n".to_owned(), false),
        (NOTHING, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_owned(), false),
        (NOTHING, "000B\r\nhello world\r\n0000\r\n\r\n".to_owned(), false),
        (
            announced(11),
            format!("b;chunk-signature={signature}\r\nhello world\r\n0;chunk-signature={signature}\r\n\r\n"),
            false,
        ),
        (
            announced(11),
            format!("B;chunk-signature={ecdsa}\r\nhello world\r\n0;chunk-signature={ecdsa}\r\n\r\n"),
            false,
        ),
        (CRC32, format!("b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n"), true),
        (CRC32, format!("b\r\nhello world\r\n0\r\nX-Amz-Checksum-Crc32: {sum}\r\n\r\n"), true),
        // In minio-go's spelling.
        (
            CRC32,
            format!(
                "b;chunk-signature={signature}\r\nhello world\r\n0;chunk-signature={signature}\r\n\
                 x-amz-checksum-crc32:{sum}\n\r\nx-amz-trailer-signature:{signature}\r\n\r\n"
            ),
            true,
        ),
        (
            Envelope { decoded: Some(11), ..CRC32 },
            format!(
                "b;chunk-signature={signature}\r\nhello world\r\n0;chunk-signature={signature}\r\n\
                 x-amz-checksum-crc32:{sum}\r\nx-amz-trailer-signature:{signature}\r\n\r\n"
            ),
            true,
        ),
    ];
    for (envelope, body, summed) in cases {
        let expected = Ok((b"hello world".to_vec(), summed.then(|| crc.clone())));
        assert_eq!(decode(envelope, body.as_bytes(), &[]), expected, "{body:?}");
        assert_eq!(decode(envelope, body.as_bytes(), &[1]), expected, "byte by byte: {body:?}");
    }
    assert_eq!(decode(announced(0), b"0\r\n\r\n", &[]), Ok((Vec::new(), None)));
}

#[test]
fn malformed_envelopes_are_refused() {
    let long = format!("1;chunk-signature={}\r\na\r\n0\r\n\r\n", "a".repeat(145));
    let many = format!("0\r\n{}\r\n", "x-amz-trailer-signature:a\r\n".repeat(5));
    let cases: [(Envelope, &[u8]); 33] = [
        (NOTHING, b""),
        (NOTHING, b"0"),
        (NOTHING, b"0\r\n"),
        (NOTHING, b"1\r\na\r\n"),
        (NOTHING, b"1\r\na"),
        (NOTHING, b"plain content"),
        (NOTHING, b"0\n\n"),
        (NOTHING, b"1\na\n0\n\n"),
        (NOTHING, b"1\r\nab\r\n0\r\n\r\n"),
        (NOTHING, b"2\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"+1\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"-1\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"0x1\r\na\r\n0\r\n\r\n"),
        (NOTHING, b" 1\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"1 \r\na\r\n0\r\n\r\n"),
        (NOTHING, b"\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"1;a=b\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"1;chunk-signature=\r\na\r\n0\r\n\r\n"),
        (NOTHING, b"1;chunk-signature=abc\r\na\r\n0\r\n\r\n"),
        (NOTHING, long.as_bytes()),
        (NOTHING, b"ffffffffffffffff0\r\n"),
        (NOTHING, b"1\r\na\r\nffffffffffffffff\r\n"),
        (NOTHING, b"1\r\na\r\n0\r\n\r\nmore"),
        (NOTHING, b"1\r\na\r\n0\r\n\r\n\r\n"),
        (NOTHING, b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
        (NOTHING, many.as_bytes()),
        (announced(2), b"1\r\na\r\n0\r\n\r\n"),
        (announced(1), b"2\r\nab\r\n0\r\n\r\n"),
        (CRC32, b"1\r\na\r\n0\r\n\r\n"),
        (CRC32, b"0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n"),
        (CRC32, b"0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"),
        (CRC32, b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
        (CRC32, b"0\r\nx-amz-checksum-crc32 AAAAAA==\r\n\r\n"),
    ];
    for (envelope, body) in cases {
        let whole = decode(envelope, body, &[]);
        assert!(whole.is_err(), "{:?}", String::from_utf8_lossy(body));
        assert_eq!(decode(envelope, body, &[1]), whole, "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn lines_without_an_end_are_not_collected() {
    for (state, limit) in
        [(State::ChunkLine, MAX_CHUNK_LINE), (State::Trailers, MAX_TRAILER_LINE), (State::DataEnd, 2)]
    {
        let mut decoder = Decoder::new(NOTHING);
        decoder.state = state;
        let mut endless = Bytes::from(vec![b'1'; 1 << 20]);
        assert!(decoder.next(&mut endless).is_err());
        assert!(decoder.line.len() <= limit);
    }
}

/// Returns an envelope around `pieces`, as a client would write it.
fn wrap(pieces: &[Vec<u8>], signed: bool, trailer: Option<Algorithm>) -> Vec<u8> {
    let signature = if signed { format!(";chunk-signature={}", "0".repeat(64)) } else { String::new() };
    let mut body = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        body.extend_from_slice(format!("{:x}{signature}\r\n", piece.len()).as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0{signature}\r\n").as_bytes());
    if let Some(algorithm) = trailer {
        let mut hasher = Hasher::new(algorithm);
        for piece in pieces {
            hasher.update(piece);
        }
        body.extend_from_slice(format!("{}:{}\r\n", algorithm.header(), hasher.finish().base64()).as_bytes());
    }
    body.extend_from_slice(b"\r\n");
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn splits_do_not_matter(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..6),
        lengths in proptest::collection::vec(1..40_usize, 1..8),
        signed in any::<bool>(), algorithm in proptest::option::of(0..5_usize), known in any::<bool>(),
    ) {
        let trailer = algorithm.map(|index| Algorithm::ALL[index]);
        let body = wrap(&pieces, signed, trailer);
        let content = pieces.concat();
        let envelope = Envelope { decoded: known.then_some(content.len() as u64), trailer };
        let (inside, sum) = decode(envelope, &body, &lengths).unwrap();
        prop_assert_eq!(sum.is_some(), trailer.is_some());
        if let Some(sum) = sum {
            let mut hasher = Hasher::new(sum.algorithm());
            hasher.update(&inside);
            prop_assert_eq!(hasher.verify(&sum), Ok(()));
        }
        prop_assert_eq!(inside, content);
    }

    /// Damaged and random envelopes cause no panic, never yield more than announced, and decode the same in any
    /// split.
    #[test]
    fn damaged_envelopes_decode_the_same_in_any_split(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
        invented in proptest::option::of("[0-9a-f;:\\r\\n x-]{0,60}"),
        lengths in proptest::collection::vec(1..9_usize, 1..5),
        decoded in proptest::option::of(0..60_u64), trailed in any::<bool>(),
    ) {
        let trailer = trailed.then_some(Algorithm::Crc32);
        let mut body = invented.map_or_else(|| wrap(&pieces, trailed, trailer), String::into_bytes);
        for (at, byte, how) in damage {
            if body.is_empty() { break; }
            let at = at.index(body.len());
            match how { 0 => body[at] = byte, 1 => body.insert(at, byte), _ => { body.remove(at); } }
        }
        let envelope = Envelope { decoded, trailer };
        let whole = decode(envelope, &body, &[]);
        let split = decode(envelope, &body, &lengths);
        prop_assert_eq!(&whole, &split);
        if let (Ok((inside, _)), Some(decoded)) = (&whole, decoded) {
            prop_assert_eq!(inside.len() as u64, decoded);
        }
        let mut decoder = Decoder::new(envelope);
        let (mut input, mut passed) = (Bytes::from(body), 0);
        while let Ok(Some(piece)) = decoder.next(&mut input) { passed += piece.len() as u64; }
        prop_assert!(decoded.is_none_or(|decoded| passed <= decoded));
    }
}
