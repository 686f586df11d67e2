//! The checks of multipart upload lists in `check --live`. These lists use a separate session.

use super::direct::{Direct, error_body};
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::SessionKind;
use crate::config::Config;
use crate::mint::StsMint;
use crate::net::endpoint::Endpoint;
use crate::s3::error::{element, shown_code};
use crate::sessions::minting::{Mint, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::Session;
use crate::store::judge::list_of_no_uploads;
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

/// Requests a list of uploads in each scope that allows it from each of these nodes, and describes the results. Shows the
/// prefixes of `written`, which may have placeholders where those of `mapping` have a name.
pub(super) async fn try_lists(
    config: &Config,
    mapping: &Mapping,
    written: &Mapping,
    mint: &StsMint,
    nodes: &[&Endpoint],
) -> String {
    let mut text = String::new();
    let Some(policy) = mapping.policy_of(SessionKind::Uploads) else { return text };
    let request = MintRequest { name: mapping.name.to_string(), policy, duration: mapping.duration };
    let now = SystemTime::now();
    let region = Arc::clone(&config.upstream.region);
    let minted = mint.mint(&request, Reason::Missing).await.map_err(|error| error.to_string());
    let session = minted.and_then(|minted| {
        Session::new(minted, region, now)
            .map_err(|_| "STS returned a token that cannot be a header".to_owned())
    });
    let session = match session {
        Ok(session) => session,
        Err(why) => return format!("    WRONG lists of multipart uploads: no session: {why}\n"),
    };
    for endpoint in nodes {
        for (scope, (_, prefix)) in mapping.scopes.iter().zip(written.written_scopes()) {
            let Some(outgoing) = list_of_no_uploads(mapping, scope) else { continue };
            let place = format!("{}/{prefix} lists of multipart uploads at {endpoint}", scope.bucket);
            let sent = async {
                let direct = Direct::new(endpoint, &config.upstream.tls, &config.limits)
                    .map_err(|error| error.to_string())?;
                let answer = direct.send(&outgoing, &session).await.map_err(|error| error.to_string())?;
                if answer.status.is_success() {
                    return Ok(());
                }
                let (status, body) = (answer.status.as_u16(), error_body(answer).await);
                Err(problem(status, &shown_code(&element(&body, "Code").unwrap_or_default())))
            };
            match sent.await {
                Ok(()) => _ = writeln!(text, "    ok {place}"),
                Err(problem) => _ = writeln!(text, "    WRONG {place}: {problem}"),
            }
        }
    }
    text
}

fn problem(status: u16, code: &str) -> String {
    match code {
        "AccessDenied" => {
            "AccessDenied: the issuer's own policy does not allow s3:ListBucketMultipartUploads on the bucket"
                .to_owned()
        }
        code => format!("{code} (status {status})"),
    }
}
