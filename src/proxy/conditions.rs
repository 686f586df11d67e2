//! Reads whose conditions the store cannot decide: the object is looked at first.

use super::{Proxy, StoreAnswer};
use crate::access::AccessRecord;
use crate::body::Upload;
use crate::content::Held;
use crate::outgoing::{Conditions, Outgoing, Seen};
use crate::refusal::Refusal;
use crate::session_table::Slot;
use bytes::Bytes;
use http::StatusCode;
use http::header::{ETAG, HeaderValue, LAST_MODIFIED};

impl Proxy {
    /// Looks what the object is, and makes a read of it that the store decides as the conditions have it.
    pub(super) async fn look_first(
        &self,
        read: Outgoing,
        conditions: &Conditions,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<Outgoing, Refusal> {
        let nothing = Upload::of(Held::Held(Bytes::new()), 0);
        let answer = self.exchange(&read.look(), &nothing, slot, record).await?;
        let StoreAnswer::Streaming(answer) = answer else { return Ok(read.on(conditions, None)) };
        let field = |name: &str| answer.fields.get(name).and_then(|value| str::from_utf8(value).ok());
        let etag = field(ETAG.as_str()).and_then(|etag| HeaderValue::from_str(etag).ok());
        let modified = field(LAST_MODIFIED.as_str()).and_then(|time| httpdate::parse_http_date(time).ok());
        let seen = etag.filter(|_| answer.status == StatusCode::OK).map(|etag| Seen { etag, modified });
        Ok(read.on(conditions, seen.as_ref()))
    }
}
