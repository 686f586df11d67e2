//! The meaning of the store's statuses and error codes for a node, a session and a request. All lists of them are
//! here.

use super::balance::Outcome;
use crate::s3::error as s3_error;
use http::StatusCode;

/// What is to blame for an error of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The request: the response is passed on to the client.
    Request,
    /// The session, which the store does not know.
    DeadSession,
    /// The rights, or a session that ended while the store processed the request.
    Denied,
    /// The signature, the date or the region, which another session would not change.
    Signature,
    /// The node, which is still starting.
    NodeNotReady,
    /// The node, which cannot read the object at the moment.
    Unreadable,
}

impl Outcome {
    /// Returns what a response's status says about its node: 503, and 502 or 504 of a proxy in front of it, mean that
    /// the node cannot serve.
    pub fn of_answer(status: StatusCode) -> Self {
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Self::Doubtful
            }
            _ => Self::Answered,
        }
    }
}

impl Blame {
    /// Determines what is to blame for a response, from its status and the code of its error document.
    pub(super) fn of(status: StatusCode, code: Option<&str>) -> Self {
        match code {
            _ if !may_blame_another(status) => Self::Request,
            Some(code) if s3_error::is_dead_session(code) => Self::DeadSession,
            None | Some(s3_error::ACCESS_DENIED) if status == StatusCode::FORBIDDEN => Self::Denied,
            Some(code) if s3_error::is_denial(code) => Self::Signature,
            Some(code) if s3_error::is_node_not_ready(code) => Self::NodeNotReady,
            Some(code) if s3_error::is_unreadable_here(code) => Self::Unreadable,
            _ => Self::Request,
        }
    }
}

/// Checks whether something other than the request may be to blame for a response with this status. A 502 or 504 of a
/// proxy in front of the node has no S3 error document.
pub(super) fn may_blame_another(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_blamed_by_its_status_and_its_code() {
        let cases = [
            (404, Some("InvalidAccessKeyId"), Blame::Request),
            (403, Some("InvalidAccessKeyId"), Blame::DeadSession),
            (400, Some("ExpiredToken"), Blame::DeadSession),
            (403, Some("AccessDenied"), Blame::Denied),
            (403, None, Blame::Denied),
            (400, None, Blame::Request),
            (403, Some("SignatureDoesNotMatch"), Blame::Signature),
            (503, Some("XMinioServerNotInitialized"), Blame::NodeNotReady),
            (503, Some("SlowDownRead"), Blame::Unreadable),
            (503, None, Blame::Request),
            (502, None, Blame::Request),
        ];
        for (status, code, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Blame::of(status, code), expected, "{status} {code:?}");
        }
    }
}
