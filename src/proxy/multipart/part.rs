//! Reads a body of unknown length, part by part.

use crate::bounds::limits::PART_SIZE;
use crate::outgoing::content::Held;
use crate::outgoing::payload::checksum_mismatch;
use crate::outgoing::request::Outgoing;
use crate::outgoing::spool::SpoolFile;
use crate::outgoing::upload::{Upload, UploadBody};
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::{Algorithm, Checksum, Hasher, Verifier};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use http1::body::BoxError;
use std::io;
use std::rc::Rc;

/// A client's body, read piece by piece.
pub(super) struct Source<B> {
    upload: Rc<Upload<B>>,
    body: UploadBody<B>,
    /// Bytes that were read and belong to the next part.
    ahead: Bytes,
    length: u64,
    verifier: Verifier,
    whole: Option<Hasher>,
}

impl<B> Source<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    /// Makes a source that verifies the announced checksums, and computes one with `algorithm` over the whole body.
    pub(super) fn new(
        upload: &Rc<Upload<B>>,
        announced: Vec<Checksum>,
        algorithm: Option<Algorithm>,
    ) -> Self {
        let (upload, body) = (Rc::clone(upload), upload.attempt());
        let (verifier, whole) = (Verifier::new(announced), algorithm.map(Hasher::new));
        Self { upload, body, ahead: Bytes::new(), length: 0, verifier, whole }
    }

    /// Returns the next piece, of at most `most` bytes, without taking it. Returns `None` at the end.
    async fn peek(&mut self, most: u64) -> Result<Option<Bytes>, Refusal> {
        let more = self.has_more().await?;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.ahead.len());
        Ok(more.then(|| self.ahead.slice(..most)))
    }

    /// Takes the piece that `peek` returned.
    fn take(&mut self, piece: &Bytes, outgoing: &Outgoing) -> Result<(), Refusal> {
        let taken = self.ahead.split_to(piece.len().min(self.ahead.len()));
        self.length = self.length.saturating_add(taken.len() as u64);
        outgoing.check_size(self.length)?;
        self.verifier.update(&taken);
        if let Some(whole) = &mut self.whole {
            whole.update(&taken);
        }
        Ok(())
    }

    /// Returns whether more follows, which may require reading on.
    async fn has_more(&mut self) -> Result<bool, Refusal> {
        while self.ahead.is_empty() {
            match self.body.frame().await {
                Some(Ok(frame)) => self.ahead = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Verifies the whole body at its end, and returns its checksum.
    pub(super) fn verify(self) -> Result<Option<Checksum>, Refusal> {
        self.verifier.verify().map_err(checksum_mismatch)?;
        Ok(self.whole.map(Hasher::finish))
    }

    /// Returns the checksum that followed the content.
    pub(super) fn trailing_checksum(&self) -> Option<Checksum> {
        self.upload.trailing_checksum()
    }
}

/// A part that is held until it is complete: up to [`PART_SIZE`] in memory, the rest in a temporary file.
///
/// A body therefore needs only one buffer, however large its parts become, and large bodies cannot wait for each
/// other. The file has no name and disappears with the process.
pub(super) struct Part {
    memory: BytesMut,
    file: Option<SpoolFile>,
    /// The limit on all files together, in bytes.
    spool: u64,
    hasher: Option<Hasher>,
}

/// The reason why filling a part stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// The body ended.
    Ended,
    /// The part has its size, and more follows.
    Full,
    /// No more can be spooled, so the part is smaller than planned, and more follows.
    Short,
}

impl Part {
    /// Makes an empty part for `length` bytes, if known, and computes a checksum if `algorithm` is given.
    pub(super) fn new(algorithm: Option<Algorithm>, length: Option<u64>, spool: u64) -> Self {
        // The system allocates memory only as it is written to.
        let room = length.unwrap_or(PART_SIZE).min(PART_SIZE);
        let memory = BytesMut::with_capacity(usize::try_from(room).unwrap_or(0));
        Self { memory, file: None, spool, hasher: algorithm.map(Hasher::new) }
    }

    pub(super) fn length(&self) -> u64 {
        self.memory.len() as u64 + self.file.as_ref().map_or(0, SpoolFile::bytes)
    }

    /// Reads until the part holds `size` bytes.
    pub(super) async fn fill<B>(
        &mut self,
        source: &mut Source<B>,
        size: u64,
        outgoing: &Outgoing,
    ) -> Result<Filled, Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        while self.length() < size {
            let in_memory = PART_SIZE.min(size).saturating_sub(self.memory.len() as u64);
            let most = if in_memory > 0 { in_memory } else { size - self.length() };
            let Some(piece) = source.peek(most).await? else { return Ok(Filled::Ended) };
            if in_memory > 0 {
                self.memory.extend_from_slice(&piece);
            } else if self.spool(&piece).await.is_err() {
                return Ok(Filled::Short);
            }
            source.take(&piece, outgoing)?;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
        }
        Ok(if source.has_more().await? { Filled::Full } else { Filled::Ended })
    }

    /// Appends a piece to the file. Bytes written before an error are never read.
    async fn spool(&mut self, piece: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpoolFile::create(self.spool).await?),
        };
        file.append(piece).await
    }

    /// Returns the content, its length and its checksum.
    pub(super) async fn close(self) -> Result<(Held, u64, Option<Checksum>), Refusal> {
        let (length, sum) = (self.length(), self.hasher.map(Hasher::finish));
        let memory = self.memory.freeze();
        let content = match self.file {
            None => Held::Held(memory),
            Some(file) => {
                let file = file.reread().await.map_err(|error| {
                    Refusal::new(Rule::Upstream, format!("a part cannot be read back from its file: {error}"))
                })?;
                Held::Spooled(memory, file)
            }
        };
        Ok((content, length, sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::mapping::Mapping;
    use crate::authorize::rights::Right;
    use crate::authorize::scope::Scope;
    use crate::outgoing::payload::{HeldBody, Payload};
    use crate::s3::aws_chunked::Envelope;
    use crate::s3::names::{BucketName, Prefix};
    use http::Method;
    use http_body_util::Full;
    use http1::Fields;

    const PART: usize = 8 * 1024 * 1024;

    fn outgoing() -> Outgoing {
        let rights = [Right::Write].into_iter().collect();
        let scope = Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("").unwrap(), rights);
        let mapping = Mapping::of_scopes("all", vec![scope]);
        let fields = Fields::default();
        let grant = mapping.grant(&Method::PUT, "/tmp/a", None, &fields).unwrap();
        Outgoing::rebuild(grant, &fields, Payload::Held(HeldBody::default())).unwrap()
    }

    fn source(content: &[u8]) -> Source<Full<Bytes>> {
        let upload = test_upload(Full::new(Bytes::copy_from_slice(content)));
        Source::new(&upload, Vec::new(), Some(Algorithm::Crc32))
    }

    fn test_upload(body: Full<Bytes>) -> Rc<Upload<Full<Bytes>>> {
        let upload = Upload::new(body);
        upload.set_length(u64::MAX);
        upload
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    fn sum(content: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(Algorithm::Crc32);
        hasher.update(content);
        hasher.finish()
    }

    /// Cuts a body into parts of these sizes, and returns how filling each of them ended.
    async fn cut(length: usize, sizes: &[usize]) -> Vec<(u64, Filled)> {
        let content = content(length);
        let (mut source, mut read, mut cut) = (source(&content), Vec::new(), Vec::new());
        for size in sizes {
            let mut part = Part::new(Some(Algorithm::Crc32), None, u64::MAX);
            let filled = part.fill(&mut source, u64::try_from(*size).unwrap(), &outgoing()).await.unwrap();
            let (held, length, of_part) = part.close().await.unwrap();
            let held = held.collect().await.unwrap().to_bytes();
            assert_eq!((held.len() as u64, of_part), (length, Some(sum(&held))));
            read.extend_from_slice(&held);
            cut.push((length, filled));
        }
        assert!(read == content);
        assert_eq!(source.verify(), Ok(Some(sum(&content))));
        cut
    }

    #[tokio::test]
    async fn parts_end_with_the_body_or_at_their_size() {
        use Filled::{Ended, Full};
        let part = PART_SIZE;
        assert_eq!(cut(0, &[PART]).await, [(0, Ended)]);
        assert_eq!(cut(PART, &[PART]).await, [(part, Ended)], "nothing follows");
        assert_eq!(cut(PART + 1, &[PART, PART]).await, [(part, Full), (1, Ended)]);
        assert_eq!(cut(3 * PART, &[PART, 2 * PART]).await, [(part, Full), (2 * part, Ended)], "spooled");
        let uneven = cut(3 * PART, &[PART + 7, PART + 9, 2 * PART]).await;
        assert_eq!(uneven, [(part + 7, Full), (part + 9, Full), (part - 16, Ended)]);
    }

    #[tokio::test]
    async fn verifies_the_checksums_and_the_envelope_of_the_body() {
        let upload = test_upload(Full::new(Bytes::from_static(b"content")));
        let mut source = Source::new(&upload, vec![sum(b"another")], None);
        let mut part = Part::new(None, None, u64::MAX);
        assert_eq!(part.fill(&mut source, PART_SIZE, &outgoing()).await, Ok(Filled::Ended));
        assert_eq!(source.verify().unwrap_err().rule, Rule::ChecksumMismatch);
        let upload = test_upload(Full::new(Bytes::from_static(b"content")));
        let envelope = Some(Envelope::default());
        upload.begin(&Payload::Held(HeldBody { envelope, ..HeldBody::default() })).unwrap();
        upload.set_length(u64::MAX);
        let mut source = Source::new(&upload, Vec::new(), None);
        let filled = Part::new(None, None, u64::MAX).fill(&mut source, PART_SIZE, &outgoing()).await;
        assert_eq!(filled.unwrap_err().rule, Rule::BadEnvelope);
    }
}
