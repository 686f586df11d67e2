//! The last refused requests, for the status page.

use crate::refusal::Rule;
use crate::s3::operation::Operation;
use crate::trace::RequestId;
use http::Method;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The number of refused requests that are kept.
const KEPT: usize = 50;

/// A request that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The time of the refusal.
    pub at: SystemTime,
    /// The id of the request, which its response and its log line have too.
    pub id: RequestId,
    /// The rule that refused it.
    pub rule: Rule,
    /// The status of the response.
    pub status: u16,
    /// The mapping of the client, if it matched one.
    pub mapping: Option<Box<str>>,
    /// The address of the client. Clients of unix sockets have none.
    pub client: Option<IpAddr>,
    /// The listener that the request came from.
    pub listener: Box<str>,
    /// The method.
    pub method: Method,
    /// The operation, if it was recognised.
    pub operation: Option<Operation>,
}

/// The last refused requests, the newest last.
#[derive(Debug, Default)]
pub(crate) struct LastRefused(Mutex<VecDeque<Refused>>);

impl LastRefused {
    /// Adds a request, in place of the oldest one if there are enough.
    pub(crate) fn add(&self, refused: Refused) {
        let dropped = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = if all.len() >= KEPT { all.pop_front() } else { None };
            all.push_back(refused);
            oldest
        };
        // Freed after the lock.
        drop(dropped);
    }

    /// Returns the requests, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Refused> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    #[test]
    fn the_newest_are_kept() {
        let last = LastRefused::default();
        for number in 0..200_u16 {
            last.add(Refused {
                at: SystemTime::UNIX_EPOCH,
                id: Trace::begin(false).request_id(),
                rule: Rule::OutsideScope,
                status: number,
                mapping: None,
                client: None,
                listener: "http".into(),
                method: Method::GET,
                operation: None,
            });
        }
        let kept: Vec<u16> = last.newest_first().iter().map(|refused| refused.status).collect();
        assert_eq!(kept, (150..200).rev().collect::<Vec<_>>());
    }
}
