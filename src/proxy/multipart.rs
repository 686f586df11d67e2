//! Uploads whose body is held before the store receives it: small ones as one request, others as a multipart upload.
//!
//! - `pg_dump | curl -T -` sends no length, and the store accepts no body without one.
//! - A checksum that follows the body reaches the store as a header. A trailer could break off, and MinIO never
//!   recovers from that.
//! - MinIO locks the key of a conditional PUT while its body arrives, which must not depend on the client.
//!
//! A body is read until it ends or [`PART_SIZE`] is reached. If it ends, it is sent with its length and its checksum.
//! Otherwise it becomes a multipart upload on the client's behalf, with the same key, metadata, tags, conditions and
//! checksums, and with the response of a PUT. If the client leaves or anything fails, nothing of it remains in the
//! store.
//!
//! The store can judge a body only after it has been read, but the client's right to write there is checked before.
//! The store checks conditions when the upload is created, which for a large body is early, and again on completion.

mod part;
mod plan;
mod responses;
mod upload;

use crate::bounds::limits::PART_SIZE;
use crate::bounds::memory::Use;
use crate::outgoing::payload::HeldBody;
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::proxy::{Account, ClientBody, Proxy};
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::Algorithm;
use crate::s3::operation::Operation;
use crate::sessions::table::Sessions;
use crate::store::{Store, StoreResponse};
use crate::trace::{Trace, Wait};
use part::{Filled, Part, Source};
use std::rc::Rc;
use upload::MultipartUpload;

/// The largest part that is held, in bytes, if the length is unknown.
const MAX_HELD_PART: u64 = 64 * 1024 * 1024;
/// The largest body of known length that is held outside the upload buffer, in bytes.
const MAX_SMALL: u64 = 1024 * 1024;

/// Holds the body of a request, and sends it on.
///
/// # Errors
/// Fails if the body does not match its headers, or the store does not respond.
pub(crate) async fn pass_on<B: ClientBody>(
    proxy: &Proxy,
    outgoing: &Outgoing,
    body: &HeldBody,
    upload: &Rc<Upload<B>>,
    account: Account<'_>,
) -> Result<StoreResponse, Refusal> {
    upload.set_length(u64::MAX);
    let announced = outgoing.checksums()?;
    // A small body is admitted, and takes memory of its own size. A larger one is admitted by its buffer, so that it
    // does not occupy a place while it waits for one.
    if let Some(length @ ..=MAX_SMALL) = body.length {
        account.admit().await?;
        account.grow_to(Use::Uploads, usize::try_from(length).unwrap_or(usize::MAX))?;
    } else {
        account.site.admission.begin()?;
        let buffer = proxy.buffers().share(account.site.row.index(), account.holdings.client());
        account.holdings.hold(account.trace.waits(Wait::Queue, buffer).await?);
    }
    let (store, sessions, trace) = (proxy.store(), account.sessions(), account.trace);
    // Without a session, the client is refused before its body is read.
    store.await_session(outgoing, sessions, trace).await?;
    let algorithm = outgoing.checksum_algorithm();
    let whole = algorithm.filter(|_| outgoing.operation() == Operation::PutObject);
    let mut source = Source::new(upload, announced, whole);
    let limits = proxy.limits();
    let mut part = Part::new(whole, body.length, limits.upload_spool);
    let size = first_size(outgoing.operation(), algorithm, body.length);
    match (part.fill(&mut source, size, outgoing).await?, outgoing.operation()) {
        (Filled::Ended, _) => send_whole(outgoing, part, source, (store, sessions, trace)).await,
        (_, Operation::PutObject) => {
            let budget = proxy.buffers();
            let upload =
                MultipartUpload { store, budget, limits, outgoing, sessions, trace, algorithm: whole };
            upload.run(part, source).await
        }
        (Filled::Short, _) if body.length.is_some() => Err(no_room()),
        (Filled::Short | Filled::Full, _) => Err(Refusal::new(
            Rule::LengthRequired,
            "a part of this size must say its length: send Content-Length or x-amz-decoded-content-length",
        )),
    }
}

/// Returns how much of a body is held before it is cut into parts. A part of an upload is never cut. Nor is an object
/// whose checksum cannot be combined from the checksums of its parts: anything beyond the memory of one part is
/// spooled.
fn first_size(operation: Operation, algorithm: Option<Algorithm>, length: Option<u64>) -> u64 {
    let divisible = algorithm.is_none_or(Algorithm::is_of_whole_objects);
    match (operation, length) {
        (Operation::PutObject, Some(length)) if !divisible => length.max(PART_SIZE),
        (Operation::UploadPart, Some(length)) => length.max(PART_SIZE),
        (Operation::UploadPart, None) => MAX_HELD_PART,
        _ => PART_SIZE,
    }
}

fn no_room() -> Refusal {
    let why = "this part must be spooled until its checksum is known, and no temporary file can be written: \
        send its checksum in a header, or parts of at most 8 MiB";
    Refusal::new(Rule::NoRoom, why)
}

/// Sends a body that ended within one part, as if the client had known its length.
async fn send_whole<B: ClientBody>(
    outgoing: &Outgoing,
    part: Part,
    source: Source<B>,
    (store, sessions, trace): (&Store, &Sessions, &Trace),
) -> Result<StoreResponse, Refusal> {
    let trailing = source.trailing_checksum();
    source.verify()?;
    let (content, length, _) = part.close().await?;
    let outgoing = outgoing.with_length(length, trailing.as_ref());
    store.exchange(&outgoing, &Upload::of(content, length), sessions, trace).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_objects_with_an_indivisible_checksum_are_held_whole() {
        use Algorithm::{Crc32, Sha256};
        use Operation::{PutObject, UploadPart};
        let (small, large) = (Some(7), Some(5 * PART_SIZE));
        for (operation, algorithm, length, expected) in [
            (PutObject, None, None, PART_SIZE),
            (PutObject, None, large, PART_SIZE),
            (PutObject, Some(Crc32), large, PART_SIZE),
            (PutObject, Some(Sha256), None, PART_SIZE),
            (PutObject, Some(Sha256), large, 5 * PART_SIZE),
            (PutObject, Some(Sha256), small, PART_SIZE),
            (UploadPart, Some(Crc32), large, 5 * PART_SIZE),
            (UploadPart, Some(Crc32), small, PART_SIZE),
            (UploadPart, None, None, MAX_HELD_PART),
        ] {
            assert_eq!(
                first_size(operation, algorithm, length),
                expected,
                "{operation:?} {algorithm:?} {length:?}"
            );
        }
    }
}
