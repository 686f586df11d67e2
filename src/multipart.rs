//! Bodies of unknown length: one request if they are small, else a multipart upload of the store.
//!
//! `pg_dump | curl -T -` says no length, and the store takes no body without one. So a body is read until it ends or
//! has [`PART_SIZE`]; what ends goes on as it came, with its length. What does not becomes a multipart upload on the
//! client's behalf: the same key, metadata, tags, conditions and checksums, and the answer of a PUT. Nothing of it is
//! left in the store when the client vanishes or anything fails.
//!
//! The client's body must be read before the store can say anything about it; that the client may write there is known
//! before. Conditions are checked by the store when the upload is created, which for a large body is early, and again
//! when it is completed.

mod budget;
mod document;
mod part;
mod plan;
mod upload;

use crate::access::AccessRecord;
use crate::body::Upload;
use crate::generation::MappingState;
use crate::operation::Operation;
use crate::outgoing::Outgoing;
use crate::proxy::{ClientBody, FromStore, Proxy};
use crate::refusal::{Refusal, Rule};
use crate::session_table::Slot;
use part::{Filled, Part, Source};
use std::rc::Rc;
use std::sync::Arc;
use upload::MultipartUpload;

pub use crate::limits::PART_SIZE;
pub use budget::Budget;
pub use plan::{MAX_PARTS, part_size};

/// The most of a part of unknown length that is held until it is whole; S3's own parts may have 5 GiB.
const MAX_HELD_PART: u64 = 64 * 1024 * 1024;

/// Passes on a request whose body has no length.
///
/// # Errors
/// The refusal, when the body is not what is said of it, or the store cannot be asked.
pub(crate) async fn pass_on<B: ClientBody>(
    proxy: &Proxy,
    outgoing: &Outgoing,
    upload: &Rc<Upload<B>>,
    state: &MappingState,
    record: &mut AccessRecord,
) -> Result<FromStore, Refusal> {
    let slot = state.session.slot();
    upload.set_length(u64::MAX);
    let said = outgoing.checksums()?;
    // Whoever cannot be served now is told so before anything is read.
    proxy.session(slot, record).await?;
    // Its mapping's turn first, so that who waits for that holds nothing of what all share.
    let _turn = state.admission.hold_body().await;
    let _share = proxy.buffers().share().await;
    let whole = outgoing.operation() == Operation::PutObject;
    let algorithm = outgoing.checksum_algorithm().filter(|_| whole);
    let mut source = Source::new(upload, said, algorithm);
    let mut part = Part::new(algorithm);
    let mut filled = part.fill(&mut source, PART_SIZE, outgoing).await?;
    if filled == Filled::Full && outgoing.operation() == Operation::UploadPart {
        filled = part.fill(&mut source, MAX_HELD_PART, outgoing).await?;
    }
    match filled {
        Filled::Ended => send_whole(proxy, outgoing, part, source, slot, record).await,
        _ if whole => {
            let upload = MultipartUpload { proxy, outgoing, slot, record, algorithm };
            upload.run(part, source).await
        }
        _ => Err(Refusal::new(
            Rule::LengthRequired,
            "a body of this size must say its length: send Content-Length or x-amz-decoded-content-length",
        )),
    }
}

/// The body has ended within one part: it goes on as if the client had known its length.
async fn send_whole<B: ClientBody>(
    proxy: &Proxy,
    outgoing: &Outgoing,
    part: Part,
    source: Source<B>,
    slot: &Arc<Slot>,
    record: &mut AccessRecord,
) -> Result<FromStore, Refusal> {
    let trailing = source.trailing_checksum();
    source.verify()?;
    let (content, length, _) = part.close().await?;
    let outgoing = outgoing.with_length(length, trailing.as_ref());
    let upload = Upload::of(content, length);
    proxy.exchange(&outgoing, &upload, slot, record).await
}
