//! Sources of an upload's content: the client's body, the content of its envelope, or a held part.

use crate::outgoing::spool::SpoolFile;
use crate::outgoing::upload_error::UploadError;
use crate::s3::aws_chunked::{Decoder, Envelope};
use crate::s3::checksum::{Checksum, Hasher};
use crate::s3::signed_body::{ChunkChain, EMPTY_SHA256};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::Empty;
use http1::body::BoxError;
use http1::splice::{Pipe, SpliceBody};
use sha2::{Digest, Sha256};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf, Take};

/// Size of one read from a held part, in bytes.
const PIECE: usize = 64 * 1024;
/// Smaller pieces of an envelope are merged, because each piece that is passed on costs a write.
const SMALL: usize = 4 * 1024;
/// Maximum size of a merged piece, in bytes.
const TOGETHER: usize = 16 * 1024;

/// The content of an upload.
#[derive(Debug)]
pub(crate) enum Content<B> {
    /// The client's body.
    Plain(B),
    /// The client's body, whose SHA-256 is signed.
    Hashed(Box<Hashed<B>>),
    /// The content of the client's envelope.
    Enveloped(Box<Enveloped<B>>),
    /// A part held in memory.
    Held(Bytes),
    /// A held part that begins in memory and continues in a file.
    Spooled(Bytes, Take<SpoolFile>),
}

/// Content that does not come from a client.
pub(crate) type Held = Content<Empty<Bytes>>;

impl<B> Content<B> {
    /// Removes the envelope from the client's body. Its chunks must be signed in `chain`, if there is one.
    #[must_use]
    pub(crate) fn unwrap_envelope(self, envelope: Envelope, chain: Option<Box<ChunkChain>>) -> Self {
        match self {
            Self::Plain(body) => Self::Enveloped(Box::new(Enveloped::new(body, envelope, chain))),
            other => other,
        }
    }

    /// Requires the client's body to have this SHA-256.
    #[must_use]
    pub(crate) fn require_sha256(self, expected: [u8; 32]) -> Self {
        match self {
            Self::Plain(body) => {
                let hasher = Sha256::new();
                Self::Hashed(Box::new(Hashed { body, hasher, expected, last: None, has_ended: false }))
            }
            other => other,
        }
    }

    /// Returns the verified checksum that followed the content, once the content has ended.
    pub(crate) fn trailing_checksum(&self) -> Option<&Checksum> {
        match self {
            Self::Enveloped(enveloped) => enveloped.sum.as_ref(),
            _ => None,
        }
    }
}

impl<B> Body for Content<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self.get_mut() {
            Self::Plain(body) => {
                Pin::new(body).poll_frame(cx).map_err(|error| UploadError::Body(error.into()))
            }
            Self::Hashed(hashed) => hashed.poll_piece(cx),
            Self::Enveloped(enveloped) => enveloped.poll_piece(cx),
            Self::Held(part) => Poll::Ready(next_piece(part).map(|piece| Ok(Frame::data(piece)))),
            Self::Spooled(part, file) => match next_piece(part) {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None => poll_file(file, cx),
            },
        }
    }
}

impl<B> SpliceBody for Content<B>
where
    B: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, UploadError>> {
        match self {
            Self::Plain(body) => body.poll_splice(cx).map_err(|error| UploadError::Body(error.into())),
            // The bytes are verified, unwrapped or held here.
            Self::Hashed(_) | Self::Enveloped(_) | Self::Held(_) | Self::Spooled(..) => Poll::Ready(Ok(None)),
        }
    }
}

fn next_piece(part: &mut Bytes) -> Option<Bytes> {
    (!part.is_empty()).then(|| part.split_to(part.len().min(PIECE)))
}

fn poll_file(
    file: &mut Take<SpoolFile>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
    let mut piece = BytesMut::zeroed(PIECE);
    let mut buffer = ReadBuf::new(&mut piece);
    if let Err(error) = ready!(Pin::new(file).poll_read(cx, &mut buffer)) {
        return Poll::Ready(Some(Err(UploadError::Body(error.into()))));
    }
    let read = buffer.filled().len();
    piece.truncate(read);
    Poll::Ready((read > 0).then(|| Ok(Frame::data(piece.freeze()))))
}

/// A client's body whose SHA-256 is signed.
///
/// The last piece is held back until the hash of the whole body is verified, so that the store never has a whole body
/// that nobody signed.
#[derive(Debug)]
pub(crate) struct Hashed<B> {
    body: B,
    hasher: Sha256,
    expected: [u8; 32],
    last: Option<Bytes>,
    has_ended: bool,
}

impl<B> Hashed<B> {
    /// Returns whether the signed hash is that of an empty body.
    pub(crate) fn expects_nothing(&self) -> bool {
        self.expected == EMPTY_SHA256
    }
}

impl<B> Hashed<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    /// Returns whether the body has ended and is as empty as it was signed.
    pub(crate) fn is_over(&self) -> bool {
        self.expects_nothing() && self.last.is_none() && self.body.is_end_stream()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        while !self.has_ended {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) else { continue };
                    self.hasher.update(&data);
                    if let Some(earlier) = self.last.replace(data) {
                        return Poll::Ready(Some(Ok(Frame::data(earlier))));
                    }
                }
                Some(Err(error)) => return self.fail(UploadError::Body(error.into())),
                None => {
                    self.has_ended = true;
                    if self.hasher.finalize_reset()[..] != self.expected {
                        return self.fail(UploadError::Sha256);
                    }
                }
            }
        }
        Poll::Ready(self.last.take().map(|last| Ok(Frame::data(last))))
    }

    /// Ends with an error. Nothing follows it, even if more is read.
    fn fail(&mut self, error: UploadError) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        (self.has_ended, self.last) = (true, None);
        Poll::Ready(Some(Err(error)))
    }
}

/// A client's body without its aws-chunked envelope.
///
/// The last piece of an announced length is held back until the end of the envelope is verified. Otherwise the
/// recipient, who counts bytes, would have the whole content before a bad end is detected.
#[derive(Debug)]
pub(crate) struct Enveloped<B> {
    body: B,
    decoder: Decoder,
    input: Bytes,
    /// Small pieces that wait to be merged, or for the piece that must follow them.
    small: BytesMut,
    /// The piece that follows them.
    next: Option<Bytes>,
    last: Option<Bytes>,
    hasher: Option<Hasher>,
    sum: Option<Checksum>,
    ended: bool,
}

impl<B> Enveloped<B> {
    fn new(body: B, envelope: Envelope, chain: Option<Box<ChunkChain>>) -> Self {
        let hasher = envelope.trailer.map(Hasher::new);
        let mut decoder = Decoder::new(envelope);
        if let Some(chain) = chain {
            decoder.require_signatures(chain);
        }
        Self {
            body,
            decoder,
            input: Bytes::new(),
            small: BytesMut::new(),
            next: None,
            last: None,
            hasher,
            sum: None,
            ended: false,
        }
    }

    /// Verifies the end of the content.
    fn end(&mut self) -> Result<(), UploadError> {
        self.ended = true;
        let sum = self.decoder.finish()?;
        if let (Some(sum), Some(hasher)) = (&sum, self.hasher.take()) {
            hasher.verify(sum)?;
        }
        self.sum = sum;
        Ok(())
    }

    /// Returns the next piece of the data read so far, if it is large enough to pass on.
    fn next_piece(&mut self) -> Result<Option<Bytes>, UploadError> {
        if let Some(piece) = self.next.take() {
            return Ok(Some(piece));
        }
        while let Some(piece) = self.decoder.next(&mut self.input)? {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            if self.decoder.is_whole() {
                self.last = Some(piece);
                continue;
            }
            if piece.len() < SMALL {
                self.small.extend_from_slice(&piece);
                if self.small.len() >= TOGETHER {
                    return Ok(self.take_small());
                }
            } else if self.small.is_empty() {
                return Ok(Some(piece));
            } else {
                self.next = Some(piece);
                return Ok(self.take_small());
            }
        }
        Ok(None)
    }

    /// Returns the small pieces that wait.
    fn take_small(&mut self) -> Option<Bytes> {
        (!self.small.is_empty()).then(|| self.small.split().freeze())
    }
}

impl<B> Enveloped<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        loop {
            if self.ended {
                let piece = self.take_small().or_else(|| self.last.take());
                return Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))));
            }
            match self.next_piece() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(None) => {}
                Err(error) => return self.fail(error),
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                // Trailers of the transfer coding do not belong to the envelope.
                Poll::Ready(Some(Ok(frame))) => self.input = frame.into_data().unwrap_or_default(),
                Poll::Ready(Some(Err(error))) => return self.fail(UploadError::Body(error.into())),
                Poll::Ready(None) => {
                    if let Err(error) = self.end() {
                        return self.fail(error);
                    }
                }
                // Available data is passed on while more is awaited.
                Poll::Pending => {
                    return match self.take_small() {
                        Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Ends with an error. Nothing follows it, even if more is read.
    fn fail(&mut self, error: UploadError) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        (self.ended, self.last, self.next) = (true, None, None);
        self.small.clear();
        Poll::Ready(Some(Err(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::checksum::{Algorithm, Mismatch};
    use http_body_util::BodyExt;
    use std::collections::VecDeque;

    /// A client's body in these pieces.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    /// A client's body that goes on after an error.
    struct Failing(VecDeque<Result<&'static str, &'static str>>);

    impl Body for Failing {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let next = self.0.pop_front();
            Poll::Ready(next.map(|next| next.map(|piece| Frame::data(piece.into())).map_err(Into::into)))
        }
    }

    /// A client's body that never ends.
    struct Slow(Option<Bytes>);

    impl Body for Slow {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
        }
    }

    /// Returns the data before the end or the error, and the trailing checksum.
    async fn read(mut content: Content<Pieces>) -> (Vec<u8>, Result<Option<String>, UploadError>) {
        let mut passed = Vec::new();
        while let Some(frame) = content.frame().await {
            match frame {
                Ok(frame) => passed.extend_from_slice(&frame.into_data().unwrap()),
                Err(error) => return (passed, Err(error)),
            }
        }
        let sum = content.trailing_checksum().map(Checksum::base64);
        (passed, Ok(sum))
    }

    async fn unwrapped(
        body: &str,
        piece: usize,
        envelope: Envelope,
    ) -> (Vec<u8>, Result<Option<String>, UploadError>) {
        let pieces = body.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
        read(Content::Plain(Pieces(pieces)).unwrap_envelope(envelope, None)).await
    }

    #[tokio::test]
    async fn envelopes_yield_their_content_and_checksum() {
        let trailed = Envelope { decoded: Some(9), trailer: Some(Algorithm::Crc32) };
        let body = "4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
        for piece in [1, 3, 1000] {
            let (inside, sum) = unwrapped(body, piece, trailed).await;
            assert_eq!((&*inside, sum.unwrap().as_deref()), (&b"123456789"[..], Some("y/Q5Jg==")));
        }
        let wrong = body.replace("y/Q5", "y/Q6");
        let (_, sum) = unwrapped(&wrong, 7, trailed).await;
        assert!(matches!(sum, Err(UploadError::Checksum(Mismatch(Algorithm::Crc32)))));
    }

    /// The recipient counts bytes, so it must not have all of them before the end is verified.
    #[tokio::test]
    async fn the_last_piece_waits_for_a_verified_end() {
        let envelope = Envelope { decoded: Some(9), trailer: None };
        let good = "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n";
        for end in (0..good.len()).chain([good.len() + 1]) {
            let body = format!("{good}x");
            for piece in [1, 4, 1000] {
                let (passed, sum) = unwrapped(&body[..end], piece, envelope).await;
                assert!(passed.len() < 9, "{:?}", &body[..end]);
                assert!(matches!(sum, Err(UploadError::Envelope(_))));
            }
        }
        let (passed, sum) = unwrapped(good, 1, envelope).await;
        assert_eq!((&*passed, sum.unwrap()), (&b"123456789"[..], None));
    }

    /// Whether the client's body fails or its content is wrong, what follows is not content.
    #[tokio::test]
    async fn nothing_follows_an_error() {
        let envelope = Envelope { decoded: Some(8), trailer: None };
        for (pieces, signed) in [
            (&[Ok("abcd"), Err("reset"), Ok("efgh")][..], Some("abcdefgh")),
            (&[Ok("abcd"), Err("reset"), Ok("abcd")], Some("abcd")),
            (&[Ok("abcd")], Some("efgh")),
            (&[Ok("4\r\nabcd\r\n"), Err("reset"), Ok("4\r\nefgh\r\n0\r\n\r\n")], None),
            (&[Ok("4\r\nabcd\r\nz\r\n"), Ok("4\r\nefgh\r\n0\r\n\r\n")], None),
            (&[Ok("4\r\nabcd\r\n0\r\n\r\n")], None),
        ] {
            let body = Content::Plain(Failing(pieces.iter().copied().collect()));
            let mut content = match signed {
                Some(text) => body.require_sha256(Sha256::digest(text).into()),
                None => body.unwrap_envelope(envelope, None),
            };
            while content.frame().await.unwrap().is_ok() {}
            for _ in 0..4 {
                assert!(content.frame().await.is_none(), "{pieces:?}");
            }
        }
    }

    /// Chunks of one byte are merged into few writes, and available data is not delayed.
    #[tokio::test]
    async fn small_chunks_are_merged() {
        let many: String = (0..40_000).map(|_| "1\r\nx\r\n").collect();
        let large = "y".repeat(SMALL);
        let body = format!("{many}{SMALL:x}\r\n{large}\r\n{many}1\r\nz\r\n0\r\n\r\n");
        let whole = ["x".repeat(40_000), large, "x".repeat(40_000), "z".to_owned()].concat();
        let envelope = Envelope { decoded: Some(whole.len() as u64), trailer: None };
        for piece in [7, 1000, body.len()] {
            let pieces = body.as_bytes().chunks(piece).map(Bytes::copy_from_slice).collect();
            let mut content = Content::Plain(Pieces(pieces)).unwrap_envelope(envelope, None);
            let (mut passed, mut frames) = (Vec::new(), 0);
            while let Some(frame) = content.frame().await {
                passed.extend_from_slice(&frame.unwrap().into_data().unwrap());
                frames += 1;
            }
            assert!(passed == whole.as_bytes(), "{piece}");
            assert!(frames <= 9, "{frames} frames of pieces of {piece} bytes");
        }
        let first = Slow(Some(Bytes::from_static(b"1\r\na\r\n1\r\nb\r\n")));
        let mut content =
            Content::Plain(first).unwrap_envelope(Envelope { decoded: Some(9), trailer: None }, None);
        assert_eq!(content.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
    }

    #[tokio::test]
    async fn held_parts_are_read_from_memory_and_from_files() {
        let part: Vec<u8> = (0..200_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        assert_eq!(read(Content::Held(Bytes::from(part.clone()))).await.0, part);
        let mut file = SpoolFile::create(u64::MAX).await.unwrap();
        for piece in part.chunks(70_000) {
            file.append(piece).await.unwrap();
        }
        let spooled = Content::Spooled(Bytes::from_static(b"memory"), file.reread().await.unwrap());
        assert_eq!(read(spooled).await.0, [&b"memory"[..], &part].concat());
    }
}
