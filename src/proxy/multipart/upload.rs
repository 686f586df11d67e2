//! One multipart upload to the store on a client's behalf.

use super::part::{Filled, Part, Source};
use super::plan::part_size;
use super::responses::{completed_status, upload_id};
use crate::bounds::limits::Limits;
use crate::bounds::part_budget::{Open, PartBudget};
use crate::outgoing::content::Held;
use crate::outgoing::document::{Completion, Part as StoredPart};
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::proxy::ClientBody;
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::{Algorithm, Checksum};
use crate::s3::error::element;
use crate::s3::limits::MAX_PARTS;
use crate::sessions::table::Sessions;
use crate::store::{Store, StoreResponse, broke_off};
use crate::trace::Trace;
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use http::response::Parts;
use http_body_util::Empty;
use http1::body::read_whole;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Maximum size of a response that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// The pauses between attempts to abort an upload.
const ABORT_PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)];

/// A multipart upload, with everything needed to send it.
pub(super) struct MultipartUpload<'u> {
    pub(super) store: &'u Store,
    pub(super) budget: &'u PartBudget,
    pub(super) limits: &'u Limits,
    pub(super) outgoing: &'u Outgoing,
    pub(super) sessions: &'u Arc<Sessions>,
    pub(super) trace: &'u Trace,
    pub(super) algorithm: Option<Algorithm>,
}

/// The reason why an upload ends early.
enum Stop {
    /// The body is invalid, or the store did not respond.
    Refused(Refusal),
    /// The store refused a request.
    Answered(Box<StoreResponse>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl MultipartUpload<'_> {
    /// Uploads `part`, and then the rest of the body.
    pub(super) async fn run<B: ClientBody>(
        mut self,
        part: Part,
        source: Source<B>,
    ) -> Result<StoreResponse, Refusal> {
        match self.create_and_fill(part, source).await {
            Ok(done) => Ok(done),
            Err(Stop::Answered(done)) => Ok(*done),
            Err(Stop::Refused(refusal)) => Err(refusal),
        }
    }

    async fn create_and_fill<B: ClientBody>(
        &mut self,
        part: Part,
        source: Source<B>,
    ) -> Result<StoreResponse, Stop> {
        let (id, abort) = self.create().await?;
        let budget = self.budget;
        let filled = tokio::select! {
            filled = self.fill(&id, part, source) => filled,
            () = budget.ending() => Err(shutting_down().into()),
        };
        match filled {
            Ok(done) => {
                abort.disarm();
                Ok(done)
            }
            Err(stop) => {
                // Awaited, so that nothing is left in the store once the client learns of the failure.
                abort.now().await;
                Err(stop)
            }
        }
    }

    /// Creates the upload in a separate task, so that it is aborted even if the client leaves meanwhile.
    async fn create(&mut self) -> Result<(String, AbortOnDrop), Stop> {
        // Nothing is created that no session could abort.
        let abort = self.outgoing.abort_upload("");
        self.store.await_session(&abort, self.sessions, self.trace).await?;
        let open = self.budget.open();
        let create = self.outgoing.create_upload(self.algorithm);
        let (store, sessions, trace) = (self.store.clone(), Arc::clone(self.sessions), self.trace.aside());
        let patience = self.limits.response_timeout;
        let (created, coming) = oneshot::channel();
        tokio::task::spawn_local(async move {
            let asked = ask((&store, &sessions, &trace), patience, &create, &Upload::nothing()).await;
            let upload = asked.and_then(|(_, answer)| {
                let id = upload_id(&answer).ok_or_else(|| {
                    Refusal::new(Rule::Upstream, "the store's answer does not name the upload it created")
                })?;
                let outgoing = create.abort_upload(&id);
                Ok((id, AbortOnDrop(Some(Abort { store, sessions, outgoing, trace, _open: open }))))
            });
            // If the client has left, this drops the upload and so aborts it.
            let _ = created.send(upload);
        });
        coming.await.map_err(|_| Refusal::new(Rule::Internal, "the upload could not be created"))?
    }

    /// Uploads one part after the other and completes the upload.
    async fn fill<B: ClientBody>(
        &mut self,
        id: &str,
        first: Part,
        mut source: Source<B>,
    ) -> Result<StoreResponse, Stop> {
        let mut parts = Vec::new();
        let (mut part, mut filled) = (first, Filled::Full);
        for number in 1..=MAX_PARTS {
            parts.push(self.send(id, number, part).await?);
            if filled == Filled::Ended {
                let sum = source.verify()?;
                return self.complete(id, parts, sum.as_ref()).await;
            }
            part = Part::new(self.algorithm, None, self.limits.upload_spool);
            filled = part.fill(&mut source, part_size(number + 1), self.outgoing).await?;
        }
        let why = "the object has more parts than S3 takes: is there no room for temporary files?";
        Err(Refusal::new(Rule::TooLarge, why).into())
    }

    async fn send(&mut self, id: &str, number: u32, part: Part) -> Result<StoredPart, Stop> {
        let (content, length, sum) = part.close().await?;
        let outgoing = self.outgoing.upload_part(id, number, length, sum.as_ref());
        let (head, _) = self.ask(&outgoing, content, length).await?;
        let etag = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let etag =
            etag.ok_or_else(|| Refusal::new(Rule::Upstream, "the store returned no ETag for a part"))?;
        Ok(StoredPart::stored(number, &etag, sum))
    }

    async fn complete(
        &mut self,
        id: &str,
        parts: Vec<StoredPart>,
        sum: Option<&Checksum>,
    ) -> Result<StoreResponse, Stop> {
        let body = Bytes::from(Completion::of(parts).document());
        let length = body.len() as u64;
        let sum = sum.filter(|sum| sum.algorithm().is_of_whole_objects());
        let outgoing = self.outgoing.complete_upload(id, length, sum);
        let (mut head, answer) = self.ask(&outgoing, Held::Held(body), length).await?;
        head.status = completed_status(head.status, &answer);
        if !head.status.is_success() {
            return Err(Stop::Answered(Box::new(StoreResponse::Buffered(
                Box::new(head),
                Bytes::from(answer),
            ))));
        }
        as_of_a_put(&mut head, &answer);
        Ok(StoreResponse::Buffered(Box::new(head), Bytes::new()))
    }

    async fn ask(
        &mut self,
        outgoing: &Outgoing,
        content: Held,
        length: u64,
    ) -> Result<(Parts, String), Stop> {
        let upload = Upload::of(content, length);
        ask((self.store, self.sessions, self.trace), self.limits.response_timeout, outgoing, &upload).await
    }
}

/// Sends a request and reads the response. An error from the store ends the upload.
async fn ask(
    (store, sessions, trace): (&Store, &Sessions, &Trace),
    patience: Duration,
    outgoing: &Outgoing,
    upload: &Rc<Upload<Empty<Bytes>>>,
) -> Result<(Parts, String), Stop> {
    let answer = match store.exchange(outgoing, upload, sessions, trace).await? {
        StoreResponse::Streaming(answer) => answer,
        read @ StoreResponse::Buffered(..) => return Err(Stop::Answered(Box::new(read))),
    };
    let (head, body) = answer.into_parts();
    let body = read_whole(body, MAX_ANSWER, patience).await.map_err(|error| broke_off(&error))?;
    if !head.status.is_success() {
        return Err(Stop::Answered(Box::new(StoreResponse::Buffered(Box::new(head), body))));
    }
    Ok((head, String::from_utf8_lossy(&body).into_owned()))
}

/// Turns the response to a completion into the response to a PUT, with the elements of its document as headers.
fn as_of_a_put(head: &mut Parts, answer: &str) {
    const ELEMENTS: [(&str, &str); 6] = [
        ("ChecksumCRC32", "x-amz-checksum-crc32"),
        ("ChecksumCRC32C", "x-amz-checksum-crc32c"),
        ("ChecksumCRC64NVME", "x-amz-checksum-crc64nvme"),
        ("ChecksumSHA1", "x-amz-checksum-sha1"),
        ("ChecksumSHA256", "x-amz-checksum-sha256"),
        ("ChecksumType", "x-amz-checksum-type"),
    ];
    head.headers.remove(header::CONTENT_TYPE);
    for (name, header) in [("ETag", "etag")].into_iter().chain(ELEMENTS) {
        if let Some(value) = element(answer, name).and_then(|value| HeaderValue::try_from(value).ok()) {
            head.headers.insert(HeaderName::from_static(header), value);
        }
    }
}

fn shutting_down() -> Refusal {
    Refusal::new(Rule::ShuttingDown, "scopegate is shutting down: try again").retry_after(1)
}

/// Aborts an upload when dropped, as happens when the client leaves.
struct AbortOnDrop(Option<Abort>);

/// Everything needed to abort an upload.
struct Abort {
    store: Store,
    sessions: Arc<Sessions>,
    outgoing: Outgoing,
    trace: Trace,
    _open: Open,
}

impl AbortOnDrop {
    /// Keeps the completed upload.
    fn disarm(mut self) {
        self.0 = None;
    }

    /// Aborts the upload and waits for it. If this future is dropped, the abort continues.
    async fn now(mut self) {
        if let Some(abort) = self.0.take() {
            let _ = tokio::task::spawn_local(abort.run()).await;
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(abort) = self.0.take() {
            tokio::task::spawn_local(abort.run());
        }
    }
}

impl Abort {
    async fn run(self) {
        let mut error = None;
        for pause in ABORT_PAUSES {
            sleep(pause).await;
            match self.store.exchange(&self.outgoing, &Upload::nothing(), &self.sessions, &self.trace).await {
                Ok(answer) if is_gone(&answer) => return,
                Ok(_) => {}
                Err(refusal) => error = refusal.cause().map(str::to_owned),
            }
        }
        let (id, path) = (self.trace.request_id(), self.outgoing.path());
        tracing::warn!(
            id = id.as_str(),
            path,
            error,
            "a multipart upload could not be aborted and is left in the store"
        );
    }
}

/// Returns whether the response to an abort shows that the upload is gone.
fn is_gone(answer: &StoreResponse) -> bool {
    let status = answer.status();
    status.is_success() || status == StatusCode::NOT_FOUND
}
